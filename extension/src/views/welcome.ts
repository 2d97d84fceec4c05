import { readyFolders } from '../model.js';
import type { EditorStatus, FolderState } from '../protocol/types.js';
import type { ServerState } from '../server/state.js';

/** What the view has to say when it has no branches to show: the context key `offshoot.state`. */
export type WelcomeState = 'noFolder' | 'noGit' | 'notInitialised' | 'lost' | 'missing' | 'starting' | 'stopped' | 'failed' | 'untrusted' | 'ready' | 'empty';

/** What folders that are not ready have to say, the most pressing first. */
const PRECEDENCE: readonly FolderState['kind'][] = ['failed', 'starting', 'notInitialised', 'untrusted', 'noGit'];

/** One state for the whole window: any folder with branches wins, then what a person has to do something about. */
export function welcomeState(folders: number, trusted: boolean, server: ServerState, status: EditorStatus | undefined): WelcomeState {
  if (folders === 0) {
    return 'noFolder';
  }
  if (!trusted || server.kind === 'untrusted') {
    return 'untrusted';
  }
  if (server.kind === 'missing' || server.kind === 'failed') {
    return server.kind;
  }
  if (server.kind !== 'running' || status === undefined || status.folders.length === 0) {
    return 'starting';
  }
  const ready = readyFolders(status);
  if (ready.length > 0) {
    return ready.some(({ project }) => project.branches.length > 0) ? 'ready' : 'empty';
  }
  const kinds = status.folders.map(({ state }) => state.kind);
  const first = PRECEDENCE.find((kind) => kinds.includes(kind));
  if (first === 'failed' && status.folders.every(({ state }) => state.kind !== 'failed' || wasStopped(state))) {
    return 'stopped';
  }
  if (first === 'notInitialised' && lostStore(status) !== undefined) {
    return 'lost';
  }
  return first === undefined || first === 'ready' ? 'starting' : first;
}

/** Where the database of a folder was that should have one: its folder was moved away, or whoever set it up was killed. */
export function lostStore(status: EditorStatus | undefined): string | undefined {
  return status?.folders.map(({ state }) => (state.kind === 'notInitialised' ? state.lost : undefined)).find((lost) => lost !== undefined);
}

/** Whether the engine does not answer because somebody stopped it. */
export function wasStopped(state: FolderState): boolean {
  return state.kind === 'failed' && state.error.reason === 'stopped';
}
