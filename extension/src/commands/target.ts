import * as vscode from 'vscode';
import { branchNamed, currentBranch, type Project, projects, type ReadyFolder, readyFolder } from '../model.js';
import type { Branch } from '../protocol/types.js';
import { ServerUnavailable } from '../server/errors.js';
import type { Server } from '../server/server.js';
import { settled } from '../server/settled.js';
import { whyUnavailable } from '../server/state.js';
import { activeReady } from '../views/activeFolder.js';
import { computeWord, formatBytes, withoutIcons } from '../views/words.js';

/** What a command may be given: a row of the tree, or the argument of a link. */
export interface TargetArgument {
  readonly folder?: string;
  readonly branch?: string;
}

/** A branch and the folder through which it is reached. */
export interface BranchTarget {
  readonly ready: ReadyFolder;
  readonly branch: Branch;
}

/** The names in `argument`, whatever it is; a text alone is a folder's URI. */
export function targetArgument(argument: unknown): TargetArgument {
  if (typeof argument === 'string') {
    return { folder: argument };
  }
  if (typeof argument !== 'object' || argument === null) {
    return {};
  }
  const folder = 'folder' in argument && typeof argument.folder === 'string' ? argument.folder : undefined;
  const branch = 'branch' in argument && typeof argument.branch === 'string' ? argument.branch : undefined;
  return { ...(folder === undefined ? {} : { folder }), ...(branch === undefined ? {} : { branch }) };
}

/** The folder that is meant; asks if there are several repositories and none is named. `undefined`: the person left. */
export async function chooseFolder(server: Server, argument: unknown, title: string): Promise<ReadyFolder | undefined> {
  await settled(server);
  const { folder } = targetArgument(argument);
  const named = folder === undefined ? undefined : readyFolder(server.status, folder);
  if (named !== undefined) {
    return named;
  }
  const all = projects(server.status);
  const [first] = all;
  if (first === undefined) {
    throw nothingThere(server);
  }
  const active = activeReady(server);
  if (all.length === 1) {
    return active ?? first.folders[0];
  }
  return pickProject(all, active, title);
}

/** The branch that is meant; asks if none is named. `fits` leaves out those that the command cannot be used on. */
export async function chooseBranch(
  server: Server,
  argument: unknown,
  title: string,
  fits: (branch: Branch, ready: ReadyFolder) => boolean = () => true,
): Promise<BranchTarget | undefined> {
  const ready = await chooseFolder(server, argument, title);
  if (ready === undefined) {
    return undefined;
  }
  const { branch: name } = targetArgument(argument);
  const named = name === undefined ? undefined : branchNamed(ready.project, name);
  if (named !== undefined) {
    return { ready, branch: named };
  }
  const possible = ready.project.branches.filter((branch) => fits(branch, ready));
  if (possible.length === 0) {
    await vscode.window.showInformationMessage(vscode.l10n.t('There is no database branch that this can be done to.'));
    return undefined;
  }
  const picked = await vscode.window.showQuickPick(branchItems(ready, possible), {
    title,
    placeHolder: vscode.l10n.t('Choose a database branch'),
    matchOnDescription: true,
  });
  return picked?.branch === undefined ? undefined : { ready, branch: picked.branch };
}

/** A row of a quick pick that stands for a branch; separators have none. */
export interface BranchItem extends vscode.QuickPickItem {
  readonly branch?: Branch;
}

/** The branches as rows: this window's first, then those of git branches, then the others. */
export function branchItems(ready: ReadyFolder, branches: readonly Branch[]): BranchItem[] {
  const here = currentBranch(ready);
  const groups: [string, Branch[]][] = [
    [vscode.l10n.t('this window'), branches.filter(({ name }) => name === here)],
    [vscode.l10n.t('git branches'), branches.filter(({ name, inGit }) => name !== here && inGit)],
    [vscode.l10n.t('without a git branch'), branches.filter(({ name, inGit }) => name !== here && !inGit)],
  ];
  return groups.flatMap(([label, group]): BranchItem[] =>
    group.length === 0 ? [] : [{ label, kind: vscode.QuickPickItemKind.Separator }, ...group.map(branchItem)],
  );
}

function branchItem(branch: Branch): BranchItem {
  const parent = branch.parent === undefined ? '' : `← ${branch.parent} · `;
  return {
    label: `$(database) ${withoutIcons(branch.name)}`,
    description: `${parent}${computeWord(branch.state)} · ${formatBytes(branch.ownBytes)}`,
    branch,
  };
}

async function pickProject(all: readonly Project[], active: ReadyFolder | undefined, title: string): Promise<ReadyFolder | undefined> {
  const items = all
    .map((project) => ({
      label: `$(repo) ${project.name}`,
      description: currentBranch(project.folders[0]) ?? '',
      // The worktree that one is working in, where the window has several of one repository.
      ready: active?.project.id === project.id ? active : project.folders[0],
    }))
    .sort((a, b) => Number(b.ready === active) - Number(a.ready === active));
  const picked = await vscode.window.showQuickPick(items, { title, placeHolder: vscode.l10n.t('Choose a repository') });
  return picked?.ready;
}

function nothingThere(server: Server): Error {
  if (server.state.kind !== 'running') {
    const { message, hint } = whyUnavailable(server.state);
    return new ServerUnavailable(message, hint);
  }
  const kinds = server.status?.folders.map(({ state }) => state.kind) ?? [];
  if (kinds.includes('starting') || server.status === undefined) {
    return new Error(vscode.l10n.t('The database engine is still starting. Try again in a moment.'));
  }
  const failed = server.status.folders.find(({ state }) => state.kind === 'failed');
  if (failed?.state.kind === 'failed') {
    return new Error(failed.state.error.message);
  }
  return kinds.includes('notInitialised')
    ? new Error(vscode.l10n.t('This repository has no database yet. Run “Set Up Database Branching” first.'))
    : new Error(vscode.l10n.t('No folder of this window lies in a git repository.'));
}
