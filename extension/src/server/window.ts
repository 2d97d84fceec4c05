import * as vscode from 'vscode';
import { detach } from '../detach.js';
import type { Server } from './server.js';

/** Lets the server follow the window's trust, folders and settings. */
export function followWindow(server: Server): vscode.Disposable {
  return vscode.Disposable.from(
    vscode.workspace.onDidGrantWorkspaceTrust(() => {
      detach(server.start());
    }),
    vscode.workspace.onDidChangeWorkspaceFolders((event) => {
      server.notify('workspace/didChangeWorkspaceFolders', {
        event: { added: event.added.map(wireFolder), removed: event.removed.map(wireFolder) },
      });
      detach(server.start());
    }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration('offshoot.server')) {
        detach(server.restart());
      }
    }),
  );
}

/** A folder as the protocol has it. */
export function wireFolder(folder: vscode.WorkspaceFolder): { uri: string; name: string } {
  return { uri: folder.uri.toString(), name: folder.name };
}
