import * as vscode from 'vscode';
import { chooseFolder } from '../commands/target.js';
import { folderUri } from '../documents/folders.js';
import { readyFolders, type ReadyFolder } from '../model.js';
import type { MigrationProject } from '../protocol/types.js';
import type { Surroundings } from '../surroundings.js';

/** What a command about migrations is given: a row of the tree, a lens, or what is in a source control list. */
export interface MigrationArgument {
  /** Root of the worktree. */
  readonly worktree: string;
  /** Id of the project. */
  readonly project?: string;
  /** The file, relative to the worktree. */
  readonly path?: string;
}

/** Where a command is to work. */
export interface MigrationTarget {
  readonly ready: ReadyFolder;
  readonly project: string | undefined;
  readonly path: string | undefined;
}

/** The folder, project and file that are meant; asks for the folder if there are several and none is named. */
export async function chooseMigrations({ server, migrations }: Surroundings, argument: unknown, title: string): Promise<MigrationTarget | undefined> {
  const given = migrationArgument(argument);
  const named = given === undefined ? undefined : readyFolders(server.status).find(({ project }) => project.worktree.path === given.worktree);
  if (given !== undefined && named !== undefined) {
    return { ready: named, project: given.project, path: given.path };
  }
  if (argument instanceof vscode.Uri) {
    const [row] = migrations.rowsIn(argument);
    const ready = row === undefined ? undefined : readyFolders(server.status).find(({ folder }) => folder.uri === row.ready.folder.uri);
    if (row !== undefined && ready !== undefined) {
      return { ready, project: row.project.id, path: row.file?.path };
    }
  }
  const ready = await chooseFolder(server, folderUri(argument), title);
  return ready === undefined ? undefined : { ready, project: undefined, path: undefined };
}

/** The migration that a command is about, for those that need one: the active editor's if none is named. */
export async function chooseMigration(around: Surroundings, argument: unknown, title: string): Promise<MigrationTarget | undefined> {
  const active = vscode.window.activeTextEditor?.document.uri;
  return chooseMigrations(around, argument ?? (active !== undefined && around.migrations.rowsIn(active).length > 0 ? active : undefined), title);
}

/** The names in `argument`, if it is about migrations. */
export function migrationArgument(argument: unknown): MigrationArgument | undefined {
  if (typeof argument !== 'object' || argument === null || !('worktree' in argument) || typeof argument.worktree !== 'string') {
    return undefined;
  }
  const project = 'project' in argument && typeof argument.project === 'string' ? { project: argument.project } : {};
  const path = 'path' in argument && typeof argument.path === 'string' ? { path: argument.path } : {};
  return { worktree: argument.worktree, ...project, ...path };
}

/** The project to write to, of several by a list; `undefined`: the person left. */
export async function chooseProject(around: Surroundings, target: MigrationTarget): Promise<MigrationProject | undefined> {
  const possible = (around.migrations.of(target.ready)?.status?.projects ?? []).filter(({ canNew, id }) => canNew && (target.project === undefined || id === target.project));
  if (possible.length <= 1) {
    return possible[0];
  }
  const items = possible.map((project) => ({ label: project.name, description: project.folders.join(', '), project }));
  return (await vscode.window.showQuickPick(items, { placeHolder: vscode.l10n.t('Which migrations?') }))?.project;
}
