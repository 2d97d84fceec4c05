import * as vscode from 'vscode';
import { command } from '../commands/register.js';
import { detach } from '../detach.js';
import { changeOfDocument, changesOf, definition, listUri, type FolderChanges } from '../scm/change.js';
import { changeLetter, changeTitle, kindIcon, kindTitle, qualifiedName } from '../scm/labels.js';
import { ChangeResource, describeChange } from '../scm/resource.js';
import { sidesOf, type OpenableChange } from '../scm/sides.js';
import type { Surroundings } from '../surroundings.js';
import { folderUri } from './folders.js';
import { sideParts, type DocumentRef } from './uri.js';

/** *Open Change*, *Open Definition* and *Review All Schema Changes*. */
export function registerDocumentCommands({ server }: Surroundings): vscode.Disposable {
  const all = (): FolderChanges[] => changesOf(server.status);
  return vscode.Disposable.from(
    command('offshoot.openChange', async (...args) => {
      await openEach(await chosen(args, all()), openChange, args);
    }),
    command('offshoot.openDefinition', async (...args) => {
      await openEach(await chosen(args, all()), openDefinition, args);
    }),
    command('offshoot.reviewAll', async (...args) => {
      const folder = await chosenFolder(args, all());
      if (folder !== undefined) {
        await reviewAll(folder);
      }
    }),
  );
}

async function openEach(
  changes: readonly OpenableChange[],
  open: (change: OpenableChange, options: vscode.TextDocumentShowOptions) => Promise<void>,
  args: readonly unknown[],
): Promise<void> {
  // The source control view passes whether it keeps the focus.
  const preserveFocus = args.includes(true);
  for (const change of changes) {
    await open(change, { preserveFocus, preview: changes.length === 1 });
  }
}

async function openChange(change: OpenableChange, options: vscode.TextDocumentShowOptions): Promise<void> {
  const { left, right } = sidesOf(change);
  const title = changeTitle(change.change, left.label, right.label);
  await vscode.commands.executeCommand('vscode.diff', side(left), side(right), title, options);
}

function side(ref: DocumentRef): vscode.Uri {
  return vscode.Uri.from(sideParts(ref));
}

async function openDefinition(change: OpenableChange, options: vscode.TextDocumentShowOptions): Promise<void> {
  await vscode.commands.executeCommand('vscode.open', definition(change), options);
}

async function reviewAll({ branch, base, changes }: FolderChanges): Promise<void> {
  if (changes.length === 0) {
    detach(vscode.window.showInformationMessage(vscode.l10n.t('The schemas of {0} and {1} are the same.', branch, base)));
    return;
  }
  const resources = changes.map((change) => {
    const { left, right } = sidesOf(change);
    const kind = change.group === 'conflict' ? 'changed' : change.change.change;
    return [listUri(change), kind === 'added' ? undefined : side(left), kind === 'removed' ? undefined : side(right)];
  });
  await vscode.commands.executeCommand('vscode.changes', vscode.l10n.t('Schema changes ({0} ↔ {1})', base, branch), resources);
}

/** The changes that a menu, a document or, without either, the person chose. */
async function chosen(args: readonly unknown[], all: readonly FolderChanges[]): Promise<OpenableChange[]> {
  const resources = args.flat().filter((each) => each instanceof ChangeResource);
  if (resources.length > 0) {
    // A menu on several passes the one that was clicked and all of them.
    return [...new Set(resources.map((resource) => resource.opens))];
  }
  const uri = args[0] instanceof vscode.Uri ? args[0] : vscode.window.activeTextEditor?.document.uri;
  const shown = uri === undefined ? undefined : changeOfDocument(uri, all);
  const change = shown ?? (await pickChange(all));
  return change === undefined ? [] : [change];
}

async function pickChange(all: readonly FolderChanges[]): Promise<OpenableChange | undefined> {
  const items = all.flatMap(({ folderName, changes }) => changes.map((change) => pickItem(change, all.length > 1 ? folderName : undefined)));
  if (items.length === 0) {
    detach(vscode.window.showInformationMessage(vscode.l10n.t('No branch here changes the schema of its parent.')));
    return undefined;
  }
  const placeHolder = vscode.l10n.t('Which object?');
  return (await vscode.window.showQuickPick(items, { placeHolder, matchOnDescription: true }))?.opens;
}

function pickItem(opens: OpenableChange, folderName: string | undefined): vscode.QuickPickItem & { opens: OpenableChange } {
  const { object, change } = opens.change;
  const words = [`${changeLetter(change, opens.group)} · ${kindTitle(object.kind)}`, ...(folderName === undefined ? [] : [folderName])];
  return { label: `$(${kindIcon(object.kind)}) ${qualifiedName(opens.change)}`, description: words.join(' · '), detail: describeChange(opens), opens };
}

async function chosenFolder(args: readonly unknown[], all: readonly FolderChanges[]): Promise<FolderChanges | undefined> {
  const [uri] = args.map(folderUri).filter((each) => each !== undefined);
  const named = all.find(({ folder }) => folder === uri);
  if (named !== undefined) {
    return named;
  }
  if (all.length === 0) {
    detach(vscode.window.showInformationMessage(vscode.l10n.t('There is no database branch with a parent to compare it with.')));
    return undefined;
  }
  if (all.length === 1) {
    return all[0];
  }
  const items = all.map((each) => ({ label: each.folderName, description: `${each.branch} ← ${each.base}`, each }));
  return (await vscode.window.showQuickPick(items, { placeHolder: vscode.l10n.t('Which folder?') }))?.each;
}
