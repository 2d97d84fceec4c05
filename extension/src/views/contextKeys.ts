import * as vscode from 'vscode';
import { detach } from '../detach.js';
import { readyFolders } from '../model.js';
import type { Surroundings } from '../surroundings.js';
import { welcomeState } from './welcome.js';

/** Keeps `offshoot.state`, `offshoot.canUndo` and `offshoot.hasChanges` as they are in truth; menus and welcome texts go by them. */
export function registerContextKeys({ server }: Surroundings): vscode.Disposable {
  const last = new Map<string, unknown>();
  const set = (key: string, value: unknown): void => {
    if (last.get(key) !== value) {
      last.set(key, value);
      detach(vscode.commands.executeCommand('setContext', key, value));
    }
  };
  const update = (): void => {
    const folders = vscode.workspace.workspaceFolders?.length ?? 0;
    const ready = readyFolders(server.status);
    set('offshoot.state', welcomeState(folders, vscode.workspace.isTrusted, server.state, server.status));
    set('offshoot.canUndo', ready.some(({ project }) => project.undo !== undefined));
    set('offshoot.canSetUp', server.status?.folders.some(({ state }) => state.kind === 'notInitialised') ?? false);
    set('offshoot.hasChanges', ready.some(({ project }) => project.schema.kind === 'ready' && project.schema.changes.length > 0));
  };
  update();
  return vscode.Disposable.from(
    server.onDidChangeState(update),
    server.onDidChangeStatus(update),
    vscode.workspace.onDidChangeWorkspaceFolders(update),
    vscode.workspace.onDidGrantWorkspaceTrust(update),
  );
}
