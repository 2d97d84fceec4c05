import type { ReadyFolder } from '../../src/model.js';
import type { Branch, EditorStatus, FolderState, ProjectStatus, SchemaStatus } from '../../src/protocol/types.js';

/** A branch as the server sends it. */
export function branch(name: string, other: Partial<Branch> = {}): Branch {
  return {
    id: name.length, name, createdAt: 0, state: 'asleep', root: other.parent === undefined, ownBytes: 0, sharedBytes: 0, inGit: true, connections: 0,
    worktrees: [], protected: false, ...other,
  };
}

/** A repository with `main` and `feature`, of which `feature` is checked out. */
export function project(other: Partial<ProjectStatus> = {}): ProjectStatus {
  const feature = branch('feature', { parent: 'main' });
  return {
    id: '/work/shop/.git',
    worktree: {
      path: '/work/shop', git: { kind: 'branch', name: 'feature' }, branch: feature,
      endpoint: { port: 20_000, url: 'postgres://127.0.0.1:20000', listening: true, connections: 0 }, notes: [],
    },
    branches: [branch('main'), feature], postgres: '18.1', schema: { kind: 'none' }, jobs: [], ...other,
  };
}

/** A folder with that repository. */
export function ready(uri: string, of: ProjectStatus = project()): ReadyFolder {
  return { folder: { uri, name: uri.split('/').pop() ?? '', path: new URL(uri).pathname, state: { kind: 'ready', ...of } }, project: of };
}

/** A status of these folders. */
export function status(...folders: ReadyFolder[]): EditorStatus {
  return { version: '0.1.0', folders: folders.map(({ folder }) => folder) };
}

/** A status of one folder in this state. */
export function statusIn(uri: string, state: FolderState): EditorStatus {
  return { version: '0.1.0', folders: [{ uri, name: 'shop', path: '/work/shop', state }] };
}

/** A comparison without changes. */
export function compared(revision: number, other: Partial<Extract<SchemaStatus, { kind: 'ready' }>> = {}): SchemaStatus {
  return { kind: 'ready', branch: 'feature', base: 'main', revision, fork: { kind: 'notAsked' }, changes: [], ...other };
}
