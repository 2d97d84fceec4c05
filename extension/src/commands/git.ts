import * as vscode from 'vscode';

/** As much of the built-in git extension's interface as is used. */
interface GitRepository {
  checkout(treeish: string): Promise<void>;
  createBranch(name: string, checkout: boolean): Promise<void>;
  getBranches(query: { pattern?: string }): Promise<readonly { readonly name?: string }[]>;
}

interface GitApi {
  getRepository(uri: vscode.Uri): GitRepository | null;
  openRepository?(uri: vscode.Uri): Promise<GitRepository | null>;
}

interface GitExtension {
  readonly enabled: boolean;
  getAPI(version: 1): GitApi;
}

/**
 * Checks a git branch out as the editor itself would, making it if `create` is set; in a terminal if the editor's git is switched off.
 * What git refuses, such as changes that would be overwritten, comes as the error's message.
 */
export async function checkOut(folder: vscode.Uri, branch: string, create: boolean): Promise<void> {
  const repository = await editorsRepository(folder);
  if (repository === undefined) {
    inTerminal(folder, branch, create);
    return;
  }
  try {
    await (create ? repository.createBranch(branch, true) : repository.checkout(branch));
  } catch (error) {
    throw new Error(vscode.l10n.t('Git did not check out {0}: {1}', branch, gitMessage(error)));
  }
}

async function editorsRepository(folder: vscode.Uri): Promise<GitRepository | undefined> {
  const extension = vscode.extensions.getExtension<GitExtension>('vscode.git');
  if (extension === undefined) {
    return undefined;
  }
  const git = extension.isActive ? extension.exports : await extension.activate();
  if (!git.enabled) {
    return undefined;
  }
  const api = git.getAPI(1);
  return api.getRepository(folder) ?? (await api.openRepository?.(folder)) ?? undefined;
}

function gitMessage(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'stderr' in error && typeof error.stderr === 'string' && error.stderr.trim() !== '') {
    return error.stderr.trim();
  }
  return error instanceof Error ? error.message : String(error);
}

/** The terminal runs `git` itself, no shell: a name needs no quoting. */
function inTerminal(folder: vscode.Uri, branch: string, create: boolean): void {
  const terminal = vscode.window.createTerminal({
    name: `git checkout ${branch}`,
    cwd: folder,
    shellPath: 'git',
    shellArgs: create ? ['checkout', '-b', branch] : ['checkout', branch, '--'],
  });
  terminal.show();
}
