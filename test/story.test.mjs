import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { processesOf } from '../demo/leftovers.mjs';
import { run } from '../scripts/lib/process.mjs';
import { root } from '../scripts/lib/repository.mjs';

const ROWS = 20_000;
const PATIENCE_MS = 300_000;
const bin = process.env.OFFSHOOT_TEST_BIN ?? join(root, 'target', 'debug', 'offshoot');

const skip = existsSync(bin) || process.env.OFFSHOOT_TEST_BIN ? false : `${bin} is not built: run cargo build --workspace`;

async function start(...args) {
  const result = await run(process.execPath, [join(root, 'scripts', 'start.mjs'), ...args], { allowFailure: true, timeoutMs: PATIENCE_MS });
  return { ...result, report: result.stdout.startsWith('{') ? JSON.parse(result.stdout) : undefined };
}

test('the_whole_story_comes_true', { skip, timeout: PATIENCE_MS }, async (t) => {
  const { code, stderr, report } = await start('--bin', bin, '--rows', String(ROWS), '--json');
  assert.equal(code, 0, stderr);
  assert.equal(report.ok, true);
  const step = (id) => report.steps.find((candidate) => candidate.id === id);

  await t.test('all_the_data_is_loaded', () => {
    assert.equal(step('load').facts.counts.inventory_items, ROWS);
    assert.ok(step('load').facts.rows > 1.5 * ROWS);
  });
  await t.test('a_fresh_branch_has_all_rows_and_costs_almost_nothing', () => {
    assert.equal(step('checkout').facts.items, ROWS);
    assert.ok(step('checkout').facts.ownBytesAsleep <= 200_000, `${step('checkout').facts.ownBytesAsleep} bytes`);
    assert.ok(step('checkout').bytes <= 1_000_000, `${step('checkout').bytes} bytes after the first query`);
  });
  await t.test('an_application_on_main_is_told_to_connect_again_at_the_switch', () => {
    assert.equal(step('checkout').facts.closedWith, '57P01');
  });
  await t.test('the_code_is_split_on_the_branch_alone', () => {
    assert.ok(!step('migrate').facts.columns.includes('inventory_code'));
    assert.ok(step('migrate').bytes > 1_000_000, 'rewriting every row takes space of its own');
    assert.deepEqual(step('compare').facts.branch, step('compare').facts.main);
  });
  await t.test('the_unchanged_url_leads_to_what_is_checked_out', () => {
    assert.ok(step('compare').facts.applicationColumns.includes('serial_number'));
    assert.equal(step('return').facts.checksum, step('status').facts.checksum);
  });
  await t.test('a_reset_brings_the_parent_back_and_frees_the_space', () => {
    assert.equal(step('reset').facts.checksum, step('status').facts.checksum);
    assert.ok(step('reset').facts.columns.includes('inventory_code'));
    assert.ok(step('reset').facts.ownBytes <= 200_000, `${step('reset').facts.ownBytes} bytes`);
  });
  await t.test('nothing_is_left', async () => {
    assert.equal(existsSync(report.folder), false);
    assert.deepEqual(report.leftProcesses, []);
    assert.deepEqual(await processesOf(join(report.folder, 'offshoot')), []);
  });
});

test('an_interrupt_leaves_nothing', { skip, timeout: PATIENCE_MS }, async () => {
  const controller = new AbortController();
  let folder;
  let output = '';
  const story = run(process.execPath, [join(root, 'scripts', 'start.mjs'), '--bin', bin, '--rows', String(ROWS)], {
    signal: controller.signal,
    onOutput: (text) => {
      output += text;
      folder ??= output.match(/^(\/.*\/offshoot-\w+)\/warehouse$/m)?.[1];
      if (/-f migrations\/0003/.test(output)) controller.abort();
    },
  });
  await assert.rejects(story, { name: 'Interrupted' });
  assert.ok(folder !== undefined, output);
  assert.equal(existsSync(folder), false);
  assert.deepEqual(await processesOf(join(folder, 'offshoot')), []);
});

test('a_program_that_fails_stops_the_story_with_its_output', async () => {
  const { code, stderr, report } = await start('--bin', '/bin/false', '--rows', String(ROWS), '--json');
  assert.equal(code, 1);
  assert.equal(report.ok, false);
  assert.equal(report.failure.step, 'init');
  assert.match(stderr, /This command failed: offshoot init --empty/);
  assert.equal(existsSync(report.folder), false);
});

test('a_program_that_is_not_there_is_named', async () => {
  const { code, stderr } = await start('--bin', join(root, 'no-such-offshoot'));
  assert.equal(code, 1);
  assert.match(stderr, /There is no program at .*no-such-offshoot/);
});
