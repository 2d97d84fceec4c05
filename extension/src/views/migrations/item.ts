import * as vscode from 'vscode';
import { fileUri } from '../../migrations/paths.js';
import { rowName, type MigrationRow } from '../../migrations/rows.js';
import { entryWords, look, stateWords } from '../../migrations/words.js';
import type { MigrationBranch } from '../../protocol/types.js';
import { escapeMarkdown, sentences, withoutIcons } from '../words.js';
import type { MigrationNode } from './nodes.js';

const { None, Collapsed, Expanded } = vscode.TreeItemCollapsibleState;

/** A row as the editor draws it. `now` in seconds since 1970. */
export function treeItem(node: MigrationNode, now: number): vscode.TreeItem {
  const item = drawn(node, now);
  item.id = node.id;
  return item;
}

function drawn(node: MigrationNode, now: number): vscode.TreeItem {
  switch (node.kind) {
    case 'folder': {
      const item = new vscode.TreeItem(withoutIcons(node.folder.ready.folder.name), Expanded);
      item.iconPath = new vscode.ThemeIcon('repo');
      item.contextValue = 'folder';
      return item;
    }
    case 'project': {
      const item = new vscode.TreeItem(node.of.name, Expanded);
      const counts = countWords(node.branch);
      item.iconPath = new vscode.ThemeIcon('list-ordered');
      item.description = [node.of.folders.join(', '), counts].filter((part) => part !== '').join(' · ');
      const { apply, down } = node.of.commands;
      item.contextValue = ['project', ...((node.branch?.pending ?? 0) > 0 && apply !== undefined ? ['pending'] : []), ...(down === undefined ? [] : ['down']), ...(node.branch?.undo === undefined ? [] : ['undo']), ...(node.of.canReplay ? ['replay'] : []), ...(node.of.canNew ? ['new'] : [])].join(';');
      item.tooltip = new vscode.MarkdownString([`**${escapeMarkdown(node.of.name)}**`, ...(apply === undefined ? [] : [`\`${apply}\``]), ...(node.of.history === undefined ? [] : [vscode.l10n.t('History: {0}', `\`${node.of.history}\``)])].join('\n\n'));
      item.accessibilityInformation = { label: vscode.l10n.t('{0}, {1}', node.of.name, counts) };
      return item;
    }
    case 'done': {
      const item = new vscode.TreeItem(vscode.l10n.t('Applied'), Collapsed);
      item.iconPath = new vscode.ThemeIcon('check-all');
      item.description = String(node.children.length);
      item.contextValue = 'done';
      item.accessibilityInformation = { label: vscode.l10n.t('Applied, {0}', node.children.length) };
      return item;
    }
    case 'migration':
      return migrationItem(node.row, now);
    case 'message': {
      const item = new vscode.TreeItem(sentences(node.text, undefined), None);
      item.iconPath = new vscode.ThemeIcon('info');
      item.contextValue = 'message';
      item.tooltip = vscode.l10n.t('{0} A click reads it, and wakes the branch.', sentences(node.text, undefined));
      item.command = { command: 'offshoot.refreshMigrations', title: vscode.l10n.t('Refresh Migrations'), arguments: [{ worktree: node.worktree }] };
      return item;
    }
  }
}

function migrationItem(row: MigrationRow, now: number): vscode.TreeItem {
  const { entry, file, worktree, branch, project } = row;
  const name = rowName(row);
  const { icon, color } = look(entry.state);
  const words = entryWords(entry, now);
  const item = new vscode.TreeItem(withoutIcons(name), None);
  item.iconPath = color === undefined ? new vscode.ThemeIcon(icon) : new vscode.ThemeIcon(icon, new vscode.ThemeColor(color));
  item.description = words;
  item.contextValue = ['migration', entry.state, ...(entry.next === 'runs' ? ['runs'] : []), ...(project.commands.apply === undefined ? [] : ['apply']), ...(project.canReplay ? ['replay'] : []), ...(file === undefined ? ['row'] : [])].join(';');
  item.tooltip = new vscode.MarkdownString(
    [`**${escapeMarkdown(name)}**`, escapeMarkdown(vscode.l10n.t('{0} on {1}', stateWords(entry.state), branch.branch)), ...(entry.at === undefined ? [] : [escapeMarkdown(entry.at)]), ...(entry.note === undefined ? [] : [escapeMarkdown(entry.note)])].join('\n\n'),
  );
  item.accessibilityInformation = { label: vscode.l10n.t('Migration {0}, {1}, on {2}', name, words === '' || entry.state === 'applied' ? `${stateWords(entry.state)} ${words}`.trimEnd() : words, branch.branch) };
  if (file !== undefined) {
    const uri = fileUri(row.ready, file.path);
    const position = new vscode.Range(file.line - 1, 0, file.line - 1, 0);
    item.command =
      entry.state === 'changed'
        ? { command: 'offshoot.compareMigration', title: vscode.l10n.t('Open Migration'), arguments: [{ worktree, project: project.id, path: file.path }] }
        : { command: 'vscode.open', title: vscode.l10n.t('Open Migration'), arguments: [uri, { selection: position }] };
  }
  return item;
}

function countWords(branch: MigrationBranch | undefined): string {
  if (branch === undefined || branch.unread !== undefined) {
    return vscode.l10n.t('not known');
  }
  const { pending, applied, standing } = branch;
  if (standing === 'unknown') {
    return vscode.l10n.t('no history');
  }
  const waiting = pending === 0 ? [] : [vscode.l10n.t('{0} pending', pending)];
  const done = applied === 0 ? [] : [vscode.l10n.t('{0} applied', applied)];
  return standing === 'upToDate' ? vscode.l10n.t('up to date') : [...waiting, ...done].join(' · ');
}
