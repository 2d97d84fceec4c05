// A project of its own for an attack: a git repository, a store and an engine in one folder, away from the user's.
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { endProcesses, processesOf } from '../../demo/leftovers.mjs';
import { isolatedEnvironment } from '../../demo/sample.mjs';
import { connect } from '../../demo/wire.mjs';
import { CommandError, run } from '../lib/process.mjs';
import { root } from '../lib/repository.mjs';

/** Says loudly that nothing was attacked, and why. */
export function skip(why) {
  console.log(`SKIPPED: ${why}`);
}

/** The program to attack: the one that was named, else the one that was built last in this repository. */
export function programOf(named) {
  const built = ['release', 'debug'].map((kind) => join(root, 'target', kind, 'offshoot'));
  const program = named === undefined ? built.find((path) => existsSync(path)) : resolve(named);
  if (program === undefined || !existsSync(program)) {
    throw new Error('There is no offshoot program. Build it (cargo build --release -p offshoot -p offshoot-interpose) or name one with --bin.');
  }
  return program;
}

/** Numbers from a seed (mulberry32), each below 1. */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export class Project {
  #program;
  #env;

  constructor(folder, program, home) {
    this.folder = folder;
    this.repository = join(folder, 'project');
    this.#program = program;
    this.#env = { ...isolatedEnvironment(folder), ...(home === undefined ? {} : { OFFSHOOT_HOME: home }) };
    this.home = this.#env.OFFSHOOT_HOME;
  }

  /** Makes the repository and gives it an empty database. `home` is where the store lies, when that is elsewhere. */
  static async make(folder, program, more = [], home = undefined) {
    const project = new Project(folder, program, home);
    await mkdir(project.repository, { recursive: true });
    await run('git', ['init', '--quiet', '--initial-branch=main'], { cwd: project.repository, env: project.#env });
    await project.offshoot('init', '--empty', ...more);
    return project;
  }

  /** Runs a verb; throws `CommandError` with what it said when it fails. */
  async offshoot(...args) {
    return run(this.#program, args, { cwd: this.repository, env: this.#env, timeoutMs: 180_000 });
  }

  /** The branches, each with its name and that of its parent. */
  async branches() {
    const { stdout } = await this.offshoot('branch', 'list', '--json');
    return JSON.parse(stdout).branches;
  }

  async url(branch = 'main') {
    return (await this.offshoot('url', '--branch', branch)).stdout.trim();
  }

  /** Connects to a branch, which wakes it and, if need be, the engine. */
  async connect(branch = 'main') {
    return connect(await this.url(branch));
  }

  /** Where `libpq` finds the main branch. */
  async connectionEnvironment() {
    const url = new URL(await this.url());
    const { username: PGUSER, password: PGPASSWORD, hostname: PGHOST, port: PGPORT } = url;
    return { ...process.env, PGUSER, PGPASSWORD, PGHOST, PGPORT };
  }

  /** The processes of this project's engine and servers, and of no other, by kind. */
  async processes() {
    const all = await processesOf(this.home);
    const kindOf = ({ command }) => {
      if (/\bengine\b/.test(command)) return 'engine';
      if (/^postgres: /.test(command)) return 'backend';
      return /postgres\S* -D /.test(command) || /\/postgres /.test(command) ? 'postmaster' : undefined;
    };
    return all.map((entry) => ({ ...entry, kind: kindOf(entry) })).filter(({ kind }) => kind !== undefined);
  }

  /** The log of a branch's server, or of the engine, as far as it can be read. */
  async log(path) {
    return readFile(path, 'utf8').catch(() => '');
  }

  /** What the project's engines have logged, as far as it is kept. */
  async engineLogs() {
    const stores = await readdir(join(this.home, 'stores')).catch(() => []);
    const files = stores.flatMap((store) => ['engine.log.1', 'engine.log'].map((name) => join(this.home, 'stores', store, name)));
    return (await Promise.all(files.map((file) => this.log(file)))).join('\n');
  }

  /** Stops everything that belongs to the project. */
  async remove() {
    await this.offshoot('engine', 'stop').catch((error) => {
      if (!(error instanceof CommandError)) throw error;
    });
    await endProcesses(this.home);
  }
}
