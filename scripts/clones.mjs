// The storage tests with the driver of clones, on XFS and btrfs images. `npm test` runs a part; `node scripts/clones.mjs --help` says how to run all.
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { obstacle, withImage } from './lib/image.mjs';
import { run as runOnce } from './lib/process.mjs';
import { root } from './lib/repository.mjs';
import { readyForStorageTests } from './lib/storage-tests.mjs';

const HELP = `Usage: node scripts/clones.mjs [--fs xfs|btrfs] [--quick | --measure]

Makes file systems that can clone files, on images, and runs the storage crate's tests with the driver of clones on them. Afterwards
nothing is left. Needs root, loop devices, mkfs.xfs (xfsprogs) and mkfs.btrfs (btrfs-progs), and says so loudly where it cannot run.

  --fs NAME    one of the two only
  --quick      the part that \`npm test\` runs: XFS only, some twenty seconds
  --measure    no tests: both drivers on the same file system, in turn; prints a table

EXAMPLE
  sudo node scripts/clones.mjs --fs btrfs`;

/** Test programs with a subject that both drivers have. What is about layers skips itself. */
const PROGRAMS = ['clones', 'branches', 'fork_snapshots', 'sql_suite', 'isolation', 'isolation_random', 'crash', 'crash_points', 'errors', 'leaks'];
const QUICK = [
  'binary(clones)',
  'test(=on_18::a_killed_engine_leaves_whole_branches_and_nothing_else)',
  // In the middle of a clone.
  'test(=an_engine_killed_in_open)',
  'test(=servers::backends_killed_in_any_operation)',
].join(' | ');

const cargo = (args, env) =>
  new Promise((resolve, reject) => {
    let output = '';
    const child = spawn('cargo', args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const [from, to] of [[child.stdout, process.stdout], [child.stderr, process.stderr]]) {
      from.on('data', (text) => (to.write(text), (output += text)));
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });

/**
 * Runs tests on a new file system of each kind. Returns exit codes and what was written; `skipped` with the reason where there can be none.
 *
 * @param {{ kinds: ('xfs' | 'btrfs')[], programs: string[], filter?: string }} what `filter`: instead of all of `programs`, where there is
 * cargo-nextest
 */
export async function testClones({ kinds, programs, filter = programs.map((name) => `binary(${name})`).join(' | ') }) {
  const { code: absent } = await runOnce('cargo', ['nextest', '--version'], { allowFailure: true });
  // All of the workspace is built, as `npm test` has done already; a part alone would be built anew with other features.
  const tests = absent === 0 ? ['nextest', 'run', '-E', `package(offshoot-storage) & (${filter})`] : ['test', ...programs.flatMap((name) => ['--test', name])];
  const results = [];
  for (const kind of kinds) {
    const why = await obstacle(kind);
    if (why !== undefined) {
      console.log(`SKIPPED: the driver of clones on ${kind}: ${why}`);
      results.push({ kind, skipped: why, code: 0, output: '' });
      continue;
    }
    const env = (disk) => ({ OFFSHOOT_TEST_DRIVER: 'clone', OFFSHOOT_TEST_DISK: disk });
    const run = (disk) => cargo([...tests, '--workspace', '--no-fail-fast'], env(disk));
    results.push({ kind, ...(await withImage(kind, run)) });
  }
  return results;
}

/** What `npm test` runs. */
export const quickClones = () => testClones({ kinds: ['xfs'], programs: ['clones'], filter: QUICK });

async function measure(kinds) {
  for (const kind of kinds) {
    const why = await obstacle(kind);
    if (why !== undefined) {
      console.log(`SKIPPED: ${kind}: ${why}`);
      continue;
    }
    const only = ['test', '--release', '-p', 'offshoot-storage', '--test', 'clones', '--', '--ignored', '--nocapture', 'measure'];
    await cargo(['build', '--release', '-p', 'offshoot-interpose'], {});
    await withImage(kind, (disk) => cargo(only, { OFFSHOOT_TEST_DRIVER: 'clone', OFFSHOOT_TEST_DISK: disk }));
  }
}

async function main() {
  const { values } = parseArgs({
    options: { fs: { type: 'string' }, quick: { type: 'boolean' }, measure: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) return console.log(HELP);
  const kinds = ['xfs', 'btrfs'].filter((kind) => (values.fs ?? kind) === kind);
  if (kinds.length === 0) throw new Error(`--fs ${values.fs}: it is xfs or btrfs`);
  if (values.measure) return measure(kinds);
  await readyForStorageTests();
  const results = values.quick ? await quickClones() : await testClones({ kinds, programs: PROGRAMS });
  process.exitCode = results.some(({ code }) => code !== 0) ? 1 : 0;
}

if (process.argv[1] === import.meta.filename) {
  // The image is taken away by the `finally` of whoever made it: cargo hears the signal as well, and ends first.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {});
  await main();
}
