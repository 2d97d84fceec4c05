import * as vscode from 'vscode';
import { command } from '../commands/register.js';
import { chooseBranch, targetArgument } from '../commands/target.js';
import { isSummary, plainParts, refOf, SUMMARY } from '../documents/uri.js';
import { folderUri } from '../documents/folders.js';
import { currentBranch, readyFolder } from '../model.js';
import { changesOf } from '../scm/change.js';
import type { ObjectRef } from '../protocol/summary.js';
import type { Surroundings } from '../surroundings.js';
import type { PictureRef } from './messages.js';
import { PicturePanel, resourceRoots } from './panel.js';

const VIEW_TYPE = 'offshoot.picture';

/** *Branch Diff Summary* and *Picture of the Changes*. */
export function registerSummary(around: Surroundings): vscode.Disposable {
  const panels = new Map<string, PicturePanel>();
  const show = (panel: vscode.WebviewPanel, ref: PictureRef): void => {
    const picture = new PicturePanel(around, panel, ref, { open: async (of, object) => openObject(around, of, object), document: openDocument });
    panels.set(key(ref), picture);
    panel.onDidDispose(() => {
      picture.dispose();
      panels.delete(key(ref));
    });
  };
  return vscode.Disposable.from(
    command('offshoot.branchDiff', async (argument) => {
      const ref = await chosen(around, argument);
      if (ref !== undefined) {
        await openDocument(ref);
      }
    }),
    command('offshoot.picture', async (argument) => {
      const ref = await chosen(around, argument);
      if (ref === undefined) {
        return;
      }
      const known = panels.get(key(ref));
      if (known !== undefined) {
        known.panel.reveal();
        return;
      }
      const options = { enableScripts: true, enableFindWidget: true, localResourceRoots: resourceRoots(around.context.extensionUri) };
      show(vscode.window.createWebviewPanel(VIEW_TYPE, ref.branch, vscode.ViewColumn.Active, options), ref);
    }),
    vscode.window.registerWebviewPanelSerializer(VIEW_TYPE, {
      // Not async: there is nothing to wait for.
      deserializeWebviewPanel: async (panel: vscode.WebviewPanel, state: unknown): Promise<void> => {
        const ref = pictureRef(state);
        if (ref === undefined || panels.has(key(ref))) {
          panel.dispose();
        } else {
          show(panel, ref);
        }
        return Promise.resolve();
      },
    }),
  );
}

/** The branch that is meant: of a tree's row, of a source control, of a document, or the folder's own. */
async function chosen({ server }: Surroundings, argument: unknown): Promise<PictureRef | undefined> {
  const shown = argument instanceof vscode.Uri ? refOf(argument) : undefined;
  if (shown !== undefined && isSummary(shown)) {
    return { folder: shown.folder, branch: shown.branch };
  }
  const folder = folderUri(argument);
  const named = folder === undefined ? undefined : readyFolder(server.status, folder);
  const branch = targetArgument(argument).branch ?? (named === undefined ? undefined : currentBranch(named));
  if (folder !== undefined && branch !== undefined) {
    return { folder, branch };
  }
  const [first, second] = changesOf(server.status);
  if (first !== undefined && second === undefined) {
    return { folder: first.folder, branch: first.branch };
  }
  const target = await chooseBranch(server, argument, vscode.l10n.t('Branch Diff Summary'), ({ parent }) => parent !== undefined);
  return target === undefined ? undefined : { folder: target.ready.folder.uri, branch: target.branch.name };
}

async function openDocument(ref: PictureRef): Promise<void> {
  await vscode.commands.executeCommand('vscode.open', vscode.Uri.from(plainParts({ ...ref, object: SUMMARY })), { preview: false });
}

/** The comparison of an object, or its definition if it did not change. */
async function openObject({ server }: Surroundings, { folder, branch }: PictureRef, object: ObjectRef): Promise<void> {
  const uri = vscode.Uri.from(plainParts({ folder, branch, object }));
  const changed = changesOf(server.status).find((each) => each.folder === folder && each.branch === branch)?.changes ?? [];
  const isSame = ({ kind, schema, name }: ObjectRef): boolean => kind === object.kind && schema === object.schema && name === object.name;
  const found = changed.some(({ change }) => isSame(change.object));
  await vscode.commands.executeCommand(found ? 'offshoot.openChange' : 'vscode.open', uri);
}

function pictureRef(state: unknown): PictureRef | undefined {
  if (typeof state !== 'object' || state === null || !('folder' in state) || !('branch' in state)) {
    return undefined;
  }
  const { folder, branch } = state;
  return typeof folder === 'string' && typeof branch === 'string' ? { folder, branch } : undefined;
}

function key({ folder, branch }: PictureRef): string {
  return JSON.stringify([folder, branch]);
}
