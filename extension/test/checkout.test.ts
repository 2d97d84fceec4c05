import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isStillOpen, openQuestions, Put } from '../src/checkout/asks.js';
import { lineNamed, noticesOf, Told } from '../src/checkout/notices.js';
import type { ReadyFolder } from '../src/model.js';
import { Made, openOffers } from '../src/migrations/offers.js';
import type { Note, Offer } from '../src/protocol/types.js';
import { project, ready } from './support/status.js';

const FOLDER = 'file:///work/shop';

function asking(name: string, id = '/work/shop/.git', uri = FOLDER): ReadyFolder {
  return ready(uri, project({ id, worktree: { ...project().worktree, ask: { name, parent: 'main' } } }));
}

function noting(...notes: Note[]): ReadyFolder {
  return ready(FOLDER, project({ worktree: { ...project().worktree, notes } }));
}

test('a_question_is_put_once_for_a_git_branch', () => {
  const put = new Put();
  const first = put.take(openQuestions([asking('feature')]));
  assert.deepEqual(first, [{ project: '/work/shop/.git', folder: FOLDER, name: 'feature', parent: 'main' }]);
  assert.deepEqual(put.take(openQuestions([asking('feature')])), []);
  assert.deepEqual(put.take(openQuestions([ready(FOLDER)])), []);
  assert.deepEqual(put.take(openQuestions([asking('feature')])), [], 'nor when one comes back to it');
  assert.equal(put.take(openQuestions([asking('other')])).length, 1);
});

test('two_worktrees_of_a_repository_raise_one_question_about_a_git_branch', () => {
  const put = new Put();
  assert.equal(put.take(openQuestions([asking('feature'), asking('feature', '/work/shop/.git', 'file:///work/second')])).length, 1);
});

test('the_same_name_in_another_repository_is_another_question', () => {
  const put = new Put();
  put.take(openQuestions([asking('feature')]));
  assert.equal(put.take(openQuestions([asking('feature', '/work/blog/.git')])).length, 1);
});

test('a_repository_can_be_asked_again', () => {
  const put = new Put();
  put.take(openQuestions([asking('feature'), asking('feature', '/work/blog/.git')]));
  put.forget('/work/shop/.git');
  const again = put.take(openQuestions([asking('feature'), asking('feature', '/work/blog/.git')]));
  assert.deepEqual(again.map(({ project: of }) => of), ['/work/shop/.git']);
});

test('a_question_that_was_answered_elsewhere_is_no_longer_open', () => {
  const [question] = openQuestions([asking('feature')]);
  assert.ok(question !== undefined);
  assert.ok(isStillOpen(question, [asking('feature')]));
  assert.ok(!isStillOpen(question, [ready(FOLDER)]));
  assert.ok(!isStillOpen(question, [asking('other')]), 'git went on');
});

test('what_needs_a_person_is_told_once_a_text', () => {
  const told = new Told();
  const config: Note = { kind: 'config', text: 'offshoot.toml, line 3: unknown key `a`; the last good settings stay in force' };
  assert.equal(told.take(noticesOf([noting(config)])).length, 1);
  assert.equal(told.take(noticesOf([noting(config)])).length, 0);
  assert.equal(told.take(noticesOf([noting({ ...config, text: 'offshoot.toml, line 4: unknown key `b`' })])).length, 1);
});

test('what_the_views_show_anyway_is_not_told', () => {
  const kinds = ['detached', 'ask', 'noBranch', 'otherCommits', 'compute'] as const;
  assert.deepEqual(noticesOf([noting(...kinds.map((kind) => ({ kind, text: kind })))]), []);
});

test('the_line_that_an_error_names_is_found', () => {
  assert.equal(lineNamed('offshoot.toml, line 3: unknown key `a`'), 2);
  assert.equal(lineNamed('offshoot.toml, line 1: is not a file'), 0);
  assert.equal(lineNamed('no number'), 0);
});

test('what_git_left_to_decide_is_offered_once_and_migrations_alone_are_left_quietly', () => {
  const offering = (...offers: Offer[]): ReadyFolder => ready(FOLDER, project({ worktree: { ...project().worktree, offers } }));
  const left: Offer = { kind: 'left', branch: 'feature', into: 'main', migrations: ['002'], text: 'left', hint: '' };
  assert.deepEqual(openOffers([offering(left)]), []);
  const made = new Made();
  const changed = offering({ ...left, changes: true });
  assert.equal(made.take(openOffers([changed])).length, 1);
  assert.equal(made.take(openOffers([changed])).length, 0);
  const merged: Offer = { kind: 'merged', branch: 'feature', into: 'main', text: 'merged', hint: '' };
  assert.deepEqual(made.take(openOffers([offering({ ...left, changes: true }, merged)])).map(({ offer }) => offer.kind), ['merged']);
  assert.equal(made.take(openOffers([offering()])).length, 0);
  assert.equal(made.take(openOffers([changed])).length, 1, 'when it happens again');
});
