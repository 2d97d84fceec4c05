import assert from 'node:assert/strict';
import { test } from 'node:test';
import { currencyOf, isCurrent, type Currency } from '../src/documents/currency.js';
import { DocumentStore } from '../src/documents/store.js';
import { failureText, placeholderText } from '../src/documents/texts.js';
import { refKey, type DocumentRef } from '../src/documents/uri.js';
import { branch, compared, project, ready, status, statusIn } from './support/status.js';

const FOLDER = 'file:///work/shop';
const items: DocumentRef = { folder: FOLDER, branch: 'feature', object: { kind: 'table', schema: 'public', name: 'items' } };

/** A database of one object, and the documents that show it. */
class World {
  now: Currency = { kind: 'waiting' };
  text = 'create table items ();';
  reads = 0;
  readonly changed: string[] = [];
  fails = false;
  /** Runs while the object is read. */
  meanwhile: (() => void) | undefined;
  readonly store = new DocumentStore(
    {
      currency: () => this.now,
      read: async () => {
        this.reads += 1;
        const { text } = this;
        await Promise.resolve();
        this.meanwhile?.();
        this.meanwhile = undefined;
        return { text, failed: this.fails };
      },
      placeholder: placeholderText,
    },
    (key) => this.changed.push(key),
  );

  become(revision: number, text: string): void {
    this.now = { kind: 'ready', branch: 2, revision };
    this.text = text;
  }
}

test('a_document_waits_with_a_text_and_is_filled_when_the_database_is_there', async () => {
  const world = new World();
  assert.equal((await world.store.get(items)).text, '-- Waiting for the database…\n');
  world.become(1, 'A');
  await world.store.refreshAll();
  assert.deepEqual(world.changed, [refKey(items)]);
  assert.equal((await world.store.get(items)).text, 'A');
});

test('a_document_follows_the_database', async () => {
  const world = new World();
  world.become(1, 'A');
  const before = await world.store.get(items);
  world.become(2, 'B');
  await world.store.refreshAll();
  const after = await world.store.get(items);
  assert.equal(after.text, 'B');
  assert.ok(after.changedAt > before.changedAt, 'the editor reads a file again only if its time has changed');
  assert.deepEqual(world.changed, [refKey(items)]);
});

test('nobody_is_told_of_a_revision_that_changes_other_objects', async () => {
  const world = new World();
  world.become(1, 'A');
  const before = await world.store.get(items);
  world.become(2, 'A');
  await world.store.refreshAll();
  assert.deepEqual(world.changed, []);
  assert.deepEqual(await world.store.get(items), before);
});

test('the_database_is_asked_once_a_revision', async () => {
  const world = new World();
  world.become(1, 'A');
  await Promise.all([world.store.get(items), world.store.get(items), world.store.refreshAll()]);
  await world.store.get(items);
  assert.equal(world.reads, 1);
});

test('a_failed_reading_is_tried_again', async () => {
  const world = new World();
  world.become(1, 'no');
  world.fails = true;
  assert.equal((await world.store.get(items)).text, 'no');
  world.fails = false;
  world.text = 'A';
  assert.equal((await world.store.get(items)).text, 'A');
  assert.deepEqual(world.changed, [refKey(items)], 'whoever shows it is told');
});

test('a_change_during_the_reading_is_not_missed', async () => {
  const world = new World();
  world.become(1, 'A');
  world.meanwhile = () => {
    world.become(2, 'B');
  };
  assert.equal((await world.store.get(items)).text, 'B');
});

test('what_was_read_stays_while_the_engine_is_away_or_reads_again', async () => {
  const world = new World();
  world.become(1, 'A');
  await world.store.get(items);
  for (const now of [{ kind: 'waiting' }, { kind: 'ready', branch: 2, revision: undefined }] satisfies Currency[]) {
    world.now = now;
    assert.equal((await world.store.get(items)).text, 'A');
  }
  assert.deepEqual([world.reads, world.changed], [1, []]);
});

test('a_branch_that_goes_says_so_and_its_return_is_followed', async () => {
  const world = new World();
  world.become(1, 'A');
  await world.store.get(items);
  world.now = { kind: 'noBranch' };
  assert.equal((await world.store.get(items)).text, '-- There is no database branch “feature”.\n');
  world.become(1, 'A');
  assert.equal((await world.store.get(items)).text, 'A');
});

test('a_forgotten_document_is_no_longer_followed', async () => {
  const world = new World();
  world.become(1, 'A');
  await world.store.get(items);
  world.store.forget(items);
  world.become(2, 'B');
  await world.store.refreshAll();
  assert.deepEqual([world.reads, world.changed], [1, []]);
});

test('a_document_can_be_read_when_its_branch_is_there', () => {
  const there = status(ready(FOLDER, project({ schema: compared(7) })));
  assert.deepEqual(currencyOf(there, items, true), { kind: 'ready', branch: 7, revision: 7 });
  assert.equal(currencyOf(there, { ...items, branch: 'gone' }, true).kind, 'noBranch');
  assert.equal(currencyOf(there, { ...items, folder: 'file:///elsewhere' }, true).kind, 'noDatabase');
  assert.equal(currencyOf(there, items, false).kind, 'untrusted');
  assert.equal(currencyOf(undefined, items, true).kind, 'waiting');
  assert.equal(currencyOf(statusIn(FOLDER, { kind: 'starting' }), items, true).kind, 'waiting');
  assert.equal(currencyOf(statusIn(FOLDER, { kind: 'noGit' }), items, true).kind, 'noDatabase');
});

test('a_branch_that_was_made_anew_is_read_anew', () => {
  const other = project({ schema: compared(7), branches: [branch('main'), branch('feature', { id: 99, parent: 'main' })] });
  const [before, after] = [status(ready(FOLDER, project({ schema: compared(7) }))), status(ready(FOLDER, other))];
  assert.equal(isCurrent(currencyOf(before, items, true), currencyOf(after, items, true)), false);
});

test('a_failure_is_shown_as_a_comment_whatever_it_holds', () => {
  const text = failureText(items, 'one\r\ntwo; drop table items;\nthree');
  assert.ok(text.trimEnd().split('\n').every((line) => line.startsWith('-- ')), text);
});
