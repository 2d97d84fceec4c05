// Compiles the unit tests of the extension, `extension/test/**/*.test.ts`, which run in plain Node.
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from '../../scripts/lib/repository.mjs';

const folder = join(root, 'extension', 'test');

/**
 * Bundles each test with the sources that it tests. Packages stay outside: the result lies below `node_modules`' folder.
 *
 * @returns {Promise<{ files: string[], clear: () => Promise<void> }>} the programs for `node --test`
 */
export async function compileTests() {
  const tests = (await readdir(folder, { recursive: true })).filter((path) => path.endsWith('.test.ts')).sort();
  const cache = join(root, '.cache', 'extension-test');
  await mkdir(cache, { recursive: true });
  const outdir = await mkdtemp(join(cache, 'run-'));
  const clear = () => rm(outdir, { recursive: true, force: true });
  try {
    await build({
      absWorkingDir: root,
      entryPoints: tests.map((path) => join(folder, path)),
      tsconfig: join('extension', 'tsconfig.json'),
      outbase: folder,
      outdir,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      packages: 'external',
      alias: { vscode: join(folder, 'support', 'vscode.ts') },
      platform: 'node',
      target: 'node20',
      format: 'esm',
      sourcemap: 'inline',
      logLevel: 'warning',
    });
  } catch (error) {
    await clear();
    throw error;
  }
  return { files: tests.map((path) => join(outdir, path.replace(/\.ts$/, '.mjs'))), clear };
}
