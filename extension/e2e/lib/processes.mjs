// Which processes were started with a given folder in their environment: the way to see that nothing is left running.
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Waits until `read` gives something else than undefined or false, and returns it.
 *
 * @template T
 * @param {() => T | Promise<T>} read
 * @param {{ ms: number, every?: number }} patience
 * @returns {Promise<Exclude<T, undefined | false> | undefined>} undefined when time ran out
 */
export async function waitFor(read, { ms, every = 25 }) {
  const end = performance.now() + ms;
  for (;;) {
    const got = await read();
    if (got !== undefined && got !== false) return /** @type {any} */ (got);
    if (performance.now() > end) return undefined;
    await pause(every);
  }
}

/**
 * Processes with `folder`, or a folder below it, in the environment variable `variable`.
 *
 * @param {string} variable
 * @param {string} folder
 * @returns {{ pid: number, command: string }[]}
 */
export function processesWith(variable, folder) {
  const mark = `${variable}=${folder}`;
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid).flatMap((name) => {
    try {
      const environment = readFileSync(`/proc/${name}/environ`, 'utf8').split('\0');
      if (!environment.some((entry) => entry === mark || entry.startsWith(`${mark}/`))) return [];
      return [{ pid: Number(name), command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() }];
    } catch {
      return []; // it ended, or it is somebody else's
    }
  });
}

/** Ends those processes: politely, then for certain. @param {string} variable @param {string} folder */
export async function endProcessesWith(variable, folder) {
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGKILL'])) {
    signalProcessesWith(variable, folder, signal);
    if (await waitFor(() => processesWith(variable, folder).length === 0, { ms: 3000 })) return;
  }
}

/** Kills those processes without waiting. @param {string} variable @param {string} folder */
export const killProcessesWith = (variable, folder) => signalProcessesWith(variable, folder, 'SIGKILL');

function signalProcessesWith(variable, folder, signal) {
  for (const { pid } of processesWith(variable, folder)) {
    try {
      process.kill(pid, signal);
    } catch {
      // it has just ended
    }
  }
}
