import * as vscode from 'vscode';
import { command } from '../../commands/register.js';
import { currentBranch, readyFolders } from '../../model.js';
import { worktreeFolders } from '../../scm/labels.js';
import type { Surroundings } from '../../surroundings.js';
import { SchemaTree } from './tree.js';

/** The tree *Schema*: what the branch of each folder holds. */
export function registerSchemaView(around: Surroundings): vscode.Disposable {
  const { server } = around;
  const tree = new SchemaTree(around);
  const view = vscode.window.createTreeView('offshoot.schema', { treeDataProvider: tree, showCollapseAll: true });
  const update = (): void => {
    const branches = worktreeFolders(readyFolders(server.status)).flatMap((ready) => {
      const branch = currentBranch(ready);
      return branch === undefined ? [] : [{ folder: ready.folder.uri, branch, project: ready.project }];
    });
    tree.show(branches);
  };
  update();
  return vscode.Disposable.from(
    view,
    tree,
    view.onDidExpandElement(({ element }) => {
      tree.opened(element);
    }),
    server.onDidChangeStatus(update),
    command('offshoot.refreshSchema', async () => {
      tree.readAgain();
      return Promise.resolve();
    }),
  );
}
