import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

interface Manifest {
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly category?: string }[];
    readonly menus: Readonly<Record<string, readonly { readonly command?: string }[]>>;
    readonly viewsWelcome: readonly { readonly when: string; readonly contents: string }[];
  };
}

async function manifest(): Promise<Manifest> {
  return JSON.parse(await readFile('package.json', 'utf8')) as Manifest;
}

async function texts(): Promise<Record<string, string>> {
  return JSON.parse(await readFile('package.nls.json', 'utf8')) as Record<string, string>;
}

async function sources(): Promise<string> {
  const folder = join('extension', 'src');
  const files = (await readdir(folder, { recursive: true })).filter((path) => path.endsWith('.ts'));
  return (await Promise.all(files.map(async (path) => readFile(join(folder, path), 'utf8')))).join('\n');
}

test('every_text_that_the_manifest_uses_is_there_and_every_text_is_used', async () => {
  const used = [...(await readFile('package.json', 'utf8')).matchAll(/"%([\w.-]+)%"/g)].map(([, key]) => key ?? '');
  assert.deepEqual([...new Set(used)].sort(), Object.keys(await texts()).sort());
});

test('every_command_of_the_manifest_is_registered', async () => {
  const { contributes } = await manifest();
  const source = await sources();
  assert.deepEqual(contributes.commands.map(({ command }) => command).filter((command) => !source.includes(`'${command}'`)), []);
});

test('every_command_has_the_category', async () => {
  const { contributes } = await manifest();
  assert.deepEqual(contributes.commands.filter(({ category }) => category !== 'Offshoot'), []);
});

test('menus_and_welcome_texts_name_only_commands_that_exist', async () => {
  const { contributes } = await manifest();
  const known = new Set(contributes.commands.map(({ command }) => command));
  const inMenus = Object.values(contributes.menus).flatMap((items) => items.map(({ command }) => command ?? ''));
  const inTexts = Object.values(await texts()).flatMap((text) => [...text.matchAll(/command:(offshoot\.\w+)\b(?!\.)/g)].map(([, command]) => command ?? ''));
  assert.deepEqual([...inMenus, ...inTexts].filter((command) => command.startsWith('offshoot.') && !known.has(command)), []);
});

test('every_state_without_branches_has_a_welcome_text', async () => {
  const { contributes } = await manifest();
  for (const state of ['noFolder', 'noGit', 'notInitialised', 'missing', 'starting', 'failed', 'untrusted', 'empty']) {
    assert.ok(contributes.viewsWelcome.some(({ when }) => when.includes(`offshoot.state == ${state}`)), state);
  }
});

test('the_texts_for_translators_are_fresh', async () => {
  await promisify(execFile)(process.execPath, [join('scripts', 'l10n.mjs'), '--check']);
});
