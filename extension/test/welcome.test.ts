import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FolderState } from '../src/protocol/types.js';
import { type ServerState, whyUnavailable } from '../src/server/state.js';
import { lostStore, welcomeState } from '../src/views/welcome.js';
import { branch, folder, project, status } from './support/statuses.js';

const running: ServerState = { kind: 'running', version: '0.1.0', path: '/offshoot' };
const failed: FolderState = { kind: 'failed', error: { kind: 'engine', message: 'no answer' } };
const none: FolderState = { kind: 'notInitialised', root: '/', dumps: [] };

function stateOf(...folders: FolderState[]): string {
  return welcomeState(folders.length, true, running, status(...folders.map((state, at) => folder(`f${at.toString()}`, state))));
}

test('each_state_of_a_folder_has_its_welcome', () => {
  assert.equal(stateOf({ kind: 'noGit' }), 'noGit');
  assert.equal(stateOf(none), 'notInitialised');
  assert.equal(stateOf({ kind: 'starting' }), 'starting');
  assert.equal(stateOf(failed), 'failed');
  assert.equal(stateOf({ kind: 'ready', ...project([branch('main')], 'main') }), 'ready');
  assert.equal(stateOf({ kind: 'ready', ...project([], undefined) }), 'empty');
});

test('a_database_that_is_gone_has_a_welcome_of_its_own_that_leads_on', () => {
  const lost: FolderState = { kind: 'notInitialised', root: '/', dumps: [], lost: '/stores/0123' };
  assert.equal(stateOf(lost), 'lost');
  assert.equal(stateOf(none, lost), 'lost');
  assert.equal(stateOf(lost, failed), 'failed');
  assert.equal(lostStore(status(folder('shop', lost))), '/stores/0123');
  assert.equal(lostStore(status(folder('shop', none))), undefined);
});

test('of_several_folders_the_one_with_branches_wins_then_the_one_that_needs_a_person', () => {
  assert.equal(stateOf(failed, { kind: 'ready', ...project([branch('main')], 'main') }), 'ready');
  assert.equal(stateOf({ kind: 'noGit' }, none), 'notInitialised');
  assert.equal(stateOf(none, failed), 'failed');
});

test('the_server_comes_before_the_folders', () => {
  assert.equal(welcomeState(0, true, running, undefined), 'noFolder');
  assert.equal(welcomeState(1, false, { kind: 'untrusted' }, undefined), 'untrusted');
  assert.equal(welcomeState(1, true, { kind: 'stopped' }, undefined), 'starting');
  assert.equal(welcomeState(1, true, running, undefined), 'starting');
  assert.equal(welcomeState(1, true, { kind: 'missing', reason: '' }, undefined), 'missing');
  assert.equal(welcomeState(1, true, { kind: 'failed', reason: '' }, undefined), 'failed');
});

test('every_state_in_which_nothing_can_be_asked_says_why_and_what_to_do', () => {
  const states: ServerState[] = [{ kind: 'stopped' }, { kind: 'untrusted' }, { kind: 'missing', reason: 'no program' }, { kind: 'starting' }, { kind: 'failed', reason: 'it ended' }];
  for (const state of states) {
    const { message, hint } = whyUnavailable(state);
    assert.notEqual(message, '');
    assert.notEqual(hint, '');
  }
});
