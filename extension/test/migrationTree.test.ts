import assert from 'node:assert/strict';
import { test } from 'node:test';
import { migrationNotes } from '../src/migrations/notes.js';
import { allRows, openRows, pendingCount, rowName } from '../src/migrations/rows.js';
import { entryWords } from '../src/migrations/words.js';
import { readyText } from '../src/status/text.js';
import { buildNodes, type MigrationNode } from '../src/views/migrations/nodes.js';
import { entry, known, project } from './support/migrations.js';

const NOW = Date.parse('2026-05-06T07:08:09Z') / 1000;

function names(nodes: readonly MigrationNode[]): unknown[] {
  return nodes.map((node) => {
    switch (node.kind) {
      case 'migration':
        return `${rowName(node.row)} ${node.row.entry.state}`;
      case 'message':
        return node.text;
      case 'folder':
      case 'project':
      case 'done':
        return [node.kind, ...names(node.children)];
    }
  });
}

test('what_needs_a_person_comes_first_and_what_is_done_is_folded_newest_first', () => {
  const folder = known(
    project(['1_a', '2_b', '3_c', '4_d', '5_e'], [entry(0, 'applied'), entry(1, 'changed'), entry(2, 'applied'), entry(3, 'pending'), entry(4, 'failed'), entry(undefined, 'missing', { row: '0_z' })]),
  );
  assert.deepEqual(names(buildNodes([folder])), [
    ['project', '5_e.sql failed', '2_b.sql changed', '0_z missing', '4_d.sql pending', ['done', '3_c.sql applied', '1_a.sql applied']],
  ]);
});

test('a_history_that_was_not_read_says_why_and_asserts_nothing', () => {
  const one = project(['1_a'], [entry(0, 'unknown')]);
  const [own] = one.branches;
  assert.ok(own !== undefined);
  const folder = known({ ...one, branches: [{ ...own, unread: 'the branch is asleep' }] });
  assert.deepEqual(names(buildNodes([folder])), [['project', 'the branch is asleep', '1_a.sql unknown']]);
  assert.deepEqual(openRows(allRows(folder)), []);
});

test('a_migration_is_called_by_what_tells_it_from_others', () => {
  const files = [
    { key: '1', name: 'carts', path: 'prisma/migrations/20240101000000_carts/migration.sql', line: 1 },
    { key: '2', name: 'racks', path: 'migrations/2024-02-01-000000_racks/up.sql', line: 1 },
    { key: '3', name: 'create bins:ann', path: 'db/changelog.sql', line: 2 },
    { key: '4', name: 'create lids:ann', path: 'db/changelog.sql', line: 9 },
  ];
  const folder = known(project([], [entry(0, 'pending'), entry(1, 'pending'), entry(2, 'pending'), entry(3, 'pending')], { files }));
  assert.deepEqual(allRows(folder).map(rowName), ['20240101000000_carts', '2024-02-01-000000_racks', 'changelog.sql · create bins:ann', 'changelog.sql · create lids:ann']);
});

test('several_repositories_have_a_row_each_and_one_without_migrations_has_none', () => {
  const folder = known(project(['1_a'], [entry(0, 'pending')]));
  assert.deepEqual(names(buildNodes([folder, known()])), [['folder', ['project', '1_a.sql pending']]]);
});

test('rows_have_ids_of_their_own', () => {
  const folder = known(project(['1_a'], [entry(0, 'applied'), entry(undefined, 'missing', { row: '1_a' })]), project(['1_a'], [entry(0, 'pending')], { id: 'dbmate:other' }));
  const ids: string[] = [];
  const collect = (nodes: readonly MigrationNode[]): void => {
    nodes.forEach(({ id, children }) => {
      ids.push(id);
      collect(children);
    });
  };
  collect(buildNodes([folder]));
  assert.equal(new Set(ids).size, ids.length);
});

test('a_failed_migration_is_a_warning_in_the_status_bar_and_a_pending_one_is_not', () => {
  const failed = known(project(['1_a', '2_b'], [entry(0, 'failed'), entry(1, 'pending')]));
  assert.deepEqual(migrationNotes(failed), { lines: ['Migration 1_a.sql failed.', '1 migration is pending.'], warns: true });
  assert.deepEqual(migrationNotes(known(project(['1_a'], [entry(0, 'pending')]))).warns, false);
  assert.deepEqual(migrationNotes(undefined), { lines: [], warns: false });
  assert.equal(pendingCount(failed), 1);
  const shown = readyText(failed.ready, undefined, migrationNotes(failed));
  assert.equal(shown.alarm, 'warning');
  assert.match(shown.tooltip, /Migration 1\\_a\\.sql failed/);
  assert.match(shown.spoken, /Migration 1_a\.sql failed/);
});

test('times_of_histories_are_told_as_ages_and_others_as_they_are', () => {
  assert.equal(entryWords(entry(0, 'applied', { at: '2026-05-06 05:08:09+00', tookMs: 12.4 }), NOW), '2 h · 12 ms');
  assert.equal(entryWords(entry(0, 'applied', { at: 'batch 3' }), NOW), 'batch 3');
  assert.equal(entryWords(entry(0, 'outOfOrder', { next: 'refuses' }), NOW), 'older than the newest applied one · the tool refuses');
});
