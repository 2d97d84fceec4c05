import { l10n } from 'vscode';
import type { MigrationNotes } from '../status/text.js';
import { allRows, pendingCount, rowName, type FolderMigrations } from './rows.js';

/** What the status bar tells of migrations: those that failed, and how many are pending. */
export function migrationNotes(folder: FolderMigrations | undefined): MigrationNotes {
  if (folder === undefined) {
    return { lines: [], warns: false };
  }
  const failed = allRows(folder).filter(({ entry }) => entry.state === 'failed');
  const pending = pendingCount(folder);
  const lines = failed.map((row) => l10n.t('Migration {0} failed.', rowName(row)));
  if (pending > 0) {
    lines.push(pending === 1 ? l10n.t('1 migration is pending.') : l10n.t('{0} migrations are pending.', pending));
  }
  return { lines, warns: failed.length > 0 };
}
