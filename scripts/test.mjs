// `npm test`: everything that has to hold before a change is taken, in one go.
// Formatting, lints and the build count only when they fail; the closing line counts tests.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { availableParallelism, constants, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { closingLine, countCargoTest, countNextest, countTap, sum } from './lib/counts.mjs';
import { fillPostgresCache } from './lib/postgres-cache.mjs';
import { run } from './lib/process.mjs';
import { root, targetFolder } from './lib/repository.mjs';
import { quickClones } from './clones.mjs';
import { prepare } from './prepare.mjs';

const cache = join(root, '.cache');
const env = {
  ...process.env,
  RUST_BACKTRACE: '1',
  OFFSHOOT_TEST_CACHE: cache,
  ...(process.stdout.isTTY ? { CARGO_TERM_COLOR: 'always' } : {}),
};
const results = [];

/**
 * Where a part writes, and whose time it takes. In front: the person sees it as it comes. Aside: with the time that others leave, and
 * `show` writes it when they have ended.
 */
const front = { write: (text) => process.stdout.write(text), isAside: false };
function aside() {
  const texts = [];
  return { write: (text) => texts.push(text), isAside: true, show: () => process.stdout.write(texts.splice(0).join('')) };
}

/** Runs a program whose output goes where the part writes; returns its exit code and what it wrote. */
function teed(to, program, args, more = {}, onOutput = () => {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] });
    if (to.isAside && child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (to.write(text), (output += text), onOutput(output)));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

/** One part of the run: a heading, the work, its time and its counts. A part that throws has failed. */
async function part(title, work, to = front) {
  to.write(`\n=== ${title}\n`);
  const started = performance.now();
  let counts;
  try {
    counts = await work(to);
  } catch (error) {
    to.write(`${error.message}\n`);
    counts = failed();
  }
  results.push({ title, counts, seconds: (performance.now() - started) / 1000 });
  return counts.failed === 0;
}

const failed = () => ({ passed: 0, failed: 1, skipped: 0 });
const nothing = () => ({ passed: 0, failed: 0, skipped: 0 });

/** A command that is right or wrong as a whole. */
const gate = (program, ...args) => async (to) => {
  const { code } = await teed(to, program, args);
  return code === 0 ? nothing() : failed();
};

/** Tests that were run but whose exit code says more than their summary (a program that crashed) count as one failure. */
function judged(code, counts) {
  if (counts === undefined) return code === 0 ? nothing() : failed();
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

async function setUp() {
  await prepare({ development: true });
  const missing = await fillPostgresCache(cache, console.log);
  if (missing.length > 0) console.log(`WARNING: PostgreSQL ${missing.join(', ')} could not be brought; tests that need it cannot run.`);
  return nothing();
}

/** Tests wait for servers and disks a good part of their time: one more than there are cores keeps those busy. */
const THREADS = String(availableParallelism() + 1);

/** `begun` is called when everything is built and cargo has let go of its lock. */
async function rustTests(to, begun) {
  let isHeard = false;
  const hear = (pattern) => (output) => {
    if (!isHeard && pattern.test(output)) begun((isHeard = true));
  };
  const { code: absent } = await run('cargo', ['nextest', '--version'], { allowFailure: true });
  if (absent === 0) {
    const args = ['nextest', 'run', '--workspace', '--no-fail-fast', '--failure-output', 'immediate-final', '--no-tests=pass', '--test-threads', THREADS];
    const { code, output } = await teed(to, 'cargo', args, {}, hear(/\bStarting\b/));
    return judged(code, countNextest(output));
  }
  to.write('cargo-nextest is not installed: running cargo test instead.\n');
  const args = ['test', '--workspace', '--no-fail-fast', '--all-targets'];
  const { code, output } = await teed(to, 'cargo', args, { RUST_TEST_THREADS: THREADS }, hear(/\bRunning\b/));
  return judged(code, countCargoTest(output));
}

/** What needs nothing but a processor, which the tests do not keep busy all the time. Returns what the failed ones have to say. */
async function checks() {
  const clippy = (...which) => gate('cargo', 'clippy', '--locked', '--workspace', ...which, '--', '-D', 'warnings');
  const all = {
    'Lints: cargo clippy --all-targets': clippy('--all-targets'),
    // As users get it, without what only tests need.
    'Lints: cargo clippy': clippy(),
    'Extension: types and lint': gate('npm', 'run', '--silent', 'check:extension'),
  };
  const failures = [];
  for (const [title, check] of Object.entries(all)) {
    const said = aside();
    if (!(await part(title, check, said))) failures.push(said);
  }
  return failures;
}

/** Rust tests, and the checks beside them. */
async function rustTestsAndChecks() {
  let checked;
  const begin = () => (checked ??= checks());
  await part('Rust tests', (to) => rustTests(to, begin));
  for (const said of await begin()) said.show();
}

/** The driver of clones, on a file system that can: XFS on an image. */
async function cloneTests() {
  const results = await quickClones();
  // What a filter leaves out is counted as skipped by nextest, and is none of this part's.
  const count = ({ code, output }) => ({ ...judged(code, countNextest(output) ?? countCargoTest(output)), skipped: 0 });
  return sum(results.map((result) => (result.skipped === undefined ? count(result) : { ...nothing(), skipped: 1 })));
}

async function documentationTests(to) {
  const { code, output } = await teed(to, 'cargo', ['test', '--workspace', '--doc', '--no-fail-fast']);
  return judged(code, countCargoTest(output));
}

/** Runs test files of node. */
async function nodeRunner(to, files, more = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'offshoot-test-'));
  try {
    const report = join(folder, 'report.tap');
    const reporters = ['--test-reporter=spec', '--test-reporter-destination=stdout', '--test-reporter=tap', `--test-reporter-destination=${report}`];
    const { code } = await teed(to, process.execPath, ['--enable-source-maps', '--test', ...reporters, ...files], more);
    return judged(code, countTap(await readFile(report, 'utf8')));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function nodeTests(to) {
  const files = (await readdir(join(root, 'test'))).filter((name) => name.endsWith('.test.mjs')).sort();
  const bin = join(await targetFolder(), 'debug', 'offshoot');
  return nodeRunner(to, files.map((name) => join('test', name)), { OFFSHOOT_TEST_BIN: bin });
}

// What the parts of the extension import is there only after the first part.

async function extensionTests(to) {
  const { compileTests } = await import('../extension/test/compile.mjs');
  const { files, clear } = await compileTests();
  try {
    return await nodeRunner(to, files);
  } finally {
    await clear();
  }
}

async function grammarTests() {
  const { testGrammars } = await import('./grammars.mjs');
  return testGrammars();
}

const MAIN_JOURNEY = 'branches.test.mjs';

/** The journeys in a real VS Code, from the source tree, and the main one once more from the package that users install. */
async function journeys(to) {
  const { ensureWorkbenches } = await import('../extension/e2e/install.mjs');
  const { makePackage } = await import('./package.mjs');
  await ensureWorkbenches();
  const folder = join('extension', 'e2e', 'journeys');
  const files = (await readdir(join(root, folder))).filter((name) => name.endsWith('.test.mjs')).sort();
  const built = join(await targetFolder(), 'debug');
  const tools = { OFFSHOOT_TEST_BIN: join(built, 'offshoot') };
  const { code } = await teed(to, 'npm', ['run', '--silent', 'build:extension']);
  if (code !== 0) return failed();
  // One after the other: each has a browser and two servers, and what they wait for is to be drawn in time.
  const runEach = (names, more) => nodeRunner(to, ['--test-concurrency=1', ...names.map((name) => join(folder, name))], { ...tools, ...more });
  const others = await runEach(files.filter((name) => name !== MAIN_JOURNEY), {});
  // The oldest VS Code has the main journey from the package.
  const main = await runEach([MAIN_JOURNEY], { OFFSHOOT_E2E_ONLY: 'current' });
  const out = await mkdtemp(join(tmpdir(), 'offshoot-test-'));
  try {
    const { file } = await makePackage({ built, out });
    const asInstalled = await runEach([MAIN_JOURNEY], { OFFSHOOT_TEST_VSIX: file, OFFSHOOT_E2E_ONLY: 'floor' });
    return sum([others, main, asInstalled]);
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

async function main() {
  const started = performance.now();
  await part('Packages and Postgres', setUp);
  await part('Formatting: cargo fmt --all --check', gate('cargo', 'fmt', '--all', '--check'));
  // Everything at once: what only the tests need changes features of what all need, which would be built twice.
  const built = await part('Build: cargo build --workspace --all-targets', gate('cargo', 'build', '--locked', '--workspace', '--all-targets'));
  if (built) {
    await rustTestsAndChecks();
    await part('Rust tests with clones', cloneTests);
    await part('Rust documentation tests', documentationTests);
  } else {
    for (const said of await checks()) said.show();
  }
  await part('Extension: unit tests', extensionTests);
  await part('Grammars', grammarTests);
  const beside = aside();
  const inNode = part('Node tests', nodeTests, beside);
  if (built) await part('Journeys in a real VS Code', journeys);
  await inNode;
  beside.show();

  console.log('\n=== Summary');
  for (const { title, counts, seconds } of results) {
    console.log(`${seconds.toFixed(1).padStart(7)} s  ${counts.failed > 0 ? 'FAILED' : 'ok    '}  ${title}`);
  }
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(7)} s  in all\n`);
  const total = sum(results.map(({ counts }) => counts));
  console.log(closingLine(total));
  return total.failed === 0 ? 0 : 1;
}

process.exitCode = await main();
