// Bundles the extension into `extension/dist/main.cjs`: `node extension/build.mjs [--production] [--watch]`.
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, context } from 'esbuild';
import { root } from '../scripts/lib/repository.mjs';

/** What the bundle may weigh: it is read and compiled each time that the extension starts. */
export const LIMIT_BYTES = 300 * 1024;

const defaultOutfile = join(root, 'extension', 'dist', 'main.cjs');

/** The language level and the modules that every VS Code since 1.100 has. */
const settings = {
  absWorkingDir: root,
  entryPoints: [join('extension', 'src', 'main.ts')],
  tsconfig: join('extension', 'tsconfig.json'),
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['vscode'],
  metafile: true,
  logLevel: 'warning',
};

/** A production bundle is minified and has no source map, so that a package says nothing about the machine it was made on. */
const flavour = (production) => (production ? { minify: true, legalComments: 'none' } : { sourcemap: true });

/**
 * Bundles once.
 *
 * @param {{ production?: boolean, outfile?: string }} [options]
 * @returns {Promise<{ outfile: string, bytes: number, inputs: string[] }>} `inputs`: the files that went in, from the root
 * @throws if a production bundle is above the limit; the message lists what weighs most
 */
export async function bundle({ production = false, outfile = defaultOutfile } = {}) {
  await mkdir(dirname(outfile), { recursive: true });
  if (production) await rm(`${outfile}.map`, { force: true });
  const { metafile } = await build({ ...settings, ...flavour(production), outfile });
  const [output] = Object.entries(metafile.outputs).filter(([path]) => path.endsWith('.cjs')).map(([, facts]) => facts);
  if (production && output.bytes > LIMIT_BYTES) throw new Error(tooLarge(output));
  return { outfile, bytes: output.bytes, inputs: Object.keys(output.inputs) };
}

function tooLarge({ bytes, inputs }) {
  const heaviest = Object.entries(inputs)
    .map(([path, { bytesInOutput }]) => ({ path, bytesInOutput }))
    .sort((a, b) => b.bytesInOutput - a.bytesInOutput)
    .slice(0, 10)
    .map(({ path, bytesInOutput }) => `  ${String(bytesInOutput).padStart(7)}  ${path}`);
  return [`The bundle has ${bytes} bytes; ${LIMIT_BYTES} are allowed. The heaviest parts:`, ...heaviest].join('\n');
}

async function watch() {
  const watching = await context({ ...settings, ...flavour(false), outfile: defaultOutfile, logLevel: 'info' });
  await watching.watch();
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const production = process.argv.includes('--production');
  try {
    if (process.argv.includes('--watch')) await watch();
    else console.log(`extension/dist/main.cjs: ${(await bundle({ production })).bytes} bytes`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
