// Every attack on the storage and on the binding to git, with the seeds of a night rather than those of `npm test`. `node scripts/attack/nightly.mjs --help` says how.
import { parseArgs } from 'node:util';
import { run } from '../lib/process.mjs';
import { root } from '../lib/repository.mjs';
import { readyForStorageTests } from '../lib/storage-tests.mjs';

const HELP = `Usage: node scripts/attack/nightly.mjs [--only NAME]... [--list]

Runs the attacks of docs/storage.md and docs/git.md one after the other, each with many more seeds than \`npm test\` has, and ends with 1 if one failed.
What cannot run here is skipped, with the reason. All of it takes some hours on two cores. A test prints OFFSHOOT_SEED=n before each seed;
the same test with that variable set repeats it.

  --only NAME   this one only; may be given more than once
  --list        the names, and what each runs

EXAMPLE
  node scripts/attack/nightly.mjs --only power --only layers`;

const storage = (...args) => ['cargo', 'test', '-p', 'offshoot-storage', ...args, '--', '--nocapture'];
const script = (name, ...args) => [process.execPath, `scripts/attack/${name}.mjs`, ...args];

/** In this order; `program` is one that uses the built program. Each says itself, and loudly, if it cannot run here. */
const ATTACKS = [
  // A thousand for each of two majors.
  { name: 'power', command: storage('--test', 'power'), env: { OFFSHOOT_SEEDS: '1000' } },
  { name: 'layers', command: storage('--lib', 'page_layers'), env: { OFFSHOOT_SEEDS: '2000' } },
  { name: 'isolation', command: storage('--test', 'isolation_random') },
  { name: 'crash-points', command: storage('--test', 'crash_points', '--test', 'interposer_points'), env: { OFFSHOOT_ALL_POINTS: '1' } },
  // A source that is followed: other majors, and all points at which engine and standby are killed.
  { name: 'follow', command: [...storage('--test', 'follow'), '--include-ignored'], env: { OFFSHOOT_ALL_POINTS: '1' } },
  // Two hundred moments of three levels of branches, on each of three majors.
  { name: 'moments', command: [...storage('--test', 'past'), '--include-ignored'] },
  { name: 'faults', command: storage('--test', 'faults'), env: { OFFSHOOT_SEEDS: '20' } },
  { name: 'hostile', command: storage('--test', 'hostile'), env: { OFFSHOOT_SEEDS: '1000000' } },
  { name: 'fuzz-map', command: script('fuzz', '--target', 'map', '--minutes', '10') },
  { name: 'fuzz-control', command: script('fuzz', '--target', 'control', '--minutes', '10') },
  { name: 'clones', command: [process.execPath, 'scripts/clones.mjs'], env: { OFFSHOOT_ALL_POINTS: '1' } },
  { name: 'shutdown', command: script('shutdown'), program: true },
  { name: 'shutdown-clones', command: script('shutdown', '--driver', 'clone'), program: true },
  { name: 'regression', command: script('regression'), program: true },
  { name: 'chaos', command: script('chaos', '--minutes', '60'), program: true },
  {
    name: 'git-histories',
    command: ['cargo', 'test', '-p', 'offshoot', '--test', 'git_histories', '--', '--nocapture'],
    env: { OFFSHOOT_TEST_STEPS: '10000' },
  },
  {
    name: 'follow-kills',
    command: ['cargo', 'test', '-p', 'offshoot', '--test', 'follow_kills', '--', '--ignored', '--nocapture'],
    env: { OFFSHOOT_TEST_STEPS: '300' },
  },
  { name: 'follow-chaos', command: script('follow', '--minutes', '30'), program: true },
];

/** Runs one attack, and says how it went: `passed`, `failed` or `skipped`. */
async function attack({ command: [program, ...args], env = {} }, signal) {
  const onOutput = (text) => process.stdout.write(text);
  const { code, stdout } = await run(program, args, { allowFailure: true, cwd: root, env: { ...process.env, ...env }, onOutput, signal });
  if (code !== 0) return 'failed';
  // A script that cannot run says so instead of all else; tests skip parts of themselves.
  return args[0].startsWith('scripts/attack/') && /^SKIPPED: /.test(stdout) ? 'skipped' : 'passed';
}

function chosen(names) {
  if (names === undefined) return ATTACKS;
  const unknown = names.find((name) => ATTACKS.every((one) => one.name !== name));
  if (unknown === undefined) return ATTACKS.filter((one) => names.includes(one.name));
  console.error(`error: there is no attack called ${unknown}\nhint: ${ATTACKS.map((one) => one.name).join(', ')}`);
  process.exit(2);
}

const { values } = parseArgs({ options: { only: { type: 'string', multiple: true }, list: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const attacks = chosen(values.only);
if (values.list) {
  for (const { name, command, env = {} } of attacks) {
    const set = Object.entries(env).map(([key, value]) => `${key}=${value} `);
    console.log(`${name.padEnd(17)}${set.join('')}${command.map((word) => (word === process.execPath ? 'node' : word)).join(' ')}`);
  }
  process.exit(0);
}
const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => stopping.abort());
const { signal } = stopping;
await readyForStorageTests({ signal });
if (attacks.some((one) => one.program)) {
  const release = ['build', '--release', '-p', 'offshoot', '-p', 'offshoot-interpose'];
  await run('cargo', release, { cwd: root, signal, onOutput: (text) => process.stderr.write(text) });
}
const results = [];
for (const one of attacks) {
  console.log(`\n=== ${one.name}`);
  const started = performance.now();
  const result = await attack(one, signal).catch((error) => (console.error(error.message), 'failed'));
  results.push({ attack: one.name, result, minutes: Math.round((performance.now() - started) / 6000) / 10 });
  if (signal.aborted) break;
}
console.table(results);
process.exitCode = results.some(({ result }) => result === 'failed') ? 1 : 0;
