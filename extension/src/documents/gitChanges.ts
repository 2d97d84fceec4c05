import * as vscode from 'vscode';

/** As much of the built-in git extension's interface as is used. */
interface GitChange {
  readonly uri: vscode.Uri;
}

interface GitRepository {
  readonly state: {
    readonly workingTreeChanges: readonly GitChange[];
    readonly indexChanges: readonly GitChange[];
    readonly untrackedChanges?: readonly GitChange[];
  };
  getMergeBase(a: string, b: string): Promise<string | undefined>;
  diffBetween(a: string, b: string): Promise<readonly GitChange[]>;
}

interface GitExtension {
  readonly enabled: boolean;
  getAPI(version: 1): { getRepository(uri: vscode.Uri): GitRepository | null };
}

/** Paths of the files that the git branch changed since it left `base`, committed or not; none if the editor's git cannot tell. */
export async function changedFiles(folder: vscode.Uri, base: string | undefined): Promise<ReadonlySet<string>> {
  const extension = vscode.extensions.getExtension<GitExtension>('vscode.git');
  if (extension?.isActive !== true || !extension.exports.enabled) {
    return new Set();
  }
  const repository = extension.exports.getAPI(1).getRepository(folder);
  if (repository === null) {
    return new Set();
  }
  const { workingTreeChanges, indexChanges, untrackedChanges } = repository.state;
  const changes = [...workingTreeChanges, ...indexChanges, ...(untrackedChanges ?? []), ...(await committed(repository, base))];
  return new Set(changes.map(({ uri }) => uri.fsPath));
}

async function committed(repository: GitRepository, base: string | undefined): Promise<readonly GitChange[]> {
  if (base === undefined) {
    return [];
  }
  try {
    const common = await repository.getMergeBase('HEAD', base);
    return common === undefined ? [] : await repository.diffBetween(common, 'HEAD');
  } catch {
    // The database branch's parent need not be a git branch.
    return [];
  }
}
