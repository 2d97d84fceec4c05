// A throwaway git repository with an Offshoot of its own, for journeys that need a database.
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { repository } from './installed.mjs';
import { lastResort } from './last-resort.mjs';
import { endProcessesWith, killProcessesWith } from './processes.mjs';

const PATIENCE_MS = 120_000;

/** The program under test. */
export const offshootBin = process.env.OFFSHOOT_TEST_BIN ?? join(repository, 'target', 'debug', 'offshoot');

/** Why journeys with a database cannot run, for the `skip` of `node:test`; false when they can. */
export const databaseSkipReason = () =>
  existsSync(offshootBin) && existsSync(interposer()) ? false : `SKIPPED: ${offshootBin} is not built: run cargo build --workspace`;

const interposer = () => join(dirname(offshootBin), 'liboffshoot_interpose.so');

/** An inventory of four tables, as `pg_dump` would write it. */
export const inventoryDump = `CREATE TABLE public.warehouses (
    id integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    city text NOT NULL
);
CREATE TABLE public.products (
    id integer PRIMARY KEY,
    sku text NOT NULL UNIQUE,
    title text NOT NULL,
    price_cents integer NOT NULL CHECK (price_cents >= 0)
);
CREATE TABLE public.items (
    id bigint PRIMARY KEY,
    product_id integer NOT NULL REFERENCES public.products (id),
    warehouse_id integer NOT NULL REFERENCES public.warehouses (id),
    inventory_code text NOT NULL UNIQUE
);
CREATE TABLE public.movements (
    id bigint PRIMARY KEY,
    item_id bigint NOT NULL REFERENCES public.items (id),
    moved_at timestamp with time zone NOT NULL,
    reason text
);
CREATE INDEX items_by_warehouse ON public.items (warehouse_id, product_id);
INSERT INTO public.warehouses VALUES (1, 'North', 'Kiel'), (2, 'South', 'Ulm');
INSERT INTO public.products SELECT n, 'SKU-' || n, 'Product ' || n, n * 100 FROM generate_series(1, 20) AS n;
INSERT INTO public.items SELECT n, 1 + n % 20, 1 + n % 2, 'INV-' || lpad(n::text, 5, '0') FROM generate_series(1, 200) AS n;
INSERT INTO public.movements SELECT n, n, timestamp with time zone '2024-05-06 07:08:09+00' + n * interval '1 minute', NULL FROM generate_series(1, 200) AS n;
`;

/**
 * @typedef {object} Project
 * @property {string} folder the work tree, on branch `main`, with `schema.sql` committed
 * @property {Record<string, string>} env for everything that is to use this Offshoot: give it to `startServer`. `offshoot` is on its PATH
 * @property {string} bin
 * @property {(...args: string[]) => Promise<string>} git standard output, trimmed
 * @property {(...args: string[]) => Promise<string>} offshoot standard output, trimmed
 * @property {(sql: string, branch?: string) => Promise<unknown[][]>} sql rows of the last result, through the worktree's address
 * @property {(path: string, text: string) => Promise<void>} write a file of the work tree
 * @property {() => Promise<any>} status what `offshoot status --json` prints
 * @property {(source?: 'dump' | 'empty') => Promise<void>} init gives the repository a database and commits the settings
 * @property {(name: string) => Promise<string>} worktree a further work tree beside the first, on a new branch of that name
 * @property {(name: string, files?: Record<string, string>) => Promise<Project>} neighbour another repository beside it, with the same Offshoot;
 *   it goes with the first one
 * @property {(name: string, folders: string[]) => Promise<string>} workspace a `.code-workspace` file of these folders
 * @property {() => Promise<void>} remove stops the engines, ends whatever is left of them, removes the folders
 */

/**
 * Makes a repository without a database yet.
 *
 * @param {{ git?: boolean, files?: Record<string, string>, path?: string[] }} [options] `git: false` leaves a plain folder; `files` are
 *   committed, too; folders of `path` are searched for programs first
 * @returns {Promise<Project>}
 */
export async function makeProject(options = {}) {
  // Short, because sockets are in it; open to others, because root's Postgres runs as somebody else.
  const root = await mkdtemp('/tmp/oe-p');
  await chmod(root, 0o755);
  return makeRepository(root, 'inventory', options);
}

async function makeRepository(root, name, { git: withGit = true, files = {}, path: programs = [] }) {
  const folder = join(root, name);
  const home = join(root, 'home');
  const env = {
    PATH: [dirname(offshootBin), ...programs, process.env.PATH].join(':'),
    OFFSHOOT_HOME: home,
    OFFSHOOT_RUNTIME_DIR: join(root, 'run'),
    OFFSHOOT_INTERPOSER: interposer(),
    GIT_CONFIG_NOSYSTEM: '1',
  };
  const [person, address] = ['Anna Lind', 'anna@example.com'];
  const identity = { GIT_AUTHOR_NAME: person, GIT_AUTHOR_EMAIL: address, GIT_COMMITTER_NAME: person, GIT_COMMITTER_EMAIL: address };
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(GIT_|PG|OFFSHOOT_|DATABASE_URL$)/.test(name)));
  const execute = async (program, args, cwd = folder) => {
    const options = { cwd, env: { ...clean, ...env, ...identity, GIT_CONFIG_GLOBAL: '/dev/null', NO_COLOR: '1' }, timeout: PATIENCE_MS, maxBuffer: 1 << 26 };
    return (await promisify(execFile)(program, args, options)).stdout.trim();
  };
  const git = (...args) => execute('git', args);
  const offshoot = (...args) => execute(offshootBin, args);

  const forget = lastResort(() => {
    if (existsSync(home)) execFileSync(offshootBin, ['engine', 'stop'], { cwd: folder, env: { ...clean, ...env }, stdio: 'ignore', timeout: 10_000 });
    killProcessesWith('OFFSHOOT_HOME', home);
    rmSync(root, { recursive: true, force: true });
  });

  const neighbours = [];
  const write = async (path, text) => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  };
  await mkdir(folder);
  for (const [path, text] of Object.entries({ 'schema.sql': inventoryDump, ...files })) await write(path, text);
  if (withGit) {
    await git('init', '--quiet');
    await git('symbolic-ref', 'HEAD', 'refs/heads/main');
    await git('add', '.');
    await git('commit', '--quiet', '-m', 'Keep an inventory');
  }

  return {
    folder, env, bin: offshootBin, git, offshoot, write,
    sql: async (text, branch) => {
      const said = await offshoot('sql', '--json', ...(branch === undefined ? [] : ['--branch', branch]), '-c', text);
      return JSON.parse(said).results.at(-1)?.rows ?? [];
    },
    status: async () => JSON.parse(await offshoot('status', '--json')),
    init: async (source = 'dump') => {
      const binDir = process.env.OFFSHOOT_TEST_BIN_DIR;
      await offshoot('init', ...(source === 'dump' ? ['--from', 'schema.sql'] : ['--empty']), ...(binDir === undefined ? [] : ['--bin-dir', binDir]));
      await git('add', '.');
      await git('commit', '--quiet', '--allow-empty', '-m', 'Branch the database with git');
    },
    worktree: async (branch) => {
      const path = join(root, branch.replaceAll('/', '-'));
      await git('worktree', 'add', '--quiet', '-b', branch, path);
      return path;
    },
    neighbour: async (neighbour, more = {}) => {
      const made = await makeRepository(root, neighbour, { files: more, path: programs });
      neighbours.push(made);
      return made;
    },
    workspace: async (title, folders) => {
      const path = join(root, `${title}.code-workspace`);
      await writeFile(path, JSON.stringify({ folders: folders.map((each) => ({ path: each })) }));
      return path;
    },
    remove: async () => {
      for (const each of [...neighbours, { offshoot }]) {
        if (existsSync(home) && existsSync(offshootBin)) await each.offshoot('engine', 'stop').catch(() => '');
      }
      await endProcessesWith('OFFSHOOT_HOME', home);
      await rm(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
      forget();
    },
  };
}
