import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProjectStatus } from '../src/protocol/types.js';
import { commandLink, otherText, readyText, serverText, type StatusText, TOOLTIP_COMMANDS } from '../src/status/text.js';
import { branch, folder, project } from './support/statuses.js';

function textOf(facts: ProjectStatus): StatusText {
  return readyText({ folder: folder('shop', facts), project: facts });
}

const main = branch('main', { state: 'awake' });
const feature = branch('feature', { parent: 'main', state: 'awake' });

test('an_awake_branch_is_only_named_and_a_sleeping_one_says_so', () => {
  assert.deepEqual([textOf(project([main], 'main')).text, textOf(project([main], 'main')).alarm], ['$(database) main', 'none']);
  assert.equal(textOf(project([branch('main')], 'main')).text, '$(database) main · asleep');
});

test('of_several_repositories_the_one_that_is_worked_on_is_named', () => {
  const facts = project([main], 'main');
  const told = readyText({ folder: folder('shop', facts), project: facts }, 'shop');
  assert.equal(told.text, '$(database) shop: main');
  assert.match(told.spoken, /repository shop/);
});

test('a_repository_whose_database_is_gone_warns', () => {
  const told = otherText({ kind: 'notInitialised', root: '/', dumps: [], lost: '/stores/0123' });
  assert.deepEqual([told?.alarm, told?.spoken.includes('/stores/0123')], ['warning', true]);
  assert.equal(otherText({ kind: 'notInitialised', root: '/', dumps: [] }), undefined);
});

test('a_database_on_another_branch_than_git_warns', () => {
  const facts = project([main, feature], 'main');
  const apart = textOf({ ...facts, worktree: { ...facts.worktree, git: { kind: 'branch', name: 'feature' } } });
  assert.equal(apart.alarm, 'warning');
  assert.match(apart.spoken, /git has feature checked out/);
});

test('a_question_warns_and_can_be_answered_from_the_tooltip', () => {
  const facts = project([main], 'main');
  const asked = textOf({ ...facts, worktree: { ...facts.worktree, ask: { name: 'new', parent: 'main' } } });
  assert.equal(asked.alarm, 'warning');
  assert.match(asked.tooltip, /command:offshoot\.answerCheckout\?/);
});

test('a_detached_head_is_an_ordinary_state', () => {
  const facts = project([main], 'main');
  const detached = textOf({
    ...facts,
    worktree: { ...facts.worktree, git: { kind: 'detached', commit: '0123456789' }, notes: [{ kind: 'detached', text: 'HEAD is detached' }] },
  });
  assert.equal(detached.alarm, 'none');
  assert.match(detached.tooltip, /HEAD is detached/);
});

test('work_turns_the_icon_and_failure_is_an_error', () => {
  assert.equal(textOf(project([main], 'main', { jobs: [{ title: 'Resetting main', branch: 'main' }] })).text, '$(loading~spin) Resetting main');
  assert.equal(textOf(project([branch('main', { state: 'waking' })], 'main')).text, '$(loading~spin) main · waking…');
  const failed = textOf(project([branch('main', { state: 'failed', failure: 'no space left' })], 'main'));
  assert.deepEqual([failed.text, failed.alarm], ['$(error) main · failed', 'error']);
  assert.match(failed.tooltip, /no space left/);
});

test('a_branch_cannot_draw_icons_nor_run_commands', () => {
  const evil = textOf(project([branch('$(zap)](command:x)')], '$(zap)](command:x)'));
  assert.ok(!evil.text.includes('$(zap)'));
  assert.ok(!evil.tooltip.includes('](command:x)'));
});

test('the_tooltip_runs_only_commands_that_it_may', () => {
  const facts = project([main, feature], 'feature');
  const asked = textOf({ ...facts, worktree: { ...facts.worktree, ask: { name: 'new', parent: 'main' } } });
  const used = [...asked.tooltip.matchAll(/command:([\w.]+)/g)].map(([, name]) => name);
  assert.deepEqual([...used].sort(), [...TOOLTIP_COMMANDS].sort());
});

test('a_link_carries_its_argument', () => {
  assert.equal(commandLink('Copy', 'offshoot.copyUrl', { folder: 'file:///a b' }), '[Copy](command:offshoot.copyUrl?%5B%7B%22folder%22%3A%22file%3A%2F%2F%2Fa%20b%22%7D%5D)');
});

test('a_window_without_databases_shows_nothing', () => {
  assert.equal(otherText({ kind: 'noGit' }), undefined);
  assert.equal(otherText({ kind: 'notInitialised', root: '/', dumps: [] }), undefined);
  assert.equal(serverText({ kind: 'stopped' }), undefined);
  assert.equal(serverText({ kind: 'failed', reason: 'it ended' })?.alarm, 'error');
  assert.equal(otherText({ kind: 'failed', error: { kind: 'engine', message: 'no answer' } })?.alarm, 'error');
});
