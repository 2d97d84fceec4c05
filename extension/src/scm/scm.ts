import * as vscode from 'vscode';
import { detach } from '../detach.js';
import type { MigrationsBook } from '../migrations/book.js';
import { allRows } from '../migrations/rows.js';
import { readyFolders } from '../model.js';
import type { EditorStatus } from '../protocol/types.js';
import type { Surroundings } from '../surroundings.js';
import { gitIsThere } from './afterGit.js';
import { DatabaseControl } from './control.js';
import { ChangeDecorations } from './decorations.js';
import { worktreeFolders } from './labels.js';

/** Shows in the source control view what each folder's branch does to the schema. */
export function registerScm(around: Surroundings): vscode.Disposable {
  const { server, migrations } = around;
  const controls = new Controls(migrations);
  const decorations = new ChangeDecorations(around);
  const listening: vscode.Disposable[] = [];
  const closed = new vscode.CancellationTokenSource();
  const start = async (): Promise<void> => {
    await gitIsThere(closed.token);
    if (!closed.token.isCancellationRequested) {
      controls.show(server.status);
      listening.push(server.onDidChangeStatus((status) => {
        controls.show(status);
      }), migrations.onDidChange(() => {
        controls.show(server.status);
      }));
    }
  };
  detach(start());
  return new vscode.Disposable(() => {
    closed.cancel();
    decorations.dispose();
    listening.forEach((each) => {
      each.dispose();
    });
    controls.dispose();
  });
}

class Controls implements vscode.Disposable {
  private readonly byFolder = new Map<string, DatabaseControl>();
  private readonly migrations: MigrationsBook;

  constructor(migrations: MigrationsBook) {
    this.migrations = migrations;
  }

  show(status: EditorStatus | undefined): void {
    const ready = worktreeFolders(readyFolders(status));
    const kept = new Set(ready.map(({ folder }) => folder.uri));
    for (const folder of ready) {
      const uri = folder.folder.uri;
      const former = this.byFolder.get(uri);
      if (former?.fits(folder, ready.length === 1) === true) {
        former.show(folder);
        continue;
      }
      // The new one comes before the old one goes, so that the view never shrinks and grows.
      const control = new DatabaseControl(folder, ready.length === 1);
      control.show(folder);
      this.byFolder.set(uri, control);
      former?.dispose();
    }
    for (const folder of ready) {
      const known = this.migrations.of(folder);
      this.byFolder.get(folder.folder.uri)?.showMigrations(known === undefined ? [] : allRows(known));
    }
    for (const [uri, control] of this.byFolder) {
      // An engine that is being restarted is no reason to take the view away.
      if (!kept.has(uri) && !isComingBack(status, uri)) {
        control.dispose();
        this.byFolder.delete(uri);
      }
    }
  }

  dispose(): void {
    this.byFolder.forEach((control) => {
      control.dispose();
    });
    this.byFolder.clear();
  }
}

function isComingBack(status: EditorStatus | undefined, uri: string): boolean {
  const kind = status?.folders.find((folder) => folder.uri === uri)?.state.kind;
  return kind === 'starting' || kind === 'failed';
}
