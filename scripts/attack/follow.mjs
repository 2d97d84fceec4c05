// Following under fire: a source that is written to all the time, a project that follows it, and processes of both that are killed at random.
// For strangers to run; no part of `npm test`. `node scripts/attack/follow.mjs --help` says how.
import { appendFileSync, existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { waitUntilGone } from '../../demo/leftovers.mjs';
import { CommandError } from '../lib/process.mjs';
import { Project, programOf, seeded } from './project.mjs';

const HELP = `Usage: node scripts/attack/follow.mjs [--minutes N] [--seed N] [--bin PROGRAM] [--log FILE] [--keep]

Makes two projects in a temporary folder, of which one follows the database of the other. A writer adds numbered rows at the source. Meanwhile
engines, servers and backends of both are killed, the slot is dropped, the role is locked out, and fresh roots are asked for, branched from and
written to. The root must hold the source's rows up to some number without a gap, never fewer than before; what was written to a root here must be found
again; in the end all rows must be here, no slot at the source, and no process.

  --minutes N      how long; 5 otherwise
  --seed N         repeats the choices of another run (not their timing)
  --bin PROGRAM    the offshoot program; target/release/offshoot or target/debug/offshoot otherwise
  --log FILE       what happened, a line each; follow.log in the project's folder otherwise

EXAMPLE
  node scripts/attack/follow.mjs --minutes 30`;

const PATIENCE_MS = 120_000;
const OPERATION_PAUSE_MS = 1500;
const KILL_PAUSE_MS = 4000;
const MOST_BRANCHES = 4;
const MOST_STATES = 400;
/** How a command ends that took too long and was ended. */
const ENDED = 143;
/** States out of which only a new start leads. */
const LOST = ['slotLost', 'diverged', 'addressGone', 'otherSystem'];
const ROLE = 'follower';
const PASSWORD = 'follower-of-the-attack';

class Attack {
  counts = {};
  wrong = [];
  /** Somebody wants it to end: what was done until then is checked, and nothing is left. */
  interrupted = false;
  /** The last row that the source has acknowledged, and the one that it is being asked for. */
  acknowledged = 0;
  asked = 0;
  /** The most rows that a root here has had. */
  reached = 0;
  marks = { asked: 0, acknowledged: new Set() };
  branches = [];
  #over = false;

  constructor(source, here, random, say) {
    Object.assign(this, { source, here, random, say });
  }

  count(what) {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  fail(text) {
    this.wrong.push(text);
    this.say(`WRONG ${text}`);
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  /** Runs a verb here; false when it said that it failed, as it may when something is killed meanwhile. */
  async verb(...args) {
    try {
      await this.here.offshoot(...args);
      this.say(args.join(' '));
      return true;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      this.say(`${args.join(' ')} FAILED: ${error.output.split('\n')[0]}`);
      if (error.code === ENDED) this.fail(`\`${args.join(' ')}\` does not end`);
      return false;
    }
  }

  /** Tries again for as long as restarts may take. */
  async insist(what, work) {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        const done = await work();
        if (done !== undefined) return done;
      } catch (error) {
        if (performance.now() > deadline) throw new Error(`${what}: ${error.output ?? error.stack}`);
      }
      if (performance.now() > deadline) throw new Error(`${what}: it does not come to pass`);
      await pause(300);
    }
  }

  /** Runs `sql` on a branch over a connection of its own. */
  async ask(project, branch, sql) {
    const connection = await project.connect(branch);
    try {
      return (await connection.query(sql)).rows;
    } finally {
      await connection.close().catch(() => {});
    }
  }

  async start() {
    const at = new URL(await this.source.url());
    const url = `postgres://${ROLE}:${PASSWORD}@${at.host}${at.pathname}`;
    return this.verb('follow', 'start', '--from', url, '--every', '2s');
  }

  async prepare() {
    const sql = `CREATE TABLE line (n bigint PRIMARY KEY, filler text NOT NULL); CREATE TABLE mark (n int PRIMARY KEY);
      CREATE ROLE ${ROLE} LOGIN REPLICATION PASSWORD '${PASSWORD}'`;
    await this.ask(this.source, 'main', sql);
    if (!(await this.start())) throw new Error('the source cannot be followed');
  }

  async run(minutes) {
    const end = performance.now() + minutes * 60_000;
    const isOver = () => this.interrupted || this.wrong.length > 0 || performance.now() >= end;
    const writing = this.write();
    try {
      await Promise.all([this.operate(isOver), this.kill(isOver)]);
    } finally {
      this.#over = true;
      await writing;
    }
    if (this.wrong.length === 0) await this.settle();
  }

  async write() {
    while (!this.#over) {
      let connection;
      try {
        connection = await this.source.connect();
        // What was asked for last may be there, acknowledged or not.
        const [[last]] = (await connection.query('SELECT coalesce(max(n), 0) FROM line')).rows;
        if (Number(last) < this.acknowledged) this.fail(`the source itself has lost rows: ${last} of ${this.acknowledged}`);
        for (let next = Number(last) + 1; !this.#over; next++) {
          this.asked = next;
          await connection.query(`INSERT INTO line VALUES (${next}, repeat('x', ${next % 500}))`);
          this.acknowledged = next;
          await pause(this.random() < 0.01 ? 300 : 4);
        }
      } catch (error) {
        if (error.code === '23505') this.fail(`a writer: ${error.stack}`);
        await pause(200);
      } finally {
        await connection?.close().catch(() => {});
      }
    }
  }

  /** What a branch here holds of the source; it has to be the beginning of it. */
  async rows(branch) {
    const [[count, last, odd]] = await this.ask(this.here, branch, "SELECT count(*), coalesce(max(n), 0), count(*) FILTER (WHERE filler <> repeat('x', (n % 500)::int)) FROM line");
    if (count !== last || odd !== '0') this.fail(`${branch} has ${count} rows up to ${last}, ${odd} of them changed`);
    if (Number(last) > this.asked) this.fail(`${branch} has ${last} rows of ${this.asked}`);
    this.count('checks');
    return Number(last);
  }

  async check() {
    const before = this.reached;
    const last = await this.rows('main');
    if (last < before) this.fail(`the root has ${last} rows and had ${before}`);
    this.reached = Math.max(this.reached, last);
  }

  async operate(isOver) {
    while (!isOver()) {
      const choice = this.pick(['refresh', 'refresh', 'check', 'branch', 'mark', 'mark', 'drop', 'lock', 'stop', 'anew', 'wait', 'wait']);
      try {
        await this[choice]();
      } catch (error) {
        if (error instanceof TypeError) throw error;
        this.say(`${choice} was cut short: ${(error.output ?? error.message).split('\n')[0]}`);
      }
      await this.goOn().catch((error) => this.say(`not looked at: ${error.message}`));
      await pause(this.random() * OPERATION_PAUSE_MS);
    }
  }

  async wait() {
    await pause(3000);
  }

  async refresh() {
    const before = this.acknowledged;
    if (!(await this.verb('refresh'))) return;
    this.count('refreshes');
    const last = await this.rows('main');
    if (last < before) this.fail(`after a refresh the root has ${last} rows, and the source had ${before} before`);
    this.reached = Math.max(this.reached, last);
  }

  async branch() {
    const name = `b${this.counts.branches ?? 0}`;
    this.count('branches');
    if (!(await this.verb('branch', 'create', name, '--from', 'main'))) return;
    this.branches.push(name);
    const last = await this.rows(name);
    if (last < this.reached) this.fail(`${name} has ${last} rows, and the root had ${this.reached}`);
    await this.ask(this.here, name, `DELETE FROM line WHERE n % 2 = 0; CREATE INDEX ON line (filler)`);
    if (this.branches.length > MOST_BRANCHES) await this.verb('branch', 'delete', this.branches.shift());
  }

  /** Writes to a root here: that is somebody's work, and must not be gone with the next root. */
  async mark() {
    const mark = ++this.marks.asked;
    await this.ask(this.here, 'main', `INSERT INTO mark VALUES (${mark})`);
    this.marks.acknowledged.add(mark);
    this.count('marks');
    this.say(`mark ${mark}`);
  }

  /** Drops the slot at the source, as somebody might who tidies up. */
  async drop() {
    const rows = await this.ask(this.source, 'main', 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active');
    if (rows.length > 0) this.count('slots dropped');
  }

  async lock() {
    await this.ask(this.source, 'main', `ALTER ROLE ${ROLE} NOLOGIN`);
    this.count('locked out');
    await this.verb('refresh');
    await this.insist('let the role in again', async () => (await this.ask(this.source, 'main', `ALTER ROLE ${ROLE} LOGIN`), true));
  }

  async stop() {
    if (this.random() < 0.5) await this.verb('engine', 'stop');
  }

  /** Ends following and begins again, which copies the source while others are killed. */
  async anew() {
    if (await this.verb('follow', 'stop')) await this.goOn();
  }

  async state() {
    const { stdout } = await this.here.offshoot('follow', 'status', '--json').catch((error) => ({ stdout: error.output }));
    return JSON.parse(stdout.split('\n')[0]).following?.state ?? 'none';
  }

  /** Begins anew where nothing else leads on. */
  async goOn() {
    const state = await this.state();
    this.count(`state ${state}`);
    if (!LOST.includes(state) && state !== 'none') return;
    if (state !== 'none') await this.verb('follow', 'stop');
    if (await this.start()) this.count('started anew');
  }

  async kill(isOver) {
    while (!isOver()) {
      await pause(this.random() * KILL_PAUSE_MS);
      const [who, kinds] = this.pick([
        ['here', ['engine', 'postmaster', 'postmaster', 'backend']],
        ['here', ['engine', 'postmaster', 'postmaster', 'backend']],
        ['source', ['engine', 'postmaster', 'backend', 'backend']],
      ]);
      const kind = this.pick(kinds);
      const victim = this.pick((await this[who].processes()).filter((process) => process.kind === kind));
      if (victim === undefined) continue;
      try {
        process.kill(victim.pid, 'SIGKILL');
        this.count(`killed ${kind} ${who}`);
        this.say(`KILL ${kind} ${who} ${victim.pid}`);
      } catch (error) {
        if (error.code !== 'ESRCH') throw error;
      }
    }
  }

  /** When nothing is killed any more everything comes, and nothing is left. */
  async settle() {
    await this.insist('the role', async () => (await this.ask(this.source, 'main', `ALTER ROLE ${ROLE} LOGIN`), true));
    await this.insist('the last changes', async () => {
      await this.goOn();
      return (await this.verb('refresh')) || undefined;
    });
    const last = await this.insist('the root', () => this.rows('main'));
    if (last < this.acknowledged) this.fail(`in the end the root has ${last} rows of ${this.acknowledged}`);
    await this.insist('the end of following', async () => (await this.verb('follow', 'stop')) || undefined);
    const slots = await this.insist('the slots', () => this.ask(this.source, 'main', 'SELECT slot_name FROM pg_replication_slots'));
    if (slots.length > 0) this.fail(`the source has ${slots.length} slots left: ${slots}`);
    for (const store of await readdir(join(this.here.home, 'stores'))) {
      if (existsSync(join(this.here.home, 'stores', store, 'followed'))) this.fail('the address of the source is left');
    }
    await this.findMarks();
  }

  /** Goes back from root to root until everything is found that was written to one. */
  async findMarks() {
    const missing = new Set(this.marks.acknowledged);
    for (let states = 0; states < MOST_STATES; states++) {
      for (const [mark] of await this.insist('a root', () => this.ask(this.here, 'main', 'SELECT n FROM mark'))) missing.delete(Number(mark));
      if (missing.size === 0 || !(await this.verb('undo'))) break;
    }
    if (missing.size > 0) this.fail(`what was written to a root is gone: marks ${[...missing].join(', ')}`);
  }
}

async function main() {
  const text = { type: 'string' };
  const { values } = parseArgs({ options: { minutes: text, seed: text, bin: text, log: text, keep: { type: 'boolean' }, help: { type: 'boolean' } } });
  if (values.help) return void console.log(HELP);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const folder = await mkdtemp(join(tmpdir(), 'os-fol-'));
  await chmod(folder, 0o755);
  const log = values.log ?? join(folder, 'follow.log');
  const begin = performance.now();
  const say = (line) => appendFileSync(log, `${((performance.now() - begin) / 1000).toFixed(2)} ${line}\n`);
  console.log(`seed ${seed}; log ${log}`);
  say(`seed ${seed}`);
  const program = programOf(values.bin);
  const projects = [];
  for (const name of ['s', 'h']) {
    await mkdir(join(folder, name), { mode: 0o755 });
    projects.push(await Project.make(join(folder, name), program));
  }
  const attack = new Attack(...projects, seeded(seed), say);
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => (attack.interrupted = true));
  try {
    await attack.prepare();
    await attack.run(Number(values.minutes ?? 5));
  } finally {
    for (const project of projects) {
      await project.offshoot('engine', 'stop').catch(() => {});
      const left = await waitUntilGone(project.home, 10_000);
      if (left.length > 0) attack.fail(`processes are left: ${left.map(({ pid, command }) => `${pid} ${command}`).join('; ')}`);
      await project.remove();
    }
  }
  const minutes = ((performance.now() - begin) / 60_000).toFixed(1);
  const summary = { seed, minutes, rows: attack.acknowledged, ...attack.counts, wrong: attack.wrong };
  say(JSON.stringify(summary));
  console.log(JSON.stringify(summary, null, 2));
  process.exitCode = attack.wrong.length > 0 ? 1 : attack.interrupted ? 130 : 0;
  if (values.keep || attack.wrong.length > 0) console.log(`left: ${folder}`);
  else await rm(folder, { recursive: true, force: true });
}

await main();
