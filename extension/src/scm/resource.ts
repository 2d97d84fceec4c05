import * as vscode from 'vscode';
import type { ChangeKind } from '../protocol/types.js';
import { listUri } from './change.js';
import { kindTitle, qualifiedName } from './labels.js';
import type { OpenableChange } from './sides.js';

/** A changed object in the source control view. */
export class ChangeResource implements vscode.SourceControlResourceState {
  readonly opens: OpenableChange;
  readonly resourceUri: vscode.Uri;
  readonly command: vscode.Command;
  readonly decorations: vscode.SourceControlResourceDecorations;
  readonly contextValue: ChangeKind;

  constructor(opens: OpenableChange) {
    const { change } = opens;
    this.opens = opens;
    this.resourceUri = listUri(opens);
    this.contextValue = change.change;
    this.command = { command: 'offshoot.openChange', title: vscode.l10n.t('Open Change'), arguments: [this] };
    // No icon: the editor would show it in place of the letter.
    this.decorations = { strikeThrough: change.change === 'removed' && opens.group !== 'conflict', tooltip: describeChange(opens) };
  }
}

/** A change in words: `Table public.items is new on feature`. */
export function describeChange(opens: OpenableChange): string {
  const { change, group } = opens;
  const [branch, base] = group === 'theirs' ? [opens.base, opens.branch] : [opens.branch, opens.base];
  const kind = kindTitle(change.object.kind);
  const object = `${kind.charAt(0).toUpperCase()}${kind.slice(1)} ${qualifiedName(change)}`;
  const former = change.renamedFrom === undefined ? undefined : qualifiedName({ object: change.renamedFrom });
  if (group === 'conflict') {
    return [vscode.l10n.t('{0} is in conflict between {1} and {2}', object, branch, base), ...(change.reasons ?? [])].join('\n');
  }
  if (change.change === 'renamed' && former !== undefined) {
    const renamed = vscode.l10n.t('Renamed from {0}', former);
    return [renamed, group === 'both' ? vscode.l10n.t('{0} was renamed alike on {1} and {2}', object, branch, base) : vscode.l10n.t('{0} has its new name on {1}', object, branch)].join('\n');
  }
  if (group === 'both') {
    return vscode.l10n.t('{0} was changed alike on {1} and {2}', object, branch, base);
  }
  switch (change.change) {
    case 'added':
      return vscode.l10n.t('{0} is new on {1}', object, branch);
    case 'removed':
      return vscode.l10n.t('{0} of {1} is gone from {2}', object, base, branch);
    case 'changed':
    case 'renamed':
      return vscode.l10n.t('{0} differs between {1} and {2}', object, base, branch);
  }
}
