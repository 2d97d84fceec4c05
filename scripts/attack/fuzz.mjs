// Fuzzing of the readers of maps and control blocks, with libFuzzer. `node scripts/attack/fuzz.mjs --help` says how.
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CommandError, run } from '../lib/process.mjs';
import { root } from '../lib/repository.mjs';
import { skip } from './project.mjs';

const TARGETS = ['map', 'control'];
const HELP = `Usage: node scripts/attack/fuzz.mjs [--target ${TARGETS.join('|')}] [--minutes N] [--keep]

Builds the targets of storage/fuzz with coverage, overflow checks and, where the toolchain has it, the address sanitizer, and lets libFuzzer
change the inputs of storage/fuzz/corpus. It needs a C++ compiler, and no other toolchain than the one that builds Offshoot. An input
that fails is left in storage/fuzz/artifacts; put it into the corpus once it is mended: \`npm test\` replays that.

  --target NAME   one of them only
  --minutes N     for each; 10 otherwise
  --keep          afterwards, make the corpus what reaches as much as all that was found, with the fewest inputs

EXAMPLE
  node scripts/attack/fuzz.mjs --target map --minutes 1`;

const folder = join(root, 'storage/fuzz');
/** What cargo-fuzz sets, and \`fuzzing\` for the crates. */
const COVERAGE = [
  '-Cpasses=sancov-module',
  ...['level=4', 'inline-8bit-counters', 'pc-table', 'trace-compares'].map((what) => `-Cllvm-args=-sanitizer-coverage-${what}`),
  '-Cdebug-assertions',
  '-Ccodegen-units=1',
  '--cfg=fuzzing',
];
/** Inputs longer than this reach nothing more. */
const MAX_LENGTH = 1024;

const onOutput = (text) => process.stdout.write(text);

/** The triple of this machine: with a target named, flags are not for build scripts. */
async function host() {
  const { stdout } = await run('rustc', ['-vV']);
  return stdout.match(/^host: (.*)$/m)[1];
}

/** Builds the targets; returns the folder of the programs. */
async function build(signal) {
  const triple = await host();
  const build = async (flags) => {
    // The sanitizer is an option that is not stable; this lets any compiler take it.
    const env = { ...process.env, RUSTFLAGS: [...COVERAGE, ...flags].join(' '), RUSTC_BOOTSTRAP: '1', CARGO_INCREMENTAL: '0' };
    const args = ['build', '--release', '--manifest-path', join(folder, 'Cargo.toml'), '--target', triple, '--target-dir', join(root, 'target/fuzz')];
    return await run('cargo', args, { cwd: root, env, onOutput, signal, allowFailure: true });
  };
  const whole = await build(['-Zsanitizer=address']);
  if (whole.code !== 0) {
    console.log('without the address sanitizer, which does not build here');
    const { code } = await build([]);
    if (code !== 0) throw new Error('the targets of storage/fuzz do not build');
  }
  return join(root, 'target/fuzz', triple, 'release');
}

async function fuzz(program, target, minutes, keep, signal) {
  const [corpus, found, artifacts] = [join(folder, 'corpus', target), join(root, 'target/fuzz/found', target), join(folder, 'artifacts', target)];
  for (const one of [found, artifacts]) await mkdir(one, { recursive: true });
  // Every input is a file: in memory, if that can be.
  const inputs = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'os-fuzz-'));
  const env = { ...process.env, TMPDIR: inputs };
  const start = (args) => run(program, args, { cwd: root, env, onOutput, signal, allowFailure: true });
  try {
    const seconds = Math.round(minutes * 60);
    const { code } = await start([`-max_total_time=${seconds}`, `-max_len=${MAX_LENGTH}`, '-print_final_stats=1', '-use_value_profile=1', '-len_control=0', `-artifact_prefix=${artifacts}/`, found, corpus]);
    if (code === 0 && keep) {
      const least = join(root, 'target/fuzz/least', target);
      await rm(least, { recursive: true, force: true });
      await mkdir(least, { recursive: true });
      await start(['-merge=1', `-max_len=${MAX_LENGTH}`, least, corpus, found]);
      await rm(corpus, { recursive: true, force: true });
      await run('cp', ['-r', least, corpus]);
      console.log(`${target}: ${(await readdir(corpus)).length} inputs kept`);
    }
    return code;
  } finally {
    await rm(inputs, { recursive: true, force: true });
  }
}

async function main() {
  const text = { type: 'string' };
  const { values } = parseArgs({ options: { target: text, minutes: text, keep: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help) return void console.log(HELP);
  const minutes = Number(values.minutes ?? 10);
  const targets = TARGETS.filter((target) => (values.target ?? target) === target);
  if (targets.length === 0) throw new Error(`--target ${values.target}: it is ${TARGETS.join(' or ')}`);
  if (!(minutes > 0)) throw new Error(`--minutes ${values.minutes}: it is a number of minutes`);
  const compiler = process.env.CXX ?? 'c++';
  if ((await run('sh', ['-c', `command -v ${compiler}`], { allowFailure: true })).code !== 0) return skip(`there is no C++ compiler (${compiler})`);
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => stopping.abort());
  const programs = await build(stopping.signal);
  for (const target of targets) {
    console.log(`\n=== ${target}, ${minutes} minutes`);
    if ((await fuzz(join(programs, target), target, minutes, values.keep, stopping.signal)) !== 0) {
      console.log(`FAILED: ${target}; the input is in storage/fuzz/artifacts/${target}`);
      process.exitCode = 1;
    }
    if (stopping.signal.aborted) break;
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof CommandError ? `${error.message}\n${error.output}` : error.message);
  process.exitCode = 1;
}
