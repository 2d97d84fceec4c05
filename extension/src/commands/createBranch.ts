import * as vscode from 'vscode';
import { branchNamed, currentBranch, gitHeadName, type ReadyFolder } from '../model.js';
import type { Branch } from '../protocol/types.js';
import type { Surroundings } from '../surroundings.js';
import { askName } from './names.js';
import { unlessRuled } from './override.js';
import { command } from './register.js';
import { askToSwitch } from './switchBranch.js';
import { branchItems, chooseFolder, targetArgument } from './target.js';

const STEPS = 2;

/** *Create DB Branch*: from which parent, and its name. From a row of the tree the parent is that row. */
export function registerCreateBranch(around: Surroundings): vscode.Disposable {
  return command('offshoot.createBranch', async (argument) => createBranch(around, argument));
}

async function createBranch(around: Surroundings, argument: unknown): Promise<void> {
  const { server } = around;
  const title = vscode.l10n.t('Create DB Branch');
  const ready = await chooseFolder(server, argument, title);
  if (ready === undefined) {
    return;
  }
  const { branch: named } = targetArgument(argument);
  const known = named === undefined ? undefined : branchNamed(ready.project, named);
  const parent = known ?? (await askParent(ready, title));
  if (parent === undefined) {
    return;
  }
  const folder = ready.folder.uri;
  const git = ready.project.worktree.git;
  const suggestion = git.kind === 'branch' && branchNamed(ready.project, git.name) === undefined ? git.name : '';
  const made = await askName(
    {
      title,
      prompt: vscode.l10n.t('Same schema and data as {0} has now; takes no space until something changes. The git branch of this name will use it.', parent.name),
      placeholder: vscode.l10n.t('Name of the new branch'),
      value: suggestion,
      ...(known === undefined && ready.project.branches.length > 1 ? { step: STEPS, totalSteps: STEPS } : {}),
      taken: ready.project.branches.map(({ name }) => name),
    },
    async (name) =>
      unlessRuled(async (against) =>
        vscode.window.withProgress({ location: vscode.ProgressLocation.Window, title: vscode.l10n.t('Creating database branch {0}', name) }, async () =>
          server.requests.branchCreate({ folder, name, from: parent.name, ...against }),
        ),
      ),
  );
  if (made !== undefined) {
    await tell(ready, made);
  }
}

async function askParent(ready: ReadyFolder, title: string): Promise<Branch | undefined> {
  const { branches } = ready.project;
  const here = currentBranch(ready);
  const [only] = branches;
  if (branches.length === 1) {
    return only;
  }
  const picked = await vscode.window.showQuickPick(branchItems(ready, branches), {
    title: `${title} (1/${STEPS.toString()})`,
    placeHolder: vscode.l10n.t('From the present state of which branch? Enter takes {0}', here ?? only?.name ?? ''),
    matchOnDescription: true,
  });
  return picked?.branch;
}

async function tell(ready: ReadyFolder, made: Branch): Promise<void> {
  if (made.name === gitHeadName(ready.project)) {
    return;
  }
  const copy = vscode.l10n.t('Copy URL');
  const switching = vscode.l10n.t('Check Out in Git');
  const choice = await vscode.window.showInformationMessage(
    vscode.l10n.t('Database branch {0} was made from {1}.', made.name, made.parent ?? ''),
    switching,
    copy,
  );
  const target = { folder: ready.folder.uri, branch: made.name };
  if (choice === copy) {
    await vscode.commands.executeCommand('offshoot.copyBranchUrl', target);
  } else if (choice === switching) {
    await askToSwitch(ready, made.name);
  }
}
