import * as vscode from 'vscode';
import type { Surroundings } from '../surroundings.js';

/** Events this close together are one. */
const QUIET_MS = 150;
/** Files that a tool may take for migrations or its configuration, before it is known which ones it does take. */
const CANDIDATES = '**/*.{sql,toml,ini,conf,json,yaml,yml,prisma,plan,py,rb,js,ts,mjs,cjs,rs,go,cs,sum,properties,xml,env}';

/** Folders of dependencies and products, in which no tool looks. */
const PASSED_OVER = /\/(?:node_modules|target|dist|build|out|\.git|\.venv|venv|__pycache__)\//;

/** Shows the server the texts of open migration files, and tells it when files came, went or were saved. */
export function registerSync({ server, migrations }: Surroundings): vscode.Disposable {
  const shown = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const touched = ({ path }: vscode.Uri): void => {
    if (PASSED_OVER.test(path)) {
      return;
    }
    clearTimeout(timer);
    timer = setTimeout(() => {
      server.notify('workspace/didChangeWatchedFiles', { changes: [] });
    }, QUIET_MS);
  };
  const look = (document: vscode.TextDocument): void => {
    const uri = document.uri.toString();
    if (server.state.kind === 'running' && !shown.has(uri) && !document.isClosed && migrations.rowsIn(document.uri).length > 0) {
      shown.add(uri);
      server.notify('textDocument/didOpen', { textDocument: { uri, languageId: document.languageId, version: document.version, text: document.getText() } });
    }
  };
  const lookAtAll = (): void => {
    vscode.workspace.textDocuments.forEach(look);
  };
  const watcher = vscode.workspace.createFileSystemWatcher(CANDIDATES);
  lookAtAll();
  return vscode.Disposable.from(
    watcher,
    watcher.onDidCreate(touched),
    watcher.onDidChange(touched),
    watcher.onDidDelete(touched),
    migrations.onDidChange(lookAtAll),
    server.onDidChangeState(({ kind }) => {
      // Another server knows nothing of what the one before was shown.
      if (kind !== 'running') {
        shown.clear();
      } else {
        lookAtAll();
      }
    }),
    vscode.workspace.onDidOpenTextDocument(look),
    vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      const uri = document.uri.toString();
      if (shown.has(uri) && contentChanges.length > 0) {
        server.notify('textDocument/didChange', { textDocument: { uri, version: document.version }, contentChanges: [{ text: document.getText() }] });
      }
    }),
    vscode.workspace.onDidCloseTextDocument((document) => {
      const uri = document.uri.toString();
      if (shown.delete(uri)) {
        server.notify('textDocument/didClose', { textDocument: { uri } });
      }
    }),
    new vscode.Disposable(() => {
      clearTimeout(timer);
    }),
  );
}
