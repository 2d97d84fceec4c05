import { spawn } from 'node:child_process';

/** A command that could not be started, or that ended with something else than 0. */
export class CommandError extends Error {
  /** @param {{ command: string, code: number | null, output: string, hint?: string }} failure */
  constructor({ command, code, output, hint }) {
    super(`${command}: ${code === null ? 'did not run' : `exit code ${code}`}`);
    this.name = 'CommandError';
    this.command = command;
    this.code = code;
    this.output = output;
    this.hint = hint;
  }
}

/** The work was given up because of a signal. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted');
    this.name = 'Interrupted';
  }
}

/**
 * Runs a program to its end and returns what it wrote, and how long it took.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {object} [options]
 * @param {string} [options.cwd]
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {AbortSignal} [options.signal] ends the program when aborted; the call then throws `Interrupted`
 * @param {number} [options.timeoutMs]
 * @param {(text: string) => void} [options.onOutput] sees every piece of output as it comes
 * @param {boolean} [options.allowFailure] return a code other than 0 instead of throwing `CommandError`
 * @param {string} [options.shownAs] the command as a person would type it
 */
export async function run(program, args, options = {}) {
  options.signal?.throwIfAborted();
  const command = options.shownAs ?? [program, ...args].join(' ');
  const started = performance.now();
  const child = spawn(program, args, { cwd: options.cwd, env: options.env, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = () => child.kill('SIGTERM');
  options.signal?.addEventListener('abort', end, { once: true });
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(end, options.timeoutMs);
  try {
    const result = await collect(child, options.onOutput);
    if (options.signal?.aborted) throw new Interrupted();
    const outcome = { ...result, ms: performance.now() - started, command };
    if (result.code === 0 || options.allowFailure) return outcome;
    throw new CommandError({ command, code: result.code, output: `${result.stdout}${result.stderr}`.trimEnd() });
  } catch (error) {
    if (error.code === 'ENOENT') throw new CommandError({ command, code: null, output: `${program} was not found.` });
    throw error;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', end);
  }
}

/** Resolves on `exit` and closed pipes, but does not wait for pipes that a daemon inherited. */
function collect(child, onOutput = () => {}) {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => ((stdout += text), onOutput(text)));
    child.stderr.setEncoding('utf8').on('data', (text) => ((stderr += text), onOutput(text)));
    child.on('error', reject);
    const settle = (code, signal) => resolve({ code: code ?? 128 + (signal === 'SIGINT' ? 2 : 15), stdout, stderr });
    child.on('close', settle);
    child.on('exit', (code, signal) => {
      const patience = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
        settle(code, signal);
      }, 2000);
      child.on('close', () => clearTimeout(patience));
    });
  });
}

/**
 * Runs a program that talks to the person directly, and returns its exit code.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, signal?: AbortSignal, quiet?: boolean }} [options]
 *   `quiet` sends its output to standard error, so that standard output stays free for JSON
 */
export function runLive(program, args, { cwd, env, signal, quiet } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', quiet ? 2 : 'inherit', 'inherit'] });
    const end = () => child.kill('SIGTERM');
    signal?.addEventListener('abort', end, { once: true });
    child.on('error', (error) =>
      reject(new CommandError({ command: [program, ...args].join(' '), code: null, output: error.message })),
    );
    child.on('exit', (code) => {
      signal?.removeEventListener('abort', end);
      if (signal?.aborted) reject(new Interrupted());
      else resolve(code ?? 1);
    });
  });
}
