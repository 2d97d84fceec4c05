import * as vscode from 'vscode';
import type { Against } from '../commands/override.js';
import { command } from '../commands/register.js';
import { chooseBranch, chooseFolder, targetArgument } from '../commands/target.js';
import { detach } from '../detach.js';
import { currentBranch, type ReadyFolder } from '../model.js';
import type { Promoted, PromoteParams } from '../protocol/types.js';
import type { Surroundings } from '../surroundings.js';
import { sentences } from '../views/words.js';
import { asPlainText, promotedText, refusal } from './promoted.js';
import { backTo, canUndo, long, undo, withToken, type Tools } from './run.js';

/** A git branch whose migrations are meant; without a name the one that is checked out. */
interface Source {
  readonly ready: ReadyFolder;
  readonly branch?: string;
}

/** *Promote to Parent…*: what a git branch has committed and the next tier's database lacks, brought there once that tier's checks hold. */
export function registerPromote(tools: Tools): vscode.Disposable {
  return command('offshoot.promote', async (argument) => {
    const source = await chooseSource(tools.around, argument);
    if (source !== undefined) {
      await promote(tools, source);
    }
  });
}

async function chooseSource({ server }: Surroundings, argument: unknown): Promise<Source | undefined> {
  const title = vscode.l10n.t('Promote to Parent');
  const ready = await chooseFolder(server, argument, title);
  if (ready === undefined) {
    return undefined;
  }
  const possible = ready.project.branches.filter(({ promotesTo }) => promotesTo !== undefined);
  if (targetArgument(argument).branch === undefined && possible.length === 0) {
    // The engine says why there is nothing to promote to, and what to write where.
    const here = currentBranch(ready);
    return { ready, ...(here === undefined ? {} : { branch: here }) };
  }
  const target = await chooseBranch(server, { ...targetArgument(argument), folder: ready.folder.uri }, title, ({ promotesTo }) => promotesTo !== undefined);
  return target === undefined ? undefined : { ready: target.ready, branch: target.branch.name };
}

/** Tries it, shows what came of that, asks, and does it. */
async function promote(tools: Tools, { ready, branch }: Source): Promise<void> {
  const { requests } = tools.around.server;
  const run = async (title: string, more: Partial<PromoteParams>): Promise<Promoted> => {
    const params = { folder: ready.folder.uri, ...(branch === undefined ? {} : { branch }), ...more };
    return long(tools, title, async (token, cancel) => requests.promote(withToken(params, token), cancel));
  };
  const tried = await run(vscode.l10n.t('Trying a promotion on a throwaway'), { dryRun: true });
  if (tried.lacked.length === 0) {
    await tellNothing(tried);
    return;
  }
  const report = vscode.l10n.t('Promotion of {0} to {1}', tried.branch, tried.to);
  await tools.reports.show(report, promotedText(tried));
  const against = await ask(tried);
  if (against === undefined) {
    return;
  }
  const done = await run(vscode.l10n.t('Promoting migrations to {0}', tried.to), { to: tried.to, commit: tried.commit, ...against });
  await tools.reports.show(report, promotedText(done));
  detach(tell(tools, ready, done));
}

async function tellNothing({ branch, to, notes }: Promoted): Promise<void> {
  const text = vscode.l10n.t('{0} has all migrations that are committed on {1}; nothing was run.', to, branch);
  await vscode.window.showInformationMessage([text, ...(notes ?? []).map((note) => sentences(note, undefined))].join(' '));
}

/** Asks whether it is meant, and whether it is against what does not hold; `undefined` if not, or if it cannot be. */
async function ask(tried: Promoted): Promise<Against | undefined> {
  const { branch, to, lacked, passed, mayOverride } = tried;
  const detail = asPlainText(tried);
  if (passed) {
    const yes = vscode.l10n.t('Promote');
    const text = lacked.length === 1 ? vscode.l10n.t('Promote 1 migration of {0} to {1}?', branch, to) : vscode.l10n.t('Promote {0} migrations of {1} to {2}?', lacked.length, branch, to);
    return (await vscode.window.showInformationMessage(text, { modal: true, detail }, yes)) === yes ? {} : undefined;
  }
  if (!mayOverride) {
    detach(vscode.window.showErrorMessage(refusal(tried)));
    return undefined;
  }
  const yes = vscode.l10n.t('Promote All the Same');
  const text = vscode.l10n.t('What {0} asks for does not hold for the migrations of {1}.', to, branch);
  return (await vscode.window.showWarningMessage(text, { modal: true, detail }, yes)) === yes ? { overrideRules: true } : undefined;
}

async function tell(tools: Tools, ready: ReadyFolder, done: Promoted): Promise<void> {
  const { branch, to, applied, takenBack } = done;
  if (done.lacked.length === 0) {
    await tellNothing(done);
    return;
  }
  if (applied === undefined) {
    await vscode.window.showErrorMessage(refusal(done));
    return;
  }
  if (done.passed) {
    const count = applied.ran.length;
    const text = count === 1 ? vscode.l10n.t('{0} has 1 migration of {1} now.', to, branch) : vscode.l10n.t('{0} has {1} migrations of {2} now.', to, count, branch);
    const back = vscode.l10n.t('Undo');
    const choice = await vscode.window.showInformationMessage(text, ...(canUndo(ready, applied) ? [back] : []));
    if (choice === back) {
      await undo(tools, ready, { branch: to, ...backTo(applied) });
    }
    return;
  }
  const step = applied.steps.find(({ outcome }) => outcome === 'failed');
  const why = sentences(step?.failure?.message ?? step?.message ?? '', step?.hint);
  const text = takenBack ? vscode.l10n.t('It failed on {0}, which is again what it was before: {1}', to, why) : vscode.l10n.t('It failed on {0}, on which nothing was changed: {1}', to, why);
  const log = vscode.l10n.t('Show Output');
  if ((await vscode.window.showErrorMessage(text, log)) === log) {
    tools.output.show();
  }
}
