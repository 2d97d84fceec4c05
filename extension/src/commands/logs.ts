import * as vscode from 'vscode';
import type { Surroundings } from '../surroundings.js';
import { command } from './register.js';
import { chooseBranch, chooseFolder, targetArgument } from './target.js';

/** The logs: of this extension, of the server, of the engine, of a branch's Postgres. */
export function registerLogs({ server, log }: Surroundings): vscode.Disposable {
  return vscode.Disposable.from(
    vscode.commands.registerCommand('offshoot.showLogs', () => {
      log.show();
    }),
    vscode.commands.registerCommand('offshoot.showServerLog', () => {
      server.serverLog.show();
    }),
    command('offshoot.showEngineLog', async (argument) => {
      const failed = server.status?.folders.find(({ state }) => state.kind === 'failed')?.uri;
      const folder = targetArgument(argument).folder ?? failed ?? (await chooseFolder(server, argument, vscode.l10n.t('Show Engine Log')))?.folder.uri;
      if (folder !== undefined) {
        const { engine } = await server.requests.logFiles({ folder });
        await showFile(engine, vscode.l10n.t('The engine has written no log yet.'));
      }
    }),
    command('offshoot.showPostgresLog', async (argument) => {
      const target = await chooseBranch(server, argument, vscode.l10n.t('Show Postgres Log'));
      if (target !== undefined) {
        const { postgres } = await server.requests.logFiles({ folder: target.ready.folder.uri, branch: target.branch.name });
        await showFile(postgres, vscode.l10n.t('The Postgres of {0} has written no log yet; it starts with the first connection.', target.branch.name));
      }
    }),
  );
}

async function showFile(path: string | undefined, absent: string): Promise<void> {
  if (path === undefined) {
    await vscode.window.showInformationMessage(absent);
    return;
  }
  const document = await vscode.workspace.openTextDocument(vscode.Uri.file(path));
  const editor = await vscode.window.showTextDocument(document, { preview: true });
  const end = document.lineAt(document.lineCount - 1).range.end;
  editor.revealRange(new vscode.Range(end, end));
}
