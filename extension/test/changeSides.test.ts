import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSummary, listGroup, listParts, plainParts, refOf, sideParts, SUMMARY, type ListGroup } from '../src/documents/uri.js';
import type { SchemaChange } from '../src/protocol/types.js';
import { changeColour, changeLetter, changeTitle } from '../src/scm/labels.js';
import { sidesOf } from '../src/scm/sides.js';
import { page } from '../src/summary/html.js';

const change: SchemaChange = { change: 'changed', group: 'mine', object: { kind: 'table', schema: 'public', name: 'items' } };

const renamed: SchemaChange = { ...change, change: 'renamed', renamedFrom: { kind: 'table', schema: 'public', name: 'old' } };

function sides(group: ListGroup): string {
  const { left, right } = sidesOf({ folder: 'file:///work/shop', branch: 'feature', base: 'main', change, group });
  return [left, right].map(({ branch, state }) => (state === undefined ? branch : `${branch}@${state}`)).join(' ↔ ');
}

test('each_group_compares_what_it_is_about', () => {
  assert.equal(sides('mine'), 'feature@fork ↔ feature');
  assert.equal(sides('theirs'), 'feature@fork ↔ main');
  assert.equal(sides('conflict'), 'feature ↔ main');
  assert.equal(sides('schema'), 'main ↔ feature');
});

test('a_conflict_has_a_mark_and_a_colour_of_its_own', () => {
  assert.equal(changeLetter('changed', 'conflict'), '!');
  assert.equal(changeColour('changed', 'conflict'), 'gitDecoration.conflictingResourceForeground');
  assert.equal(changeLetter('added', 'theirs'), 'A');
});

test('what_was_renamed_is_compared_under_both_names', () => {
  const names = (group: ListGroup): string => {
    const { left, right } = sidesOf({ folder: 'file:///work/shop', branch: 'feature', base: 'main', change: renamed, group });
    return `${left.object.name} ↔ ${right.object.name}`;
  };
  assert.deepEqual((['mine', 'theirs', 'both', 'schema'] as const).map(names), Array(4).fill('old ↔ items'));
  assert.equal(names('conflict'), 'items ↔ old', 'the parent has the old name');
});

test('what_was_renamed_has_a_letter_and_the_colour_that_git_gives_it', () => {
  assert.equal(changeLetter('renamed', 'mine'), 'R');
  assert.equal(changeLetter('renamed', 'conflict'), '!');
  assert.equal(changeColour('renamed', 'mine'), 'gitDecoration.renamedResourceForeground');
  assert.equal(changeTitle(renamed, 'feature@fork', 'feature'), 'old.sql → items.sql (feature@fork ↔ feature)');
});

test('the_fork_point_is_another_document_with_the_same_path', () => {
  const ref = { folder: 'file:///work/shop', branch: 'feature', object: change.object };
  const fork = { ...ref, state: 'fork' as const };
  assert.deepEqual(refOf(sideParts(fork)), fork);
  assert.equal(sideParts(fork).path, sideParts(ref).path);
  assert.notEqual(sideParts(fork).query, sideParts(ref).query);
});

test('a_list_tells_its_group_and_a_document_none', () => {
  const ref = { folder: 'file:///work/shop', branch: 'feature', object: change.object };
  for (const group of ['schema', 'mine', 'theirs', 'both', 'conflict'] as const) {
    assert.equal(listGroup(listParts(ref, group)), group);
  }
  assert.equal(listGroup(plainParts(ref)), undefined);
});

test('a_summary_is_a_document_of_the_diff_language', () => {
  const parts = plainParts({ folder: 'file:///work/shop', branch: 'feature/a', object: SUMMARY });
  assert.equal(parts.path, '/feature/a/Branch Diff.offshoot-diff');
  const ref = refOf(parts);
  assert.ok(ref !== undefined && isSummary(ref));
});

test('the_page_of_the_picture_may_load_nothing_but_its_own_files', () => {
  const parts = { script: 'https://a/x.js', style: 'https://a/x.css', source: 'https://a', language: 'de', title: '<b> "x"' };
  const html = page(parts);
  assert.match(html, /default-src 'none'; base-uri 'none'; form-action 'none'; style-src https:\/\/a; script-src 'nonce-[\w-]{32}' 'wasm-unsafe-eval'/);
  assert.doesNotMatch(html, /unsafe-inline|'unsafe-eval'/);
  assert.match(html, /&lt;b&gt; &quot;x&quot;/);
  assert.notEqual(html, page(parts));
});
