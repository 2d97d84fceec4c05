import * as vscode from 'vscode';
import type { Server } from './server.js';

/** How long a command waits for a server that is only starting before it says so. */
const PATIENCE_MS = 20_000;

/** Waits, while the server and the engines are starting, until they run or cannot; a command may be what activated the extension. */
export async function settled(server: Server): Promise<void> {
  if (!isPending(server)) {
    return;
  }
  const subscriptions: { dispose(): unknown }[] = [];
  let patience: NodeJS.Timeout | undefined;
  const wait = async (): Promise<void> =>
    new Promise<void>((resolve) => {
      const look = (): void => {
        if (!isPending(server)) {
          resolve();
        }
      };
      subscriptions.push(server.onDidChangeState(look), server.onDidChangeStatus(look));
      patience = setTimeout(resolve, PATIENCE_MS);
    });
  try {
    await vscode.window.withProgress({ location: vscode.ProgressLocation.Window, title: vscode.l10n.t('Waiting for the database engine') }, wait);
  } finally {
    clearTimeout(patience);
    subscriptions.forEach((each) => {
      each.dispose();
    });
  }
}

function isPending({ state, status }: Server): boolean {
  switch (state.kind) {
    case 'starting':
      return true;
    case 'stopped':
      return vscode.workspace.isTrusted && (vscode.workspace.workspaceFolders?.length ?? 0) > 0;
    case 'running':
      return status === undefined || status.folders.some((folder) => folder.state.kind === 'starting');
    case 'untrusted':
    case 'missing':
    case 'failed':
      return false;
  }
}
