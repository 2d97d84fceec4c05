import type { EditorStatus } from '../protocol/types.js';
import { readyFolders } from '../model.js';

/** What a person has reached at least once. */
export interface Progress {
  readonly initialised: boolean;
  readonly sawBranches: boolean;
  readonly secondBranch: boolean;
  readonly sawChanges: boolean;
  readonly undone: boolean;
}

export const NOTHING_YET: Progress = { initialised: false, sawBranches: false, secondBranch: false, sawChanges: false, undone: false };

/** What has been reached when the status goes from `before` to `after` while the tree of branches is seen or not. Nothing is lost again. */
export function progressed(progress: Progress, before: EditorStatus | undefined, after: EditorStatus, treeSeen: boolean): Progress {
  const projects = readyFolders(after).map(({ project }) => project);
  return {
    initialised: progress.initialised || projects.length > 0,
    sawBranches: progress.sawBranches || (treeSeen && projects.length > 0),
    secondBranch: progress.secondBranch || projects.some(({ worktree, branches }) => branches.length > 1 && worktree.branch?.root === false),
    sawChanges: progress.sawChanges || projects.some(({ schema }) => schema.kind === 'ready' && schema.changes.length > 0),
    undone: progress.undone || wasUndone(before, after),
  };
}

/** Whether a branch that could be brought back is back. */
function wasUndone(before: EditorStatus | undefined, after: EditorStatus): boolean {
  return readyFolders(before).some(({ folder, project: { undo } }) => {
    const now = readyFolders(after).find((each) => each.folder.uri === folder.uri)?.project;
    return undo !== undefined && now !== undefined && now.undo !== undo && now.branches.some(({ name }) => name === undo);
  });
}
