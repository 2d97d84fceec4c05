import assert from 'node:assert/strict';
import { test } from 'node:test';
import { currentBranch, gitHeadName, projectName, projects, readyFolder, readyFolders } from '../src/model.js';
import { branch, folder, project, status } from './support/statuses.js';

test('worktrees_of_one_repository_are_one_project', () => {
  const main = branch('main');
  const feature = branch('feature', { parent: 'main' });
  const both = [main, feature];
  const window = status(
    folder('shop', project(both, 'main')),
    folder('other', project([branch('main')], 'main', { id: '/home/anna/other/.git' })),
    folder('shop-feature', project(both, 'feature')),
    folder('notes', { kind: 'noGit' }),
  );
  assert.deepEqual(
    projects(window).map(({ name, folders }) => [name, folders.map((each) => [each.folder.name, currentBranch(each)])]),
    [
      ['shop', [['shop', 'main'], ['shop-feature', 'feature']]],
      ['other', [['other', 'main']]],
    ],
  );
  assert.equal(readyFolders(window).length, 3);
});

test('a_project_has_the_name_of_its_repository', () => {
  const names: [string, string][] = [
    ['/home/anna/shop/.git', 'shop'],
    ['/srv/git/shop.git', 'shop'],
    ['C:\\work\\shop\\.git', 'shop'],
    ['/.git', 'folder'],
  ];
  for (const [id, name] of names) {
    assert.equal(projectName(id, 'folder'), name);
  }
});

test('no_status_has_no_folders', () => {
  assert.deepEqual(readyFolders(undefined), []);
  assert.deepEqual(projects(undefined), []);
  assert.equal(readyFolder(undefined, 'file:///x'), undefined);
});

test('a_detached_head_is_named_by_its_commit', () => {
  const facts = project([branch('main')], 'main');
  assert.equal(gitHeadName({ ...facts, worktree: { ...facts.worktree, git: { kind: 'detached', commit: '0123456789abcdef' } } }), '0123456');
  assert.equal(gitHeadName(facts), 'main');
});
