import * as vscode from 'vscode';
import type { ProjectStatus, SchemaObject } from '../../protocol/types.js';
import { describeError } from '../../server/errors.js';
import type { Surroundings } from '../../surroundings.js';
import { treeItem } from './item.js';
import { classNodes, objectNodes, partNodes, schemaNodes, type SchemaNode, type SchemaRef } from './nodes.js';

/** A branch that the tree shows, with what its schema depends on. */
export interface ShownBranch extends SchemaRef {
  readonly project: ProjectStatus;
}

/** Reads lazily, and wakes no branch unless a person opens its row. */
export class SchemaTree implements vscode.TreeDataProvider<SchemaNode>, vscode.Disposable {
  readonly onDidChangeTreeData: vscode.Event<SchemaNode | undefined>;
  private readonly changed = new vscode.EventEmitter<SchemaNode | undefined>();
  private readonly around: Surroundings;
  private branches: readonly ShownBranch[] = [];
  private drawn = '';
  /** Branches whose row a person opened: they may be woken. */
  private readonly mayWake = new Set<string>();

  constructor(around: Surroundings) {
    this.around = around;
    this.onDidChangeTreeData = this.changed.event;
  }

  /** Shows these branches; reads again what changed. */
  show(branches: readonly ShownBranch[]): void {
    this.branches = branches;
    const drawn = JSON.stringify(branches.map((shown) => [key(shown), fingerprint(shown)]));
    if (drawn !== this.drawn) {
      this.drawn = drawn;
      this.changed.fire(undefined);
    }
  }

  /** A person opened a row. */
  opened(node: SchemaNode): void {
    if (node.kind === 'branch' && !this.mayWake.has(key(node.ref))) {
      this.mayWake.add(key(node.ref));
      this.changed.fire(node);
    }
  }

  /** Reads everything again. */
  readAgain(): void {
    this.changed.fire(undefined);
  }

  getTreeItem(node: SchemaNode): vscode.TreeItem {
    return treeItem(node);
  }

  async getChildren(node?: SchemaNode): Promise<SchemaNode[]> {
    switch (node?.kind) {
      case undefined:
        return this.roots();
      case 'branch':
        return this.schemas(node.ref, node.id);
      case 'schema':
        return classNodes(node.ref, node.objects, node.id);
      case 'class':
        return objectNodes(node.ref, node.objects, node.id);
      case 'object':
        return this.parts(node.ref, node.object, node.id);
      case 'part':
      case 'message':
        return [];
    }
  }

  dispose(): void {
    this.changed.dispose();
  }

  /** Branches as rows. One branch that is known or awake is not worth a row: its schemas are shown at once. */
  private async roots(): Promise<SchemaNode[]> {
    const [only, second] = this.branches;
    if (only !== undefined && second === undefined) {
      const objects = await this.known(only);
      if (objects !== undefined) {
        return objects.length === 0 ? [nothing(key(only))] : schemaNodes(only, objects, key(only));
      }
    }
    return this.branches.map((shown) => {
      const state = shown.project.branches.find(({ name }) => name === shown.branch)?.state === 'awake' ? 'awake' : 'asleep';
      return { kind: 'branch', id: key(shown), ref: { folder: shown.folder, branch: shown.branch }, state };
    });
  }

  private async schemas(ref: SchemaRef, id: string): Promise<SchemaNode[]> {
    try {
      const { asleep, objects } = await this.around.server.requests.schemaObjects({ ...ref, wake: this.mayWake.has(key(ref)) });
      if (asleep) {
        const text = vscode.l10n.t('Asleep. Close and open the row above to wake it.');
        return [{ kind: 'message', id: `${id}/asleep`, text }];
      }
      return objects.length === 0 ? [nothing(id)] : schemaNodes(ref, objects, id);
    } catch (error) {
      return [failed(id, describeError(error))];
    }
  }

  /** The objects if nobody has to be woken for them. */
  private async known(ref: SchemaRef): Promise<SchemaObject[] | undefined> {
    try {
      const { folder, branch } = ref;
      const { asleep, objects } = await this.around.server.requests.schemaObjects({ folder, branch, wake: false });
      return asleep ? undefined : objects;
    } catch (error) {
      this.around.log.debug(`Read the schema of ${ref.branch}: ${describeError(error)}`);
      return undefined;
    }
  }

  private async parts(ref: SchemaRef, object: SchemaObject, id: string): Promise<SchemaNode[]> {
    try {
      const { folder, branch } = ref;
      return partNodes(ref, object, (await this.around.server.requests.schemaParts({ folder, branch, object })).parts, id);
    } catch (error) {
      return [failed(id, describeError(error))];
    }
  }
}

function nothing(id: string): SchemaNode {
  return { kind: 'message', id: `${id}/nothing`, text: vscode.l10n.t('The database is empty.') };
}

function failed(id: string, why: string): SchemaNode {
  return { kind: 'message', id: `${id}/failed`, text: vscode.l10n.t('The schema could not be read: {0}', why), tooltip: why };
}

function key({ folder, branch }: SchemaRef): string {
  return JSON.stringify([folder, branch]);
}

/** Another one whenever the tree may have to show something else. */
function fingerprint({ project, branch }: ShownBranch): string {
  const { schema } = project;
  const own = project.branches.find(({ name }) => name === branch);
  return JSON.stringify([own?.id, own?.forkLsn, own?.state === 'awake', schema.kind === 'ready' && schema.branch === branch ? schema.revision : schema.kind]);
}
