import type { MigrationBranch, MigrationProject } from '../../protocol/types.js';
import { isDone, openRows, rowsOf, type FolderMigrations, type MigrationRow } from '../../migrations/rows.js';

/** A row of the tree. */
export type MigrationNode =
  /** A repository, where the window has several. */
  | { readonly kind: 'folder'; readonly id: string; readonly folder: FolderMigrations; readonly children: readonly MigrationNode[] }
  /** A tool in a folder. */
  | {
      readonly kind: 'project';
      readonly id: string;
      readonly worktree: string;
      readonly of: MigrationProject;
      readonly branch: MigrationBranch | undefined;
      readonly children: readonly MigrationNode[];
    }
  | { readonly kind: 'migration'; readonly id: string; readonly row: MigrationRow; readonly children: readonly MigrationNode[] }
  /** Those that nothing is to be done about. */
  | { readonly kind: 'done'; readonly id: string; readonly children: readonly MigrationNode[] }
  /** Why there is nothing more to see, and what to do. */
  | { readonly kind: 'message'; readonly id: string; readonly text: string; readonly worktree: string; readonly children: readonly MigrationNode[] };

/** The tree: by repository if there are several, by tool, what needs a person first. */
export function buildNodes(folders: readonly FolderMigrations[]): MigrationNode[] {
  const shown = folders.filter(({ status, error }) => error !== undefined || (status?.projects.length ?? 0) > 0);
  if (folders.length < 2) {
    return shown.flatMap((folder) => (folder.error === undefined ? projectNodes(folder) : []));
  }
  return shown.map((folder) => {
    const id = folder.ready.folder.uri;
    const text = folder.error;
    const children = text === undefined ? projectNodes(folder) : [message(`${id}/error`, text, folder.ready.project.worktree.path)];
    return { kind: 'folder', id, folder, children };
  });
}

function projectNodes(folder: FolderMigrations): MigrationNode[] {
  const { status } = folder;
  return (status?.projects ?? []).map((of): MigrationNode => {
    const worktree = status?.worktree ?? '';
    const id = `${worktree}\n${of.id}`;
    const [branch] = of.branches;
    const rows = rowsOf(folder, of);
    const nodes = (some: readonly MigrationRow[]): MigrationNode[] => some.map((row) => ({ kind: 'migration', id: rowId(id, row), row, children: [] }));
    const done = nodes(rows.filter(({ entry }) => isDone(entry.state)).reverse());
    const unread = branch?.unread === undefined ? [] : [message(`${id}/unread`, branch.unread, worktree)];
    const rest = branch?.unread === undefined ? nodes(openRows(rows)) : nodes(rows);
    const children = [...unread, ...rest, ...(done.length === 0 || branch?.unread !== undefined ? [] : [{ kind: 'done', id: `${id}/done`, children: done } as const])];
    return { kind: 'project', id, worktree, of, branch, children };
  });
}

function rowId(project: string, { file, entry }: MigrationRow): string {
  return `${project}\n${file === undefined ? `row ${entry.row ?? entry.path ?? ''}` : `${file.path}#${file.key}`}`;
}

function message(id: string, text: string, worktree: string): MigrationNode {
  return { kind: 'message', id, text, worktree, children: [] };
}
