import * as vscode from 'vscode';

/** Says that the server broke down; `again`: it is started again without further words. */
export async function sayThatItCrashed(again: boolean): Promise<void> {
  const logs = vscode.l10n.t('Show Logs');
  const restart = vscode.l10n.t('Restart Server');
  const choice = again
    ? await vscode.window.showWarningMessage(vscode.l10n.t('Offshoot’s server ended unexpectedly and is started again. Databases are not affected.'), logs)
    : await vscode.window.showErrorMessage(
        vscode.l10n.t('Offshoot’s server keeps ending and is not started again. Databases are not affected.'),
        restart,
        logs,
      );
  if (choice === logs) {
    await vscode.commands.executeCommand('offshoot.showServerLog');
  } else if (choice === restart) {
    await vscode.commands.executeCommand('offshoot.restartServer');
  }
}
