import { isCurrent, type Currency } from './currency.js';
import { refKey, type DocumentRef } from './uri.js';

/** What came of reading a document. */
export interface Read {
  readonly text: string;
  /** The text says why there is none; it is read again at the next opportunity. */
  readonly failed: boolean;
}

/** Where documents come from. */
export interface Source {
  currency(ref: DocumentRef): Currency;
  /** The text of a document that is ready. Never rejects: a failure is a text too. */
  read(ref: DocumentRef): Promise<Read>;
  /** What is shown instead of one that is not. */
  placeholder(ref: DocumentRef, why: Currency): string;
}

/** A document as it was last read. */
export interface Content {
  readonly text: string;
  /** Milliseconds since 1970; grows when the text changes. */
  readonly changedAt: number;
}

interface Entry {
  readonly ref: DocumentRef;
  text: string;
  changedAt: number;
  readAt: Currency | undefined;
  reading: Promise<void> | undefined;
}

/** Documents that are not open are forgotten, oldest first, beyond this number. */
const MOST_ENTRIES = 2000;

/** The documents that were asked for, with what the database held then. */
export class DocumentStore {
  private readonly source: Source;
  private readonly entries = new Map<string, Entry>();
  private readonly changed: (key: string) => void;

  /** `changed` is called with the [`refKey`] of a document whose text is another than the one that was given out. */
  constructor(source: Source, changed: (key: string) => void) {
    this.source = source;
    this.changed = changed;
  }

  /** The document, read if that has not been done or the database changed since. */
  async get(ref: DocumentRef): Promise<Content> {
    const key = refKey(ref);
    let entry = this.entries.get(key);
    if (entry === undefined) {
      entry = { ref, text: '', changedAt: 0, readAt: undefined, reading: undefined };
      this.entries.set(key, entry);
      this.shrink();
    }
    await this.refresh(entry);
    return { text: entry.text, changedAt: entry.changedAt };
  }

  /** Reads again what is no longer current. */
  async refreshAll(): Promise<void> {
    await Promise.all([...this.entries.values()].map(async (entry) => this.refresh(entry)));
  }

  /** Forgets a document: nobody shows it any more. */
  forget(ref: DocumentRef): void {
    this.entries.delete(refKey(ref));
  }

  private async refresh(entry: Entry): Promise<void> {
    entry.reading ??= this.readUntilCurrent(entry).finally(() => {
      entry.reading = undefined;
    });
    await entry.reading;
  }

  private async readUntilCurrent(entry: Entry): Promise<void> {
    // The database may change while it is read.
    for (let turn = 0; turn < 3; turn += 1) {
      const now = this.source.currency(entry.ref);
      if (isCurrent(entry.readAt, now)) {
        return;
      }
      const read = now.kind === 'ready' ? await this.source.read(entry.ref) : { text: this.source.placeholder(entry.ref, now), failed: false };
      this.take(entry, read.text, read.failed ? undefined : now);
      if (read.failed) {
        return;
      }
    }
  }

  private take(entry: Entry, text: string, now: Currency | undefined): void {
    const first = entry.changedAt === 0;
    entry.readAt = now;
    if (first || text !== entry.text) {
      entry.text = text;
      entry.changedAt = Math.max(Date.now(), entry.changedAt + 1);
    } else {
      return;
    }
    if (!first) {
      this.changed(refKey(entry.ref));
    }
  }

  private shrink(): void {
    for (const key of this.entries.keys()) {
      if (this.entries.size <= MOST_ENTRIES) {
        return;
      }
      this.entries.delete(key);
    }
  }
}
