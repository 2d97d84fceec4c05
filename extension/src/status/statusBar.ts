import * as vscode from 'vscode';
import { projects } from '../model.js';
import { ActiveFolder } from '../views/activeFolder.js';
import { migrationNotes } from '../migrations/notes.js';
import type { Surroundings } from '../surroundings.js';
import { otherText, readyText, serverText, type StatusText, TOOLTIP_COMMANDS } from './text.js';

/** The item in the status bar: the database branch of the folder that one is working in. */
export function registerStatusBar({ server, migrations }: Surroundings): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('offshoot.branch', vscode.StatusBarAlignment.Left, 50);
  item.name = vscode.l10n.t('Database Branch');
  const active = new ActiveFolder(server);
  let shown = false;
  const text = (): StatusText | undefined => {
    const ready = active.ready();
    if (ready !== undefined) {
      const all = projects(server.status);
      return readyText(ready, all.length > 1 ? all.find(({ id }) => id === ready.project.id)?.name : undefined, migrationNotes(migrations.of(ready)));
    }
    const states = server.status?.folders.map(({ state }) => state) ?? [];
    const told = states.map(otherText).find((each) => each !== undefined);
    // A window that has nothing to do with databases shall not show that a server starts.
    return told ?? (server.state.kind === 'starting' && !shown ? undefined : serverText(server.state));
  };
  const update = (): void => {
    const now = text();
    if (now === undefined) {
      item.hide();
      return;
    }
    const tooltip = new vscode.MarkdownString(now.tooltip, true);
    tooltip.isTrusted = { enabledCommands: TOOLTIP_COMMANDS };
    item.text = now.text;
    item.tooltip = tooltip;
    item.accessibilityInformation = { label: now.spoken, role: 'button' };
    item.backgroundColor = now.alarm === 'none' ? undefined : new vscode.ThemeColor(`statusBarItem.${now.alarm}Background`);
    item.command = server.status === undefined ? 'offshoot.showLogs' : 'offshoot.pickBranch';
    item.show();
    shown = true;
  };
  update();
  return vscode.Disposable.from(item, active, active.onDidChange(update), server.onDidChangeStatus(update), server.onDidChangeState(update), migrations.onDidChange(update));
}
