import { posix } from 'node:path';
import * as vscode from 'vscode';
import { detach } from '../detach.js';
import { readyFolders, type ReadyFolder } from '../model.js';
import type { EditorStatus, MigrationsStatus } from '../protocol/types.js';
import { worktreeFolders } from '../scm/labels.js';
import { describeError } from '../server/errors.js';
import type { Server } from '../server/server.js';
import { realPath } from './paths.js';
import { allRows, type FolderMigrations, type MigrationRow } from './rows.js';

interface Page {
  ready: ReadyFolder;
  revision: number | undefined;
  status: MigrationsStatus | undefined;
  error: string | undefined;
  reading: boolean;
}

/** What the server knows of migrations, for everything that draws them. Wakes no branch. */
export class MigrationsBook implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  private readonly server: Server;
  private readonly pages = new Map<string, Page>();
  private readonly subscription: vscode.Disposable;
  /** By path; absent until somebody asks. */
  private byPath: Map<string, MigrationRow[]> | undefined;
  /** By the paths of folders that were asked about. */
  private readonly realFolders = new Map<string, string>();

  constructor(server: Server) {
    this.server = server;
    this.subscription = server.onDidChangeStatus((status) => {
      this.follow(status);
    });
  }

  /** One for each worktree of the window. */
  get folders(): FolderMigrations[] {
    return [...this.pages.values()].map(({ ready, status, error }) => ({ ready, status, error }));
  }

  /** The migrations in a file. */
  rowsIn(uri: vscode.Uri): readonly MigrationRow[] {
    const index = this.index();
    if (uri.scheme !== 'file' || index.size === 0) {
      return [];
    }
    return index.get(uri.path) ?? index.get(`${this.realFolder(posix.dirname(uri.path))}/${posix.basename(uri.path)}`) ?? [];
  }

  /** Worktrees are known by their real paths, whatever links a person came by. */
  private realFolder(folder: string): string {
    const known = this.realFolders.get(folder);
    if (known !== undefined) {
      return known;
    }
    const real = realPath(folder);
    this.realFolders.set(folder, real);
    return real;
  }

  /** What is known of the worktree that a folder lies in. */
  of(ready: ReadyFolder): FolderMigrations | undefined {
    const page = this.pages.get(ready.project.worktree.path);
    return page === undefined ? undefined : { ready, status: page.status, error: page.error };
  }

  dispose(): void {
    this.subscription.dispose();
    this.changed.dispose();
  }

  private index(): ReadonlyMap<string, readonly MigrationRow[]> {
    if (this.byPath === undefined) {
      this.byPath = new Map();
      for (const row of this.folders.flatMap(allRows)) {
        if (row.file !== undefined) {
          const path = `${row.worktree}/${row.file.path}`;
          this.byPath.set(path, [...(this.byPath.get(path) ?? []), row]);
        }
      }
    }
    return this.byPath;
  }

  private tell(): void {
    this.byPath = undefined;
    this.realFolders.clear();
    this.changed.fire();
  }

  private follow(status: EditorStatus): void {
    const folders = worktreeFolders(readyFolders(status));
    let isOther = false;
    for (const ready of folders) {
      const { path } = ready.project.worktree;
      const page = this.pages.get(path) ?? { ready, revision: undefined, status: undefined, error: undefined, reading: false };
      isOther ||= !this.pages.has(path);
      page.ready = ready;
      this.pages.set(path, page);
      if (page.revision !== ready.project.migrations) {
        detach(this.read(page));
      }
    }
    // An engine that is being restarted comes back.
    const isComing = status.folders.some(({ state }) => state.kind === 'starting' || state.kind === 'failed');
    for (const path of isComing ? [] : this.pages.keys()) {
      if (!folders.some(({ project }) => project.worktree.path === path)) {
        this.pages.delete(path);
        isOther = true;
      }
    }
    if (isOther) {
      this.tell();
    }
  }

  private async read(page: Page): Promise<void> {
    if (page.reading) {
      return;
    }
    page.reading = true;
    try {
      while (page.revision !== page.ready.project.migrations) {
        const { uri } = page.ready.folder;
        page.revision = page.ready.project.migrations;
        try {
          page.status = await this.server.requests.migrationsStatus({ folder: uri, all: true, knownOnly: true, brief: true });
          page.error = undefined;
        } catch (error) {
          page.status = undefined;
          page.error = describeError(error);
        }
        this.tell();
      }
    } finally {
      page.reading = false;
    }
  }
}
