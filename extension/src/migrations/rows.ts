import type { ReadyFolder } from '../model.js';
import type { MigrationBranch, MigrationEntry, MigrationFile, MigrationProject, MigrationState, MigrationsStatus } from '../protocol/types.js';

/** What is known of the migrations of a folder's worktree. */
export interface FolderMigrations {
  readonly ready: ReadyFolder;
  /** Absent while they are being read, and when they cannot be. */
  readonly status: MigrationsStatus | undefined;
  /** Why they cannot be read. */
  readonly error: string | undefined;
}

/** A migration on the branch of a worktree. */
export interface MigrationRow {
  readonly ready: ReadyFolder;
  /** Root of the worktree. */
  readonly worktree: string;
  readonly project: MigrationProject;
  readonly branch: MigrationBranch;
  readonly entry: MigrationEntry;
  /** Absent for a row of the history without a file. */
  readonly file: MigrationFile | undefined;
}

/** States in the order in which they need a person; those behind `unknown` need none. */
const ORDER: readonly MigrationState[] = ['failed', 'changed', 'missing', 'unknownRow', 'outOfOrder', 'pending', 'unknown', 'applied', 'baseline', 'ignored'];

/** Whether nothing is to be done about a migration in this state. */
export function isDone(state: MigrationState): boolean {
  return ORDER.indexOf(state) > ORDER.indexOf('unknown');
}

/** Less than zero if the first state needs a person more. */
export function compareStates(a: MigrationState, b: MigrationState): number {
  return ORDER.indexOf(a) - ORDER.indexOf(b);
}

/** The migrations of a project on the worktree's branch, in the tool's order. */
export function rowsOf(folder: FolderMigrations, project: MigrationProject): MigrationRow[] {
  const [branch] = project.branches;
  const { status, ready } = folder;
  if (branch === undefined || status === undefined) {
    return [];
  }
  return branch.entries.map((entry) => ({
    ready,
    worktree: status.worktree,
    project,
    branch,
    entry,
    file: entry.file === undefined ? undefined : project.files[entry.file],
  }));
}

/** All migrations of a folder on its worktree's branch. */
export function allRows(folder: FolderMigrations): MigrationRow[] {
  return (folder.status?.projects ?? []).flatMap((project) => rowsOf(folder, project));
}

/** Those that need a person, the most pressing first, each kind in the tool's order; a history that was not read says nothing of its files. */
export function openRows(rows: readonly MigrationRow[]): MigrationRow[] {
  return rows.filter(({ entry, branch }) => !isDone(entry.state) && branch.unread === undefined).sort((a, b) => compareStates(a.entry.state, b.entry.state));
}

/** How many the tools would run on the worktree's branch. */
export function pendingCount(folder: FolderMigrations): number {
  return (folder.status?.projects ?? []).reduce((sum, { branches: [own] }) => sum + (own?.pending ?? 0), 0);
}

/** Names that tools give to the file of every migration, in a folder that has the migration's own. */
const GENERIC = /^(?:migration|up|down)\.[a-z]+$/;

/** What people call a migration's file: its name, or that of its folder where each of them has the same one. */
export function fileName(path: string): string {
  const [name = path, folder] = path.split('/').reverse();
  return folder !== undefined && GENERIC.test(name) ? folder : name;
}

/** What people call a migration. */
export function rowName({ file, entry, project }: MigrationRow): string {
  if (file === undefined) {
    return entry.row ?? fileName(entry.path ?? '?');
  }
  const isShared = project.files.some((other) => other !== file && other.path === file.path);
  return isShared ? `${fileName(file.path)} · ${file.name}` : fileName(file.path);
}
