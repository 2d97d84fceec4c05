import * as vscode from 'vscode';
import type { LogEntry } from '../protocol/types.js';

/** Letters of a commit that people are shown. */
const COMMIT_LETTERS = 10;
const MS_A_SECOND = 1000;

/** What happened, in a few words. */
export function entryWords(entry: LogEntry): string {
  const { branch, kind } = entry;
  const from = entry.from ?? '';
  const detail = entry.detail ?? '';
  switch (kind) {
    case 'created':
      return from === '' ? vscode.l10n.t('{0} made', branch) : vscode.l10n.t('{0} made from {1}', branch, from);
    case 'reset':
      return vscode.l10n.t('{0} reset to what {1} held', branch, from);
    case 'restored':
      return vscode.l10n.t('{0} restored to {1}', branch, detail);
    case 'renamed':
      return vscode.l10n.t('{0} renamed; it was {1}', branch, from);
    case 'deleted':
      return vscode.l10n.t('{0} deleted', branch);
    case 'refreshed':
      return vscode.l10n.t('{0} got new data', branch);
    case 'undone':
      return vscode.l10n.t('{0} brought back', branch);
    case 'snapshotTaken':
      return vscode.l10n.t('{0} snapshot {1}', branch, `@${detail}`);
    case 'snapshotRemoved':
      return vscode.l10n.t('{0} snapshot {1} removed', branch, `@${detail}`);
    case 'migrated':
    case 'other':
      return entry.commit === undefined ? `${branch} ${detail}` : vscode.l10n.t('{0} {1} at commit {2}', branch, detail, entry.commit.slice(0, COMMIT_LETTERS));
  }
}

/** An icon for what happened. */
export function entryIcon(entry: LogEntry): string {
  switch (entry.kind) {
    case 'created':
      return 'git-branch';
    case 'reset':
    case 'restored':
    case 'refreshed':
    case 'undone':
      return 'discard';
    case 'renamed':
      return 'edit';
    case 'deleted':
    case 'snapshotRemoved':
      return 'trash';
    case 'snapshotTaken':
      return 'device-camera';
    case 'migrated':
      return entry.failed === true ? 'error' : 'database';
    case 'other':
      return 'circle-outline';
  }
}

/** The moment of an entry as the program takes it, to the microsecond. */
export function momentText(atUs: number): string {
  const iso = new Date(Math.floor(atUs / MS_A_SECOND)).toISOString();
  return iso.replace('Z', `${(atUs % MS_A_SECOND).toString().padStart(3, '0')}Z`);
}
