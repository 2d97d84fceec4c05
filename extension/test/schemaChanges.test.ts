import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SchemaChange } from '../src/protocol/types.js';
import { changeTitle, kindTitle, lineage, qualifiedName, sortedChanges, worktreeFolders } from '../src/scm/labels.js';
import { folderOfRoot, rootParts } from '../src/scm/root.js';
import { branch, compared, project, ready } from './support/status.js';
import { l10n } from './support/vscode.js';

function change(schema: string | undefined, name: string, kind = 'table'): SchemaChange {
  return { change: 'changed', group: 'mine', object: { kind, ...(schema === undefined ? {} : { schema }), name } };
}

function label(of = project()): string | undefined {
  return lineage(of, l10n.t.bind(l10n));
}

test('changes_are_sorted_by_schema_then_name_then_kind', () => {
  const sorted = sortedChanges([
    change('public', 'b'), change('public', 'a10'), change('public', 'a2'), change('app', 'z'), change(undefined, 'pgcrypto', 'extension'),
    change('public', 'Items'), change('public', 'items'), change('public', 'b', 'statistics'),
  ]);
  assert.deepEqual(
    sorted.map((each) => `${each.object.kind} ${qualifiedName(each)}`),
    ['extension pgcrypto', 'table app.z', 'table public.a2', 'table public.a10', 'statistics public.b', 'table public.b', 'table public.Items', 'table public.items'],
  );
});

test('sorting_leaves_the_status_as_it_was', () => {
  const changes = [change('public', 'b'), change('public', 'a')];
  sortedChanges(changes);
  assert.equal(changes[0]?.object.name, 'b');
});

test('a_source_control_is_named_after_the_branch_and_its_parent', () => {
  assert.equal(label(), 'feature ← main');
});

test('the_name_is_the_same_while_the_schema_is_read_and_when_it_has_been', () => {
  assert.equal(label(project({ schema: { kind: 'reading' } })), label(project({ schema: compared(1) })));
});

test('a_comparison_of_the_branch_that_was_left_names_nothing', () => {
  assert.equal(label(project({ schema: compared(1, { branch: 'former', base: 'elsewhere' }) })), 'feature ← main');
});

test('a_branch_without_parent_is_named_alone', () => {
  const { worktree } = project();
  assert.equal(label(project({ worktree: { ...worktree, branch: branch('main') } })), 'main');
});

test('without_a_branch_there_is_no_name_of_one', () => {
  const { branch: gone, ...worktree } = project().worktree;
  assert.equal(gone?.name, 'feature');
  assert.equal(label(project({ worktree })), undefined);
});

test('two_folders_of_one_worktree_have_one_source_control', () => {
  const other = project({ worktree: { ...project().worktree, path: '/work/other' } });
  const folders = [ready('file:///work/shop'), ready('file:///work/shop/api'), ready('file:///work/other', other)];
  assert.deepEqual(worktreeFolders(folders).map(({ folder }) => folder.uri), ['file:///work/shop', 'file:///work/other']);
});

test('a_comparison_names_file_base_and_branch', () => {
  assert.equal(changeTitle(change('public', 'items'), 'main', 'feature/a'), 'items.sql (main ↔ feature/a)');
});

test('kinds_are_written_as_words', () => {
  assert.deepEqual(['table', 'materializedView', 'textSearchParser'].map(kindTitle), ['table', 'materialized view', 'text search parser']);
});

test('a_root_leads_back_to_its_folder', () => {
  for (const folder of ['file:///work/shop', 'file:///work/a%20b%23%3F', 'vscode-remote://ssh-remote%2Bhost/work/日本']) {
    const root = rootParts(folder, 'sh/op');
    assert.equal(folderOfRoot(root), folder);
    assert.equal(root.path, '/sh-op');
  }
  assert.equal(folderOfRoot({ scheme: 'file', query: '{"root":"a"}' }), undefined);
  assert.equal(folderOfRoot({ scheme: 'offshoot', query: 'x' }), undefined);
});
