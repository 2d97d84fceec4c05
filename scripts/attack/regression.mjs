// Postgres's own regression suite through the interposer and without it: the same tests pass. For strangers to run; no part
// of `npm test`. `node scripts/attack/regression.mjs --help` says how.
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { CommandError, run } from '../lib/process.mjs';
import { Project, programOf, skip } from './project.mjs';

const HELP = `Usage: node scripts/attack/regression.mjs [--bin PROGRAM] [--postgres DIR] [--source DIR] [--keep]

Runs the core regression suite of PostgreSQL 15 twice, on a branch and on plain Postgres, and compares the results.
Needs Debian's postgresql-15 (and its deb-src, for apt), a C compiler, make and perl. One job, low priority: about ten minutes.

  --bin PROGRAM    the offshoot program; target/release/offshoot or target/debug/offshoot otherwise
  --postgres DIR   the programs of the Postgres; /usr/lib/postgresql/15/bin otherwise
  --source DIR     an unpacked source tree of PostgreSQL 15, instead of apt's; built already or not
  --keep           leave the folder with both results

EXAMPLE
  node scripts/attack/regression.mjs --source ~/src/postgresql-15.18`;

/** Tests that differ by design: Offshoot refuses tablespaces. */
const REFUSED = new Set(['tablespace']);

const nice = (program, args, options) => run('nice', ['-n', '15', program, ...args], options);

/** The source of PostgreSQL 15 as apt has it; `undefined` where apt has none. */
async function fetchSource(folder) {
  try {
    await run('apt-get', ['source', '--download-only', '--tar-only', 'postgresql-15'], { cwd: folder });
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
  const archive = (await readdir(folder)).find((name) => name.includes('.orig.tar'));
  await run('tar', ['xf', archive], { cwd: folder });
  return join(folder, (await readdir(folder)).find((name) => /^postgresql-15\.\d+$/.test(name)));
}

/** Builds `pg_regress` and the modules that the tests load, nothing else. */
async function build(source) {
  if (!existsSync(join(source, 'src', 'Makefile.global'))) {
    await nice('./configure', ['--without-readline', '--without-zlib'], { cwd: source });
  }
  for (const part of ['src/port', 'src/common', 'src/interfaces/libpq', 'src/test/regress']) {
    await nice('make', ['-j1', '-C', part], { cwd: source });
  }
}

/** Lets the server's own user read the tests and write beside them, as some tests do. */
async function openTo(folder, owner) {
  await run('chmod', ['-R', 'a+rX', folder]);
  if (owner !== undefined) await run('chown', ['-R', owner, folder]);
}

/** Runs the suite against the server that `env` leads to; the result of each test by name. */
async function suite(folder, regress, bin, env) {
  const tests = join(folder, 'tests');
  const { stdout } = await nice(
    join(regress, 'pg_regress'),
    [`--inputdir=${tests}`, `--outputdir=${tests}`, `--dlpath=${tests}`, `--bindir=${bin}`, '--no-locale', '--encoding=UTF8',
      '--max-connections=1', `--schedule=${join(tests, 'parallel_schedule')}`],
    { cwd: tests, env, allowFailure: true, onOutput: (text) => process.stderr.write(text) },
  );
  const lines = stdout.matchAll(/^(?:test|    )\s*([\w.]+)\s+\.\.\.\s+(ok|FAILED)/gm);
  return new Map([...lines].map(([, name, result]) => [name, result]));
}

async function prepareTests(source, folder, owner) {
  const tests = join(folder, 'tests');
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
  await cp(join(source, 'src', 'test', 'regress'), tests, { recursive: true });
  await mkdir(join(tests, 'testtablespace'), { recursive: true });
  await openTo(tests, owner);
}

/** A plain Postgres in `folder`, for as long as `work` takes. */
async function onPlain(folder, bin, owner, work) {
  const data = join(folder, 'data');
  await mkdir(data, { recursive: true });
  const asOwner = (program, args, options) =>
    owner === undefined ? run(join(bin, program), args, options) : run('runuser', ['-u', owner, '--', join(bin, program), ...args], options);
  if (owner !== undefined) await run('chown', ['-R', owner, data]);
  await chmod(data, 0o700);
  await asOwner('initdb', ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale'], { cwd: folder });
  const sockets = join(folder, 'run');
  await mkdir(sockets);
  if (owner !== undefined) await run('chown', [owner, sockets]);
  const options = `-c listen_addresses= -c unix_socket_directories=${sockets}`;
  await asOwner('pg_ctl', ['-D', data, '-w', '-l', join(sockets, 'log'), '-o', options, 'start'], { cwd: folder });
  try {
    return await work({ ...process.env, PGHOST: sockets, PGUSER: 'postgres', PGPORT: '5432' });
  } finally {
    await asOwner('pg_ctl', ['-D', data, '-w', '-m', 'fast', 'stop'], { cwd: folder, allowFailure: true });
  }
}

/** What a test printed, without the names of folders. */
async function output(folder, name) {
  const text = await readFile(join(folder, 'tests', 'results', `${name}.out`), 'utf8').catch(() => '');
  return text.replaceAll(folder, 'FOLDER');
}

/**
 * Says what differs. A test that fails on both, as some do when the source is of another minor version than the server, has to
 * print the same.
 */
async function compare(folder, plain, layered) {
  const differs = [];
  for (const [name, result] of plain) {
    if (REFUSED.has(name)) continue;
    const [one, other] = result === 'FAILED' ? await Promise.all(['plain', 'layered'].map((part) => output(join(folder, part), name))) : [];
    if (layered.get(name) !== result || one !== other) differs.push([name, result]);
  }
  const passed = (results) => [...results.values()].filter((result) => result === 'ok').length;
  console.log(`plain Postgres: ${passed(plain)} of ${plain.size} tests pass`);
  console.log(`on a branch:    ${passed(layered)} of ${layered.size} tests pass`);
  for (const [name, result] of differs) console.log(`DIFFERS: ${name}: plain ${result}, on a branch ${layered.get(name) ?? 'not run'}`);
  for (const name of REFUSED) console.log(`by design:      ${name}: plain ${plain.get(name)}, on a branch ${layered.get(name)}`);
  return plain.size > 150 && differs.length === 0;
}

async function main() {
  const { values } = parseArgs({
    options: { bin: { type: 'string' }, postgres: { type: 'string' }, source: { type: 'string' }, keep: { type: 'boolean' }, help: { type: 'boolean' } },
  });
  if (values.help) return void console.log(HELP);
  const bin = values.postgres ?? '/usr/lib/postgresql/15/bin';
  if (!existsSync(join(bin, 'postgres'))) return skip(`there is no Postgres in ${bin}; install postgresql-15 or use --postgres`);
  const program = programOf(values.bin);
  const folder = await mkdtemp(join(tmpdir(), 'offshoot-regression-'));
  await chmod(folder, 0o755);
  const owner = process.getuid?.() === 0 ? 'postgres' : undefined;
  try {
    const source = values.source === undefined ? await fetchSource(folder) : resolve(values.source);
    if (source === undefined) return skip('apt-get source postgresql-15 brings nothing; add deb-src, or use --source');
    await build(source);
    const regress = join(source, 'src', 'test', 'regress');
    await prepareTests(source, join(folder, 'plain'), owner);
    await prepareTests(source, join(folder, 'layered'), undefined);
    const plain = await onPlain(join(folder, 'plain'), bin, owner, (env) => suite(join(folder, 'plain'), regress, bin, env));
    const project = await Project.make(join(folder, 'layered'), program, ['--bin-dir', bin]);
    let layered;
    try {
      // The server's user is the store's, whoever that is.
      await run('chmod', ['-R', 'a+rwX', join(folder, 'layered', 'tests')]);
      layered = await suite(join(folder, 'layered'), regress, bin, await project.connectionEnvironment());
    } finally {
      await project.remove();
    }
    await writeFile(join(folder, 'results.json'), JSON.stringify({ plain: [...plain], layered: [...layered] }, null, 1));
    process.exitCode = (await compare(folder, plain, layered)) ? 0 : 1;
  } finally {
    if (values.keep) console.log(`results: ${folder}`);
    else await rm(folder, { recursive: true, force: true });
  }
}

await main();
