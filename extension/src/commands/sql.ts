import * as vscode from 'vscode';
import type { Surroundings } from '../surroundings.js';
import { ServerUnavailable } from '../server/errors.js';
import { whyUnavailable } from '../server/state.js';
import { command } from './register.js';
import { chooseBranch, chooseFolder, targetArgument } from './target.js';
import type { Server } from '../server/server.js';

/** Without a branch that is named, this window's is meant. */
async function here(server: Server, argument: unknown, title: string): Promise<unknown> {
  if (targetArgument(argument).branch !== undefined) {
    return argument;
  }
  const ready = await chooseFolder(server, argument, title);
  const branch = ready?.project.worktree.branch?.name;
  return ready === undefined || branch === undefined ? argument : { folder: ready.folder.uri, branch };
}

/** *Open SQL Prompt*: our own program in a terminal, on that branch, whatever is checked out later. */
export function registerSql({ server }: Surroundings): vscode.Disposable {
  return command('offshoot.openSql', async (argument) => {
    const title = vscode.l10n.t('Open SQL Prompt');
    const target = await chooseBranch(server, await here(server, argument, title), title);
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
