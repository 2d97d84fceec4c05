import * as vscode from 'vscode';
import { command } from '../commands/register.js';
import type { Surroundings } from '../surroundings.js';
import { Passwords } from './passwords.js';

/** *Forget Kept Passwords*: those of servers that databases were copied from. */
export function registerForget({ context }: Surroundings): vscode.Disposable {
  return command('offshoot.forgetPasswords', async () => {
    const passwords = new Passwords(context.secrets, context.globalState);
    const items = passwords.list().map(({ key, address }) => ({ label: `$(key) ${address}`, key, picked: true }));
    if (items.length === 0) {
      await vscode.window.showInformationMessage(vscode.l10n.t('No password is kept.'));
      return;
    }
    const chosen = await vscode.window.showQuickPick(items, {
      title: vscode.l10n.t('Forget Kept Passwords'),
      placeHolder: vscode.l10n.t('Databases that were copied from here; choose which passwords to forget'),
      canPickMany: true,
    });
    for (const { key } of chosen ?? []) {
      await passwords.forget(key);
    }
    if (chosen !== undefined && chosen.length > 0) {
      const text = chosen.length === 1 ? vscode.l10n.t('1 password was forgotten.') : vscode.l10n.t('{0} passwords were forgotten.', chosen.length);
      await vscode.window.showInformationMessage(text);
    }
  });
}
