import * as vscode from 'vscode';
import type { Branch } from '../protocol/types.js';
import { describeError, isCancelled, RequestError } from '../server/errors.js';
import type { Server } from '../server/server.js';
import type { Surroundings } from '../surroundings.js';
import { exportedText, importedText, pagesText } from './bundleTexts.js';
import { askName } from './names.js';
import { unlessRuled } from './override.js';
import { command } from './register.js';
import { chooseBranch, chooseFolder } from './target.js';

/** *Export Branch as Bundle…* and *Import Bundle…*: a branch as a file, for another store. */
export function registerBundles({ server }: Surroundings): vscode.Disposable {
  return vscode.Disposable.from(
    command('offshoot.exportBundle', async (argument) => exportBundle(server, argument)),
    command('offshoot.importBundle', async (argument) => importBundle(server, argument)),
  );
}

function filters(): Record<string, string[]> {
  return { [vscode.l10n.t('Bundles')]: ['bundle'], [vscode.l10n.t('All files')]: ['*'] };
}

async function exportBundle(server: Server, argument: unknown): Promise<void> {
  const title = vscode.l10n.t('Export Branch as Bundle');
  const target = await chooseBranch(server, argument, title);
  const full = target === undefined ? undefined : await askWhole(target.branch, title);
  if (target === undefined || full === undefined) {
    return;
  }
  const { ready, branch } = target;
  const folder = ready.folder.uri;
  // A slash in a branch's name is none in a file's.
  const file = await vscode.window.showSaveDialog({
    title,
    saveLabel: vscode.l10n.t('Export'),
    defaultUri: vscode.Uri.joinPath(vscode.Uri.file(ready.project.worktree.path), `${branch.name.replaceAll('/', '-')}.bundle`),
    filters: filters(),
  });
  if (file === undefined) {
    return;
  }
  const made = await server.withProgress(vscode.l10n.t('Writing {0} to a bundle', branch.name), async (workDoneToken, cancel) =>
    server.requests.bundleCreate({ folder, branch: branch.name, file: file.fsPath, ...(full ? { full } : {}), workDoneToken }, cancel),
  );
  const copy = vscode.l10n.t('Copy Path');
  if ((await vscode.window.showInformationMessage(exportedText(made, file.fsPath), copy)) === copy) {
    await vscode.env.clipboard.writeText(file.fsPath);
  }
}

/** Whether all pages are to be in it; `undefined`: the person left. */
async function askWhole(branch: Branch, title: string): Promise<boolean | undefined> {
  const changes = { label: vscode.l10n.t('What differs'), detail: vscode.l10n.t('Small. For a store that has the base: one that took a full bundle of this one, or is a copy of it'), full: false };
  const all = { label: vscode.l10n.t('All pages'), detail: vscode.l10n.t('For any store of the same major version of Postgres. Smaller bundles stand on it from then on'), full: true };
  const picked = await vscode.window.showQuickPick(branch.root ? [all, changes] : [changes, all], { title, placeHolder: vscode.l10n.t('What shall be in the bundle of {0}?', branch.name) });
  return picked?.full;
}

async function importBundle(server: Server, argument: unknown): Promise<void> {
  const title = vscode.l10n.t('Import Bundle');
  const ready = await chooseFolder(server, argument, title);
  if (ready === undefined) {
    return;
  }
  const folder = ready.folder.uri;
  const [chosen] = (await vscode.window.showOpenDialog({ title, openLabel: vscode.l10n.t('Import'), defaultUri: vscode.Uri.file(ready.project.worktree.path), filters: filters() })) ?? [];
  if (chosen === undefined) {
    return;
  }
  const file = chosen.fsPath;
  const bundle = await server.requests.bundleRead({ folder, file });
  const made = await askName(
    {
      title,
      prompt: vscode.l10n.t('A bundle of {0}: {1}. A name for the branch; the git branch of this name will use it.', bundle.branch, pagesText(bundle)),
      value: bundle.branch,
      taken: ready.project.branches.map(({ name }) => name),
    },
    async (name) => aboutName(name, async () => unlessRuled(async (against) =>
      server.withProgress(vscode.l10n.t('Making {0} of a bundle', name), async (workDoneToken, cancel) => server.requests.bundleApply({ folder, file, name, ...against, workDoneToken }, cancel)),
    )),
  );
  if (made !== undefined) {
    await vscode.window.showInformationMessage(importedText(made));
  }
}

/** The box of the name stays open for what another name would mend, and for nothing else. */
async function aboutName<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof RequestError && !isCancelled(error) && !error.rpc.message.includes(`\`${name}\``) ? new Error(describeError(error)) : error;
  }
}
