import * as vscode from 'vscode';
import type { Surroundings } from '../../surroundings.js';
import { changedNodes } from './changes.js';
import { drawn, treeItem } from './item.js';
import { buildNodes, childrenOf, type Node, nodesById } from './nodes.js';

/** The tree *Database Branches*, and whether it is seen. */
export interface BranchesView {
  readonly parts: vscode.Disposable;
  readonly view: Pick<vscode.TreeView<Row>, 'visible' | 'onDidChangeVisibility'>;
}

/** Makes the tree *Database Branches* and keeps it as the status is. */
export function registerBranchesView({ server }: Surroundings): BranchesView {
  const tree = new BranchTree();
  const view = vscode.window.createTreeView<Row>('offshoot.branches', { treeDataProvider: tree, showCollapseAll: true });
  const update = (): void => {
    tree.show(buildNodes(server.status));
  };
  update();
  const parts = vscode.Disposable.from(view, tree, server.onDidChangeStatus(update), server.onDidChangeState(update));
  return { view, parts };
}

/** What the editor holds for a row: the same object as long as the row exists, with its facts as they are now. */
export interface Row {
  readonly id: string;
  readonly folder: string | undefined;
  readonly branch: string | undefined;
}

class LiveRow implements Row {
  node: Node;

  constructor(node: Node) {
    this.node = node;
  }

  get id(): string {
    return this.node.id;
  }

  get folder(): string | undefined {
    return this.node.kind === 'folder' ? this.node.status.uri : this.node.folder;
  }

  get branch(): string | undefined {
    return this.node.kind === 'branch' ? this.node.branch : undefined;
  }
}

class BranchTree implements vscode.TreeDataProvider<Row>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<Row[] | undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private roots: readonly Node[] = [];
  private rows = new Map<string, LiveRow>();
  private parents = new Map<string, string>();

  /** Draws what differs from what is shown. Never reveals a row: that would show the view instead of another one. */
  show(roots: readonly Node[]): void {
    const now = Date.now() / 1000;
    const different = changedNodes(this.roots, roots, (node) => drawn(node, now));
    this.roots = roots;
    this.parents = new Map();
    const rows = new Map<string, LiveRow>();
    let firstChild = false;
    for (const [id, node] of nodesById(roots)) {
      const row = this.rows.get(id) ?? new LiveRow(node);
      firstChild ||= childrenOf(row.node).length === 0 && childrenOf(node).length > 0;
      row.node = node;
      rows.set(id, row);
      childrenOf(node).forEach((child) => this.parents.set(child.id, id));
    }
    this.rows = rows;
    // A row that gets its first child becomes another row for the editor (see `branchItem`), which only its parent can draw.
    if (different === undefined || firstChild) {
      this.changed.fire(undefined);
    } else if (different.length > 0) {
      this.changed.fire(different.map((id) => rows.get(id)).filter((row) => row !== undefined));
    }
  }

  getTreeItem(row: Row): vscode.TreeItem {
    const live = this.rows.get(row.id);
    return live === undefined ? new vscode.TreeItem('') : treeItem(live.node, Date.now() / 1000);
  }

  getChildren(row?: Row): Row[] {
    const live = row === undefined ? undefined : this.rows.get(row.id);
    const nodes = row === undefined ? this.roots : live === undefined ? [] : childrenOf(live.node);
    return nodes.map(({ id }) => this.rows.get(id)).filter((each) => each !== undefined);
  }

  getParent(row: Row): Row | undefined {
    const parent = this.parents.get(row.id);
    return parent === undefined ? undefined : this.rows.get(parent);
  }

  dispose(): void {
    this.changed.dispose();
  }
}
