import type { DocumentRef, ListGroup } from '../documents/uri.js';
import type { SchemaChange } from '../protocol/types.js';

/** A changed object with what it takes to show it. */
export interface OpenableChange {
  /** URI of the folder. */
  readonly folder: string;
  readonly branch: string;
  readonly base: string;
  readonly change: SchemaChange;
  /** The list that it is in. */
  readonly group: ListGroup;
}

/** A side of a comparison with the name that people read. */
export interface NamedRef extends DocumentRef {
  readonly label: string;
}

/**
 * What is compared: the fork point with the branch, the fork point with the parent, or both sides of a conflict. Without a known
 * fork point, the parent as it is now with the branch. What was renamed has its other name on the other side.
 */
export function sidesOf({ folder, branch, base, change, group }: OpenableChange): { readonly left: NamedRef; readonly right: NamedRef } {
  const { object } = change;
  const other = change.renamedFrom ?? object;
  const fork: NamedRef = { folder, branch, object: other, state: 'fork', label: `${branch}@fork` };
  const mine: NamedRef = { folder, branch, object, label: branch };
  switch (group) {
    case 'mine':
    case 'both':
      return { left: fork, right: mine };
    case 'theirs':
      return { left: fork, right: { folder, branch: base, object, label: base } };
    case 'conflict':
      return { left: mine, right: { folder, branch: base, object: other, label: base } };
    case 'schema':
      return { left: { folder, branch: base, object: other, label: base }, right: mine };
  }
}
