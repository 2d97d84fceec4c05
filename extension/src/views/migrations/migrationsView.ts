import * as vscode from 'vscode';
import type { MigrationArgument } from '../../migrations/target.js';
import type { Surroundings } from '../../surroundings.js';
import { treeItem } from './item.js';
import { buildNodes, type MigrationNode } from './nodes.js';

/** The tree *Migrations*: of each tool what is pending first. */
export function registerMigrationsView({ migrations }: Surroundings): vscode.Disposable {
  const tree = new MigrationTree();
  const view = vscode.window.createTreeView<Row>('offshoot.migrations', { treeDataProvider: tree, showCollapseAll: true });
  const update = (): void => {
    const { folders } = migrations;
    tree.show(buildNodes(folders));
    const pending = folders.flatMap(({ status }) => (status?.projects ?? []).map(({ branches: [own] }) => own?.pending ?? 0)).reduce((sum, each) => sum + each, 0);
    view.badge = pending === 0 ? undefined : { value: pending, tooltip: pending === 1 ? vscode.l10n.t('1 pending migration') : vscode.l10n.t('{0} pending migrations', pending) };
    const [only, other] = folders;
    // One repository's error stands where its tree would be.
    view.message = only?.error !== undefined && other === undefined ? only.error : '';
  };
  update();
  return vscode.Disposable.from(view, tree, migrations.onDidChange(update));
}

/** What the editor holds for a row, and commands get. */
interface Row extends Partial<MigrationArgument> {
  readonly node: MigrationNode;
}

class MigrationTree implements vscode.TreeDataProvider<Row>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private roots: readonly MigrationNode[] = [];

  show(roots: readonly MigrationNode[]): void {
    this.roots = roots;
    this.changed.fire(undefined);
  }

  getTreeItem({ node }: Row): vscode.TreeItem {
    return treeItem(node, Date.now() / 1000);
  }

  getChildren(row?: Row): Row[] {
    return (row?.node.children ?? this.roots).map((node) => ({ node, ...argumentOf(node) }));
  }

  dispose(): void {
    this.changed.dispose();
  }
}

function argumentOf(node: MigrationNode): Partial<MigrationArgument> {
  switch (node.kind) {
    case 'folder':
      return { worktree: node.folder.ready.project.worktree.path };
    case 'project':
      return { worktree: node.worktree, project: node.of.id };
    case 'migration': {
      const { worktree, project, file } = node.row;
      return { worktree, project: project.id, ...(file === undefined ? {} : { path: file.path }) };
    }
    case 'message':
      return { worktree: node.worktree };
    case 'done':
      return {};
  }
}
