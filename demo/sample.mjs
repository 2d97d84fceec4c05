import { chmod, copyFile, mkdir, mkdtemp, readFile, readdir, stat, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../scripts/lib/process.mjs';

const SOURCE = fileURLToPath(new URL('warehouse/', import.meta.url));
const BRANCH_SOURCE = fileURLToPath(new URL('branch/', import.meta.url));
const BYTES_PER_ROW = 1500;
const BYTES_ANYWAY = 300_000_000;
/** A longer folder for sockets is refused: the path of a unix socket has at most 107 bytes. */
const MAX_RUNTIME_LENGTH = 60;

export const BRANCH = 'split-inventory-code';
export const SPLIT_MIGRATION = 'migrations/0007_split_inventory_code.sql';

const HISTORY = [
  ['2022-01-10T09:12:44+01:00', 'Anna Lind', 'Keep warehouses and suppliers', ['README.md', 'migrations/0001_warehouses_and_suppliers.sql']],
  ['2022-01-12T16:40:03+01:00', 'Ben Okafor', 'Add the product catalogue', ['migrations/0002_products.sql']],
  ['2022-01-20T11:05:27+01:00', 'Anna Lind', 'Track every single item by its inventory code', ['migrations/0003_inventory_items.sql']],
  ['2022-03-02T14:31:50+01:00', 'Chloé Moreau', 'Record why stock moves', ['migrations/0004_stock_movements.sql']],
  ['2022-06-15T10:22:09+02:00', 'Ben Okafor', 'Take orders', ['migrations/0005_orders.sql', 'reports/slow_suppliers.sql']],
  ['2023-02-08T09:55:36+01:00', 'Davide Rossi', 'Reserve and quarantine items', ['migrations/0006_item_status.sql', 'reports/stock_by_warehouse.sql']],
  ['2024-11-25T17:18:21+01:00', 'Chloé Moreau', 'Make data to develop with', ['seed.sql']],
];

/**
 * Makes an empty folder in which a server that runs as another user can work, too, and that has room for the sample.
 *
 * @param {number} rows
 * @throws {Error} with a sentence for the person, when there is no such place
 */
export async function makeTemporaryFolder(rows) {
  const wanted = BYTES_ANYWAY + rows * BYTES_PER_ROW;
  const reasons = [];
  for (const place of new Set([tmpdir(), '/tmp', '/var/tmp'])) {
    const reason = await unsuitable(place, wanted);
    if (reason === undefined) {
      const folder = await mkdtemp(join(place, 'offshoot-'));
      await chmod(folder, 0o755);
      return folder;
    }
    reasons.push(`${place}: ${reason}`);
  }
  throw new Error(`There is no place for the sample project. ${reasons.join('; ')}. Set TMPDIR to a folder that fits.`);
}

async function unsuitable(place, wanted) {
  try {
    const { bavail, bsize } = await statfs(place);
    if (bavail * bsize < wanted) return `less than ${Math.ceil(wanted / 1e6)} MB free`;
    if (process.getuid?.() !== 0) return undefined;
    for (let at = place; ; at = dirname(at)) {
      if (((await stat(at)).mode & 0o001) === 0) return `${at} is closed to the unprivileged user that Postgres runs as`;
      if (at === dirname(at)) return undefined;
    }
  } catch (error) {
    return error.message;
  }
}

/** The surroundings of every command of the story: nothing of the person's own git, Postgres or Offshoot settings. */
export function isolatedEnvironment(folder, env = process.env) {
  const foreign = /^(GIT_|PG|OFFSHOOT_|DATABASE_URL$)/;
  const runtime = join(folder, 'run');
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => !foreign.test(name))),
    OFFSHOOT_HOME: join(folder, 'offshoot'),
    ...(runtime.length <= MAX_RUNTIME_LENGTH ? { OFFSHOOT_RUNTIME_DIR: runtime } : {}),
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
  };
}

/**
 * The sample project: an inventory application with a history in git, migrations and data to be loaded.
 */
export class Sample {
  /** @param {{ folder: string, env: NodeJS.ProcessEnv, signal?: AbortSignal }} settings */
  constructor({ folder, env, signal }) {
    this.folder = folder;
    this.env = env;
    this.signal = signal;
  }

  /** Writes the files and commits them one after the other, as they came to be. */
  async create(rows) {
    await mkdir(this.folder, { recursive: true });
    await this.git('init', '--quiet');
    await this.git('symbolic-ref', 'HEAD', 'refs/heads/main');
    for (const [date, author, message, files] of HISTORY) {
      for (const file of files) await this.#write(SOURCE, file, rows);
      await this.#commit(date, author, message);
    }
  }

  /** Paths of the migrations of `main`, in order. */
  async migrations() {
    const names = await readdir(join(this.folder, 'migrations'));
    return names.sort().map((name) => `migrations/${name}`);
  }

  /** Commits what `offshoot init` wrote into the work tree. */
  async commitSettings() {
    const { stdout } = await this.git('status', '--porcelain');
    if (stdout !== '') await this.#commit('2024-11-29T15:47:30+01:00', 'Ben Okafor', 'Branch the database with git');
  }

  /** Adds the migration of the feature branch to the work tree. */
  async addSplit() {
    await this.#write(BRANCH_SOURCE, SPLIT_MIGRATION);
  }

  async commitSplit() {
    await this.#commit('2024-12-02T10:03:12+01:00', 'Anna Lind', 'Split the inventory code into its three parts');
  }

  /** Runs git here. */
  async git(...args) {
    return run('git', args, { cwd: this.folder, env: this.env, signal: this.signal });
  }

  async #write(source, file, rows) {
    const target = join(this.folder, file);
    await mkdir(dirname(target), { recursive: true });
    if (file !== 'seed.sql') return copyFile(join(source, file), target);
    const text = await readFile(join(source, file), 'utf8');
    await writeFile(target, text.replace(/^set warehouse\.items = \d+;$/m, `set warehouse.items = ${rows};`));
  }

  async #commit(date, author, message) {
    const email = `${author.split(' ')[0].normalize('NFD').replace(/\W/g, '').toLowerCase()}@warehouse.example`;
    const env = {
      ...this.env,
      GIT_AUTHOR_NAME: author,
      GIT_AUTHOR_EMAIL: email,
      GIT_AUTHOR_DATE: date,
      GIT_COMMITTER_NAME: author,
      GIT_COMMITTER_EMAIL: email,
      GIT_COMMITTER_DATE: date,
    };
    await this.git('add', '--all');
    await run('git', ['commit', '--quiet', '--message', message], { cwd: this.folder, env, signal: this.signal });
  }
}
