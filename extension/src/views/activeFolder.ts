import * as vscode from 'vscode';
import { type ReadyFolder, readyFolder, readyFolders } from '../model.js';
import type { Server } from '../server/server.js';

/** The folder that one is working in: that of the active editor, otherwise the one before, otherwise the first that is ready. */
export class ActiveFolder implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  private readonly server: Server;
  private readonly subscription: vscode.Disposable;
  private last: string | undefined;

  constructor(server: Server) {
    this.server = server;
    this.last = folderOf(vscode.window.activeTextEditor);
    this.subscription = vscode.window.onDidChangeActiveTextEditor((editor) => {
      const folder = folderOf(editor);
      if (folder !== undefined && folder !== this.last) {
        this.last = folder;
        this.changed.fire();
      }
    });
  }

  ready(): ReadyFolder | undefined {
    return activeReady(this.server, this.last);
  }

  dispose(): void {
    this.subscription.dispose();
    this.changed.dispose();
  }
}

/** The ready folder of the active editor, otherwise `otherwise`, otherwise the first. */
export function activeReady(server: Server, otherwise?: string): ReadyFolder | undefined {
  const { status } = server;
  const wanted = folderOf(vscode.window.activeTextEditor) ?? otherwise;
  return (wanted === undefined ? undefined : readyFolder(status, wanted)) ?? readyFolders(status)[0];
}

function folderOf(editor: vscode.TextEditor | undefined): string | undefined {
  return editor === undefined ? undefined : vscode.workspace.getWorkspaceFolder(editor.document.uri)?.uri.toString();
}
