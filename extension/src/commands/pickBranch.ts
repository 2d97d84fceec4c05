import * as vscode from 'vscode';
import { settled } from '../server/settled.js';
import type { Surroundings } from '../surroundings.js';
import { command } from './register.js';
import { branchItems, chooseFolder } from './target.js';
import { askToSwitch } from './switchBranch.js';
import { gitHeadName, isChangeable } from '../model.js';
import type { Branch } from '../protocol/types.js';

interface Choice extends vscode.QuickPickItem {
  readonly branch?: Branch;
  readonly command?: string;
  /** Argument of the command, if it is not the branch of the window. */
  readonly target?: unknown;
}

/** What a click on the status bar opens: the branches, and what can be done with the one of this window. */
export function registerPickBranch({ server }: Surroundings): vscode.Disposable {
  return command('offshoot.pickBranch', async (argument) => {
    const title = vscode.l10n.t('Database Branches');
    await settled(server);
    if (await offeredSetUp(server.status?.folders.map(({ state }) => state.kind) ?? [])) {
      return;
    }
    const ready = await chooseFolder(server, argument, title);
    if (ready === undefined) {
      return;
    }
    const here = ready.project.worktree.branch;
    const target = { folder: ready.folder.uri, ...(here === undefined ? {} : { branch: here.name }) };
    const choices: Choice[] = [
      ...(ready.project.worktree.ask === undefined
        ? []
        : [{ label: `$(question) ${vscode.l10n.t('Give {0} a database branch?', ready.project.worktree.ask.name)}`, command: 'offshoot.answerCheckout', target: target.folder }]),
      { label: `$(add) ${vscode.l10n.t('Create DB branch…')}`, command: 'offshoot.createBranch', target: { folder: target.folder } },
      ...branchItems(ready, ready.project.branches),
      ...(here === undefined ? [] : actions(here, ready.project.undo)),
    ];
    const picked = await vscode.window.showQuickPick(choices, {
      title,
      placeHolder: vscode.l10n.t('Choose a branch to check it out in git; the database follows'),
      matchOnDescription: true,
    });
    if (picked?.command !== undefined) {
      await vscode.commands.executeCommand(picked.command, picked.target ?? target);
    } else if (picked?.branch !== undefined && picked.branch.name !== gitHeadName(ready.project)) {
      await askToSwitch(ready, picked.branch.name);
    }
  });
}

function actions(here: Branch, undo: string | undefined): Choice[] {
  const all: Choice[] = [
    { label: vscode.l10n.t('actions for {0}', here.name), kind: vscode.QuickPickItemKind.Separator },
    { label: `$(terminal) ${vscode.l10n.t('Open SQL prompt')}`, command: 'offshoot.openSql' },
    { label: `$(copy) ${vscode.l10n.t('Copy connection URL')}`, command: 'offshoot.copyUrl' },
  ];
  if (here.parent !== undefined && isChangeable(here)) {
    all.push({ label: `$(discard) ${vscode.l10n.t('Reset to {0}…', here.parent)}`, command: 'offshoot.resetBranch' });
  }
  if (undo !== undefined) {
    all.push({ label: `$(history) ${vscode.l10n.t('Bring {0} back', undo)}`, command: 'offshoot.undo' });
  }
  return all;
}

/** Where there is no database at all, the only choice is to make one. */
async function offeredSetUp(kinds: readonly string[]): Promise<boolean> {
  if (kinds.includes('ready') || !kinds.includes('notInitialised')) {
    return false;
  }
  await vscode.commands.executeCommand('offshoot.setUp');
  return true;
}
