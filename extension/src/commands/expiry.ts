import * as vscode from 'vscode';
import type { Branch } from '../protocol/types.js';
import type { Surroundings } from '../surroundings.js';
import { expiryChoices, expiryTime } from './expiries.js';
import { command } from './register.js';
import { chooseBranch } from './target.js';

/** *Set Expiry…*: when a branch goes to the trash by itself. */
export function registerExpiry({ server }: Surroundings): vscode.Disposable {
  return command('offshoot.setExpiry', async (argument) => {
    const title = vscode.l10n.t('Set Expiry of Database Branch');
    const fits = (branch: Branch): boolean => !branch.root;
    const target = await chooseBranch(server, argument, title, fits);
    if (target === undefined) {
      return;
    }
    const { ready, branch } = target;
    const chosen = await vscode.window.showQuickPick(expiryChoices(branch, Date.now() / 1000), {
      title,
      placeHolder: vscode.l10n.t('When shall {0} go to the trash by itself? From there it can be brought back for seven days', branch.name),
    });
    if (chosen !== undefined) {
      const at = expiryTime(chosen, Date.now() / 1000);
      await server.requests.branchExpire({ folder: ready.folder.uri, name: branch.name, ...(at === undefined ? {} : { at }) });
    }
  });
}
