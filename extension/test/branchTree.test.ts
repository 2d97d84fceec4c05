import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isChangeable } from '../src/model.js';
import type { EditorStatus } from '../src/protocol/types.js';
import { changedNodes } from '../src/views/branches/changes.js';
import { branchContext, branchDescription, branchIcon, branchSpoken, branchTooltip } from '../src/views/branches/look.js';
import { type BranchNode, buildNodes, childrenOf, type Node } from '../src/views/branches/nodes.js';
import { branch, folder, NOW, project, status } from './support/statuses.js';

/** The tree as text, two spaces a level. */
function outline(nodes: readonly Node[], indent = ''): string {
  return nodes
    .map((node) => {
      const text = node.kind === 'branch' ? `${node.branch} ${branchDescription(node, NOW)}` : node.kind === 'project' ? node.label : `${node.status.name}: ${node.status.state.kind}`;
      return `${indent}${text}\n${outline(childrenOf(node), `${indent}  `)}`;
    })
    .join('');
}

function drawn(node: Node): string {
  return node.kind === 'branch' ? branchDescription(node, NOW) + branchContext(node) : outline([node]);
}

function only(window: EditorStatus, name: string): BranchNode {
  const found = buildNodes(window).flatMap(function all(node: Node): Node[] {
    return [node, ...childrenOf(node).flatMap(all)];
  });
  const node = found.find((each) => each.kind === 'branch' && each.branch === name);
  assert.ok(node?.kind === 'branch');
  return node;
}

const main = branch('main', { state: 'awake', ownBytes: 1_234_567, protected: true });
const login = branch('login', { parent: 'main', expiresAt: NOW + 2 * 86_400, inGit: false });
const search = branch('search', { parent: 'main', state: 'awake' });
const ranking = branch('search-ranking', { parent: 'search', state: 'failed', failure: 'no space left' });
const shop = project([main, login, search, ranking], 'search-ranking');

test('children_stand_under_their_parents_and_the_way_to_this_window_comes_first', () => {
  assert.equal(
    outline(buildNodes(status(folder('shop', shop)))),
    [
      'main awake · 1.2 MB',
      '  search awake · 200 kB',
      '    search-ranking ● failed · 200 kB',
      '  login asleep · 200 kB · expires in 2 d · not in git',
      '',
    ].join('\n'),
  );
});

test('several_repositories_take_one_level_more_and_folders_without_branches_are_named', () => {
  const other = project([branch('main')], 'main', { id: '/home/anna/stock/.git' });
  const window = status(folder('shop', project([main], 'main')), folder('stock', other), folder('notes', { kind: 'noGit' }));
  assert.equal(
    outline(buildNodes(window)),
    'shop\n  main ● awake · 1.2 MB · protected\nstock\n  main ● asleep · 200 kB\nnotes: noGit\n',
  );
});

test('a_window_without_branches_shows_the_welcome_text', () => {
  assert.deepEqual(buildNodes(status(folder('notes', { kind: 'noGit' }))), []);
  assert.deepEqual(buildNodes(undefined), []);
});

test('a_branch_whose_parent_is_gone_stands_at_the_top', () => {
  assert.equal(outline(buildNodes(status(folder('shop', project([branch('orphan', { parent: 'gone' })], undefined))))), 'orphan asleep · 200 kB\n');
});

test('only_what_looks_different_is_drawn_again', () => {
  const before = buildNodes(status(folder('shop', shop)));
  const awake = { ...shop, branches: shop.branches.map((each) => (each.name === 'login' ? { ...each, state: 'awake' as const } : each)) };
  const same = buildNodes(status(folder('shop', { ...shop })));
  assert.deepEqual(changedNodes(before, same, drawn), []);
  const changed = changedNodes(before, buildNodes(status(folder('shop', awake))), drawn);
  assert.deepEqual(changed, [only(status(folder('shop', shop)), 'login').id]);
});

test('a_new_branch_draws_its_parent_and_another_root_the_whole_tree', () => {
  const before = buildNodes(status(folder('shop', shop)));
  const child = { ...shop, branches: [...shop.branches, branch('login-2', { parent: 'login' })] };
  assert.deepEqual(changedNodes(before, buildNodes(status(folder('shop', child))), drawn), [only(status(folder('shop', shop)), 'login').id]);
  const root = { ...shop, branches: [...shop.branches, branch('second')] };
  assert.equal(changedNodes(before, buildNodes(status(folder('shop', root))), drawn), undefined);
});

test('a_rename_keeps_the_row', () => {
  const renamed = { ...shop, branches: shop.branches.map((each) => (each.name === 'login' ? { ...each, name: 'sign-in' } : each)) };
  assert.equal(only(status(folder('shop', renamed)), 'sign-in').id, only(status(folder('shop', shop)), 'login').id);
});

test('menus_know_what_a_branch_is', () => {
  const window = status(folder('shop', shop));
  assert.equal(branchContext(only(window, 'main')), 'branch;awake;root;protected;fixed;inGit');
  assert.equal(branchContext(only(window, 'login')), 'branch;asleep;hasParent');
  assert.equal(branchContext(only(window, 'search-ranking')), 'branch;failed;current;hasParent;inGit');
});

test('what_only_a_rule_protects_can_be_changed_against_it_and_what_a_person_protects_cannot', () => {
  const ruled = branch('release', { parent: 'main', protected: true, overridable: true });
  const window = status(folder('shop', project([main, ruled], 'main')));
  assert.equal(branchContext(only(window, 'release')), 'branch;asleep;protected;hasParent;inGit');
  assert.match(branchTooltip(ruled, NOW), /only against it/);
  assert.deepEqual([main, ruled, login].map(isChangeable), [false, true, true]);
});

test('a_branch_that_is_worked_on_turns_and_says_what_is_done', () => {
  const busy = only(status(folder('shop', { ...shop, jobs: [{ title: 'Resetting login', branch: 'login' }] })), 'login');
  assert.equal(branchIcon(busy).id, 'loading~spin');
  assert.match(branchDescription(busy, NOW), /^Resetting… · /);
});

test('shape_and_not_only_colour_tells_states_apart', () => {
  const window = status(folder('shop', shop));
  assert.deepEqual(['main', 'login', 'search-ranking'].map((name) => branchIcon(only(window, name)).id), ['lock', 'database', 'error']);
});

test('a_screen_reader_hears_everything_that_is_seen', () => {
  const window = status(folder('shop', shop));
  assert.equal(
    branchSpoken(only(window, 'search-ranking'), NOW),
    'Database branch search-ranking, the branch of this window, failed, made from search, 200 kB of its own, age 3 h',
  );
});

test('the_tooltip_has_what_the_row_has_no_room_for', () => {
  const tooltip = branchTooltip(main, NOW, true);
  for (const part of ['age 3 h', 'cannot be deleted', 'its address leads here', '24 MB']) {
    assert.ok(tooltip.includes(part), tooltip);
  }
});

test('a_root_that_follows_a_server_says_how_fresh_it_is_and_what_is_wrong', () => {
  const well = { ...main, follows: { source: 'db.example.com/shop', state: 'current', freshAt: NOW - 120 } } as const;
  assert.match(branchDescription(only(status(folder('shop', project([well], 'main'))), 'main'), NOW), /follows a server/);
  assert.match(branchTooltip(well, NOW), /follows db\\.example\\.com\/shop, current, data of 2 min ago/);
  const lost = { ...main, follows: { source: 'db.example.com/shop', state: 'slotLost', trouble: 'WAL is gone' } } as const;
  const window = status(folder('shop', project([lost], 'main')));
  assert.match(branchDescription(only(window, 'main'), NOW), /replication slot lost/);
  assert.match(branchSpoken(only(window, 'main'), NOW), /follows db\.example\.com\/shop, replication slot lost, WAL is gone$/);
});

test('a_name_cannot_write_markdown', () => {
  const tooltip = branchTooltip(branch('[x](command:evil)|<b>'), NOW);
  assert.ok(tooltip.startsWith('**\\[x\\]\\(command:evil\\)\\|\\<b\\>**'), tooltip);
});

test('a_branch_with_data_from_before_a_refresh_says_so_and_what_takes_the_new_ones', () => {
  const old = branch('search', { parent: 'main', staleSince: NOW - 2 * 3600 });
  const window = status(folder('shop', project([main, old], 'main')));
  assert.equal(branchDescription(only(window, 'search'), NOW), 'asleep · 200 kB · older data');
  assert.match(branchTooltip(old, NOW), /data from before the refresh 2 h ago; a reset takes the new ones/);
  assert.match(branchSpoken(only(window, 'search'), NOW), /data from before the refresh 2 h ago$/);
  assert.doesNotMatch(branchDescription(only(window, 'main'), NOW), /older/);
});
