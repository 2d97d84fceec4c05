import * as vscode from 'vscode';
import { MigrationResource } from '../migrations/resource.js';
import { openRows, type MigrationRow } from '../migrations/rows.js';
import type { ReadyFolder } from '../model.js';
import { changesOf } from './change.js';
import { Groups } from './groups.js';
import { lineage } from './labels.js';
import { rootParts } from './root.js';

/** The source control of one worktree: *Database: feature ← main*. It lives as long as the worktree is in the window. */
export class DatabaseControl implements vscode.Disposable {
  /** URI of the folder. */
  readonly folder: string;
  private readonly alone: boolean;
  private readonly control: vscode.SourceControl;
  private readonly groups: Groups;
  private readonly migrations: vscode.SourceControlResourceGroup;
  private changes = 0;
  private drawn: string | undefined;
  private lineage: string | undefined;

  /** `alone`: no other worktree of the window has one, so that its name need not tell the folder. */
  constructor(ready: ReadyFolder, alone: boolean) {
    this.folder = ready.folder.uri;
    this.alone = alone;
    this.control = vscode.scm.createSourceControl('offshoot', vscode.l10n.t('Database:'), alone ? undefined : rootUri(ready));
    this.control.inputBox.visible = false;
    this.groups = new Groups(this.control);
    this.migrations = this.control.createResourceGroup('migrations', vscode.l10n.t('Migrations'));
    this.migrations.hideWhenEmpty = true;
  }

  /** Whether this is the control that a folder has: its root cannot be changed. */
  fits(ready: ReadyFolder, alone: boolean): boolean {
    return this.folder === ready.folder.uri && this.alone === alone;
  }

  /** Draws the changes. While they are being read, the former ones stay. */
  show(ready: ReadyFolder): void {
    this.showLineage(ready);
    const { schema } = ready.project;
    const drawn = JSON.stringify(schema.kind === 'ready' ? { ...schema, revision: 0 } : schema);
    if (schema.kind === 'reading' || drawn === this.drawn) {
      return;
    }
    this.drawn = drawn;
    const [changes] = changesOf({ version: '', folders: [ready.folder] });
    this.groups.show(schema, changes?.changes ?? []);
    this.changes = changes?.changes.filter(({ group }) => group !== 'both').length ?? 0;
    this.count();
  }

  /** Draws those migrations that need a person. */
  showMigrations(rows: readonly MigrationRow[]): void {
    this.migrations.resourceStates = openRows(rows).filter(({ entry }) => entry.state !== 'unknown').map((row) => new MigrationResource(row));
    this.count();
  }

  dispose(): void {
    this.control.dispose();
  }

  private count(): void {
    this.control.count = this.changes + this.migrations.resourceStates.length;
  }

  private showLineage({ folder, project }: ReadyFolder): void {
    const title = lineage(project, vscode.l10n.t);
    if (title !== this.lineage) {
      this.lineage = title;
      const command = { command: 'offshoot.pickBranch', tooltip: vscode.l10n.t('Choose a database branch'), arguments: [{ folder: folder.uri }] };
      this.control.statusBarCommands = title === undefined ? [] : [{ ...command, title }];
    }
  }
}

/** The editor shows its last part in the place of the control's label. */
function rootUri({ folder }: ReadyFolder): vscode.Uri {
  return vscode.Uri.from(rootParts(folder.uri, vscode.l10n.t('Database: {0}', folder.name)));
}
