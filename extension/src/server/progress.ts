import { randomUUID } from 'node:crypto';
import * as vscode from 'vscode';
import type { Connection } from './connection.js';

interface WorkDone {
  readonly kind: 'begin' | 'report' | 'end';
  readonly message?: string;
  readonly percentage?: number;
}

/** Runs something long with a progress token of its own, and shows what the server reports on it. */
export async function runWithProgress<R>(
  connection: Connection | undefined,
  title: string,
  run: (token: string, cancel: vscode.CancellationToken) => Promise<R>,
  where: vscode.ProgressLocation,
): Promise<R> {
  const token = randomUUID();
  const options = { location: where, title, cancellable: where === vscode.ProgressLocation.Notification };
  return vscode.window.withProgress(options, async (progress, cancel) => {
    let done = 0;
    const listening = connection?.onProgress(token, (value) => {
      const work = value as WorkDone;
      const increment = work.percentage === undefined ? 0 : Math.max(0, work.percentage - done);
      done += increment;
      progress.report({ increment, ...(work.message === undefined ? {} : { message: work.message }) });
    });
    try {
      return await run(token, cancel);
    } finally {
      listening?.dispose();
    }
  });
}
