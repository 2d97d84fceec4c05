import * as vscode from 'vscode';
import { unlessRuled } from '../commands/override.js';
import { detach } from '../detach.js';
import type { ReadyFolder } from '../model.js';
import type { MigrationsApplied, MigrationsApplyParams, MigrationsStep, MigrationsUndoParams } from '../protocol/types.js';
import type { Surroundings } from '../surroundings.js';
import { sentences } from '../views/words.js';
import { mayEnd } from './ending.js';
import type { ToolOutput } from './output.js';
import { fileUri } from './paths.js';
import { appliedText } from './render.js';
import type { Reports } from '../documents/reports.js';
import { fileName } from './rows.js';
import { saveMigrations } from './save.js';

/** What the actions need. */
export interface Tools {
  readonly around: Surroundings;
  readonly output: ToolOutput;
  readonly reports: Reports;
}

/** Adds the token that reports of the work go to. */
export function withToken<P>(params: P, token: string): P {
  return { ...params, workDoneToken: token };
}

/** Runs something long that a tool prints during: the output is shown as it comes, and *Cancel* ends the tool. */
export async function long<R>({ around, output }: Tools, title: string, run: (token: string, cancel: vscode.CancellationToken) => Promise<R>): Promise<R> {
  output.heading(title);
  return around.server.withProgress(title, async (token, cancel) => output.during(around, token, async () => run(token, cancel)));
}

/** Runs what is pending on the branch itself; a snapshot is taken before. */
export async function apply(tools: Tools, ready: ReadyFolder, more: Partial<MigrationsApplyParams>): Promise<void> {
  const { around, output } = tools;
  const title = more.direction === 'down' ? vscode.l10n.t('Rolling back the newest migration') : vscode.l10n.t('Applying migrations');
  output.show();
  await saveMigrations(around, ready);
  const applied = await long(tools, title, async (token, cancel) =>
    around.server.requests.migrationsApply(withToken({ folder: ready.folder.uri, ...more }, token), cancel),
  );
  const isDown = more.direction === 'down';
  detach(applied.passed ? tellApplied(tools, ready, applied, isDown) : tellFailed(tools, ready, applied, isDown));
}

/** The state before the migrations ran. */
export function backTo({ snapshot }: MigrationsApplied): UndoTarget {
  return snapshot === undefined ? {} : { snapshot: snapshot.name };
}

/** Whether there is a snapshot to go back to. */
export function canUndo({ project }: ReadyFolder, { snapshot }: MigrationsApplied): boolean {
  return project.branches.some(({ name }) => name === snapshot?.branch);
}

/** What ran, in a sentence. */
function ranText({ ran, branch }: MigrationsApplied, isDown: boolean): string {
  const [first = ''] = ran;
  const name = fileName(first);
  if (isDown) {
    return ran.length === 1 ? vscode.l10n.t('{0} was rolled back on {1}.', name, branch) : vscode.l10n.t('{0} migrations were rolled back on {1}.', ran.length, branch);
  }
  return ran.length === 1 ? vscode.l10n.t('{0} ran on {1}.', name, branch) : vscode.l10n.t('{0} migrations ran on {1}.', ran.length, branch);
}

async function tellApplied(tools: Tools, ready: ReadyFolder, applied: MigrationsApplied, isDown: boolean): Promise<void> {
  const { ran, branch } = applied;
  if (ran.length === 0 && applied.changes.length === 0) {
    vscode.window.setStatusBarMessage(`$(check) ${vscode.l10n.t('Nothing was to be run on {0}.', branch)}`, 5_000);
    return;
  }
  const text = ranText(applied, isDown);
  const diff = vscode.l10n.t('Show Diff');
  const back = vscode.l10n.t('Undo');
  const choice = await vscode.window.showInformationMessage(text, diff, ...(canUndo(ready, applied) ? [back] : []));
  if (choice === diff) {
    await showApplied(tools, applied);
  } else if (choice === back) {
    await undo(tools, ready, backTo(applied));
  }
}

async function tellFailed(tools: Tools, ready: ReadyFolder, applied: MigrationsApplied, isDown = false): Promise<void> {
  const step = applied.steps.find(({ outcome }) => outcome === 'failed');
  const message = step?.failure?.message ?? step?.message ?? '';
  const text = applied.throwaway
    ? vscode.l10n.t('The migrations failed on a throwaway of {0}, which is gone: {1}', applied.branch, sentences(message, step?.hint))
    : isDown
      ? vscode.l10n.t('Rolling back failed on {0}: {1}', applied.branch, sentences(message, step?.hint))
      : vscode.l10n.t('The migrations failed on {0}: {1}', applied.branch, sentences(message, step?.hint));
  const place = vscode.l10n.t('Show Statement');
  const log = vscode.l10n.t('Show Output');
  const back = vscode.l10n.t('Undo');
  const buttons = [...(step?.failure === undefined ? [] : [place]), log, ...(canUndo(ready, applied) ? [back] : [])];
  const choice = await vscode.window.showErrorMessage(text, ...buttons);
  if (choice === place && step?.failure !== undefined) {
    await showStatement(ready, step.failure);
  } else if (choice === log) {
    tools.output.show();
  } else if (choice === back) {
    await undo(tools, ready, backTo(applied));
  }
}

async function showStatement(ready: ReadyFolder, { path, line, column }: NonNullable<MigrationsStep['failure']>): Promise<void> {
  const at = new vscode.Position(Math.max(0, line - 1), Math.max(0, column - 1));
  await vscode.window.showTextDocument(fileUri(ready, path), { selection: new vscode.Range(at, at) });
}

/** Runs files on a throwaway of the branch. `opens`: the report comes at once, not when the person asks for it. */
export async function tryOut(tools: Tools, ready: ReadyFolder, more: Partial<MigrationsApplyParams>, opens: boolean): Promise<void> {
  const { around } = tools;
  const title = more.measure === true ? vscode.l10n.t('Measuring locks on a throwaway') : vscode.l10n.t('Running migrations on a throwaway');
  await saveMigrations(around, ready);
  const applied = await long(tools, title, async (token, cancel) =>
    around.server.requests.migrationsApply(withToken({ folder: ready.folder.uri, throwaway: true, ...more }, token), cancel),
  );
  // Offshoot itself runs the files here, and what it did is only in the logs of the steps.
  applied.steps.forEach(({ log }) => {
    tools.output.line(log);
  });
  if (!applied.passed) {
    detach(tellFailed(tools, ready, applied));
  } else if (opens) {
    await showApplied(tools, applied);
  } else {
    detach(tellTried(tools, applied));
  }
}

/** Whether what is pending passes on a throwaway of the branch. What fails is told. */
export async function triesWell(tools: Tools, ready: ReadyFolder): Promise<boolean> {
  await saveMigrations(tools.around, ready);
  const tried = await long(tools, vscode.l10n.t('Running migrations on a throwaway'), async (token, cancel) =>
    tools.around.server.requests.migrationsApply(withToken({ folder: ready.folder.uri, throwaway: true }, token), cancel),
  );
  if (!tried.passed) {
    detach(tellFailed(tools, ready, tried));
  }
  return tried.passed;
}

async function tellTried(tools: Tools, applied: MigrationsApplied): Promise<void> {
  const diff = vscode.l10n.t('Show Diff');
  const { ran, branch } = applied;
  const text =
    ran.length === 1
      ? vscode.l10n.t('{0} runs on a throwaway of {1}. Nothing was kept.', fileName(ran[0] ?? ''), branch)
      : vscode.l10n.t('{0} migrations run on a throwaway of {1}. Nothing was kept.', ran.length, branch);
  if ((await vscode.window.showInformationMessage(text, diff)) === diff) {
    await showApplied(tools, applied);
  }
}

async function showApplied({ reports }: Tools, applied: MigrationsApplied): Promise<void> {
  await reports.show(applied.throwaway ? vscode.l10n.t('Throwaway of {0}', applied.branch) : vscode.l10n.t('Applied to {0}', applied.branch), appliedText(applied));
}

/** What an undo goes back to; the worktree's branch and the newest snapshot where nothing is said. */
export type UndoTarget = Pick<MigrationsUndoParams, 'branch' | 'snapshot'>;

/** Takes the branch back to before its migrations ran last. */
export async function undo({ around }: Tools, ready: ReadyFolder, target: UndoTarget = {}): Promise<void> {
  const { requests } = around.server;
  await unlessRuled(async (against) => {
    const params = { folder: ready.folder.uri, ...target, ...against };
    const meant = await requests.migrationsUndo({ ...params, dryRun: true });
    if (!(await mayEnd(meant))) {
      return;
    }
    // What was asked about, and not what came after it.
    const asked = { ...params, snapshot: meant.snapshot.name };
    const { branch } = await around.server.withProgress(vscode.l10n.t('Undoing migrations'), async (token, cancel) => requests.migrationsUndo(withToken(asked, token), cancel));
    vscode.window.setStatusBarMessage(`$(check) ${vscode.l10n.t('{0} is what it was before its migrations ran.', branch)}`, 5_000);
  });
}
