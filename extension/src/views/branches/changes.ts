import { childrenOf, type Node, nodesById } from './nodes.js';

/**
 * Ids of the rows that have to be drawn again to get from `before` to `after`; `undefined` means the whole tree.
 *
 * A row is drawn again if it looks different itself, with `drawn` as its look, or if it has other children. Rows below a row that is
 * drawn again are not listed.
 */
export function changedNodes(before: readonly Node[], after: readonly Node[], drawn: (node: Node) => string): string[] | undefined {
  if (ids(before) !== ids(after)) {
    return undefined;
  }
  const old = nodesById(before);
  const changed: string[] = [];
  const visit = (node: Node): void => {
    const previous = old.get(node.id);
    if (previous === undefined || drawn(previous) !== drawn(node) || ids(childrenOf(previous)) !== ids(childrenOf(node))) {
      changed.push(node.id);
    } else {
      childrenOf(node).forEach(visit);
    }
  };
  after.forEach(visit);
  return changed;
}

function ids(nodes: readonly Node[]): string {
  return JSON.stringify(nodes.map(({ id }) => id));
}
