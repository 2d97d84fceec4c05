import type { Branch, EditorStatus, FolderStatus, ProjectStatus } from './protocol/types.js';

/** A folder of the workspace whose engine answers. */
export interface ReadyFolder {
  readonly folder: FolderStatus;
  readonly project: ProjectStatus;
}

/** A repository with its database, and those folders of the workspace that are worktrees of it or lie in one. */
export interface Project {
  readonly id: string;
  readonly name: string;
  /** Never empty. */
  readonly folders: readonly [ReadyFolder, ...ReadyFolder[]];
}

/** Whether a branch can be reset, renamed and deleted: one that only a rule protects can, against the rule. */
export function isChangeable({ protected: isProtected, overridable }: Branch): boolean {
  return !isProtected || overridable === true;
}

/** The folders whose engine answers, in the workspace's order. */
export function readyFolders(status: EditorStatus | undefined): ReadyFolder[] {
  const ready: ReadyFolder[] = [];
  for (const folder of status?.folders ?? []) {
    if (folder.state.kind === 'ready') {
      ready.push({ folder, project: folder.state });
    }
  }
  return ready;
}

/** The repositories of the workspace: several worktrees of one repository are one project. */
export function projects(status: EditorStatus | undefined): Project[] {
  const byId = new Map<string, [ReadyFolder, ...ReadyFolder[]]>();
  for (const ready of readyFolders(status)) {
    const known = byId.get(ready.project.id);
    if (known === undefined) {
      byId.set(ready.project.id, [ready]);
    } else {
      known.push(ready);
    }
  }
  return [...byId].map(([id, folders]) => ({ id, name: projectName(id, folders[0].folder.name), folders }));
}

/** Name of a repository: the folder that holds its `.git`, or the bare repository without `.git`. */
export function projectName(id: string, otherwise: string): string {
  const parts = id.split(/[\\/]/).filter((part) => part !== '');
  const last = parts.pop();
  const name = last === '.git' ? parts.pop() : last?.replace(/\.git$/, '');
  return name === undefined || name === '' ? otherwise : name;
}

/** The folder with this URI, if its engine answers. */
export function readyFolder(status: EditorStatus | undefined, uri: string): ReadyFolder | undefined {
  return readyFolders(status).find((ready) => ready.folder.uri === uri);
}

/** The branch with this name. */
export function branchNamed(project: ProjectStatus, name: string): Branch | undefined {
  return project.branches.find((branch) => branch.name === name);
}

/** Name of the database branch that the folder's address leads to. */
export function currentBranch(ready: ReadyFolder): string | undefined {
  return ready.project.worktree.branch?.name;
}

/** Short name of what git has checked out there: a branch, or the first seven digits of a commit. */
export function gitHeadName(project: ProjectStatus): string {
  const head = project.worktree.git;
  return head.kind === 'branch' ? head.name : head.commit.slice(0, 7);
}
