import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closingLine, countCargoTest, countNextest, countTap, sum } from '../scripts/lib/counts.mjs';

test('the_summary_of_nextest_is_read_with_and_without_colours', () => {
  const plain = '────\n     Summary [   2.101s] 14 tests run: 11 passed (1 slow, 1 flaky), 2 failed, 1 timed out, 3 skipped\n';
  assert.deepEqual(countNextest(plain), { passed: 11, failed: 3, skipped: 3 });
  const coloured = '\u001b[32;1m     Summary\u001b[0m [   0.004s] \u001b[1m2\u001b[0m tests run: \u001b[1m2\u001b[0m \u001b[32;1mpassed\u001b[0m, \u001b[1m0\u001b[0m skipped\n';
  assert.deepEqual(countNextest(coloured), { passed: 2, failed: 0, skipped: 0 });
  assert.equal(countNextest('error: could not compile `offshoot`'), undefined);
});

test('the_results_of_cargo_test_are_added_up', () => {
  const line = (passed, failed, ignored) => `test result: ok. ${passed} passed; ${failed} failed; ${ignored} ignored; 0 measured; 0 filtered out; finished in 0.00s\n`;
  assert.deepEqual(countCargoTest(line(3, 0, 1) + line(2, 1, 0)), { passed: 5, failed: 1, skipped: 1 });
  assert.equal(countCargoTest(''), undefined);
});

test('cancelled_node_tests_count_as_failed', () => {
  const report = '# tests 6\n# suites 0\n# pass 3\n# fail 1\n# cancelled 1\n# skipped 1\n# todo 0\n# duration_ms 5\n';
  assert.deepEqual(countTap(report), { passed: 3, failed: 2, skipped: 1 });
});

test('the_closing_line_names_skipped_tests_only_if_there_are_any', () => {
  const total = sum([{ passed: 1, failed: 0, skipped: 0 }, { passed: 2, failed: 1, skipped: 0 }]);
  assert.equal(closingLine(total), '3 passed, 1 failed');
  assert.equal(closingLine({ ...total, skipped: 4 }), '3 passed, 1 failed, 4 skipped');
});
