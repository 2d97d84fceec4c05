import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../scripts/lib/process.mjs';
import { root } from '../scripts/lib/repository.mjs';

const BUILT_IN = new Set(['ci', 'install']);
const bin = process.env.OFFSHOOT_TEST_BIN ?? join(root, 'target', 'debug', 'offshoot');
const readme = await readFile(join(root, 'README.md'), 'utf8');

test('every_npm_command_of_the_readme_exists', async () => {
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const named = [...readme.matchAll(/npm (?:run (?:--silent )?)?([a-z][\w:-]*)/g)].map(([, name]) => name).filter((name) => name !== 'registry');
  assert.ok(named.includes('start') && named.includes('test'), 'the readme does not name the two commands');
  assert.deepEqual(named.filter((name) => !BUILT_IN.has(name) && scripts[name] === undefined), []);
});

test('every_file_that_the_readme_links_to_exists', () => {
  const links = [...readme.matchAll(/\]\((?!https?:|#)([^)\s]+)\)/g)].map(([, path]) => path);
  assert.ok(links.length > 0);
  assert.deepEqual(links.filter((path) => !existsSync(join(root, path))), []);
});

const skip = existsSync(bin) || process.env.OFFSHOOT_TEST_BIN ? false : `${bin} is not built: run cargo build --workspace`;
test('every_verb_of_the_readme_exists', { skip }, async () => {
  const verbs = new Set();
  for (const [, first, second] of readme.matchAll(/^offshoot ([a-z]+)(?: ([a-z]+(?: \| [a-z]+)*)\b)?/gm)) {
    const nested = ['branch', 'engine'].includes(first) && second !== undefined;
    for (const name of nested ? second.split(' | ') : [undefined]) verbs.add([first, name].filter(Boolean).join(' '));
  }
  assert.ok(verbs.size >= 8, `found only ${[...verbs].join(', ')}`);
  for (const verb of verbs) await run(bin, [...verb.split(' '), '--help']);
});
