import * as vscode from 'vscode';
import { isChangeable, type ReadyFolder } from '../model.js';
import type { Branch } from '../protocol/types.js';
import type { Server } from '../server/server.js';
import type { Surroundings } from '../surroundings.js';
import { unlessRuled } from './override.js';
import { command } from './register.js';
import { chooseBranch, chooseFolder } from './target.js';

/** *Delete*, *Reset* and *Undo*. The first two need no question: the last one brings back what they took, for seven days. */
export function registerGiveBack({ server }: Surroundings): vscode.Disposable {
  return vscode.Disposable.from(
    command('offshoot.deleteBranch', async (argument) => deleteBranch(server, argument)),
    command('offshoot.resetBranch', async (argument) => resetBranch(server, argument)),
    command('offshoot.undo', async (argument) => {
      const ready = await chooseFolder(server, argument, vscode.l10n.t('Undo'));
      if (ready !== undefined) {
        await undo(server, ready);
      }
    }),
  );
}

async function deleteBranch(server: Server, argument: unknown): Promise<void> {
  const fits = (branch: Branch): boolean => isChangeable(branch) && !branch.root;
  const target = await chooseBranch(server, argument, vscode.l10n.t('Delete Database Branch'), fits);
  if (target === undefined) {
    return;
  }
  const { ready, branch } = target;
  if (!(await allowed(branch, vscode.l10n.t('Delete Branch')))) {
    return;
  }
  await unlessRuled(async (against) =>
    server.withProgress(
      vscode.l10n.t('Deleting database branch {0}', branch.name),
      async (workDoneToken, cancel) => server.requests.branchDelete({ folder: ready.folder.uri, name: branch.name, ...against, workDoneToken }, cancel),
      vscode.ProgressLocation.Window,
    ),
  );
  await offerUndo(server, ready, branch.id, vscode.l10n.t('Database branch {0} was deleted. It can be brought back for seven days.', branch.name));
}

async function resetBranch(server: Server, argument: unknown): Promise<void> {
  const fits = (branch: Branch): boolean => isChangeable(branch) && branch.parent !== undefined;
  const target = await chooseBranch(server, argument, vscode.l10n.t('Reset Database Branch to Its Parent'), fits);
  if (target === undefined) {
    return;
  }
  const { ready, branch } = target;
  if (!(await allowed(branch, vscode.l10n.t('Reset Branch')))) {
    return;
  }
  await unlessRuled(async (against) =>
    server.withProgress(vscode.l10n.t('Resetting database branch {0}', branch.name), async (workDoneToken, cancel) =>
      server.requests.branchReset({ folder: ready.folder.uri, name: branch.name, ...against, workDoneToken }, cancel),
    ),
  );
  const done = vscode.l10n.t('Database branch {0} is what {1} is now.', branch.name, branch.parent ?? '');
  await offerUndo(server, ready, branch.id, done);
}

/** Open connections are the one thing that undo does not bring back: whoever uses the branch now is asked about. */
async function allowed(branch: Branch, button: string): Promise<boolean> {
  if (branch.connections === 0) {
    return true;
  }
  const one = branch.connections === 1;
  const open = one
    ? vscode.l10n.t('1 connection is open to database branch {0}.', branch.name)
    : vscode.l10n.t('{0} connections are open to database branch {1}.', branch.connections, branch.name);
  const lost = one ? vscode.l10n.t('It is closed, and its open transaction is lost.') : vscode.l10n.t('They are closed, and their open transactions are lost.');
  const detail = `${lost} ${vscode.l10n.t('The branch itself can be brought back for seven days.')}`;
  const choice = await vscode.window.showWarningMessage(open, { modal: true, detail }, button);
  return choice === button;
}

/** The notification may be answered late: it undoes what it tells of, or nothing. */
async function offerUndo(server: Server, ready: ReadyFolder, id: number, text: string): Promise<void> {
  const button = vscode.l10n.t('Undo');
  const choice = await vscode.window.showInformationMessage(text, button);
  if (choice === button) {
    await undo(server, ready, id);
  }
}

async function undo(server: Server, ready: ReadyFolder, id?: number): Promise<void> {
  const result = await vscode.window.withProgress({ location: vscode.ProgressLocation.Window, title: vscode.l10n.t('Bringing a database branch back') }, async () =>
    server.requests.branchUndo({ folder: ready.folder.uri, ...(id === undefined ? {} : { id }) }),
  );
  const { name } = result.branch;
  const text = result.replaced ? vscode.l10n.t('Database branch {0} has again what it had before.', name) : vscode.l10n.t('Database branch {0} is back.', name);
  vscode.window.setStatusBarMessage(`$(check) ${text}`, 5_000);
}
