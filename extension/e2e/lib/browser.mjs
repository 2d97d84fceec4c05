// One headless Chromium for a test file, with fonts of our own, so that pictures look the same on every machine.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { findTools } from './installed.mjs';
import { lastResort } from './last-resort.mjs';

const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--disable-dev-shm-usage', '--font-render-hinting=none', '--force-color-profile=srgb',
];

/**
 * Starts Chromium. The caller closes it.
 *
 * @param {import('./installed.mjs').Tools} tools
 */
export async function launchChromium({ folder, chromium }) {
  const { chromium: driver } = createRequire(join(folder, 'package.json'))('playwright-core');
  const home = mkdtempSync('/tmp/oe-chromium-');
  writeFileSync(join(home, 'fonts.conf'), fontSettings(folder, home));
  const libraries = chromium.kind === 'packaged' ? { LD_LIBRARY_PATH: join(folder, 'chromium', 'lib') } : {};
  const env = { PATH: process.env.PATH ?? '', LANG: 'C.UTF-8', HOME: home, FONTCONFIG_FILE: join(home, 'fonts.conf'), ...libraries };
  const forget = lastResort(() => rmSync(home, { recursive: true, force: true }));
  const remove = async () => {
    await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    forget();
  };
  try {
    const browser = await driver.launch({ executablePath: chromium.path, headless: true, args: ARGS, env, timeout: 30_000 });
    const close = browser.close.bind(browser);
    browser.close = async () => {
      await close();
      await remove();
    };
    return browser;
  } catch (error) {
    await remove();
    throw error;
  }
}

function fontSettings(folder, home) {
  const prefer = (family, fonts) =>
    `<alias binding="strong"><family>${family}</family><prefer>${fonts.map((font) => `<family>${font}</family>`).join('')}</prefer></alias>`;
  const sans = ['Open Sans', 'DejaVu Sans'];
  return `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<dir>${join(folder, 'chromium', 'fonts')}</dir><dir>${join(folder, 'node_modules', 'dejavu-fonts-ttf', 'ttf')}</dir>
<cachedir>${join(home, 'font-cache')}</cachedir>
${['sans-serif', 'system-ui', 'Ubuntu', 'Droid Sans', 'serif'].map((family) => prefer(family, sans)).join('\n')}
${['monospace', 'Droid Sans Mono'].map((family) => prefer(family, ['DejaVu Sans Mono'])).join('\n')}
</fontconfig>\n`;
}

/**
 * The browser of a test file.
 *
 * @typedef {object} Browser
 * @property {(options?: { width?: number, height?: number, reducedMotion?: 'reduce' | 'no-preference' }) => Promise<any>} profile
 *   a new Playwright `BrowserContext`: pages in it are windows of one person, and share what VS Code keeps in the browser
 * @property {() => Promise<void>} close
 */

/** Starts the browser for a test file. @returns {Promise<Browser>} */
export async function openBrowser() {
  const tools = findTools();
  if (tools === undefined) throw new Error('The browser is not installed: run node extension/e2e/install.mjs');
  const browser = await launchChromium(tools);
  return {
    profile: async ({ width = 1280, height = 800, reducedMotion = 'reduce' } = {}) => {
      const context = await browser.newContext({ viewport: { width, height }, reducedMotion });
      // Or `vscode.env.clipboard` never answers.
      await context.grantPermissions(['clipboard-read', 'clipboard-write']);
      return context;
    },
    close: () => browser.close(),
  };
}
