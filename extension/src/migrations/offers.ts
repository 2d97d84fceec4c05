import type { ReadyFolder } from '../model.js';
import type { Offer } from '../protocol/types.js';

/** What git left to decide in a folder. */
export interface OpenOffer {
  readonly ready: ReadyFolder;
  readonly offer: Offer;
}

/**
 * What is worth a notification. Migrations that another branch lacks are what branches are for: where that is all that was left, the
 * status bar says so.
 */
export function openOffers(folders: readonly ReadyFolder[]): OpenOffer[] {
  return folders.flatMap((ready) =>
    (ready.project.worktree.offers ?? [])
      .filter(({ kind, changes, transactions }) => kind !== 'left' || changes === true || (transactions ?? 0) > 0)
      .map((offer) => ({ ready, offer })),
  );
}

/** Which offers a window has made: each once, until it is another one. */
export class Made {
  private last = new Set<string>();

  /** The offers to make now. */
  take(open: readonly OpenOffer[]): OpenOffer[] {
    const keys = new Set<string>();
    const fresh = open.filter(({ ready, offer }) => {
      const key = JSON.stringify([ready.project.worktree.path, offer.kind, offer.branch, offer.into, offer.text]);
      const isNew = !keys.has(key) && !this.last.has(key);
      keys.add(key);
      return isNew;
    });
    this.last = keys;
    return fresh;
  }
}
