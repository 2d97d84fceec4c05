import type { Branch, EditorStatus, FolderState, FolderStatus, ProjectStatus } from '../../src/protocol/types.js';

/** Seconds since 1970 at which the made-up facts hold. */
export const NOW = 1_700_000_000;

let nextId = 0;

/** A branch, asleep and three hours old unless said otherwise. */
export function branch(name: string, facts: Partial<Branch> = {}): Branch {
  nextId += 1;
  return {
    id: nextId,
    name,
    createdAt: NOW - 3 * 3600,
    state: 'asleep',
    root: facts.parent === undefined,
    ownBytes: 200_000,
    sharedBytes: 24_000_000,
    inGit: true,
    connections: 0,
    worktrees: [],
    protected: false,
    ...facts,
  };
}

/** A repository of these branches, whose worktree is on the branch `here`. */
export function project(branches: Branch[], here: string | undefined, facts: Partial<ProjectStatus> = {}): ProjectStatus {
  const current = branches.find(({ name }) => name === here);
  return {
    id: '/home/anna/shop/.git',
    worktree: {
      path: '/home/anna/shop',
      git: { kind: 'branch', name: here ?? 'main' },
      ...(current === undefined ? {} : { branch: current }),
      endpoint: { port: 5433, url: 'postgres://postgres@127.0.0.1:5433/postgres', listening: true, connections: 0 },
      notes: [],
    },
    branches,
    postgres: '18.1',
    schema: { kind: 'none' },
    jobs: [],
    ...facts,
  };
}

/** A folder of the workspace. */
export function folder(name: string, state: FolderState | ProjectStatus): FolderStatus {
  const whole: FolderState = 'kind' in state ? state : { kind: 'ready', ...state };
  return { uri: `file:///home/anna/${name}`, name, path: `/home/anna/${name}`, state: whole };
}

/** A window with these folders. */
export function status(...folders: FolderStatus[]): EditorStatus {
  return { version: '0.1.0', folders };
}
