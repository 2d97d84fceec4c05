// Bundles the extension into `extension/dist/main.cjs`: `node extension/build.mjs [--production] [--watch]`.
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, context } from 'esbuild';
import { root } from '../scripts/lib/repository.mjs';
import { buildWasm } from '../scripts/wasm.mjs';
import { oneApi } from './oneApi.mjs';

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
  plugins: [oneApi(join(root, 'extension', 'src'))],
  // A name that the plugin overlooked.
  logOverride: { 'import-is-undefined': 'error' },
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

/**
 * Bundles the script of the picture, and puts the schema module beside it if it could be built.
 *
 * @param {{ production?: boolean, folder?: string, say?: (text: string) => void }} [options]
 * @returns {Promise<{ bytes: number, hasModule: boolean }>}
 */
export async function bundlePicture({ production = false, folder = dirname(defaultOutfile), say } = {}) {
  const source = join('extension', 'src', 'summary', 'webview');
  const wasm = await buildWasm({ say });
  await mkdir(folder, { recursive: true });
  const { metafile } = await build({
    ...settings,
    ...flavour(production),
    entryPoints: [join(source, 'main.ts')],
    tsconfig: join(source, 'tsconfig.json'),
    outfile: join(folder, 'picture.js'),
    platform: 'browser',
    target: 'chrome128',
    format: 'iife',
    external: [],
    alias: { 'offshoot-schema-wasm': wasm?.script ?? join(root, source, 'noModule.ts') },
  });
  const module = join(folder, 'schema.wasm');
  await (wasm === undefined ? rm(module, { force: true }) : copyFile(wasm.module, module));
  const [output] = Object.entries(metafile.outputs).filter(([path]) => path.endsWith('.js')).map(([, facts]) => facts);
  return { bytes: output.bytes, hasModule: wasm !== undefined };
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
    else {
      console.log(`extension/dist/main.cjs: ${(await bundle({ production })).bytes} bytes`);
      const { bytes, hasModule } = await bundlePicture({ production });
      console.log(`extension/dist/picture.js: ${bytes} bytes${hasModule ? ', with schema.wasm' : ', without the schema module'}`);
    }
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
