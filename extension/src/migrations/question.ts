import * as vscode from 'vscode';
import { detach } from '../detach.js';
import { currentBranch, gitHeadName } from '../model.js';
import { Due } from './due.js';
import { pendingCount, type FolderMigrations } from './rows.js';
import { apply, type Tools } from './run.js';

const NEVER = 'offshoot.migrations.never';

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
        detach(apply(tools, folder.ready, {}));
      } else if (folder.status?.onCheckout === 'ask' && !never(tools).includes(folder.ready.project.id)) {
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

async function ask(tools: Tools, folder: FolderMigrations): Promise<void> {
  const count = pendingCount(folder);
  const name = folder.status?.branch ?? '';
  const text = count === 1 ? vscode.l10n.t('Database branch “{0}” has 1 pending migration.', name) : vscode.l10n.t('Database branch “{0}” has {1} pending migrations.', name, count);
  const yes = vscode.l10n.t('Apply');
  const no = vscode.l10n.t('Never for This Repository');
  const choice = await vscode.window.showInformationMessage(text, yes, vscode.l10n.t('Not Now'), no);
  if (choice === yes) {
    await apply(tools, folder.ready, {});
  } else if (choice === no) {
    await tools.around.context.globalState.update(NEVER, [...never(tools), folder.ready.project.id]);
  }
}

function never({ around }: Tools): readonly string[] {
  return around.context.globalState.get<readonly string[]>(NEVER, []);
}
