import { delimiter, dirname } from 'node:path';
import * as vscode from 'vscode';
import type { Surroundings } from '../surroundings.js';

/** Lets new terminals find the `offshoot` that this window uses, after whatever the person has on the path already. */
export function registerTerminal({ context, server }: Surroundings): vscode.Disposable {
  const collection = context.environmentVariableCollection;
  collection.description = vscode.l10n.t('`offshoot` can be run in the terminal');
  // The extension may be of another version after a restart, and lie elsewhere.
  collection.persistent = false;
  const update = (): void => {
    if (server.state.kind === 'running') {
      collection.append('PATH', `${delimiter}${dirname(server.state.path)}`);
    }
  };
  update();
  return server.onDidChangeState(update);
}
