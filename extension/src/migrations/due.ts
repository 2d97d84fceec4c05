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
  private readonly heads = new Map<string, string>();
  /** Worktrees that a checkout happened in, with the revision that was known then. */
  private readonly waiting = new Map<string, number | undefined>();

  /** Those that have something pending now. */
  take(stands: readonly Stand[]): Stand[] {
    return stands.filter((stand) => {
      const { worktree, head, branch, revision, known } = stand;
      const before = this.heads.get(worktree);
      this.heads.set(worktree, head);
      if (before !== undefined && before !== head) {
        this.waiting.set(worktree, revision);
      }
      // What was known at the checkout was about the branch before.
      const isKnown = known !== undefined && known.branch === branch && !known.isUnread;
      if (!this.waiting.has(worktree) || this.waiting.get(worktree) === revision || !isKnown) {
        return false;
      }
      this.waiting.delete(worktree);
      return known.pending > 0;
    });
  }
}
