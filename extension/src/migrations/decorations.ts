import * as vscode from 'vscode';
import { sentences } from '../views/words.js';
import type { MigrationsBook } from './book.js';
import { compareStates, type MigrationRow } from './rows.js';
import { look, stateWords } from './words.js';

/** What migration files have done to the branch, beside their names in the explorer and on their tabs. */
export class MigrationDecorations implements vscode.FileDecorationProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeFileDecorations = this.changed.event;
  private readonly book: MigrationsBook;
  private readonly registration: vscode.Disposable;

  constructor(book: MigrationsBook) {
    this.book = book;
    this.registration = vscode.Disposable.from(
      book.onDidChange(() => {
        this.changed.fire(undefined);
      }),
      vscode.window.registerFileDecorationProvider(this),
      this.changed,
    );
  }

  provideFileDecoration(uri: vscode.Uri): vscode.FileDecoration | undefined {
    const rows = this.book.rowsIn(uri).filter(({ branch }) => branch.unread === undefined);
    // Of several migrations in a file the one that needs a person most.
    const [row] = [...rows].sort((a, b) => compareStates(a.entry.state, b.entry.state));
    return row === undefined ? undefined : decoration(row);
  }

  dispose(): void {
    this.registration.dispose();
  }
}

function decoration({ project, branch, entry }: MigrationRow): vscode.FileDecoration {
  const { badge, color } = look(entry.state);
  const text = sentences(vscode.l10n.t('{0} migration, {1} on {2}', project.name, stateWords(entry.state), branch.branch), undefined);
  // Git's colours stay where nothing is to be done.
  return new vscode.FileDecoration(badge, text, color === undefined || entry.state === 'applied' ? undefined : new vscode.ThemeColor(color));
}
