import * as vscode from 'vscode';
import type { MigrationsConnection, MigrationsUndone } from '../protocol/types.js';

/** Connections that are listed; the rest is counted. */
const LISTED = 10;

/** Asks before connections are ended, if there are any: whose they are, and what is lost with them. */
export async function mayEnd({ branch, ended }: MigrationsUndone): Promise<boolean> {
  if (ended.length === 0) {
    return true;
  }
  const text = ended.length === 1 ? vscode.l10n.t('Undoing migrations ends 1 connection to {0}.', branch) : vscode.l10n.t('Undoing migrations ends {0} connections to {1}.', ended.length, branch);
  const yes = vscode.l10n.t('Undo');
  return (await vscode.window.showWarningMessage(text, { modal: true, detail: endingDetail(ended) }, yes)) === yes;
}

/** A line for each connection. */
export function endingDetail(ended: readonly MigrationsConnection[]): string {
  const lines = ended.slice(0, LISTED).map(({ pid, application, user, inTransaction }) => {
    const program = application === '' ? vscode.l10n.t('a program without a name') : application;
    return inTransaction ? vscode.l10n.t('{0}, pid {1}, as {2}, with a transaction that is not committed', program, pid, user) : vscode.l10n.t('{0}, pid {1}, as {2}', program, pid, user);
  });
  const more = ended.length - lines.length;
  return [...lines, ...(more > 0 ? [vscode.l10n.t('and {0} more', more)] : [])].join('\n');
}
