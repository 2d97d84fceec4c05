// File systems that are shut down under load: stores on XFS and ext4 images, stopped by ioctl as by a disk that goes away, mounted again
// and recovered. For strangers to run, as root; no part of `npm test`. `node scripts/attack/shutdown.mjs --help` says how.
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { endProcesses } from '../../demo/leftovers.mjs';
import { CommandError, run } from '../lib/process.mjs';
import { Branch, TABLES, check, checkIndexes, transaction } from './model.mjs';
import { Project, programOf, seeded, skip } from './project.mjs';

const HELP = `Usage: node scripts/attack/shutdown.mjs [--rounds N] [--seed N] [--fs xfs|ext4] [--driver clone] [--bin PROGRAM]

In each round a store on an image of its own is under load on two branches; then its file system is shut down (xfs_io -x -c shutdown):
what no fsync has reached is gone. All processes are killed, the image is mounted again, and all that was acknowledged has to be there.
The machine goes on meanwhile: Offshoot has to notice by itself that the file system was away.
Needs root, loop devices, mkfs.xfs or mkfs.ext4, and xfs_io.

  --rounds N       for each file system; 5 otherwise
  --seed N         repeats the choices of another run (not their timing)
  --fs NAME        one of the two only
  --driver clone   branches are clones of files, on XFS only; layers of pages otherwise
  --bin PROGRAM    the offshoot program; target/release/offshoot or target/debug/offshoot otherwise

EXAMPLE
  sudo node scripts/attack/shutdown.mjs --rounds 20 --fs xfs`;

const IMAGE_BYTES = 1_500_000_000;
const MAKE = { xfs: ['mkfs.xfs', '-q', '-f'], ext4: ['mkfs.ext4', '-q', '-F'] };

/** A file system on an image in `folder`. */
class Image {
  constructor(folder, kind) {
    this.file = join(folder, 'image');
    this.at = join(folder, 'disk');
    this.kind = kind;
  }

  async make() {
    await mkdir(this.at);
    await run('truncate', ['-s', String(IMAGE_BYTES), this.file]);
    const [program, ...args] = MAKE[this.kind];
    await run(program, [...args, this.file]);
    await this.mount();
  }

  async mount() {
    await run('mount', ['-o', 'loop', this.file, this.at]);
    await chmod(this.at, 0o755);
  }

  /** Stops it at once. With `flush`, the file system's own log reaches the disk before; data of files never. */
  async shutDown(flush) {
    await run('xfs_io', ['-x', '-c', flush ? 'shutdown -f' : 'shutdown', this.at]);
  }

  async unmount() {
    for (let attempt = 0; attempt < 50; attempt++) {
      const { code } = await run('umount', [this.at], { allowFailure: true });
      if (code === 0) return;
      await pause(100);
    }
    await run('umount', ['-l', this.at], { allowFailure: true });
  }
}

/** Writes until the connection goes; what was acknowledged is noted. */
async function write(project, branch, session) {
  branch.allowed.add(session);
  const connection = await project.connect(branch.name);
  try {
    for (let seq = 1; ; seq++) {
      await connection.query(transaction(session, seq));
      branch.acknowledge(session, seq);
    }
  } catch {
    // The disk is gone, and the server with it.
  } finally {
    await connection.close().catch(() => {});
  }
}

const acknowledged = (branches) => branches.reduce((sum, { expected }) => sum + [...expected[0].values()].reduce((a, b) => a + b, 0), 0);

async function round({ project, image }, branches, random, session) {
  const before = acknowledged(branches);
  const writers = branches.flatMap((branch, index) => [0, 1].map((n) => write(project, branch, session + index * 2 + n)));
  const wanted = 50 + random() * 600;
  while (acknowledged(branches) - before < wanted) await pause(5);
  if (random() < 0.5) await (await project.connect('main')).query('CHECKPOINT').catch(() => {});
  const flush = random() < 0.5;
  await image.shutDown(flush);
  await Promise.all(writers);
  await endProcesses(project.home);
  await image.unmount();
  await image.mount();
  const wrong = [];
  for (const branch of branches) {
    const connection = await project.connect(branch.name);
    wrong.push(...(await check(connection, branch)));
    await checkIndexes(connection);
    await connection.close();
  }
  return { wrong, flush, transactions: acknowledged(branches) - before };
}

async function attack(kind, rounds, random, bin, driver) {
  const folder = await mkdtemp(join(tmpdir(), 'os-down-'));
  await chmod(folder, 0o755);
  const image = new Image(folder, kind);
  let project;
  try {
    await image.make();
    project = await Project.make(folder, bin, ['--driver', driver], join(image.at, 'home'));
    const main = new Branch('main');
    const connection = await project.connect('main');
    await connection.query(TABLES);
    await connection.close();
    await project.offshoot('branch', 'create', 'child', '--from', 'main');
    const child = new Branch('child');
    // Awake, it is on the disk.
    await (await project.connect('child')).close();
    const wrong = [];
    let transactions = 0;
    for (let number = 1; number <= rounds && wrong.length === 0; number++) {
      const result = await round({ project, image }, [main, child], random, number * 10);
      transactions += result.transactions;
      wrong.push(...result.wrong);
      console.log(`${kind} round ${number}: ${result.transactions} transactions acknowledged, shut down ${result.flush ? 'with' : 'without'} its log, ${result.wrong.length} wrong`);
    }
    return { wrong, transactions };
  } finally {
    await project?.remove();
    await image.unmount();
    await rm(folder, { recursive: true, force: true });
  }
}

async function missing(kinds) {
  if (process.getuid?.() !== 0) return 'only root can mount images';
  for (const program of ['xfs_io', ...kinds.map((kind) => MAKE[kind][0])]) {
    if ((await run('sh', ['-c', `command -v ${program}`], { allowFailure: true })).code !== 0) return `${program} is not installed`;
  }
  return (await run('losetup', ['-f'], { allowFailure: true })).code === 0 ? undefined : 'there is no loop device';
}

async function main() {
  const text = { type: 'string' };
  const { values } = parseArgs({ options: { rounds: text, seed: text, fs: text, driver: text, bin: text, help: { type: 'boolean' } } });
  if (values.help) return void console.log(HELP);
  const driver = values.driver ?? 'layers';
  const able = driver === 'clone' ? ['xfs'] : Object.keys(MAKE);
  const kinds = values.fs === undefined ? able : [values.fs];
  const why = await missing(kinds);
  if (why !== undefined) return skip(why);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`seed ${seed}`);
  const bin = programOf(values.bin);
  for (const kind of kinds) {
    const { wrong, transactions } = await attack(kind, Number(values.rounds ?? 5), seeded(seed), bin, driver);
    console.log(`${kind}: ${transactions} transactions acknowledged, ${wrong.length} wrong`);
    for (const text of wrong) console.log(`WRONG ${text}`);
    if (wrong.length > 0) process.exitCode = 1;
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof CommandError ? `${error.message}\n${error.output}` : error);
  process.exitCode = 1;
}
