import * as vscode from 'vscode';

/** What is used of the built-in Git extension's interface. */
interface GitExtension {
  readonly enabled: boolean;
  getAPI(version: 1): { readonly state: 'uninitialized' | 'initialized'; readonly onDidChangeState: vscode.Event<unknown> };
}

/** Git that takes longer has trouble of its own. */
const PATIENCE_MS = 5_000;

/**
 * Resolves when the built-in Git has shown its repositories, when it is clear that it will not, or after some seconds. Whoever
 * is first in the source control view has the status bar at the start: that is Git's place.
 */
export async function gitIsThere(cancelled: vscode.CancellationToken): Promise<void> {
  const git = vscode.extensions.getExtension<GitExtension>('vscode.git');
  if (git === undefined) {
    return;
  }
  const listening: vscode.Disposable[] = [];
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(resolve, PATIENCE_MS);
      listening.push(cancelled.onCancellationRequested(() => { resolve(); }));
      Promise.resolve(git.activate()).then((exports) => {
        if (!exports.enabled) {
          resolve();
          return;
        }
        const api = exports.getAPI(1);
        listening.push(api.onDidChangeState(() => { resolve(); }));
        if (api.state === 'initialized') {
          resolve();
        }
      }).catch(reject);
    });
  } catch {
    // Without Git there is nobody to wait for.
  } finally {
    clearTimeout(timer);
    listening.forEach((each) => { each.dispose(); });
  }
}
