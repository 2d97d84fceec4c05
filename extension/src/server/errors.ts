import * as vscode from 'vscode';
import type { RpcError } from '../protocol/types.js';
import { sentences } from '../views/words.js';

/** The server answered a request with a failure. */
export class RequestError extends Error {
  readonly rpc: RpcError;

  constructor(rpc: RpcError) {
    super(rpc.message);
    this.name = 'RequestError';
    this.rpc = rpc;
  }
}

/** A request could not be sent: the server does not run. The message says why, the hint what to do. */
export class ServerUnavailable extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.name = 'ServerUnavailable';
    this.hint = hint;
  }
}

/** True if the person ended the work; nobody needs to be told. */
export function isCancelled(error: unknown): boolean {
  return error instanceof vscode.CancellationError || (error instanceof RequestError && error.rpc.reason === 'cancelled');
}

/** One text of what happened and what to do next. */
export function describeError(error: unknown): string {
  if (error instanceof RequestError) {
    return sentences(error.rpc.message, error.rpc.hint);
  }
  if (error instanceof ServerUnavailable) {
    return sentences(error.message, error.hint);
  }
  return error instanceof Error ? error.message : String(error);
}

/** Shows what happened and what to do next; silent if the person cancelled. */
export async function showError(error: unknown): Promise<void> {
  if (isCancelled(error)) {
    return;
  }
  const restart = { title: vscode.l10n.t('Restart Server'), command: 'offshoot.restartServer' };
  const logs = { title: vscode.l10n.t('Show Logs'), command: 'offshoot.showServerLog' };
  // A mistake of the person is explained by its message; a log would only distract.
  const told = error instanceof RequestError && error.rpc.kind !== 'user' ? [logs] : [];
  const choice = await vscode.window.showErrorMessage(describeError(error), ...(error instanceof ServerUnavailable ? [restart, logs] : told));
  if (choice !== undefined) {
    await vscode.commands.executeCommand(choice.command);
  }
}
