import * as vscode from 'vscode';
import type { ListGroup } from '../documents/uri.js';
import type { SchemaStatus } from '../protocol/types.js';
import { sentences } from '../views/words.js';
import { ChangeResource } from './resource.js';
import type { OpenableChange } from './sides.js';

/** The lists of a source control in the order in which the editor shows them. */
const ORDER: readonly ListGroup[] = ['conflict', 'schema', 'mine', 'theirs', 'both'];

/** The lists of changes: whose they are, or one for all where the fork point is not known. */
export class Groups {
  private readonly groups: ReadonlyMap<ListGroup, vscode.SourceControlResourceGroup>;

  constructor(control: vscode.SourceControl) {
    this.groups = new Map(
      ORDER.map((id) => {
        const group = control.createResourceGroup(id, label(id, ''));
        group.hideWhenEmpty = true;
        return [id, group];
      }),
    );
  }

  /** Draws the changes of a schema that has been compared, or says why it could not be. */
  show(schema: SchemaStatus, changes: readonly OpenableChange[]): void {
    const known = schema.kind === 'ready' && schema.fork.kind === 'known';
    const base = schema.kind === 'ready' ? schema.base : '';
    for (const [id, group] of this.groups) {
      group.label = label(id, base);
      group.resourceStates = changes.filter((change) => change.group === id).map((change) => new ChangeResource(change));
      // One list at least stays, so that the view says that there is nothing.
      group.hideWhenEmpty = id !== (known ? 'mine' : 'schema') || schema.kind === 'none';
      if (id === 'schema' && schema.kind === 'failed') {
        group.label = vscode.l10n.t('Schema changes could not be read: {0}', sentences(schema.error.message, schema.error.hint));
      }
    }
  }
}

function label(group: ListGroup, base: string): string {
  switch (group) {
    case 'conflict':
      return vscode.l10n.t('Conflicts');
    case 'schema':
      return vscode.l10n.t('Schema changes');
    case 'mine':
      return vscode.l10n.t('Mine');
    case 'theirs':
      return base === '' ? vscode.l10n.t('From parent') : vscode.l10n.t('From parent ({0})', base);
    case 'both':
      return vscode.l10n.t('Alike on both');
  }
}
