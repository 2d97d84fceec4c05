// Lets the bundle ask for the module `vscode` once, instead of once for each of its files.
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * A plugin of esbuild. A file that imports a CommonJS module gets a copy of all of its names, and `vscode` has hundreds of them:
 * fifty files copied them fifty times while the editor waited for the extension. Here one module takes the names that are
 * used, and the files use these.
 *
 * @param {string} sources folder of the files that may import `vscode`
 * @returns {import('esbuild').Plugin}
 */
export const oneApi = (sources) => ({
  name: 'one-api',
  setup(build) {
    build.onResolve({ filter: /^vscode$/ }, ({ namespace }) =>
      namespace === 'one-api' ? { path: 'vscode', external: true } : { path: 'vscode', namespace: 'one-api' },
    );
    build.onLoad({ filter: /.*/, namespace: 'one-api' }, async () => {
      const lines = (await usedNames(sources)).map((name) => `export const ${name} = api.${name};`);
      return { contents: ["const api = require('vscode');", ...lines].join('\n'), loader: 'js', resolveDir: sources };
    });
  },
});

/** What the files use of `vscode`, types included: these are undefined when they run, and nobody asks for them. */
async function usedNames(sources) {
  const files = (await readdir(sources, { recursive: true })).filter((path) => path.endsWith('.ts'));
  const names = new Set();
  for (const path of files) {
    const text = await readFile(join(sources, path), 'utf8');
    for (const [, name] of text.matchAll(/\bvscode\.(\w+)/g)) names.add(name);
    for (const [, list] of text.matchAll(/^import \{([^}]*)\} from 'vscode';/gm)) list.split(',').forEach((name) => names.add(name.trim()));
  }
  return [...names].filter((name) => name !== '').sort();
}
