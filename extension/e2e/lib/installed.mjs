// Where the workbenches and the browser lie, and whether they are there.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder `extension/e2e`. */
export const here = resolve(fileURLToPath(new URL('..', import.meta.url)));

/** The folder of this checkout. */
export const repository = resolve(here, '../..');

/** What the installer fills; nothing else lies in it. `OFFSHOOT_TEST_CACHE` moves it. */
export const cache = join(process.env.OFFSHOOT_TEST_CACHE ?? join(repository, '.cache'), 'vscode');

/** The oldest VS Code that the extension supports and the newest one; both are real. */
export const workbenchNames = /** @type {const} */ (['floor', 'current']);

/**
 * @typedef {(typeof workbenchNames)[number]} WorkbenchName
 * @typedef {{ name: WorkbenchName, version: string, folder: string, node: string, server: string }} Workbench
 *   `version` is VS Code's own; `node` runs `server`
 * @typedef {{ folder: string, chromium: { path: string, kind: 'packaged' | 'system' } }} Tools
 */

/**
 * A fingerprint of everything that decides what is installed for `name`: packages, their contents and the recipe.
 *
 * @param {WorkbenchName | 'tools'} name
 */
export function fingerprint(name) {
  const shims = join(here, 'workbench', 'shims');
  const files = [
    join(here, 'lib', name === 'tools' ? 'install-tools.mjs' : 'install-workbench.mjs'),
    ...['package.json', 'package-lock.json'].map((file) => join(here, 'workbench', name, file)),
    ...(name === 'tools' ? [] : [join(here, 'workbench', 'tools', 'package-lock.json'), ...readdirSync(shims).sort().map((file) => join(shims, file))]),
  ];
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file)).update('\0');
  return hash.digest('hex').slice(0, 16);
}

/** Reads the stamp of an installation that is complete and of this recipe. @param {WorkbenchName | 'tools'} name */
function stamp(name) {
  const file = join(cache, name, 'installed.json');
  if (!existsSync(file)) return undefined;
  const found = JSON.parse(readFileSync(file, 'utf8'));
  return found.fingerprint === fingerprint(name) ? found : undefined;
}

/** @param {WorkbenchName} name @returns {Workbench | undefined} */
export function findWorkbench(name) {
  const found = stamp(name);
  if (found === undefined) return undefined;
  const folder = join(cache, name);
  return { name, version: found.version, folder, node: join(folder, 'node'), server: join(folder, 'vscode', 'out', 'server-main.js') };
}

/** @returns {Tools | undefined} */
export function findTools() {
  const found = stamp('tools');
  if (found === undefined) return undefined;
  const folder = join(cache, 'tools');
  const { kind, path } = found.chromium;
  const chromium = { kind, path: kind === 'packaged' ? join(folder, path) : path };
  return existsSync(chromium.path) ? { folder, chromium } : undefined;
}

/**
 * Why tests with this workbench cannot run, for the `skip` of `node:test`; false when they can.
 *
 * @param {WorkbenchName} name
 * @returns {string | false}
 */
export function skipReason(name) {
  const chosen = process.env.OFFSHOOT_E2E_ONLY;
  if (chosen !== undefined && chosen !== name) return `SKIPPED: OFFSHOOT_E2E_ONLY is ${chosen}`;
  if (findTools() !== undefined && findWorkbench(name) !== undefined) return false;
  return `SKIPPED: VS Code (${name}) is not installed: run node extension/e2e/install.mjs`;
}
