import { readFile, readdir, readlink } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Processes of the engine that keeps its stores in `home`: they were started with that `OFFSHOOT_HOME`, or, like Postgres,
 * stand in a folder below it.
 *
 * `home` is new for every run of the demo, so that nobody else's processes are among them. Known on Linux only; elsewhere
 * the answer is empty.
 *
 * @param {string} home
 * @returns {Promise<{ pid: number, command: string }[]>}
 */
export async function processesOf(home) {
  const entries = await readdir('/proc').catch(() => []);
  const pids = entries.filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const found = await Promise.all(pids.map((pid) => inspect(pid, home)));
  return found.filter((entry) => entry !== undefined);
}

async function inspect(pid, home) {
  const [cwd, environ] = await Promise.all([
    readlink(`/proc/${pid}/cwd`).catch(() => ''),
    readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''),
  ]);
  if (!cwd.startsWith(`${home}/`) && !environ.split('\0').includes(`OFFSHOOT_HOME=${home}`)) return undefined;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return { pid: Number(pid), command: command.replaceAll('\0', ' ').trim() };
}

/**
 * Waits until no process of `home` is left, for `patienceMs` at most, and returns those that are.
 */
export async function waitUntilGone(home, patienceMs) {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const left = await processesOf(home);
    if (left.length === 0 || performance.now() > deadline) return left;
    await pause(50);
  }
}

/** Ends the processes of `home`: politely first, then for certain. */
export async function endProcesses(home) {
  for (const [signal, patienceMs] of [['SIGTERM', 3000], ['SIGKILL', 3000]]) {
    for (const { pid } of await processesOf(home)) {
      try {
        process.kill(pid, signal);
      } catch (error) {
        if (error.code !== 'ESRCH') throw error;
      }
    }
    if ((await waitUntilGone(home, patienceMs)).length === 0) return;
  }
}
