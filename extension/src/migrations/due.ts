import type { MigrationsOnCheckout } from '../protocol/types.js';

/** How a worktree stands now. */
export interface Stand {
  /** Root of the worktree. */
  readonly worktree: string;
  /** What git has checked out. */
  readonly head: string;
  /** Name of the database branch. */
  readonly branch: string | undefined;
  /** Grows with what is known of migrations. */
  readonly revision: number | undefined;
  /** What is known of them; absent while that is nothing. */
  readonly known: { readonly branch: string | undefined; readonly pending: number; readonly isUnread: boolean; readonly onCheckout: MigrationsOnCheckout } | undefined;
}

/** Tells which worktrees have pending migrations after a checkout: each checkout once. */
export class Due {
  private readonly last = new Map<string, Pick<Stand, 'head' | 'branch'>>();
  /** Worktrees that a checkout happened in, with the revision that was known then; `null` if whatever is known counts. */
  private readonly waiting = new Map<string, number | undefined | null>();

  /** Those that have something pending now. */
  take(stands: readonly Stand[]): Stand[] {
    return stands.filter((stand) => {
      const { worktree, head, branch, revision, known } = stand;
      const before = this.last.get(worktree);
      this.last.set(worktree, { head, branch });
      if (before !== undefined && before.head !== head) {
        // On the same database branch what is known is about other files. Of another one its name tells what is about it, which may
        // be known before the checkout is.
        this.waiting.set(worktree, before.branch === branch && this.waiting.get(worktree) !== null ? revision : null);
      }
      const isKnown = known !== undefined && known.branch === branch && !known.isUnread;
      if (!this.waiting.has(worktree) || this.waiting.get(worktree) === revision || !isKnown) {
        return false;
      }
      this.waiting.delete(worktree);
      return known.pending > 0;
    });
  }
}
