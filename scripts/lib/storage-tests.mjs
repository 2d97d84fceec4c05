import { join } from 'node:path';
import { prepare } from '../prepare.mjs';
import { fillPostgresCache } from './postgres-cache.mjs';
import { run } from './process.mjs';
import { root } from './repository.mjs';

/**
 * Makes what the storage crate's tests find in place and cannot make themselves: the versions of Postgres, and the library that is loaded
 * into it. `npm test` has them already; a script that is run first in a fresh clone has not.
 *
 * @param {{ signal?: AbortSignal }} [options]
 */
export async function readyForStorageTests({ signal } = {}) {
  await prepare();
  const missing = await fillPostgresCache(join(root, '.cache'), console.error);
  if (missing.length > 0) console.error(`WARNING: PostgreSQL ${missing.join(', ')} could not be brought; tests that need it are skipped.`);
  // With the features that it has beside all others, as the tests are built.
  await run('cargo', ['build', '--workspace'], { cwd: root, signal, onOutput: (text) => process.stderr.write(text) });
}
