import assert from 'node:assert/strict';
import { test } from 'node:test';
import { candidates, parseVersion } from '../src/server/candidates.js';

test('a_program_that_is_named_excludes_every_other', () => {
  assert.deepEqual(candidates('/opt/offshoot', '/ext', true, '/home/anna', 'linux'), ['/opt/offshoot']);
  assert.deepEqual(candidates(' ~/bin/offshoot ', '/ext', true, '/home/anna', 'linux'), ['/home/anna/bin/offshoot']);
});

test('an_installed_extension_uses_only_its_own_program', () => {
  assert.deepEqual(candidates('', '/ext', false, '/home/anna', 'linux'), ['/ext/server/offshoot']);
});

test('an_extension_in_its_source_also_uses_what_was_built_beside_it', () => {
  assert.deepEqual(candidates(undefined, '/src', true, '/home/anna', 'linux'), [
    '/src/server/offshoot',
    '/src/target/release/offshoot',
    '/src/target/debug/offshoot',
  ]);
});

test('a_version_is_read_from_what_the_program_says', () => {
  assert.equal(parseVersion('offshoot 0.1.0\n'), '0.1.0');
  assert.equal(parseVersion('offshoot 0.2.0-rc.1 (abc)\n'), '0.2.0-rc.1');
  assert.equal(parseVersion('bash: offshoot: not found'), undefined);
});
