// A VS Code server of its own: home, settings, extensions, sockets and port are nobody else's.
import { execFile, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { findWorkbench } from './installed.mjs';
import { lastResort } from './last-resort.mjs';
import { endProcessesWith, killProcessesWith, waitFor } from './processes.mjs';
import { stageExtension } from './stage.mjs';

const START_MS = 60_000;
const STOP_MS = 5_000;

/** Quiet, and the same on every machine. */
export const defaultSettings = {
  'workbench.startupEditor': 'none',
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
  'workbench.tips.enabled': false,
  'workbench.enableExperiments': false,
  'workbench.colorTheme': 'Default Dark Modern',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.reduceMotion': 'on',
  'chat.disableAIFeatures': true,
  'chat.commandCenter.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'extensions.ignoreRecommendations': true,
  'update.mode': 'none',
  'git.openRepositoryInParentFolders': 'never',
  'git.autofetch': false,
  'window.menuBarVisibility': 'compact',
  'editor.cursorBlinking': 'solid',
  'terminal.integrated.defaultProfile.linux': 'sh',
  'terminal.integrated.profiles.linux': { sh: { path: '/bin/sh' } },
  'terminal.integrated.suggest.enabled': false,
  'terminal.integrated.shellIntegration.enabled': false,
};

/** `off`: every folder is trusted. `restricted`: folders are untrusted and nothing asks. `ask`: VS Code asks at the start. */
const TRUST = {
  off: { 'security.workspace.trust.enabled': false },
  restricted: { 'security.workspace.trust.enabled': true, 'security.workspace.trust.startupPrompt': 'never', 'security.workspace.trust.banner': 'always' },
  ask: { 'security.workspace.trust.enabled': true, 'security.workspace.trust.startupPrompt': 'always' },
};

/**
 * @typedef {object} ServerOptions
 * @property {import('./installed.mjs').WorkbenchName} workbench
 * @property {{ source: string, parts?: string[], links?: string[] } | { vsix: string }} [extension] a checkout or an unpacked
 *   extension, see `stageExtension`; or a package, installed as a user would
 * @property {'off' | 'restricted' | 'ask'} [trust] `off` unless given
 * @property {Record<string, unknown>} [settings] the user's settings, over the default ones
 * @property {Record<string, unknown>} [machineSettings] settings of scope `machine`, which a window like this takes from nowhere else
 * @property {Record<string, string>} [env] for the server, and so for extensions and terminals; `PATH` replaces the one of here
 *
 * @typedef {object} Server
 * @property {string} home the server's `HOME`
 * @property {string} data the user's data: `User/settings.json` may be changed while it runs
 * @property {(folder: string) => string} url address of a window with a folder or a `.code-workspace` file
 * @property {() => string} log what the server said
 * @property {() => string} hostLogs what its extension hosts logged
 * @property {() => Promise<void>} stop ends everything that was started below it and removes its folders
 */

/** Starts a server. @param {ServerOptions} options @returns {Promise<Server>} */
export async function startServer({ workbench, extension, trust = 'off', settings = {}, machineSettings = {}, env = {} }) {
  const installed = findWorkbench(workbench);
  if (installed === undefined) throw new Error(`VS Code (${workbench}) is not installed: run node extension/e2e/install.mjs`);
  // Short, because sockets lie in it, and a socket's path has at most 107 bytes.
  const folder = mkdtempSync('/tmp/oe-');
  const part = (...names) => {
    mkdirSync(join(folder, ...names), { recursive: true });
    return join(folder, ...names);
  };
  const [home, data, extensions] = [part('home'), part('data'), part('ext')];
  writeFileSync(join(part('data', 'User'), 'settings.json'), JSON.stringify({ ...defaultSettings, ...TRUST[trust], ...settings }, null, 2));
  writeFileSync(join(part('data', 'Machine'), 'settings.json'), JSON.stringify(machineSettings, null, 2));
  writeFileSync(join(home, '.gitconfig'), '[user]\n\tname = Offshoot Test\n\temail = test@example.invalid\n');
  const clean = serverEnvironment(home, part('t'), env);
  // VS Code asks a login shell for the environment of extensions and terminals, and `/etc/profile` forgets the PATH.
  writeFileSync(join(home, '.profile'), `export PATH='${clean.PATH.replaceAll("'", "'\\''")}'\n`);
  const common = ['--accept-server-license-terms', '--server-data-dir', part('server'), '--user-data-dir', data, '--extensions-dir', extensions];

  if (extension !== undefined && 'source' in extension) stageExtension(extension, extensions);
  if (extension !== undefined && 'vsix' in extension) {
    await promisify(execFile)(installed.node, [installed.server, ...common, '--install-extension', resolve(extension.vsix)], { env: clean });
  }

  const logFile = join(folder, 'server.log');
  const output = openSync(logFile, 'w');
  const flags = ['--host', '127.0.0.1', '--port', '0', '--without-connection-token', '--telemetry-level', 'off'];
  if (trust === 'off') flags.push('--disable-workspace-trust');
  const child = spawn(installed.node, [installed.server, ...common, ...flags], { env: clean, stdio: ['ignore', output, output], detached: true });
  closeSync(output);
  let exited = false;
  child.on('exit', () => (exited = true));
  child.on('error', () => (exited = true));
  const log = () => readFileSync(logFile, 'utf8');

  const stop = async () => {
    if (!exited) child.kill('SIGTERM');
    await waitFor(() => exited, { ms: STOP_MS });
    killGroup();
    // Terminals have sessions of their own; their home tells whose they are.
    await endProcessesWith('HOME', home);
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    forget();
  };
  const killGroup = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // nobody is left in it
    }
  };
  const forget = lastResort(() => {
    killGroup();
    killProcessesWith('HOME', home);
    rmSync(folder, { recursive: true, force: true });
  });

  const port = await waitFor(() => (exited ? 'none' : /Extension host agent listening on (\d+)/.exec(log())?.[1]), { ms: START_MS });
  if (port === undefined || port === 'none') {
    const said = log();
    await stop();
    throw new Error(`the VS Code server did not start:\n${said}`);
  }
  return { home, data, log, hostLogs: () => hostLogs(data, folder), stop, url: (target) => windowUrl(port, target) };
}

/** Only what a program needs: nothing of a surrounding editor, npm, git hook or test runner leaks in. */
function serverEnvironment(home, tmp, more) {
  const kept = ['PATH', 'USER', 'LOGNAME', 'TZ'].flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  const own = { HOME: home, TMPDIR: tmp, SHELL: '/bin/sh', LANG: 'C.UTF-8', TERM: 'xterm-256color', GIT_CONFIG_NOSYSTEM: '1', PS1: '$ ' };
  return { ...Object.fromEntries(kept), ...own, ...more };
}

function windowUrl(port, target) {
  const query = new URLSearchParams({ [target.endsWith('.code-workspace') ? 'workspace' : 'folder']: realpathSync(target) });
  query.set('payload', JSON.stringify([['skipWelcome', 'true']]));
  return `http://127.0.0.1:${port}/?${query}`;
}

function hostLogs(...folders) {
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true }).map(String).filter((file) => /exthost.*\.log$/.test(file)).map((file) => join(folder, file)),
  );
  return [...new Set(files)].map((file) => `== ${file}\n${readFileSync(file, 'utf8')}`).join('\n');
}
