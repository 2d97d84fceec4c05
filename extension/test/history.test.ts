import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entryWords, momentText } from '../src/history/words.js';
import type { LogEntry } from '../src/protocol/types.js';

test('the_moment_of_an_entry_is_exact_to_the_microsecond', () => {
  assert.equal(momentText(1_795_301_400_000_007), '2026-11-21T22:50:00.000007Z');
  assert.equal(momentText(1_795_301_400_123_456), '2026-11-21T22:50:00.123456Z');
});

test('entries_say_what_happened', () => {
  const entry: LogEntry = { number: 1, atUs: 0, kind: 'created', branch: 'feature', line: 2, from: 'main' };
  assert.equal(entryWords(entry), 'feature made from main');
  assert.equal(entryWords({ ...entry, kind: 'snapshotTaken', detail: 'before' }), 'feature snapshot @before');
  const ran: LogEntry = { ...entry, kind: 'migrated', detail: '1.sql applied', commit: '0123456789abcdef' };
  assert.equal(entryWords(ran), 'feature 1.sql applied at commit 0123456789');
});
