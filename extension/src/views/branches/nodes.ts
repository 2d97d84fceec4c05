import { currentBranch, type Project, projects } from '../../model.js';
import type { Branch, EditorStatus, FolderStatus, ProjectStatus } from '../../protocol/types.js';

/** A repository, shown when the window has several. */
export interface ProjectNode {
  readonly kind: 'project';
  readonly id: string;
  readonly label: string;
  readonly folder: string;
  readonly children: readonly BranchNode[];
}

/** A folder that has no branches to show, in a window where another one has. */
export interface FolderNode {
  readonly kind: 'folder';
  readonly id: string;
  readonly status: FolderStatus;
}

/** A database branch. Commands take it as it is: it names its folder and its branch. */
export interface BranchNode {
  readonly kind: 'branch';
  readonly id: string;
  /** URI of the folder through which the branch is reached. */
  readonly folder: string;
  /** Name of the branch. */
  readonly branch: string;
  readonly facts: Branch;
  /** True if the address of a folder of this window leads here. */
  readonly here: boolean;
  /** What is being done to it, without its name: `Resetting`. */
  readonly job: string | undefined;
  readonly parentId: string | undefined;
  readonly children: readonly BranchNode[];
}

export type Node = ProjectNode | FolderNode | BranchNode;

/** The rows of the outermost level: branches, or repositories with branches when there are several. */
export function buildNodes(status: EditorStatus | undefined): Node[] {
  const all = projects(status);
  const [only] = all;
  const others = (status?.folders ?? []).filter(({ state }) => state.kind !== 'ready');
  if (only === undefined) {
    return [];
  }
  if (all.length === 1 && others.length === 0) {
    return branchNodes(only, undefined);
  }
  return [...all.map(projectNode), ...others.map(folderNode)];
}

function projectNode(project: Project): ProjectNode {
  const id = `project:${project.id}`;
  return { kind: 'project', id, label: project.name, folder: project.folders[0].folder.uri, children: branchNodes(project, id) };
}

function folderNode(status: FolderStatus): FolderNode {
  return { kind: 'folder', id: `folder:${status.uri}`, status };
}

/** Children under their parents; the way to this window's branch first, then by name. */
function branchNodes(project: Project, projectId: string | undefined): BranchNode[] {
  const status: ProjectStatus = project.folders[0].project;
  const names = new Set(status.branches.map(({ name }) => name));
  const folderOf = new Map<string, string>();
  for (const ready of project.folders) {
    const name = currentBranch(ready);
    if (name !== undefined && !folderOf.has(name)) {
      folderOf.set(name, ready.folder.uri);
    }
  }
  const build = (parent: string | undefined, parentId: string | undefined): BranchNode[] =>
    status.branches
      .filter((branch) => (parent === undefined ? branch.parent === undefined || !names.has(branch.parent) : branch.parent === parent))
      .map((facts): BranchNode => {
        const id = `branch:${project.id}#${facts.id.toString()}`;
        return {
          kind: 'branch',
          id,
          folder: folderOf.get(facts.name) ?? project.folders[0].folder.uri,
          branch: facts.name,
          facts,
          here: folderOf.has(facts.name),
          job: jobOf(status, facts.name),
          parentId,
          children: build(facts.name, id),
        };
      })
      .sort(byImportance);
  return build(undefined, projectId);
}

function jobOf(status: ProjectStatus, name: string): string | undefined {
  const title = status.jobs.find((job) => job.branch === name)?.title;
  return title?.endsWith(` ${name}`) === true ? `${title.slice(0, -name.length - 1)}…` : title;
}

function byImportance(a: BranchNode, b: BranchNode): number {
  return Number(leadsHere(b)) - Number(leadsHere(a)) || a.branch.localeCompare(b.branch);
}

function leadsHere(node: BranchNode): boolean {
  return node.here || node.children.some(leadsHere);
}

/** The rows below a row. */
export function childrenOf(node: Node): readonly Node[] {
  return node.kind === 'folder' ? [] : node.children;
}

/** Every row by its id. */
export function nodesById(roots: readonly Node[]): Map<string, Node> {
  const found = new Map<string, Node>();
  const add = (node: Node): void => {
    found.set(node.id, node);
    childrenOf(node).forEach(add);
  };
  roots.forEach(add);
  return found;
}
