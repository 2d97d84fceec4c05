import { access, rm } from 'node:fs/promises';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { CommandError, Interrupted } from '../scripts/lib/process.mjs';
import { endProcesses, processesOf, waitUntilGone } from './leftovers.mjs';
import { Offshoot } from './offshoot.mjs';
import { isolatedEnvironment, makeTemporaryFolder, Sample } from './sample.mjs';
import { BrokenPromise, CHAPTERS, withoutPasswords } from './story.mjs';
import { formatBytes, formatDuration, Terminal } from './terminal.mjs';

const STOP_PATIENCE_MS = 15_000;
const LOG_LINES = 20;

/**
 * Plays the story from the first to the last chapter and clears away everything that it made.
 *
 * @param {{ bin: string, rows: number, json: boolean, keep: boolean }} options
 * @returns {Promise<number>} the exit code: 0, 1 after a failure, 130 after an interrupt
 */
export async function play({ bin, rows, json, keep }) {
  const terminal = new Terminal({ quiet: json });
  const interrupt = listenForInterrupt();
  const report = { ok: false, rows, steps: [] };
  let stage;
  try {
    await access(bin, constants.X_OK).catch(() => {
      throw new Error(`There is no program at ${bin}. Build it first, or name another one with --bin.`);
    });
    const folder = await makeTemporaryFolder(rows);
    report.folder = folder;
    stage = makeStage({ folder, bin, terminal, signal: interrupt.signal });
    await tell(stage, rows, report);
    report.ok = true;
  } catch (error) {
    report.failure = await explain(error, stage, terminal);
  }
  report.leftProcesses = await clearAway(stage, { keep, terminal });
  if (report.leftProcesses.length > 0) report.ok = false;
  if (report.ok) farewell(terminal, bin, stage, keep);
  if (json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  interrupt.stop();
  return report.ok ? 0 : report.failure?.interrupted ? 130 : 1;
}

function listenForInterrupt() {
  const controller = new AbortController();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  // Later signals change nothing: what follows the first is the clearing away, which has to end.
  const end = () => controller.abort(new Interrupted());
  for (const signal of signals) process.on(signal, end);
  return { signal: controller.signal, stop: () => signals.forEach((signal) => process.off(signal, end)) };
}

function makeStage({ folder, bin, terminal, signal }) {
  const env = isolatedEnvironment(folder);
  const project = join(folder, 'warehouse');
  const sample = new Sample({ folder: project, env, signal });
  return {
    folder,
    home: env.OFFSHOOT_HOME,
    terminal,
    signal,
    sample,
    offshoot: new Offshoot({ bin, cwd: project, env, signal }),
    janitor: new Offshoot({ bin, cwd: project, env }),
    memory: {},
    say: narrator(terminal),
  };
}

/** What a chapter may say: commands with their times, sentences, and blocks of text as they are. */
function narrator(terminal) {
  return {
    get width() {
      return terminal.width - 3;
    },
    line: (text) => terminal.prose(text, 3),
    block: (text) => terminal.lines(text.trimEnd().split('\n'), 3),
    async command(text, work) {
      const label = `$ ${text}`;
      const result = await terminal.during(label, work);
      terminal.line(`   ${terminal.paint('cyan', label)}  ${terminal.paint('dim', formatDuration(result.ms))}`);
      return result;
    },
  };
}

async function tell(stage, rows, report) {
  const { terminal, offshoot, sample } = stage;
  terminal.prose('A sample project: warehouse, an inventory application with a history in git, migrations and data.');
  terminal.line(terminal.paint('dim', sample.folder));
  await sample.create(rows);
  let started = false;
  for (const [index, chapter] of CHAPTERS.entries()) {
    stage.signal.throwIfAborted();
    stage.chapter = chapter.id;
    terminal.line();
    terminal.line(terminal.paint('bold', `${index + 1}  ${chapter.title}`));
    const before = started ? await offshoot.ownBytes(chapter.branch) : 0;
    const { ms, facts } = await chapter.play(stage);
    started = true;
    const bytes = (await offshoot.ownBytes(chapter.branch)) - before;
    report.steps.push({ id: chapter.id, title: chapter.title, branch: chapter.branch, ms: Math.round(ms), bytes, facts });
    terminal.line(`   ${terminal.paint('green', `${formatDuration(ms)}, ${formatBytes(bytes)}`)}`);
  }
}

async function explain(error, stage, terminal) {
  if (error instanceof Interrupted || stage?.signal.aborted) {
    terminal.line();
    console.error('Interrupted. Clearing away ...');
    return { interrupted: true, message: 'interrupted' };
  }
  const failure = { step: stage?.chapter, message: withoutPasswords(error.message) };
  console.error();
  if (error instanceof CommandError) {
    Object.assign(failure, { command: error.command, output: withoutPasswords(error.output) });
    console.error(`This command failed: ${error.command}${error.code === null ? '' : ` (exit code ${error.code})`}`);
    console.error(failure.output);
  } else if (error instanceof BrokenPromise) {
    console.error(`Offshoot did not do what it promises: ${failure.message}.`);
  } else {
    console.error(stage === undefined ? failure.message : (error.stack ?? failure.message));
  }
  if (stage?.chapter !== undefined) await showLog(stage);
  return failure;
}

async function showLog({ janitor }) {
  const log = await janitor.engineLogs().catch(() => '');
  if (log.trim() !== '') {
    console.error(`\nThe last lines of the engine's log:\n${withoutPasswords(log).trimEnd().split('\n').slice(-LOG_LINES).join('\n')}`);
  }
  console.error('\nWhat to do: play it again with npm start -- --keep, then look around in the folder that it names;');
  console.error('offshoot doctor says whether this machine has what Offshoot needs. Please report what you find.');
}

/** Stops the engine, ends what it left and removes the folder. @returns processes that could not be ended */
async function clearAway(stage, { keep, terminal }) {
  if (stage === undefined || keep) return [];
  await stage.memory.application?.close().catch(() => {});
  if (stage.chapter !== undefined) {
    await stage.janitor.stopEngine().catch((error) => terminal.line(`The engine did not stop when asked: ${error.message}`));
    const left = await waitUntilGone(stage.home, STOP_PATIENCE_MS);
    if (left.length > 0) await endProcesses(stage.home);
  }
  await rm(stage.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  return processesOf(stage.home);
}

function farewell(terminal, bin, stage, keep) {
  const { paint } = terminal;
  const bold = (text) => paint.call(terminal, 'bold', text);
  terminal.line();
  terminal.line(bold('In your own repository'));
  terminal.lines([
    `alias offshoot=${bin}`,
    'offshoot init --from postgres://...      or --from dump.sql, or --empty',
    'offshoot exec psql                       or your application; the URL stays the same',
    'git checkout -b feature                  the database follows',
  ], 3);
  terminal.line();
  if (keep) {
    terminal.prose('The folder and the engine are still there. To look around, and to end it:');
    terminal.lines([
      `cd ${stage.sample.folder}; export OFFSHOOT_HOME=${stage.home}`,
      `${bin} status`,
      `${bin} engine stop; rm -r ${stage.folder}`,
    ], 3);
  } else {
    terminal.prose('The engine is stopped, the temporary folder is gone; nothing was left running.');
  }
}
