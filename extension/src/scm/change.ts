import * as vscode from 'vscode';
import { listGroup, listParts, plainParts, refOf, type DocumentRef, type ListGroup } from '../documents/uri.js';
import type { EditorStatus } from '../protocol/types.js';
import { readyFolders } from '../model.js';
import { sortedChanges, worktreeFolders } from './labels.js';
import { sidesOf, type OpenableChange } from './sides.js';

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
    const { branch, base, fork } = schema;
    const changes = sortedChanges(schema.changes).map((change): OpenableChange => {
      return { folder: folder.uri, branch, base, change, group: fork.kind === 'known' ? change.group : 'schema' };
    });
    return [{ folder: folder.uri, folderName: folder.name, branch, base, changes }];
  });
}

/** What stands for the change in a list. */
export function listUri({ folder, branch, change, group }: OpenableChange): vscode.Uri {
  return vscode.Uri.from(listParts({ folder, branch, object: change.object }, group));
}

/** The object on its own, from whichever side has it. */
export function definition(change: OpenableChange): vscode.Uri {
  const { left, right } = sidesOf(change);
  return vscode.Uri.from(plainParts(change.change.change === 'removed' ? left : right));
}

/** The change that a document is about, if there is one now. */
export function changeOfDocument(uri: vscode.Uri, all: readonly FolderChanges[]): OpenableChange | undefined {
  const ref = refOf(uri);
  return ref === undefined ? undefined : changeOfRef(ref, listGroup(uri), all);
}

function changeOfRef(ref: DocumentRef, group: ListGroup | undefined, all: readonly FolderChanges[]): OpenableChange | undefined {
  const folder = all.find((each) => each.folder === ref.folder && (each.branch === ref.branch || each.base === ref.branch));
  return folder?.changes.find(
    ({ change: { object }, group: own }) =>
      (group === undefined || group === own) &&
      object.kind === ref.object.kind && object.schema === ref.object.schema && object.name === ref.object.name,
  );
}
