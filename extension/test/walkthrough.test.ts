import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NOTHING_YET, progressed } from '../src/walkthrough/progress.js';
import { branch, compared, project, ready, status, statusIn } from './support/status.js';

const FOLDER = 'file:///work/shop';
const onMain = project({ branches: [branch('main')], worktree: { ...project().worktree, branch: branch('main') } });

test('nothing_is_reached_without_a_database', () => {
  assert.deepEqual(progressed(NOTHING_YET, undefined, statusIn(FOLDER, { kind: 'noGit' }), true), NOTHING_YET);
});

test('a_database_is_the_first_step', () => {
  assert.deepEqual(progressed(NOTHING_YET, undefined, status(ready(FOLDER, onMain)), false), { ...NOTHING_YET, initialised: true });
});

test('branches_are_seen_when_the_tree_is_shown_with_a_database_in_it', () => {
  const there = status(ready(FOLDER, onMain));
  assert.ok(!progressed(NOTHING_YET, undefined, there, false).sawBranches);
  assert.ok(progressed(NOTHING_YET, undefined, there, true).sawBranches);
  assert.ok(!progressed(NOTHING_YET, undefined, statusIn(FOLDER, { kind: 'noGit' }), true).sawBranches, 'there is nothing to see');
});

test('a_branch_of_a_checkout_is_a_step_of_its_own', () => {
  assert.ok(progressed(NOTHING_YET, undefined, status(ready(FOLDER)), false).secondBranch);
  const made = { ...onMain, branches: project().branches };
  assert.ok(!progressed(NOTHING_YET, undefined, status(ready(FOLDER, made)), false).secondBranch, 'it is not checked out');
});

test('a_changed_schema_is_a_step', () => {
  const changes = [{ change: 'added' as const, group: 'mine' as const, object: { kind: 'table', schema: 'public', name: 'items' } }];
  assert.ok(!progressed(NOTHING_YET, undefined, status(ready(FOLDER, project({ schema: compared(1) }))), false).sawChanges);
  assert.ok(progressed(NOTHING_YET, undefined, status(ready(FOLDER, project({ schema: compared(2, { changes }) }))), false).sawChanges);
});

test('undo_counts_when_the_branch_is_back', () => {
  const deleted = status(ready(FOLDER, { ...onMain, undo: 'feature' }));
  assert.ok(!progressed(NOTHING_YET, undefined, deleted, false).undone);
  assert.ok(progressed(NOTHING_YET, deleted, status(ready(FOLDER)), false).undone);
  assert.ok(!progressed(NOTHING_YET, deleted, status(ready(FOLDER, onMain)), false).undone, 'it went for good');
});

test('nothing_that_was_reached_is_lost', () => {
  const all = { initialised: true, sawBranches: true, secondBranch: true, sawChanges: true, undone: true };
  assert.deepEqual(progressed(all, undefined, statusIn(FOLDER, { kind: 'noGit' }), false), all);
});
