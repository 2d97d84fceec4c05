import type { ReadyFolder } from '../model.js';

/** Something about a worktree that needs a person. */
export interface Notice {
  readonly kind: 'config' | 'portTaken' | 'binding';
  /** URI of the folder. */
  readonly folder: string;
  /** Root of the worktree. */
  readonly worktree: string;
  readonly text: string;
  readonly hint: string | undefined;
}

/** What needs a person now. A failing Postgres is not among it: the status bar and the tree show it. */
export function noticesOf(folders: readonly ReadyFolder[]): Notice[] {
  return folders.flatMap(({ folder, project: { worktree } }) =>
    worktree.notes.flatMap(({ kind, text, hint }) => {
      if (kind !== 'config' && kind !== 'portTaken' && kind !== 'binding') {
        return [];
      }
      return [{ kind, folder: folder.uri, worktree: worktree.path, text, hint }];
    }),
  );
}

/** What a window has been told: each text about a worktree once. */
export class Told {
  private readonly keys = new Set<string>();

  /** What is new. It counts as told from then on. */
  take(notices: readonly Notice[]): Notice[] {
    return notices.filter(({ worktree, text }) => {
      const key = JSON.stringify([worktree, text]);
      const fresh = !this.keys.has(key);
      this.keys.add(key);
      return fresh;
    });
  }
}

/** The line that a text about a file names, from 0; the first line if it names none. */
export function lineNamed(text: string): number {
  const found = /\bline (\d+)/.exec(text)?.[1];
  return found === undefined ? 0 : Math.max(0, Number(found) - 1);
}
