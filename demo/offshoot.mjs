import { run } from '../scripts/lib/process.mjs';

/**
 * The command line of Offshoot, as the story uses it. What the verbs print as JSON is read here and nowhere else.
 *
 * Every call returns `{ ms, command, … }`: the time of the whole command and the command as a person would type it.
 */
export class Offshoot {
  #bin;
  #options;

  /** @param {{ bin: string, cwd: string, env: NodeJS.ProcessEnv, signal?: AbortSignal }} settings */
  constructor({ bin, cwd, env, signal }) {
    this.#bin = bin;
    this.#options = { cwd, env, signal };
  }

  /** Runs any verb and returns its text. */
  async text(...args) {
    return run(this.#bin, args, { ...this.#options, shownAs: `offshoot ${args.map(quote).join(' ')}` });
  }

  async #json(...args) {
    const result = await this.text(...args, '--json');
    const command = result.command.replace(/ --json$/, '');
    try {
      return { ...result, command, data: JSON.parse(result.stdout) };
    } catch {
      throw new Error(`${result.command} did not print JSON: ${result.stdout.slice(0, 400)}`);
    }
  }

  /** Starts a new, empty database for the repository. */
  async init() {
    return this.#json('init', '--empty');
  }

  /** @returns git branch, database branch (name, state, ownBytes, sharedBytes) and the endpoint's URL */
  async status() {
    const { data, ms, command } = await this.#json('status');
    const { name, state, ownBytes, sharedBytes } = data.databaseBranch ?? data.branch ?? {};
    const gitBranch = data.gitBranch ?? data.git?.name;
    return { ms, command, gitBranch, branch: name, state, ownBytes, sharedBytes, url: data.endpoint?.url };
  }

  /** The address of whatever is checked out, or the direct one of a branch. */
  async url(branch) {
    const { stdout, ms, command } = await this.text('url', ...(branch === undefined ? [] : ['--branch', branch]));
    return { ms, command, url: stdout.trim() };
  }

  /** @returns `branches`, each with name, parent, state, ownBytes and sharedBytes */
  async branches() {
    const { data, ms, command } = await this.#json('branch', 'list');
    return { ms, command, branches: data.branches };
  }

  /** Bytes that belong to one branch alone; 0 for one that does not exist. */
  async ownBytes(name) {
    const { branches } = await this.branches();
    return branches.find((branch) => branch.name === name)?.ownBytes ?? 0;
  }

  /** Puts a branch back to its parent's present. */
  async reset(name) {
    return this.#json('branch', 'reset', name);
  }

  /** Runs one statement. @returns `columns` and `rows` of its result */
  async query(sql, branch) {
    const { data, ms, command } = await this.#json('sql', ...(branch === undefined ? [] : ['--branch', branch]), '-c', sql);
    const last = data.results.at(-1);
    return { ms, command, columns: last.columns, rows: last.rows };
  }

  /** Runs a file of statements on what is checked out. */
  async file(path) {
    return this.#json('sql', '-f', path);
  }

  async stopEngine() {
    return this.text('engine', 'stop');
  }

  async engineLogs() {
    return (await this.text('engine', 'logs')).stdout;
  }
}

function quote(argument) {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `"${argument.replace(/"/g, '\\"')}"`;
}
