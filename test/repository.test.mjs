import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../scripts/lib/process.mjs';
import { root } from '../scripts/lib/repository.mjs';

const read = (path) => readFile(join(root, path), 'utf8');

/** Text files that are, or are about to be, under version control. */
async function trackedTexts() {
  const { stdout } = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root });
  const texts = [];
  for (const path of new Set(stdout.split('\0').filter(Boolean))) {
    const isFile = await stat(join(root, path)).then((found) => found.isFile(), () => false);
    const bytes = isFile ? await readFile(join(root, path)) : Buffer.alloc(0);
    if (!bytes.includes(0)) texts.push({ path, text: bytes.toString('utf8') });
  }
  return texts;
}

function linesWith(pattern, texts) {
  return texts.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim().slice(0, 120)}`] : [])),
  );
}

test('the_lock_file_pins_contents_and_names_no_registry', async () => {
  const lock = JSON.parse(await read('package-lock.json'));
  for (const [path, entry] of Object.entries(lock.packages)) {
    assert.equal(entry.resolved, undefined, `${path} says where it was downloaded`);
    if (path !== '') assert.match(entry.integrity, /^sha512-/, `${path} has no checksum`);
  }
});

test('the_lock_file_fits_the_manifest', async () => {
  const [manifest, lock] = [JSON.parse(await read('package.json')), JSON.parse(await read('package-lock.json'))];
  assert.deepEqual(lock.packages[''].optionalDependencies, manifest.optionalDependencies);
  for (const [name, version] of Object.entries(manifest.optionalDependencies)) {
    assert.match(version, /^\d+\.\d+\.\d+/, `${name} is not pinned`);
    assert.equal(lock.packages[`node_modules/${name}`].version, version);
  }
});

test('no_tracked_file_names_the_host_of_a_registry', async () => {
  // Written in pieces, so that this file does not name them either.
  const hosts = [['registry', 'npmjs', 'org'], ['registry', 'yarnpkg', 'com'], ['static', 'crates', 'io'], ['index', 'crates', 'io'], ['files', 'pythonhosted', 'org']];
  const pattern = new RegExp(hosts.map((parts) => parts.join('\\.')).join('|'));
  assert.deepEqual(linesWith(pattern, await trackedTexts()), []);
});

test('no_tracked_file_names_a_path_of_the_machine_that_it_was_written_on', async () => {
  const places = [['', 'work', '(main|shared)\\b'], ['', 'tmp', '(probe|target-|preamble)'], ['', 'root', '\\.'], ['', 'home', '(runner|ubuntu|user)', '']];
  const pattern = new RegExp(places.map((parts) => parts.join('/')).join('|'));
  const here = root.split('/').length > 2 ? root : undefined;
  const texts = await trackedTexts();
  assert.deepEqual(linesWith(pattern, texts), []);
  if (here !== undefined) assert.deepEqual(texts.filter(({ text }) => text.includes(`${here}/`)).map(({ path }) => path), []);
});
