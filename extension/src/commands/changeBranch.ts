import * as vscode from 'vscode';
import { isChangeable } from '../model.js';
import type { Branch } from '../protocol/types.js';
import type { Server } from '../server/server.js';
import type { Surroundings } from '../surroundings.js';
import { askName } from './names.js';
import { unlessRuled } from './override.js';
import { command } from './register.js';
import { chooseBranch } from './target.js';

/** *Rename*, *Protect*, *Remove Protection*, *Wake* and *Put to Sleep*. */
export function registerChangeBranch({ server }: Surroundings): vscode.Disposable {
  return vscode.Disposable.from(
    command('offshoot.renameBranch', async (argument) => rename(server, argument)),
    command('offshoot.protectBranch', async (argument) => protect(server, argument, true)),
    command('offshoot.unprotectBranch', async (argument) => protect(server, argument, false)),
    command('offshoot.wakeBranch', async (argument) => wake(server, argument)),
    command('offshoot.sleepBranch', async (argument) => sleep(server, argument)),
  );
}

async function rename(server: Server, argument: unknown): Promise<void> {
  const title = vscode.l10n.t('Rename Database Branch');
  const target = await chooseBranch(server, argument, title, (branch) => isChangeable(branch));
  if (target === undefined) {
    return;
  }
  const { ready, branch } = target;
  const prompt = branch.inGit
    ? vscode.l10n.t('The git branch {0} keeps its name and will have no database branch. Rename it in git instead to rename both.', branch.name)
    : vscode.l10n.t('New name of {0}. The data stay.', branch.name);
  await askName(
    { title, prompt, value: branch.name, taken: ready.project.branches.map(({ name }) => name) },
    async (to) => unlessRuled(async (against) => server.requests.branchRename({ folder: ready.folder.uri, name: branch.name, to, ...against })),
  );
}

async function protect(server: Server, argument: unknown, on: boolean): Promise<void> {
  const title = on ? vscode.l10n.t('Protect Database Branch') : vscode.l10n.t('Remove Protection of Database Branch');
  const target = await chooseBranch(server, argument, title, (branch) => (on ? !branch.protected : !isChangeable(branch)));
  if (target !== undefined) {
    await server.requests.branchProtect({ folder: target.ready.folder.uri, name: target.branch.name, on });
  }
}

async function wake(server: Server, argument: unknown): Promise<void> {
  const fits = (branch: Branch): boolean => branch.state === 'asleep' || branch.state === 'failed';
  const target = await chooseBranch(server, argument, vscode.l10n.t('Wake Database Branch'), fits);
  if (target === undefined) {
    return;
  }
  const { ready, branch } = target;
  await server.withProgress(
    vscode.l10n.t('Waking database branch {0}', branch.name),
    async (workDoneToken, cancel) => server.requests.branchWake({ folder: ready.folder.uri, name: branch.name, workDoneToken }, cancel),
    vscode.ProgressLocation.Window,
  );
}

async function sleep(server: Server, argument: unknown): Promise<void> {
  const target = await chooseBranch(server, argument, vscode.l10n.t('Put Database Branch to Sleep'), (branch) => branch.state === 'awake');
  if (target === undefined) {
    return;
  }
  const { ready, branch } = target;
  await server.withProgress(
    vscode.l10n.t('Putting database branch {0} to sleep', branch.name),
    async (workDoneToken, cancel) => server.requests.branchSleep({ folder: ready.folder.uri, name: branch.name, workDoneToken }, cancel),
    vscode.ProgressLocation.Window,
  );
}
