// Chaos: writers that never stop, branches that come and go, and processes that are killed at random; nothing acknowledged is
// lost. For strangers to run; no part of `npm test`. `node scripts/attack/chaos.mjs --help` says how.
import { appendFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { CommandError } from '../lib/process.mjs';
import { Branch, TABLES, check, checkIndexes, transaction } from './model.mjs';
import { Project, programOf, seeded } from './project.mjs';

const HELP = `Usage: node scripts/attack/chaos.mjs [--minutes N] [--seed N] [--bin PROGRAM] [--writers N] [--log FILE]
       [--report FILE] [--keep]

Makes a project in a temporary folder. Writers move money between accounts and note each transaction that Postgres acknowledged. Meanwhile
branches are made, reset, deleted, brought back and removed for good, layers are merged, and the engine, servers and backends of this project, and of no other, are
killed. Each branch must hold all that was acknowledged to it and to those it comes from, and nothing of others.

  --minutes N      how long; 10 otherwise
  --seed N         repeats the choices of another run (not their timing)
  --bin PROGRAM    the offshoot program; target/release/offshoot or target/debug/offshoot otherwise
  --log FILE       what happened, a line each; chaos.log in the project's folder otherwise
  --report FILE    how much of everything happened in each minute, and the sum

EXAMPLE
  node scripts/attack/chaos.mjs --minutes 60 --log chaos.log`;

const MOST_BRANCHES = 7;
const CONNECT_PATIENCE_MS = 120_000;
const OPERATION_PAUSE_MS = 700;
const KILL_PAUSE_MS = 4000;
const CHECK_EVERY = 6;
const MINUTE_MS = 60_000;
/** What a report counts, in this order. */
const COLUMNS = ['transactions', 'sessions', 'creates', 'resets', 'deletes', 'undos', 'purges', 'checks', 'killed engine', 'killed postmaster', 'killed backend', 'wrong'];

class Chaos {
  branches = new Map([['main', new Branch('main')]]);
  trash = [];
  counts = { transactions: 0, sessions: 0, checks: 0, cutShort: 0 };
  wrong = [];
  /** Somebody wants it to end: what was done until then is checked, and nothing is left. */
  interrupted = false;
  #next = { session: 1, branch: 1 };
  #stopped = false;

  constructor(project, random, say) {
    Object.assign(this, { project, random, say });
  }

  count(what) {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  fail(text) {
    this.wrong.push(text);
    this.say(`WRONG ${text}`);
  }

  async run(minutes, writers) {
    const end = performance.now() + minutes * 60_000;
    const isOver = () => this.interrupted || this.wrong.length > 0 || performance.now() >= end;
    const working = Array.from({ length: writers }, () => this.write());
    await Promise.all([this.operate(isOver), this.kill(isOver)]);
    this.#stopped = true;
    await Promise.all(working);
    for (const branch of this.branches.values()) await this.verify(branch, true);
  }

  /** Connects to a branch and tries again for as long as a restart may take. */
  async connect(branch) {
    const deadline = performance.now() + CONNECT_PATIENCE_MS;
    for (;;) {
      try {
        return await this.project.connect(branch.name);
      } catch (error) {
        if (performance.now() > deadline) throw new Error(`${branch.name} cannot be reached: ${error.output ?? error.message}`);
        await pause(200);
      }
    }
  }

  async write() {
    while (!this.#stopped) {
      const branch = this.pick([...this.branches.values()].filter(({ held }) => !held));
      if (branch === undefined) await pause(50);
      else await this.session(branch).catch((error) => this.#isInterruption(error) || this.fail(`a writer: ${error.stack}`));
    }
  }

  /** What a killed server or engine, or a branch that goes, does to a client. */
  #isInterruption(error) {
    return error instanceof CommandError || /^(57P|08|3D000|28000|25006|53300)/.test(error.code ?? '') || /closed the connection|ECONN|EPIPE|cannot be reached/.test(`${error.code} ${error.message}`);
  }

  async session(branch) {
    branch.writers = (branch.writers ?? 0) + 1;
    let connection;
    try {
      if (branch.held) return;
      connection = await this.project.connect(branch.name);
      const session = this.#next.session++;
      this.count('sessions');
      branch.allowed.add(session);
      const length = 20 + Math.floor(this.random() * 400);
      for (let seq = 1; seq <= length && !branch.held && !this.#stopped; seq++) {
        await connection.query(transaction(session, seq));
        branch.acknowledge(session, seq);
        this.counts.transactions++;
      }
    } finally {
      branch.writers--;
      await connection?.close().catch(() => {});
    }
  }

  /** Keeps writers away from a branch while `work` is done. */
  async hold(branch, work) {
    branch.held = true;
    try {
      while (branch.writers > 0) await pause(10);
      await work();
    } finally {
      branch.held = false;
    }
  }

  async operate(isOver) {
    for (let round = 1; !isOver(); round++) {
      const free = [...this.branches.values()].filter(({ name }) => name !== 'main');
      const choices = ['create', 'create', 'reset', 'reset', 'delete', 'delete', 'undo', 'purge'];
      const choice = free.length === 0 || (free.length < 3 && this.random() < 0.6) ? 'create' : this.pick(choices);
      try {
        if (choice === 'create' && free.length < MOST_BRANCHES) await this.create(this.pick([...this.branches.values()]));
        else if (choice === 'undo' && this.trash.length > 0) await this.undo(this.trash.at(-1));
        else if (choice === 'purge' && this.trash.length > 0) await this.purge();
        else if (choice === 'delete' && free.length > 0) await this.remove(this.pick(free));
        else if (free.length > 0) await this.reset(this.pick(free));
        if (round % CHECK_EVERY === 0) await this.verify(this.pick([...this.branches.values()]));
      } catch (error) {
        this.fail(`${choice}: ${error.stack}`);
      }
      await pause(this.random() * OPERATION_PAUSE_MS);
    }
  }

  /** Runs a verb; false when it said that it failed, as it may when the engine is killed meanwhile. */
  async verb(...args) {
    try {
      await this.project.offshoot(...args);
      this.say(args.join(' '));
      return true;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      this.counts.cutShort++;
      this.say(`${args.join(' ')} FAILED: ${error.output.split('\n')[0]}`);
      return false;
    }
  }

  /** The branches that there are; asked until the engine answers. */
  async list() {
    const deadline = performance.now() + CONNECT_PATIENCE_MS;
    for (;;) {
      try {
        return await this.project.branches();
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await pause(200);
      }
    }
  }

  async has(branch) {
    return (await this.list()).some(({ name }) => name === branch.name);
  }

  async create(parent) {
    const branch = new Branch(`b${this.#next.branch++}`);
    const state = parent.snapshot();
    const done = await this.verb('branch', 'create', branch.name, '--from', parent.name);
    if (!done && !(await this.has(branch))) return;
    branch.become(state, parent, true);
    this.branches.set(branch.name, branch);
    this.count('creates');
    await this.verify(branch);
  }

  async reset(branch) {
    // The parent that it was made from may have been deleted: then its own parent took its place.
    const parent = this.branches.get((await this.list()).find(({ name }) => name === branch.name)?.parent);
    if (parent === undefined) return;
    await this.hold(branch, async () => {
      const state = parent.snapshot();
      const done = await this.verb('branch', 'reset', branch.name);
      branch.become(state, parent, done);
      this.count('resets');
      await this.verify(branch);
    });
  }

  async remove(branch) {
    branch.held = true;
    while (branch.writers > 0) await pause(10);
    const done = await this.verb('branch', 'delete', branch.name);
    if (!done && (await this.has(branch))) {
      branch.held = false;
      return;
    }
    this.branches.delete(branch.name);
    this.trash.push(branch);
    this.count('deletes');
  }

  async undo(branch) {
    const done = await this.verb('undo', branch.name);
    if (!done && !(await this.has(branch))) return;
    this.trash = this.trash.filter((other) => other !== branch);
    this.branches.set(branch.name, branch);
    this.count('undos');
    await this.verify(branch);
    branch.held = false;
  }

  /** Empties the trash; asked until the engine answers. Then what has one child only is merged. */
  async purge() {
    const deadline = performance.now() + CONNECT_PATIENCE_MS;
    while (!(await this.verb('branch', 'purge', '--all', '--yes'))) {
      if (performance.now() > deadline) throw new Error('the trash cannot be emptied');
      await pause(200);
    }
    this.trash = [];
    this.count('purges');
  }

  async verify(branch, indexes = false) {
    const deadline = performance.now() + CONNECT_PATIENCE_MS;
    for (;;) {
      let connection;
      try {
        connection = await this.connect(branch);
        for (const text of await check(connection, branch)) this.fail(text);
        if (indexes) await checkIndexes(connection);
        this.counts.checks++;
        return;
      } catch (error) {
        if (!this.#isInterruption(error) || performance.now() > deadline) return this.fail(`${branch.name}: ${error.stack}`);
      } finally {
        await connection?.close().catch(() => {});
      }
    }
  }

  async kill(isOver) {
    while (!isOver()) {
      await pause(this.random() * KILL_PAUSE_MS);
      const kind = this.pick(['engine', 'postmaster', 'backend', 'backend']);
      const victim = this.pick((await this.project.processes()).filter((process) => process.kind === kind));
      if (victim === undefined) continue;
      try {
        process.kill(victim.pid, 'SIGKILL');
        this.count(`killed ${kind}`);
        this.say(`KILL ${kind} ${victim.pid} ${victim.command.slice(0, 60)}`);
      } catch (error) {
        if (error.code !== 'ESRCH') throw error;
      }
    }
  }
}

/** Lines of a report: what happened in each minute, and in all. */
class Report {
  #lines = [COLUMNS.join('\t')];
  #before = {};
  #timer;

  constructor(chaos) {
    this.chaos = chaos;
    this.#timer = setInterval(() => this.#minute(), MINUTE_MS);
  }

  #now() {
    return { ...this.chaos.counts, wrong: this.chaos.wrong.length };
  }

  #minute() {
    const now = this.#now();
    this.#lines.push(COLUMNS.map((name) => (now[name] ?? 0) - (this.#before[name] ?? 0)).join('\t'));
    this.#before = now;
  }

  async write(file, summary) {
    clearInterval(this.#timer);
    this.#minute();
    const minutes = this.#lines.map((line, index) => `${index === 0 ? 'minute' : index}\t${line}`);
    await writeFile(file, [`${JSON.stringify(summary)}`, ...minutes, ''].join('\n'));
  }

  stop() {
    clearInterval(this.#timer);
  }
}

/** Layers that the engines of a project say they have merged. */
async function merged(project) {
  const logs = await project.engineLogs();
  const counts = logs.split('\n').filter((line) => line.includes('layers were merged'));
  return counts.reduce((sum, line) => sum + Number(JSON.parse(line).layers), 0);
}

async function main() {
  const text = { type: 'string' };
  const { values } = parseArgs({
    options: { minutes: text, seed: text, bin: text, writers: text, log: text, report: text, keep: { type: 'boolean' }, help: { type: 'boolean' } },
  });
  if (values.help) return void console.log(HELP);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const folder = await mkdtemp(join(tmpdir(), 'os-chaos-'));
  await chmod(folder, 0o755);
  const log = values.log ?? join(folder, 'chaos.log');
  const begin = performance.now();
  const say = (line) => appendFileSync(log, `${((performance.now() - begin) / 1000).toFixed(2)} ${line}\n`);
  console.log(`seed ${seed}; log ${log}`);
  say(`seed ${seed}`);
  const project = await Project.make(folder, programOf(values.bin));
  const chaos = new Chaos(project, seeded(seed), say);
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => (chaos.interrupted = true));
  const report = new Report(chaos);
  try {
    const connection = await chaos.connect(chaos.branches.get('main'));
    await connection.query(TABLES);
    await connection.close();
    await chaos.run(Number(values.minutes ?? 10), Number(values.writers ?? 4));
  } finally {
    report.stop();
    await project.remove();
  }
  const minutes = ((performance.now() - begin) / 60_000).toFixed(1);
  const summary = { seed, minutes, ...chaos.counts, mergedLayers: await merged(project), branches: chaos.branches.size, wrong: chaos.wrong };
  say(JSON.stringify(summary));
  console.log(JSON.stringify(summary, null, 2));
  if (values.report !== undefined) await report.write(values.report, summary);
  process.exitCode = chaos.wrong.length > 0 ? 1 : chaos.interrupted ? 130 : 0;
  if (values.keep || chaos.wrong.length > 0) console.log(`left: ${folder}`);
  else await rm(folder, { recursive: true, force: true });
}

await main();
