import * as vscode from 'vscode';
import { detach } from '../detach.js';
import { currentBranch, gitHeadName, readyFolder } from '../model.js';
import { isAnswered, keepAnswer } from './answers.js';
import { Due } from './due.js';
import { pendingCount, type FolderMigrations } from './rows.js';
import { apply, type Tools } from './run.js';

/** After a checkout that leads to a branch with pending migrations: asks, applies or is silent, as `offshoot.toml` says. */
export function registerQuestion(tools: Tools): vscode.Disposable {
  const { around } = tools;
  const due = new Due();
  const look = (): void => {
    const folders = around.migrations.folders;
    const stands = folders.map((folder) => ({ ...standOf(folder), folder }));
    const found = due.take(stands);
    for (const { folder } of stands.filter((stand) => found.includes(stand))) {
      if (folder.status?.onCheckout === 'apply') {
        detach(applyIfAllowed(tools, folder));
      } else if (folder.status?.onCheckout === 'ask' && !isAnswered(around.context.globalState, 'never', folder.ready.project.id)) {
        detach(ask(tools, folder));
      }
    }
  };
  look();
  return vscode.Disposable.from(around.migrations.onDidChange(look), around.server.onDidChangeStatus(look));
}

function standOf({ ready, status }: FolderMigrations): Parameters<Due['take']>[0][number] {
  const { project } = ready;
  const own = (status?.projects ?? []).flatMap(({ branches: [first] }) => (first === undefined ? [] : [first]));
  const known =
    status === undefined
      ? undefined
      : { branch: status.branch, pending: own.reduce((sum, { pending }) => sum + pending, 0), isUnread: own.some(({ unread }) => unread !== undefined), onCheckout: status.onCheckout };
  // Until the question of the checkout itself is answered, it is not known what the address leads to.
  const head = project.worktree.ask === undefined ? `${gitHeadName(project)}\n${currentBranch(ready) ?? ''}` : '';
  return { worktree: project.worktree.path, head, branch: currentBranch(ready), revision: project.migrations, known };
}

/**
 * The file comes with what was checked out, and migrations are programs: whoever wrote the branch must not be able to run some
 * by a checkout alone.
 */
async function applyIfAllowed(tools: Tools, folder: FolderMigrations): Promise<void> {
  const { id } = folder.ready.project;
  const memory = tools.around.context.globalState;
  if (!isAnswered(memory, 'always', id)) {
    const text = vscode.l10n.t('offshoot.toml asks for the pending migrations of “{0}” to be applied after a checkout. They run as programs on this machine.', folder.status?.branch ?? '');
    const always = vscode.l10n.t('Always in This Repository');
    const once = vscode.l10n.t('Apply Once');
    const choice = await vscode.window.showInformationMessage(text, once, always, vscode.l10n.t('Not Now'));
    if (choice === always) {
      await keepAnswer(memory, 'always', id);
    } else if (choice !== once) {
      return;
    }
  }
  await applyThere(tools, folder);
}

/** Applies what is pending, if the branch that it was asked about is still the one: questions stay where they are while people go on. */
async function applyThere(tools: Tools, { ready, status }: FolderMigrations): Promise<void> {
  const now = readyFolder(tools.around.server.status, ready.folder.uri);
  const branch = status?.branch ?? '';
  if (now === undefined || currentBranch(now) !== branch) {
    await vscode.window.showInformationMessage(vscode.l10n.t('“{0}” is not checked out any more, so nothing was run.', branch));
    return;
  }
  await apply(tools, now, {});
}

async function ask(tools: Tools, folder: FolderMigrations): Promise<void> {
  const count = pendingCount(folder);
  const name = folder.status?.branch ?? '';
  const text = count === 1 ? vscode.l10n.t('Database branch “{0}” has 1 pending migration.', name) : vscode.l10n.t('Database branch “{0}” has {1} pending migrations.', name, count);
  const yes = vscode.l10n.t('Apply');
  const no = vscode.l10n.t('Never for This Repository');
  const choice = await vscode.window.showInformationMessage(text, yes, vscode.l10n.t('Not Now'), no);
  if (choice === yes) {
    await applyThere(tools, folder);
  } else if (choice === no) {
    await keepAnswer(tools.around.context.globalState, 'never', folder.ready.project.id);
  }
}
