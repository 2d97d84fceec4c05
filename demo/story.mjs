import { setTimeout as pause } from 'node:timers/promises';
import { BRANCH, SPLIT_MIGRATION } from './sample.mjs';
import { formatBytes, formatCount, formatDuration, sideBySide, table } from './terminal.mjs';
import { connect } from './wire.mjs';

const SWITCH_PATIENCE_MS = 20_000;
const TABLES = ['inventory_items', 'stock_movements', 'orders', 'order_lines', 'products'];

/** A number that changes with any value in any row of the tables, whatever the order of the rows. */
export const CHECKSUM = `select sum(hash)::text as checksum from (${TABLES.map(
  (name) => `select hashtextextended(t::text, 0)::numeric as hash from ${name} t`,
).join(' union all ')}) rows`;

const COLUMNS =
  "select string_agg(column_name, ', ' order by ordinal_position) from information_schema.columns where table_name = 'inventory_items'";

/** What the story found to be otherwise than Offshoot promises. */
export class BrokenPromise extends Error {
  constructor(message) {
    super(message);
    this.name = 'BrokenPromise';
  }
}

function promise(kept, message) {
  if (!kept) throw new BrokenPromise(message);
}

/**
 * The chapters in order. Each gets the stage and returns the facts that it found, for `--json` and for the tests.
 *
 * `branch` is the database branch whose own bytes the chapter changes.
 */
export const CHAPTERS = [
  { id: 'init', title: 'Give the repository a database', branch: 'main', play: init },
  { id: 'load', title: 'Load the schema and the data', branch: 'main', play: load },
  { id: 'status', title: 'Where am I?', branch: 'main', play: status },
  { id: 'checkout', title: 'Check out a feature branch', branch: BRANCH, play: checkout },
  { id: 'migrate', title: 'Change the schema on the branch', branch: BRANCH, play: migrate },
  { id: 'compare', title: 'Both branches, side by side', branch: BRANCH, play: compare },
  { id: 'list', title: 'What the branches cost', branch: BRANCH, play: list },
  { id: 'reset', title: 'Take it all back', branch: BRANCH, play: reset },
  { id: 'return', title: 'Back to main', branch: 'main', play: goBack },
];

async function init({ offshoot, sample, say }) {
  const { ms } = await say.command('offshoot init --empty', () => offshoot.init());
  await sample.commitSettings();
  const { branch, url } = await offshoot.status();
  promise(branch === 'main', `after init the database branch is ${branch}, not main`);
  const { rows } = await offshoot.query('show server_version');
  say.line(`PostgreSQL ${rows[0][0]} on this machine, for this repository alone.`);
  return { ms, facts: { branch, url, postgres: rows[0][0] } };
}

async function load({ offshoot, sample, say }) {
  let ms = 0;
  for (const file of [...(await sample.migrations()), 'seed.sql']) {
    const result = await say.command(`offshoot sql -f ${file}`, () => offshoot.file(file));
    ms += result.ms;
  }
  const counts = {};
  for (const name of TABLES) {
    const { rows } = await offshoot.query(`select count(*) from ${name}`);
    counts[name] = Number(rows[0][0]);
  }
  say.line(TABLES.map((name) => `${formatCount(counts[name])} ${name.replace('_', ' ')}`).join(', ') + '.');
  const rows = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { ms, facts: { counts, rows } };
}

async function status({ offshoot, memory, signal, say }) {
  const { ms, stdout } = await say.command('offshoot status', () => offshoot.text('status'));
  say.block(withoutPasswords(stdout));
  const { rows } = await offshoot.query(CHECKSUM, 'main');
  memory.checksum = String(rows[0][0]);
  await settle(offshoot);
  memory.url = (await offshoot.url()).url;
  memory.application = await connect(memory.url, signal);
  return { ms, facts: { checksum: memory.checksum, url: memory.url } };
}

/** A branch copies the WAL since its parent's last checkpoint: what autovacuum writes meanwhile would be told as the branch's own. */
async function settle(offshoot) {
  await offshoot.query('checkpoint', 'main');
}

async function checkout({ offshoot, sample, memory, signal, say }) {
  const { ms: gitMs } = await say.command(`git checkout -b ${BRANCH}`, () => sample.git('checkout', '--quiet', '-b', BRANCH));
  const switchMs = await untilOn(offshoot, BRANCH);
  const ownBytes = await offshoot.ownBytes(BRANCH);
  const { url } = await offshoot.url();
  promise(url === memory.url, `the URL changed from ${memory.url} to ${url}`);
  const closedWith = await Promise.race([memory.application.closed, pause(3000, null, { ref: false })]);
  const started = performance.now();
  const application = await connect(url, signal);
  const { rows } = await application.query('select count(*) from inventory_items');
  const firstQueryMs = performance.now() - started;
  await application.close();
  say.line(`The database followed ${formatDuration(gitMs + switchMs)} after the command was given, for ${formatBytes(ownBytes)}.`);
  if (closedWith === '57P01') say.line('The application that was connected to main was told to connect again (57P01).');
  say.line(`At the same URL it finds ${formatCount(Number(rows[0][0]))} items again: connected and answered in ${formatDuration(firstQueryMs)}.`);
  return { ms: gitMs + switchMs, facts: { gitMs, switchMs, ownBytesAsleep: ownBytes, firstQueryMs, items: Number(rows[0][0]), closedWith } };
}

async function migrate({ offshoot, sample, say }) {
  await sample.addSplit();
  const { ms } = await say.command(`offshoot sql -f ${SPLIT_MIGRATION}`, () => offshoot.file(SPLIT_MIGRATION));
  await sample.commitSplit();
  const { rows } = await offshoot.query(COLUMNS, BRANCH);
  const columns = rows[0][0].split(', ');
  promise(!columns.includes('inventory_code') && columns.includes('serial_number'), `the branch has the columns ${columns.join(', ')}`);
  say.line('inventory_code is now location_code, batch_number and serial_number, in every row.');
  return { ms, facts: { columns } };
}

async function compare({ offshoot, memory, signal, say }) {
  const onMain = 'select inventory_code from inventory_items order by id limit 3';
  const onBranch = 'select location_code, batch_number, serial_number from inventory_items order by id limit 3';
  const main = await say.command(`offshoot sql --branch main -c "select inventory_code ..."`, () => offshoot.query(onMain, 'main'));
  const branch = await say.command(`offshoot sql --branch ${BRANCH} -c "select location_code, ..."`, () => offshoot.query(onBranch, BRANCH));
  say.block(sideBySide(
    ['main', '', ...table(main.columns, main.rows, say.width)],
    [BRANCH, '', ...table(branch.columns, branch.rows, say.width)],
    say.width,
  ).join('\n'));
  const joined = branch.rows.map((row) => row.join('/'));
  promise(joined.join() === main.rows.flat().join(), 'the parts on the branch are not the codes on main');
  const application = await connect(memory.url, signal);
  const { columns } = await application.query('select * from inventory_items limit 1');
  await application.close();
  promise(columns.includes('location_code'), `the application at the endpoint sees the columns ${columns.join(', ')}`);
  say.line('An application at the unchanged URL sees the branch that is checked out.');
  return { ms: main.ms + branch.ms, facts: { main: main.rows.flat(), branch: joined, applicationColumns: columns } };
}

async function list({ offshoot, say }) {
  const { ms, stdout } = await say.command('offshoot branch list', () => offshoot.text('branch', 'list'));
  say.block(stdout);
  const { branches } = await offshoot.branches();
  return { ms, facts: { branches: branches.map(({ name, parent, ownBytes, sharedBytes }) => ({ name, parent, ownBytes, sharedBytes })) } };
}

async function reset({ offshoot, memory, say }) {
  await settle(offshoot);
  const { ms } = await say.command(`offshoot branch reset ${BRANCH}`, () => offshoot.reset(BRANCH));
  const ownBytes = await offshoot.ownBytes(BRANCH);
  const { rows } = await offshoot.query(CHECKSUM, BRANCH);
  const columns = (await offshoot.query(COLUMNS, BRANCH)).rows[0][0].split(', ');
  promise(columns.includes('inventory_code'), `after the reset the branch has the columns ${columns.join(', ')}`);
  promise(String(rows[0][0]) === memory.checksum, 'after the reset the branch is not what main is');
  say.line('The branch is what main is again: every row of every table has the same checksum.');
  return { ms, facts: { checksum: String(rows[0][0]), columns, ownBytes } };
}

async function goBack({ offshoot, sample, memory, signal, say }) {
  const { ms: gitMs } = await say.command('git checkout main', () => sample.git('checkout', '--quiet', 'main'));
  const switchMs = await untilOn(offshoot, 'main');
  const application = await connect(memory.url, signal);
  const { rows } = await application.query(CHECKSUM);
  await application.close();
  promise(rows[0][0] === memory.checksum, 'main is not what it was before');
  say.line('main is untouched: the checksum over its tables is the one from the start.');
  return { ms: gitMs + switchMs, facts: { checksum: rows[0][0] } };
}

/** Waits until the endpoint leads to `branch`. @returns {Promise<number>} the time in milliseconds */
async function untilOn(offshoot, branch) {
  const started = performance.now();
  let seen;
  while (performance.now() - started < SWITCH_PATIENCE_MS) {
    seen = (await offshoot.status()).branch;
    if (seen === branch) return performance.now() - started;
  }
  throw new BrokenPromise(`${formatDuration(SWITCH_PATIENCE_MS)} after the checkout the endpoint leads to ${seen}, not to ${branch}`);
}

/** Addresses are shown, passwords are not. */
export function withoutPasswords(text) {
  return text.replace(/(postgres(?:ql)?:\/\/[^:@/\s]+):[^@/\s]+@/g, '$1:***@');
}
