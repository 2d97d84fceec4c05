import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escapeMarkdown, formatAge, formatBytes, formatDuration, formatRemaining, sentences, withoutOverride } from '../src/views/words.js';

test('bytes_have_the_unit_that_keeps_them_short', () => {
  const cases: [number, string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1 kB'],
    [1_234, '1.2 kB'],
    [99_949, '99.9 kB'],
    [99_951, '100 kB'],
    [999_499, '999 kB'],
    [999_501, '1 MB'],
    [200_000_000, '200 MB'],
    [3_500_000_000, '3.5 GB'],
    [7e15, '7000 TB'],
  ];
  for (const [bytes, text] of cases) {
    assert.equal(formatBytes(bytes), text);
  }
});

test('times_are_told_in_their_largest_unit', () => {
  const cases: [number, string][] = [
    [59, '1 min'],
    [3_599, '59 min'],
    [3_600, '1 h'],
    [86_399, '23 h'],
    [86_400, '1 d'],
    [364 * 86_400, '364 d'],
    [730 * 86_400, '2 y'],
  ];
  for (const [seconds, text] of cases) {
    assert.equal(formatDuration(seconds), text);
  }
  assert.equal(formatRemaining(86_399), '1 d');
  assert.equal(formatRemaining(36 * 3_600), '2 d');
  assert.equal(formatRemaining(100 * 60), '2 h');
  assert.equal(formatRemaining(20), '1 min');
  assert.equal(formatAge(100, 130), 'now');
  assert.equal(formatAge(100, 90), 'now');
});

test('markdown_shows_a_text_as_it_is', () => {
  assert.equal(escapeMarkdown('a_b `c` $(zap) [d](e)'), 'a\\_b \\`c\\` \\$\\(zap\\) \\[d\\]\\(e\\)');
});

test('a_message_is_a_sentence_and_a_path_at_its_beginning_stays_as_it_is', () => {
  assert.equal(sentences('there is no branch', undefined), 'There is no branch.');
  assert.equal(sentences('port 5432 is taken', 'Choose another.'), 'Port 5432 is taken. Choose another.');
  assert.equal(sentences('versions/a1.py is a program', undefined), 'versions/a1.py is a program.');
  assert.equal(sentences('psycopg2.errors.UndefinedTable', undefined), 'psycopg2.errors.UndefinedTable.');
});

test('what_a_button_does_is_not_told_as_a_command', () => {
  const cases: [string, string][] = [
    ['`offshoot branch delete a --override` does it all the same.', ''],
    ['`offshoot branch reset a --override` does it all the same.\nA change of the rule counts when it is committed on `main`.', 'A change of the rule counts when it is committed on `main`.'],
    ['`offshoot branch list` shows them; or raise the limit. `offshoot branch create a --override` makes it all the same.', '`offshoot branch list` shows them; or raise the limit.'],
    ['Make that one first: `offshoot branch create a`; or `offshoot branch create b --from OTHER --override`.', 'Make that one first: `offshoot branch create a`; or `offshoot branch create b --from OTHER --override`.'],
  ];
  for (const [hint, expected] of cases) {
    assert.equal(withoutOverride(hint), expected);
  }
});
