import * as vscode from 'vscode';
import type { Surroundings } from '../surroundings.js';
import { whyUnavailable } from '../server/state.js';
import { lostStore } from '../views/welcome.js';
import { sentences } from '../views/words.js';
import { command } from './register.js';
import { chooseFolder, targetArgument } from './target.js';

/** What concerns the server and the engine themselves. */
export function registerServerCommands({ server }: Surroundings): vscode.Disposable {
  return vscode.Disposable.from(
    command('offshoot.refresh', async () =>
      vscode.window.withProgress({ location: { viewId: 'offshoot.branches' } }, async () => server.requests.refresh({})),
    ),
    command('offshoot.restartServer', async () => server.restart()),
    command('offshoot.restartEngine', async (argument) => {
      if (server.state.kind !== 'running') {
        await server.restart();
        return;
      }
      const title = vscode.l10n.t('Restart Database Engine');
      // A folder whose engine failed is not ready, and the one that needs this most.
      const failed = server.status?.folders.find(({ state }) => state.kind === 'failed')?.uri;
      const folder = targetArgument(argument).folder ?? failed ?? (await chooseFolder(server, argument, title))?.folder.uri;
      if (folder !== undefined) {
        await server.withProgress(
          vscode.l10n.t('Restarting the database engine'),
          async (_token, cancel) => server.requests.engineRestart({ folder }, cancel),
          vscode.ProgressLocation.Window,
        );
      }
    }),
    command('offshoot.serverVersion', async () => {
      const { state } = server;
      const text =
        state.kind === 'running'
          ? vscode.l10n.t('Offshoot {0}, {1}', state.version, state.path)
          : sentences(whyUnavailable(state).message, whyUnavailable(state).hint);
      await vscode.window.showInformationMessage(text);
    }),
    command('offshoot.showProblem', async () => {
      const failed = server.status?.folders.find(({ state }) => state.kind === 'failed')?.state;
      if (failed?.kind === 'failed') {
        await vscode.window.showErrorMessage(sentences(failed.error.message, undefined), { modal: true, detail: failed.error.hint ?? '' });
        return;
      }
      const lost = lostStore(server.status);
      if (lost !== undefined) {
        const detail = vscode.l10n.t('If it was moved, put it back: it is found by itself. If a set-up was broken off, or the database is no longer needed, set up a new one.');
        await vscode.window.showErrorMessage(vscode.l10n.t('The folder of the database is not there: {0}', lost), { modal: true, detail });
      } else if (server.state.kind !== 'running') {
        const { message, hint } = whyUnavailable(server.state);
        await vscode.window.showErrorMessage(sentences(message, undefined), { modal: true, detail: hint });
      }
    }),
    command('offshoot.openSettings', async () => vscode.commands.executeCommand('workbench.action.openSettings', '@ext:offshoot.offshoot')),
  );
}
