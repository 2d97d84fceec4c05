import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Due, type Stand } from '../src/migrations/due.js';
import { endingDetail } from '../src/migrations/ending.js';
import { plainText } from '../src/migrations/plain.js';
import { appliedText, rehearsalText } from '../src/migrations/render.js';

const stand = (head: string, revision: number, pending: number, more: Partial<NonNullable<Stand['known']>> = {}): Stand => ({
  worktree: '/work/shop', head, branch: head, revision, known: { branch: head, pending, isUnread: false, onCheckout: 'ask', ...more },
});

test('pending_migrations_are_asked_about_once_for_each_checkout', () => {
  const due = new Due();
  assert.deepEqual(due.take([stand('main', 1, 3)]), [], 'nobody checked out anything');
  assert.deepEqual(due.take([{ ...stand('feature', 1, 3), known: stand('main', 1, 3).known }]), [], 'what is known is of before');
  assert.deepEqual(due.take([stand('feature', 2, 1, { isUnread: true })]), [], 'asleep');
  assert.equal(due.take([stand('feature', 3, 1)]).length, 1);
  assert.deepEqual(due.take([stand('feature', 4, 1)]), [], 'asked already');
  assert.deepEqual(due.take([stand('main', 4, 0)]), []);
  assert.deepEqual(due.take([stand('main', 5, 0)]), [], 'nothing is pending');
  assert.deepEqual(due.take([stand('main', 6, 2)]), [], 'a file that was written later is no checkout');
  assert.equal(due.take([stand('feature', 6, 2)]).length, 1, 'what is known came before the checkout was told');
});

test('who_is_disconnected_by_an_undo_is_named', () => {
  const one = (application: string, pid: number, inTransaction: boolean) => ({ application, pid, user: 'app', inTransaction });
  assert.equal(endingDetail([one('psql', 12, true), one('', 13, false)]), 'psql, pid 12, as app, with a transaction that is not committed\na program without a name, pid 13, as app');
  assert.match(endingDetail(Array.from({ length: 12 }, (_, pid) => one('web', pid, false))), /pid 9, as app\nand 2 more$/);
});

test('output_is_shown_as_a_terminal_would_leave_it', () => {
  assert.equal(plainText('\u001b[32mApplied\u001b[0m 1\r\n10%\r20%\rdone\n'), 'Applied 1\ndone\n');
});

test('a_report_of_a_run_has_the_verdict_first_and_sql_that_cannot_end_its_fence', () => {
  const text = appliedText({
    branch: 'feature', throwaway: true, passed: true, ran: ['db/1_a.sql'], sql: "comment on table t is '```';",
    changes: [{ change: 'added', group: 'mine', object: { kind: 'table', schema: 'public', name: 't' } }],
    steps: [{ kind: 'apply', title: 'Apply', outcome: 'passed', message: '', tookMs: 12, log: '' }],
  });
  assert.match(text, /^# Migrations on a throwaway of feature\n\n\*\*They run\. Nothing was kept\.\*\*\n\n- `db\/1_a\.sql`/);
  assert.match(text, /- new: table `public\.t`\n\n````sql\ncomment on table t is '```';\n````/);
});

test('a_rehearsal_tells_merges_that_go_wrong_first', () => {
  const pair = { message: 'both have version 2', findings: [], orders: [], differs: [] };
  const text = rehearsalText({
    mine: 'feature', base: 'main', branch: 'main', passed: false, tookMs: 900, notes: [],
    pairs: [{ other: 'fine', outcome: 'passed', ...pair, message: 'all well' }, { other: 'twice', outcome: 'failed', ...pair }],
  });
  assert.match(text, /Some merges go wrong\.[^]*✗ twice[^]*Both have version 2[^]*✓ fine/);
});
