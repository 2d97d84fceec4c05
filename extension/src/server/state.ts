import * as vscode from 'vscode';

/** What the server is doing. */
export type ServerState =
  | { kind: 'stopped' }
  /** The workspace is not trusted; nothing is started until it is. */
  | { kind: 'untrusted' }
  /** No program, or one of another version. */
  | { kind: 'missing'; reason: string }
  | { kind: 'starting' }
  | { kind: 'running'; version: string; path: string }
  | { kind: 'failed'; reason: string };

/** How long to wait before the first, second … start after a breakdown; after the last one a person has to ask. */
export const RESTART_DELAYS_MS: readonly number[] = [250, 1_000, 4_000, 15_000, 30_000];

/** A server that ran as long as this does not count as broken. */
export const STABLE_AFTER_MS = 60_000;

/** Why no request can be sent in this state, and what to do. */
export function whyUnavailable(state: ServerState): { message: string; hint: string } {
  switch (state.kind) {
    case 'stopped':
      return { message: vscode.l10n.t('Offshoot’s server does not run'), hint: vscode.l10n.t('Open a folder that lies in a git repository.') };
    case 'untrusted':
      return { message: vscode.l10n.t('This workspace is not trusted'), hint: vscode.l10n.t('Offshoot starts as soon as you trust it.') };
    case 'missing':
      return { message: state.reason, hint: vscode.l10n.t('Then restart the server.') };
    case 'starting':
    case 'running':
      return { message: vscode.l10n.t('Offshoot’s server is still starting'), hint: vscode.l10n.t('Try again in a moment.') };
    case 'failed':
      return { message: state.reason, hint: vscode.l10n.t('The logs tell more.') };
  }
}
