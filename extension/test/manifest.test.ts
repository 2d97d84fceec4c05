import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

interface Contribution {
  readonly path?: string;
  readonly configuration?: string;
}

interface Manifest {
  readonly main: string;
  readonly engines: { readonly vscode: string };
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly enabledApiProposals?: readonly string[];
  readonly contributes: { readonly grammars: readonly Contribution[]; readonly languages: readonly Contribution[] };
}

async function manifest(): Promise<Manifest> {
  return JSON.parse(await readFile('package.json', 'utf8')) as Manifest;
}

test('types_are_those_of_the_oldest_editor_that_is_supported', async () => {
  const { engines, devDependencies } = await manifest();
  assert.equal(`^${devDependencies['@types/vscode'] ?? ''}`, engines.vscode);
});

test('no_proposed_api_is_used', async () => {
  assert.equal((await manifest()).enabledApiProposals, undefined);
});

test('every_file_that_the_manifest_names_for_a_language_is_there', async () => {
  const { contributes } = await manifest();
  const paths = [...contributes.grammars, ...contributes.languages].flatMap(({ path, configuration }) => [path, configuration]);
  const named = paths.filter((path) => path !== undefined);
  assert.notEqual(named.length, 0);
  assert.deepEqual(named.filter((path) => !existsSync(join('.', path))), []);
});
