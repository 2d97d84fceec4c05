// The schema module says byte for byte what the program says.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { root } from '../scripts/lib/repository.mjs';
import { buildWasm } from '../scripts/wasm.mjs';

const facts = join(root, 'sidecar', 'schema-wasm', 'tests', 'facts');
const FILTER = '{"text":"or","kinds":["table","view"],"groups":[]}';

const skipped = [];
const wasm = await buildWasm({ say: (text) => skipped.push(text) });
const skip = wasm === undefined ? skipped.join('\n') : false;

/** Every ordered pair of the files, without a fork point, and the one that has one. */
async function cases() {
  const names = (await readdir(facts)).filter((name) => name.endsWith('.facts')).sort();
  const path = (name) => join(facts, name);
  const pairs = names.flatMap((mine) => names.map((theirs) => [path(mine), path(theirs), '-']));
  return [...pairs, [path('mine.facts'), path('theirs.facts'), path('fork.facts')]];
}

function natively(all) {
  const input = all.map((paths) => `${paths.join(' ')}\n`).join('');
  const args = ['run', '--quiet', '--locked', '-p', 'offshoot-schema-wasm', '--example', 'natively'];
  const { status, stdout, stderr } = spawnSync('cargo', args, { cwd: root, input, encoding: 'utf8', maxBuffer: 1 << 28 });
  assert.equal(status, 0, stderr);
  return stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
}

/** The script is a module of the web; under another name Node takes it for one too. */
async function load() {
  const folder = await mkdtemp(join(tmpdir(), 'offshoot-wasm-'));
  try {
    const script = join(folder, 'schema.mjs');
    await copyFile(wasm.script, script);
    const loaded = await import(pathToFileURL(script).href);
    loaded.initSync({ module: await readFile(wasm.module) });
    return loaded;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('the_module_and_the_program_give_the_same_bytes', { skip }, async () => {
  const { Comparison } = await load();
  const all = await cases();
  const expected = natively(all);
  assert.equal(expected.length, all.length);
  for (const [at, [mine, theirs, fork]] of all.entries()) {
    const texts = await Promise.all([mine, theirs].map((path) => readFile(path, 'utf8')));
    const base = fork === '-' ? undefined : await readFile(fork, 'utf8');
    const comparison = new Comparison('mine', texts[0], 'theirs', texts[1], base);
    const answers = [
      comparison.changes(), comparison.plan(false), comparison.plan(true), comparison.sql(false),
      comparison.document(''), comparison.picture(''), comparison.document(FILTER), comparison.picture(FILTER),
    ];
    assert.deepEqual(answers, expected[at], `${mine} and ${theirs}`);
    comparison.free();
  }
});

test('the_module_names_what_is_wrong_with_a_text_and_a_filter', { skip }, async () => {
  const { Comparison } = await load();
  const text = await readFile(join(facts, 'mine.facts'), 'utf8');
  assert.throws(() => new Comparison('mine', `${text}\n<<<<<<< HEAD\n`, 'theirs', text), /the schema of mine: line \d+/);
  assert.throws(() => new Comparison('mine', text, 'theirs', text).picture('{'), /the filter is not one/);
});

test('the_module_is_typed_and_small', { skip }, async () => {
  const types = await readFile(wasm.types, 'utf8');
  assert.match(types, /export type Picture =/);
  assert.match(types, /picture\(filter: string\): string/);
  assert.ok((await readFile(wasm.module)).length < 1_200_000);
});
