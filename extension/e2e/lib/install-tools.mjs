// Brings what both workbenches share: the browser, what drives it, fonts, and two programs that are built already.
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import { launchChromium } from './browser.mjs';
import { Unavailable, inPlace, installLocked, namesIn, quietly } from './install-steps.mjs';

const unpack = promisify(brotliDecompress);
const ON_PATH = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/**
 * Installs the shared tools and finds a Chromium that starts here.
 *
 * The packaged one comes first: it is the same everywhere, pinned by the lock file, and asks for no root. Where it does not
 * start, one on PATH is taken, and then, as root, Debian's. `OFFSHOOT_E2E_CHROMIUM` names one that is to be taken.
 *
 * @param {(text: string) => void} say
 * @throws {Unavailable} when no browser starts
 */
export async function installTools(say) {
  await inPlace('tools', async (folder) => {
    await installLocked(folder);
    const chromium = await findChromium(folder, say);
    return { chromium: chromium.kind === 'packaged' ? { ...chromium, path: 'chromium/chromium' } : chromium };
  });
}

/** @param {string} folder @param {(text: string) => void} say */
async function findChromium(folder, say) {
  const failures = [];
  for (const candidate of candidates(folder, say)) {
    try {
      const chromium = await candidate();
      if (chromium === undefined) continue;
      const browser = await launchChromium({ folder, chromium });
      say(`  ${chromium.kind} Chromium ${browser.version()}`);
      await browser.close();
      return chromium;
    } catch (error) {
      failures.push(error.message.split('\n')[0]);
    }
  }
  throw new Unavailable(`no Chromium starts here\n${failures.join('\n')}`);
}

/** @returns {(() => Promise<import('./installed.mjs').Tools['chromium'] | undefined>)[]} */
function candidates(folder, say) {
  const named = process.env.OFFSHOOT_E2E_CHROMIUM;
  if (named !== undefined) return [async () => ({ kind: 'system', path: named })];
  return [
    () => unpackChromium(folder),
    ...ON_PATH.map((program) => async () => onPath(program)),
    async () => {
      if (process.getuid?.() !== 0 || (await onPath('apt-get')) === undefined) return undefined;
      say('  installing chromium with apt-get');
      const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
      await quietly('apt-get', ['update', '-qq'], { env });
      await quietly('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], { env });
      return onPath('chromium');
    },
  ];
}

/** @param {string} program @returns {Promise<import('./installed.mjs').Tools['chromium'] | undefined>} */
async function onPath(program) {
  const path = await quietly('sh', ['-c', `command -v ${program}`]).catch(() => '');
  return path === '' ? undefined : { kind: 'system', path: path.trim() };
}

/** The package holds the browser, the libraries that it needs beyond libc, and a font, each packed with brotli. */
async function unpackChromium(folder) {
  const packed = join(folder, 'node_modules', '@sparticuz', 'chromium', 'bin');
  const target = join(folder, 'chromium');
  await mkdir(target);
  for (const name of await namesIn(packed)) {
    const content = await unpack(await readFile(join(packed, name)));
    if (name.endsWith('.tar.br')) await quietly('tar', ['-x', '-f', '-', '-C', target, '--no-same-owner'], { input: content });
    else await writeFile(join(target, name.replace(/\.br$/, '')), content);
  }
  await chmod(join(target, 'chromium'), 0o755);
  await rm(packed, { recursive: true });
  return /** @type {const} */ ({ kind: 'packaged', path: join(target, 'chromium') });
}
