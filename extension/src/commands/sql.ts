import * as vscode from 'vscode';
import type { Surroundings } from '../surroundings.js';
import { ServerUnavailable } from '../server/errors.js';
import { whyUnavailable } from '../server/state.js';
import { command } from './register.js';
import { chooseBranch } from './target.js';

/** *Open SQL Prompt*: our own program in a terminal, on that branch, whatever is checked out later. */
export function registerSql({ server }: Surroundings): vscode.Disposable {
  return command('offshoot.openSql', async (argument) => {
    const target = await chooseBranch(server, argument, vscode.l10n.t('Open SQL Prompt'));
    if (target === undefined) {
      return;
    }
    if (server.state.kind !== 'running') {
      const { message, hint } = whyUnavailable(server.state);
      throw new ServerUnavailable(message, hint);
    }
    const terminal = vscode.window.createTerminal({
      name: `SQL: ${target.branch.name}`,
      iconPath: new vscode.ThemeIcon('database'),
      // No shell between: a branch's name needs no quoting, and the prompt's end is the terminal's end.
      shellPath: server.state.path,
      shellArgs: ['sql', '--branch', target.branch.name],
      cwd: vscode.Uri.parse(target.ready.folder.uri),
      isTransient: true,
    });
    terminal.show();
  });
}
