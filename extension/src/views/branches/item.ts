import * as vscode from 'vscode';
import { branchContext, branchDescription, branchIcon, branchSpoken, branchTooltip, folderDescription, folderIcon, type Icon } from './look.js';
import type { BranchNode, FolderNode, Node, ProjectNode } from './nodes.js';

/** A row as the editor draws it. `now` in seconds since 1970. */
export function treeItem(node: Node, now: number): vscode.TreeItem {
  switch (node.kind) {
    case 'project':
      return projectItem(node);
    case 'folder':
      return folderItem(node);
    case 'branch':
      return branchItem(node, now);
  }
}

/** Everything of a row that can be seen; two rows with the same text look the same. */
export function drawn(node: Node, now: number): string {
  switch (node.kind) {
    case 'project':
      return node.label;
    case 'folder':
      return JSON.stringify([node.status.name, node.status.state]);
    case 'branch':
      return JSON.stringify([node.branch, node.here, node.job, branchDescription(node, now), branchContext(node), branchTooltip(node.facts, now, node.here)]);
  }
}

function branchItem(node: BranchNode, now: number): vscode.TreeItem {
  const state = node.children.length === 0 ? vscode.TreeItemCollapsibleState.None : vscode.TreeItemCollapsibleState.Expanded;
  const item = new vscode.TreeItem(node.branch, state);
  // The editor leaves a row that gets its first child collapsed, whatever the row says; under another id it is a new row.
  item.id = node.children.length === 0 ? node.id : `${node.id}+`;
  item.description = branchDescription(node, now);
  item.iconPath = themeIcon(branchIcon(node));
  item.contextValue = branchContext(node);
  item.tooltip = new vscode.MarkdownString(branchTooltip(node.facts, now, node.here));
  item.accessibilityInformation = { label: branchSpoken(node, now) };
  return item;
}

function projectItem(node: ProjectNode): vscode.TreeItem {
  const item = new vscode.TreeItem(node.label, vscode.TreeItemCollapsibleState.Expanded);
  item.id = node.id;
  item.iconPath = new vscode.ThemeIcon('repo');
  item.contextValue = 'project';
  item.accessibilityInformation = { label: vscode.l10n.t('Repository {0}', node.label) };
  return item;
}

function folderItem(node: FolderNode): vscode.TreeItem {
  const { name, state } = node.status;
  const item = new vscode.TreeItem(name, vscode.TreeItemCollapsibleState.None);
  const description = folderDescription(state);
  item.id = node.id;
  item.description = description;
  item.iconPath = themeIcon(folderIcon(state));
  item.contextValue = `folder;${state.kind}`;
  item.tooltip = state.kind === 'failed' ? [state.error.message, state.error.hint].filter((line) => line !== undefined).join('\n') : description;
  item.accessibilityInformation = { label: vscode.l10n.t('Folder {0}, {1}', name, description) };
  return item;
}

function themeIcon({ id, color }: Icon): vscode.ThemeIcon {
  return color === undefined ? new vscode.ThemeIcon(id) : new vscode.ThemeIcon(id, new vscode.ThemeColor(color));
}
