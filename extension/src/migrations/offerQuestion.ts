import * as vscode from 'vscode';
import { askToSwitch } from '../commands/switchBranch.js';
import { detach } from '../detach.js';
import { currentBranch, readyFolder, readyFolders, type ReadyFolder } from '../model.js';
import type { Answer } from '../protocol/types.js';
import { sentences } from '../views/words.js';
import { isAnswered, keepAnswer } from './answers.js';
import { Made, openOffers, type OpenOffer } from './offers.js';
import { apply, triesWell, undo, type Tools } from './run.js';

/** Says quietly, and once, what git left to decide: a branch that was left, a merge, a rebase, a revert. */
export function registerOffers(tools: Tools): vscode.Disposable {
  const { server } = tools.around;
  const made = new Made();
  const look = (): void => {
    for (const open of made.take(openOffers(readyFolders(server.status)))) {
      detach(put(tools, open));
    }
  };
  look();
  return server.onDidChangeStatus(look);
}

async function put(tools: Tools, open: OpenOffer): Promise<void> {
  const { ready, offer } = open;
  if (offer.apply === true && isAnswered(tools.around.context.globalState, 'always', ready.project.id)) {
    await applyTried(tools, open);
    return;
  }
  const actions = actionsOf(tools, open);
  const choice = await vscode.window.showInformationMessage(sentences(offer.text, undefined), ...actions.keys());
  // Closed without an answer: the status bar still says it.
  await (choice === undefined ? undefined : actions.get(choice)?.());
}

function actionsOf(tools: Tools, open: OpenOffer): Map<string, () => Promise<unknown>> {
  const { ready, offer } = open;
  const { kind, branch } = offer;
  const target = { folder: ready.folder.uri, branch };
  const answer = (what: Answer) => async (): Promise<unknown> => tools.around.server.requests.answer({ folder: ready.folder.uri, answer: what });
  const run = (command: string) => async (): Promise<unknown> => vscode.commands.executeCommand(command, target);
  const waits = (offer.migrations ?? []).length > 0;
  const actions = new Map<string, () => Promise<unknown>>();
  if (kind === 'left') {
    if (offer.changes === true) {
      actions.set(vscode.l10n.t('Write Migration'), async () => writeMigration(open));
    }
    actions.set(vscode.l10n.t('Snapshot'), async () => takeSnapshot(tools, open));
  } else if (kind === 'merged') {
    if (waits) {
      actions.set(vscode.l10n.t('Apply Migrations'), async () => applyTried(tools, open));
    }
    if (offer.apply === true) {
      actions.set(vscode.l10n.t('Always in This Repository'), async () => {
        await keepAnswer(tools.around.context.globalState, 'always', ready.project.id);
        await applyTried(tools, open);
      });
    }
    if (offer.keeps !== true) {
      actions.set(vscode.l10n.t('Delete Database Branch'), run('offshoot.deleteBranch'));
    }
  } else if (kind === 'rebased') {
    actions.set(vscode.l10n.t('Start Anew'), async () => startAnew(tools, open));
    actions.set(vscode.l10n.t('Apply Migrations'), async () => applyTried(tools, open));
  } else {
    actions.set(vscode.l10n.t('Undo Migrations'), async () => undo(tools, ready));
    actions.set(vscode.l10n.t('Reset'), run('offshoot.resetBranch'));
  }
  return actions.set(vscode.l10n.t('Never Mind'), answer('dismiss'));
}

/** The folder as it is now, if its address still leads to the branch that the offer is about. */
async function stillThere(tools: Tools, { ready, offer }: OpenOffer): Promise<ReadyFolder | undefined> {
  const now = readyFolder(tools.around.server.status, ready.folder.uri);
  const branch = offer.into ?? offer.branch;
  if (now !== undefined && currentBranch(now) === branch) {
    return now;
  }
  await vscode.window.showInformationMessage(vscode.l10n.t('“{0}” is not checked out any more, so nothing was run.', branch));
  return undefined;
}

/** Applies what waits, after it has passed on a throwaway. */
async function applyTried(tools: Tools, open: OpenOffer): Promise<void> {
  const now = await stillThere(tools, open);
  if (now !== undefined && (await triesWell(tools, now))) {
    await apply(tools, now, {});
  }
}

/** The branch from its parent's present, with its migrations; what it had goes to the trash. */
async function startAnew(tools: Tools, open: OpenOffer): Promise<void> {
  const now = await stillThere(tools, open);
  if (now === undefined) {
    return;
  }
  const { branch } = open.offer;
  const yes = vscode.l10n.t('Start Anew');
  const detail = vscode.l10n.t('It begins with what its parent has now, and its migrations run. What it has goes to the trash, from where Undo brings it back.');
  if ((await vscode.window.showWarningMessage(vscode.l10n.t('Start “{0}” anew?', branch), { modal: true, detail }, yes)) === yes) {
    await tools.around.server.withProgress(vscode.l10n.t('Resetting database branch {0}', branch), async (workDoneToken, cancel) =>
      tools.around.server.requests.branchReset({ folder: now.folder.uri, name: branch, workDoneToken }, cancel),
    );
    await apply(tools, now, {});
  }
}

/** What the branch has now is kept; its history is where that is found again. */
async function takeSnapshot(tools: Tools, { ready, offer: { branch } }: OpenOffer): Promise<void> {
  await tools.around.server.requests.answer({ folder: ready.folder.uri, answer: 'snapshot' });
  const history = vscode.l10n.t('Show History');
  const choice = await vscode.window.showInformationMessage(vscode.l10n.t('A snapshot of {0} was taken. Its history leads back to it.', branch), history);
  if (choice === history) {
    await vscode.commands.executeCommand('offshoot.showHistory', { folder: ready.folder.uri, branch });
  }
}

/** A migration belongs beside the files of its own branch. */
async function writeMigration({ ready, offer }: OpenOffer): Promise<void> {
  await askToSwitch(ready, offer.branch);
  await vscode.commands.executeCommand('offshoot.newMigration', { folder: ready.folder.uri });
}
