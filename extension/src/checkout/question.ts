import * as vscode from 'vscode';
import { branchNamed, readyFolder, readyFolders } from '../model.js';
import type { Answer } from '../protocol/types.js';
import type { Surroundings } from '../surroundings.js';
import { isStillOpen, type OpenQuestion } from './asks.js';

/** Puts a question quietly and carries the answer to the engine. */
export async function ask(around: Surroundings, question: OpenQuestion): Promise<void> {
  const { name, parent } = question;
  const answers = new Map<string, Answer>([
    [vscode.l10n.t('Create'), 'create'],
    [vscode.l10n.t('Use {0}’s', parent), 'useParent'],
    [vscode.l10n.t('Never for This Repository'), 'never'],
  ]);
  const text = vscode.l10n.t('Git branch “{0}” has no database branch yet. Create one from “{1}”?', name, parent);
  const choice = await vscode.window.showInformationMessage(text, ...answers.keys());
  const chosen = choice === undefined ? undefined : answers.get(choice);
  // Closed without an answer: the status bar and the tree still offer it.
  if (chosen !== undefined) {
    await answer(around, question, chosen);
  }
}

/** The same question as a list, for the keyboard and for whoever closed the notification. */
export async function askInList(around: Surroundings, question: OpenQuestion): Promise<void> {
  const { name, parent } = question;
  const items: (vscode.QuickPickItem & { readonly answer: Answer })[] = [
    { label: vscode.l10n.t('$(add) Create database branch “{0}”', name), detail: vscode.l10n.t('From what “{0}” holds now', parent), answer: 'create' },
    { label: vscode.l10n.t('$(git-branch) Use “{0}”', parent), detail: vscode.l10n.t('And do not ask again for git branch “{0}”', name), answer: 'useParent' },
    { label: vscode.l10n.t('$(circle-slash) Never for this repository'), detail: vscode.l10n.t('Create database branches by hand only'), answer: 'never' },
  ];
  const placeHolder = vscode.l10n.t('Git branch “{0}” has no database branch yet', name);
  const choice = await vscode.window.showQuickPick(items, { placeHolder });
  if (choice !== undefined) {
    await answer(around, question, choice.answer);
  }
}

/** An editor cannot take a notification back, so an answer may come after one that was given elsewhere. */
async function answer(around: Surroundings, question: OpenQuestion, what: Answer): Promise<void> {
  const { server } = around;
  const ready = readyFolder(server.status, question.folder);
  if (ready !== undefined && !isStillOpen(question, readyFolders(server.status))) {
    const made = branchNamed(ready.project, question.name) !== undefined;
    const text = made
      ? vscode.l10n.t('Git branch “{0}” has a database branch already.', question.name)
      : vscode.l10n.t('The question about git branch “{0}” is settled already.', question.name);
    vscode.window.setStatusBarMessage(text, 5_000);
    return;
  }
  await server.requests.answer({ folder: question.folder, answer: what });
}
