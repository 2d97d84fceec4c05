// What both recipes need: run a program, build a folder aside, put it in place at once.
import { spawn } from 'node:child_process';
import { cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cache, fingerprint, here } from './installed.mjs';

/** Something that this machine does not offer; the message says what. Tests that need it are skipped. */
export class Unavailable extends Error {}

/**
 * Runs a program silently and returns its standard output.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, input?: Buffer, timeoutMs?: number }} [options]
 * @returns {Promise<string>}
 * @throws {Unavailable} when it cannot be started or does not end with 0; with the end of what it wrote
 */
export function quietly(program, args, { cwd, env, input, timeoutMs = 600_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: env ?? process.env, stdio: ['pipe', 'pipe', 'pipe'], timeout: timeoutMs });
    let [out, all] = ['', ''];
    child.stdout.on('data', (text) => ((out += text), (all += text)));
    child.stderr.on('data', (text) => (all += text));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', (error) => reject(new Unavailable(`${program}: ${error.message}`)));
    child.on('close', (code) => {
      if (code === 0) resolve(out);
      else reject(new Unavailable(`${[program, ...args].join(' ')}: exit code ${code}\n${all.trim().split('\n').slice(-12).join('\n')}`));
    });
  });
}

/** Installs exactly what the lock file in `folder` names and runs no package's script. @param {string} folder */
export async function installLocked(folder, more = []) {
  await quietly('npm', ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...more], { cwd: folder });
}

/**
 * Builds `<cache>/<name>` aside and puts it in place when it is complete, so that nobody ever sees half of it.
 *
 * @param {import('./installed.mjs').WorkbenchName | 'tools'} name
 * @param {(folder: string) => Promise<object>} build what it returns is kept in the stamp
 */
export async function inPlace(name, build) {
  await mkdir(cache, { recursive: true });
  const aside = join(cache, `${name}.partial-${process.pid}`);
  const old = join(cache, `${name}.old-${process.pid}`);
  const target = join(cache, name);
  try {
    await rm(aside, { recursive: true, force: true });
    await mkdir(aside);
    for (const file of ['package.json', 'package-lock.json']) await cp(join(here, 'workbench', name, file), join(aside, file));
    const facts = await build(aside);
    await writeFile(join(aside, 'installed.json'), `${JSON.stringify({ fingerprint: fingerprint(name), ...facts }, null, 2)}\n`);
    await rename(target, old).catch((error) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await rename(aside, target);
  } finally {
    for (const left of [aside, old]) await rm(left, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Names in a folder; none where it does not exist. @param {string} folder */
export const namesIn = (folder) => readdir(folder).catch(() => /** @type {string[]} */ ([]));
