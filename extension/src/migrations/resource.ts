import * as vscode from 'vscode';
import { fileUri } from './paths.js';
import { rowName, type MigrationRow } from './rows.js';
import { entryWords, look, stateWords } from './words.js';

/** A migration that needs a person, in the source control view. */
export class MigrationResource implements vscode.SourceControlResourceState {
  /** What commands are told. */
  readonly worktree: string;
  readonly project: string;
  readonly path: string | undefined;
  readonly resourceUri: vscode.Uri;
  readonly command: vscode.Command;
  readonly decorations: vscode.SourceControlResourceDecorations;
  readonly contextValue: string;

  constructor(row: MigrationRow) {
    const { worktree, project, file, entry, branch } = row;
    this.worktree = worktree;
    this.project = project.id;
    this.path = file?.path;
    // A row without a file is named after itself, and never opened.
    this.resourceUri = file === undefined ? vscode.Uri.from({ scheme: 'offshoot-row', path: `/${rowName(row)}` }) : fileUri(row.ready, file.path);
    this.contextValue = `${entry.state};${entry.next}`;
    this.command =
      entry.state === 'changed'
        ? { command: 'offshoot.compareMigration', title: vscode.l10n.t('Open Migration'), arguments: [this] }
        : file === undefined
          ? { command: 'offshoot.migrations.focus', title: vscode.l10n.t('Show Migrations') }
          : { command: 'vscode.open', title: vscode.l10n.t('Open Migration'), arguments: [this.resourceUri] };
    const { icon, color } = look(entry.state);
    this.decorations = {
      strikeThrough: entry.state === 'missing',
      // The editor says the name before it.
      tooltip: vscode.l10n.t('{0} on {1}', entryWords(entry, Date.now() / 1000) || stateWords(entry.state), branch.branch),
      iconPath: color === undefined ? new vscode.ThemeIcon(icon) : new vscode.ThemeIcon(icon, new vscode.ThemeColor(color)),
    };
  }
}
