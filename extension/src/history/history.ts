import { execFile } from 'node:child_process';
import * as vscode from 'vscode';
import { askName } from '../commands/names.js';
import { unlessRuled } from '../commands/override.js';
import { command } from '../commands/register.js';
import { type BranchTarget, chooseBranch, chooseFolder, targetArgument } from '../commands/target.js';
import type { Reports } from '../documents/reports.js';
import type { LogEntry } from '../protocol/types.js';
import { ServerUnavailable } from '../server/errors.js';
import type { Server } from '../server/server.js';
import { whyUnavailable } from '../server/state.js';
import type { Surroundings } from '../surroundings.js';
import { formatAge, withoutIcons } from '../views/words.js';
import { entryIcon, entryWords, momentText } from './words.js';

/** Entries that are shown. */
const MOST = 200;
const US_A_SECOND = 1_000_000;
/** A difference that is longer is read in a terminal. */
const MOST_BYTES = 16 << 20;

/** A state of the past: of which branch, when, and what it is called. */
interface Then {
  readonly from: string;
  readonly atUs?: number;
  readonly side: string;
}

/** *Show History*: what happened to a branch; from each entry on it can be branched, and compared with what it is now. */
export function registerHistory({ server, reports }: Surroundings): vscode.Disposable {
  return command('offshoot.showHistory', async (argument) => {
    const title = vscode.l10n.t('History of Database Branch');
    const target = await chooseBranch(server, await here(server, argument, title), title);
    if (target === undefined) {
      return;
    }
    const { ready, branch } = target;
    const log = await server.requests.branchLog({ folder: ready.folder.uri, name: branch.name, limit: MOST });
    const now = Date.now() / 1000;
    const items = log.entries.map((entry) => ({
      label: `$(${entryIcon(entry)}) ${withoutIcons(entryWords(entry))}`,
      description: `${new Date(entry.atUs / 1000).toLocaleString()} · ${formatAge(entry.atUs / US_A_SECOND, now)}`,
      entry,
    }));
    const picked = await vscode.window.showQuickPick(items, { title: `${title}: ${branch.name}`, placeHolder: vscode.l10n.t('Choose a moment'), matchOnDescription: true });
    if (picked !== undefined) {
      await act(server, reports, target, picked.entry, log.oldestMoment);
    }
  });
}

/** Without a branch that is named, this window's is meant. */
async function here(server: Server, argument: unknown, title: string): Promise<unknown> {
  if (targetArgument(argument).branch !== undefined) {
    return argument;
  }
  const ready = await chooseFolder(server, argument, title);
  const branch = ready?.project.worktree.branch?.name;
  return ready === undefined || branch === undefined ? argument : { folder: ready.folder.uri, branch };
}

async function act(server: Server, reports: Reports, target: BranchTarget, entry: LogEntry, oldest: number | undefined): Promise<void> {
  const then = stateAt(target, entry, oldest);
  if (then === undefined) {
    const text = vscode.l10n.t('What {0} was then is not kept any more.', target.branch.name);
    await vscode.window.showInformationMessage(entry.wayBack === undefined ? text : vscode.l10n.t('{0} This leads back: {1}', text, entry.wayBack));
    return;
  }
  const branching = { label: `$(git-branch) ${vscode.l10n.t('Branch from here')}` };
  const comparing = { label: `$(diff) ${vscode.l10n.t('Compare with now')}` };
  const choice = await vscode.window.showQuickPick([branching, comparing], { title: entryWords(entry) });
  if (choice === branching) {
    await branchFrom(server, target, then);
  } else if (choice === comparing) {
    await compare(server, reports, target, then);
  }
}

/** A snapshot is itself; anything else is the moment at which it happened, if the past is kept so far back. */
function stateAt({ branch, ready }: BranchTarget, entry: LogEntry, oldest: number | undefined): Then | undefined {
  const isThere = ready.project.branches.some(({ name }) => name === entry.branch);
  if (entry.kind === 'snapshotTaken' && entry.detail !== undefined && entry.wayBack !== undefined && isThere) {
    const side = `${entry.branch}@${entry.detail}`;
    return { from: side, side };
  }
  if (oldest === undefined || entry.atUs < oldest * US_A_SECOND) {
    return undefined;
  }
  return { from: branch.name, atUs: entry.atUs, side: `${branch.name}@${momentText(entry.atUs)}` };
}

async function branchFrom(server: Server, { ready }: BranchTarget, then: Then): Promise<void> {
  const folder = ready.folder.uri;
  const { from, atUs } = then;
  const made = await askName(
    {
      title: vscode.l10n.t('Branch from {0}', then.side),
      prompt: vscode.l10n.t('Same schema and data as {0} had; the git branch of this name will use it.', then.side),
      placeholder: vscode.l10n.t('Name of the new branch'),
      taken: ready.project.branches.map(({ name }) => name),
    },
    async (name) =>
      unlessRuled(async (against) =>
        server.withProgress(vscode.l10n.t('Creating database branch {0}', name), async (_token, cancel) =>
          server.requests.branchCreate({ folder, name, from, ...against, ...(atUs === undefined ? {} : { atUs }) }, cancel),
        ),
      ),
  );
  if (made !== undefined) {
    vscode.window.setStatusBarMessage(`$(check) ${vscode.l10n.t('Database branch {0} was made from {1}.', made.name, then.side)}`, 5_000);
  }
}

async function compare(server: Server, reports: Reports, { ready, branch }: BranchTarget, then: Then): Promise<void> {
  const { state } = server;
  if (state.kind !== 'running') {
    const { message, hint } = whyUnavailable(state);
    throw new ServerUnavailable(message, hint);
  }
  const cwd = vscode.Uri.parse(ready.folder.uri).fsPath;
  const content = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: vscode.l10n.t('Comparing {0} with {1}', branch.name, then.side), cancellable: true },
    async (_progress, cancel) => run(state.path, ['diff', then.side, branch.name], cwd, cancel),
  );
  if (content !== undefined) {
    await reports.open(`${then.side.replaceAll('/', '-')} to now.offshoot-diff`, content);
  }
}

/** What the program prints; `undefined` if the person cancelled. It clears away what it has made when it is interrupted. */
async function run(path: string, args: readonly string[], cwd: string, cancel: vscode.CancellationToken): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = execFile(path, [...args], { cwd, maxBuffer: MOST_BYTES, env: { ...process.env, NO_COLOR: '1' } }, (error, stdout, stderr) => {
      cancelling.dispose();
      if (cancel.isCancellationRequested) {
        resolve(undefined);
      } else if (error === null) {
        resolve(stdout);
      } else {
        const said = stderr.split('\n').find((line) => line.startsWith('error: '));
        reject(new Error(said?.replace('error: ', '') ?? error.message));
      }
    });
    const cancelling = cancel.onCancellationRequested(() => child.kill('SIGINT'));
  });
}
