// Offshoot as journeys use it: how it is loaded, and what a person finds where.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openBrowser } from './browser.mjs';
import { repository } from './installed.mjs';
import { databaseSkipReason, makeProject, offshootBin } from './project.mjs';
import { startServer } from './server.mjs';
import { Workbench } from './workbench.mjs';

/** Id of the item in the status bar. */
export const STATUS = 'offshoot.offshoot.offshoot.branch';
/** Title of the container in the activity bar. */
export const CONTAINER = 'Offshoot';

/** Why no journey can run; false when they can. */
export const offshootSkipReason = () => {
  if (!existsSync(join(repository, 'extension/dist/main.cjs'))) return 'SKIPPED: the extension is not bundled: run npm run build:extension';
  return databaseSkipReason();
};

/** How the extension is loaded: `OFFSHOOT_TEST_VSIX` names a package; without it the source tree is. */
const vsix = process.env.OFFSHOOT_TEST_VSIX;

/** Options of a server with the extension in it. @param {Record<string, any>} [more] */
export function withOffshoot({ settings = {}, ...more } = {}) {
  if (vsix !== undefined) return { extension: { vsix }, settings, ...more };
  const machineSettings = { 'offshoot.server.path': offshootBin };
  return { extension: { source: repository }, settings, machineSettings, ...more };
}

/**
 * A workbench, a repository and windows for one file of journeys; `close` ends everything that was started.
 *
 * @param {import('./installed.mjs').WorkbenchName} name
 */
export async function openStage(name) {
  const browser = await openBrowser();
  const ends = [() => browser.close()];
  const stage = {
    browser,
    /** A repository that goes when the stage closes. @param {Parameters<typeof makeProject>[0] & { init?: 'dump' | 'empty' }} [options] */
    project: async ({ init, ...options } = {}) => {
      const project = await makeProject(options);
      ends.push(() => project.remove());
      if (init !== undefined) await project.init(init);
      return project;
    },
    /** A server for the repository's environment. @param {{ env: Record<string, string> }} project @param {Record<string, any>} [options] */
    server: async (project, options = {}) => {
      const server = await startServer({ workbench: name, env: project.env, ...withOffshoot(options) });
      ends.push(() => server.stop());
      return server;
    },
    /** A window of a browser profile of its own. @param {{ url: (folder: string) => string }} server @param {string} folder */
    window: async (server, folder) => Workbench.open(await browser.profile(), server.url(folder)),
    close: async () => {
      for (const end of ends.reverse()) await end();
    },
  };
  return stage;
}
