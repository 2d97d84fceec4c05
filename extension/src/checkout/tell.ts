import * as vscode from 'vscode';
import { sentences } from '../views/words.js';
import { lineNamed, type Notice } from './notices.js';

/** Shows a notice with the one thing that can be done about it. */
export async function tell(notice: Notice): Promise<void> {
  const action = actionOf(notice);
  const choice = await vscode.window.showWarningMessage(textOf(notice), action.title);
  if (choice === action.title) {
    await action.run();
  }
}

function actionOf(notice: Notice): { title: string; run: () => PromiseLike<unknown> } {
  switch (notice.kind) {
    case 'config':
      return { title: vscode.l10n.t('Open offshoot.toml'), run: async () => openConfig(notice) };
    case 'portTaken':
      return {
        title: vscode.l10n.t('Use Another Port'),
        run: () => vscode.commands.executeCommand('offshoot.newPort', { folder: notice.folder }),
      };
    case 'binding':
      return { title: vscode.l10n.t('Show Log'), run: () => vscode.commands.executeCommand('offshoot.showEngineLog', { folder: notice.folder }) };
  }
}

function textOf({ kind, text, hint }: Notice): string {
  switch (kind) {
    case 'config':
      // It begins with the name of the file, which keeps its small letter.
      return hint === undefined ? `${text}.` : `${text}. ${hint}`;
    case 'portTaken':
      // The hint names a command of the terminal; here a button does the same.
      return sentences(text, undefined);
    case 'binding':
      return sentences(text, hint);
  }
}

async function openConfig({ worktree, text, folder }: Notice): Promise<void> {
  const uri = vscode.Uri.parse(folder).with({ path: `${worktree}/offshoot.toml` });
  const line = lineNamed(text);
  await vscode.window.showTextDocument(uri, { selection: new vscode.Range(line, 0, line, 0) });
}
