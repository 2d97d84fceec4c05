import * as vscode from 'vscode';
import { listParts, plainParts, refOf, sideParts, type DocumentRef } from '../documents/uri.js';
import type { EditorStatus, SchemaChange } from '../protocol/types.js';
import { readyFolders } from '../model.js';
import { sortedChanges, worktreeFolders } from './labels.js';

/** A changed object with what it takes to show it. */
export interface OpenableChange {
  /** URI of the folder. */
  readonly folder: string;
  readonly branch: string;
  readonly base: string;
  readonly change: SchemaChange;
}

/** All changes of a folder. */
export interface FolderChanges {
  /** URI of the folder. */
  readonly folder: string;
  readonly folderName: string;
  readonly branch: string;
  readonly base: string;
  readonly changes: readonly OpenableChange[];
}

/** The changes of every folder whose schemas have been compared. */
export function changesOf(status: EditorStatus | undefined): FolderChanges[] {
  return worktreeFolders(readyFolders(status)).flatMap(({ folder, project: { schema } }) => {
    if (schema.kind !== 'ready') {
      return [];
    }
    const { branch, base } = schema;
    const changes = sortedChanges(schema.changes).map((change) => ({ folder: folder.uri, branch, base, change }));
    return [{ folder: folder.uri, folderName: folder.name, branch, base, changes }];
  });
}

/** What stands for the change in a list. */
export function listUri({ folder, branch, change }: OpenableChange): vscode.Uri {
  return vscode.Uri.from(listParts({ folder, branch, object: change.object }));
}

/** The object on the branch that changed it; empty if it no longer has it. */
export function branchSide({ folder, branch, change }: OpenableChange): vscode.Uri {
  return vscode.Uri.from(sideParts({ folder, branch, object: change.object }));
}

/** The object on the branch that it is compared with; empty if that has none. */
export function baseSide({ folder, base, change }: OpenableChange): vscode.Uri {
  return vscode.Uri.from(sideParts({ folder, branch: base, object: change.object }));
}

/** The object on its own, from whichever side has it. */
export function definition({ folder, branch, base, change }: OpenableChange): vscode.Uri {
  return vscode.Uri.from(plainParts({ folder, branch: change.change === 'removed' ? base : branch, object: change.object }));
}

/** The change that a document is about, if there is one now. */
export function changeOfDocument(uri: vscode.Uri, all: readonly FolderChanges[]): OpenableChange | undefined {
  const ref = refOf(uri);
  return ref === undefined ? undefined : changeOfRef(ref, all);
}

function changeOfRef(ref: DocumentRef, all: readonly FolderChanges[]): OpenableChange | undefined {
  const folder = all.find((each) => each.folder === ref.folder && (each.branch === ref.branch || each.base === ref.branch));
  return folder?.changes.find(
    ({ change: { object } }) =>
      object.kind === ref.object.kind && object.schema === ref.object.schema && object.name === ref.object.name,
  );
}
