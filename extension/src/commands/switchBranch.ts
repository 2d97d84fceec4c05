import * as vscode from 'vscode';
import { branchNamed, gitHeadName, type ReadyFolder } from '../model.js';
import type { Surroundings } from '../surroundings.js';
import { checkOut } from './git.js';
import { command } from './register.js';
import { chooseBranch } from './target.js';

/** *Check Out Git Branch*: the database follows git, so this is how one gets to another branch. */
export function registerSwitchBranch({ server }: Surroundings): vscode.Disposable {
  return command('offshoot.switchBranch', async (argument) => {
    const target = await chooseBranch(
      server,
      argument,
      vscode.l10n.t('Check Out Git Branch'),
      (branch, ready) => branch.name !== gitHeadName(ready.project),
    );
    if (target !== undefined) {
      await askToSwitch(target.ready, target.branch.name);
    }
  });
}

/** Checks the git branch out; where git has none of that name, asks whether it shall be made. */
export async function askToSwitch(ready: ReadyFolder, name: string): Promise<void> {
  const inGit = branchNamed(ready.project, name)?.inGit ?? false;
  if (!inGit) {
    const make = vscode.l10n.t('Create Git Branch');
    const choice = await vscode.window.showInformationMessage(
      vscode.l10n.t('Git has no branch {0}. Create it from {1} and check it out? The database follows.', name, gitHeadName(ready.project)),
      make,
    );
    if (choice !== make) {
      return;
    }
  }
  const folder = vscode.Uri.parse(ready.folder.uri);
  await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Window, title: vscode.l10n.t('Checking out {0}', name) },
    async () => checkOut(folder, name, !inGit),
  );
}
