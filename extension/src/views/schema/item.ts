import * as vscode from 'vscode';
import { plainParts, treeParts } from '../../documents/uri.js';
import { kindIcon, kindTitle } from '../../scm/labels.js';
import { withoutIcons } from '../words.js';
import { classTitle, hasParts, type SchemaNode } from './nodes.js';

const { None, Collapsed } = vscode.TreeItemCollapsibleState;

/** A row as the editor draws it. */
export function treeItem(node: SchemaNode): vscode.TreeItem {
  const item = drawn(node);
  item.id = node.id;
  item.contextValue = node.kind;
  return item;
}

function drawn(node: SchemaNode): vscode.TreeItem {
  switch (node.kind) {
    case 'branch': {
      const isAsleep = node.state === 'asleep';
      const item = new vscode.TreeItem(withoutIcons(node.ref.branch), Collapsed);
      item.iconPath = new vscode.ThemeIcon('database');
      item.description = isAsleep ? vscode.l10n.t('asleep') : '';
      item.tooltip = isAsleep ? vscode.l10n.t('Open this row to wake the branch and read its schema.') : node.ref.branch;
      return item;
    }
    case 'schema': {
      const item = new vscode.TreeItem(withoutIcons(node.name), Collapsed);
      item.iconPath = new vscode.ThemeIcon('symbol-namespace');
      item.description = String(node.objects.length);
      return item;
    }
    case 'class': {
      const item = new vscode.TreeItem(classTitle(node.of), Collapsed);
      item.description = String(node.objects.length);
      return item;
    }
    case 'object': {
      const uri = vscode.Uri.from(plainParts({ ...node.ref, object: node.object }));
      const item = new vscode.TreeItem(withoutIcons(node.object.name), hasParts(node.object) ? Collapsed : None);
      item.resourceUri = vscode.Uri.from(treeParts({ ...node.ref, object: node.object }));
      item.iconPath = new vscode.ThemeIcon(kindIcon(node.object.kind));
      item.command = { command: 'vscode.open', title: vscode.l10n.t('Open Definition'), arguments: [uri] };
      return item;
    }
    case 'part': {
      const { kind, name, detail } = node.part;
      const item = new vscode.TreeItem(withoutIcons(name), None);
      item.iconPath = new vscode.ThemeIcon(kindIcon(kind));
      item.description = detail;
      item.tooltip = `${kindTitle(kind)} ${name}\n${detail}`;
      item.command = {
        command: 'vscode.open',
        title: vscode.l10n.t('Open Definition'),
        arguments: [vscode.Uri.from(plainParts({ ...node.ref, object: node.object }))],
      };
      return item;
    }
    case 'message': {
      const item = new vscode.TreeItem(node.text, None);
      item.iconPath = new vscode.ThemeIcon('info');
      item.tooltip = node.tooltip ?? node.text;
      return item;
    }
  }
}
