import { branchNamed } from '../model.js';
import type { EditorStatus } from '../protocol/types.js';
import type { DocumentRef } from './uri.js';

/** Whether a document can be read now, and which state of the database it would show. */
export type Currency =
  /** Not yet: the engine is being asked. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'untrusted' }
  /** The folder is no longer in the workspace, or has no database. */
  | { readonly kind: 'noDatabase' }
  | { readonly kind: 'noBranch' }
  | { readonly kind: 'ready'; readonly branch: number; readonly revision: number | undefined };

/** The currency of a document; `trusted` is the editor's word. */
export function currencyOf(status: EditorStatus | undefined, ref: DocumentRef, trusted: boolean): Currency {
  if (!trusted) {
    return { kind: 'untrusted' };
  }
  if (status === undefined) {
    return { kind: 'waiting' };
  }
  const state = status.folders.find((folder) => folder.uri === ref.folder)?.state;
  switch (state?.kind) {
    case undefined:
    case 'noGit':
    case 'notInitialised':
      return { kind: 'noDatabase' };
    case 'untrusted':
      return { kind: 'untrusted' };
    case 'starting':
    case 'failed':
      return { kind: 'waiting' };
    case 'ready': {
      const branch = branchNamed(state, ref.branch);
      if (branch === undefined) {
        return { kind: 'noBranch' };
      }
      return { kind: 'ready', branch: branch.id, revision: state.schema.kind === 'ready' ? state.schema.revision : undefined };
    }
  }
}

/** Whether what was read at `then` is what would be read `now`. While the schema is being read again, it is not known to be stale. */
export function isCurrent(then: Currency | undefined, now: Currency): boolean {
  if (then?.kind === 'ready' && now.kind === 'ready') {
    return then.branch === now.branch && (now.revision === undefined || then.revision === now.revision);
  }
  // What was read stays readable while the engine is away.
  return then?.kind === now.kind || (then?.kind === 'ready' && now.kind === 'waiting');
}
