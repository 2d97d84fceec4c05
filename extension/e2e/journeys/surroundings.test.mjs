// Windows that are not the ordinary case: no git, no trust, a broken configuration, worktrees, questions.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { workbenchNames } from '../lib/installed.mjs';
import { inWorkbench } from '../lib/journey.mjs';
import { CONTAINER, STATUS, offshootSkipReason, openStage } from '../lib/offshoot.mjs';

for (const name of workbenchNames) {
  inWorkbench(name, 'surroundings', ({ journey, before, after }) => {
    let stage, project, server;

    before(async () => {
      stage = await openStage(name);
      project = await stage.project({ init: 'dump' });
      server = await stage.server(project);
    });

    after(async () => {
      await stage?.close();
    });

    journey('a_folder_without_git_says_what_to_do', async () => {
      const plain = await stage.project({ git: false });
      const window = await stage.window(server, plain.folder);
      await window.showContainer(CONTAINER);
      await window.until(() => window.welcomeText(), /no git repository/, 'the welcome', 60_000);
      await window.welcomeButton('Initialize Repository').waitFor();
      await plain.git('init', '--quiet');
      await window.until(() => window.welcomeText(), /no database yet/, 'the welcome of a repository');
      await window.close();
    });

    journey('an_untrusted_folder_starts_nothing', async () => {
      await project.offshoot('engine', 'stop');
      const careful = await stage.server(project, { trust: 'restricted' });
      const window = await stage.window(careful, project.folder);
      await window.showContainer(CONTAINER);
      await window.until(() => window.welcomeText(), /do not trust/, 'the welcome', 60_000);
      await assert.rejects(project.offshoot('engine', 'status'), 'no engine was started');
      await window.close();
    });

    journey('an_engine_that_was_stopped_is_started_by_a_click', async () => {
      const window = await stage.window(server, project.folder);
      await window.showContainer(CONTAINER);
      await window.until(() => window.rowTexts(), /main/, 'the tree', 60_000);
      await project.offshoot('engine', 'stop');
      await window.until(() => window.welcomeText(), /was stopped/, 'the welcome');
      assert.equal(await window.statusKind(STATUS), undefined, 'nothing is wrong');
      await window.welcomeButton('Start Database Engine').click();
      await window.until(() => window.rowTexts(), /main/, 'the tree again', 60_000);
      await window.close();
    });

    journey('a_broken_configuration_is_marked_on_its_line', async () => {
      const window = await stage.window(server, project.folder);
      await window.until(() => window.statusText(STATUS), /main/, 'the status bar', 60_000);
      await writeFile(join(project.folder, 'offshoot.toml'), '# settings\non_checkout = "creat"\n');
      await window.until(() => window.problems(), /creat/, 'the problem');
      assert.match((await window.problems()).join('\n'), /Ln 2/);
      await window.until(() => window.statusKind(STATUS), 'warning', 'the colour of the status item');
      await writeFile(join(project.folder, 'offshoot.toml'), 'on_checkout = "ask"\n');
      await window.until(() => window.statusKind(STATUS), undefined, 'the colour is gone');
      await project.git('add', '.');
      await project.git('commit', '--quiet', '-m', 'Ask at checkouts');
      await window.close();
    });

    journey('a_checkout_asks_once_and_the_answer_is_kept', async () => {
      const window = await stage.window(server, project.folder);
      await window.until(() => window.statusText(STATUS), /main/, 'the status bar', 60_000);
      await project.git('checkout', '--quiet', '-b', 'asked');
      await window.until(() => window.toasts(), /“asked” has no database branch yet/, 'the question');
      assert.equal(await window.statusKind(STATUS), 'warning');
      await window.shot(`question ${name}`);
      await window.toastAction('no database branch yet', 'Create');
      await window.until(() => window.statusText(STATUS), /asked/, 'the branch');
      assert.equal((await project.status()).branch.name, 'asked');
      await window.close();
    });

    journey('each_worktree_has_its_own_branch_and_address', async () => {
      const path = await project.worktree('aside');
      const window = await stage.window(server, path);
      await window.until(() => window.toasts(), /“aside” has no database branch yet/, 'the question', 60_000);
      await window.toastAction('no database branch yet', 'Use asked’s');
      await window.until(() => window.statusText(STATUS), /asked/, 'the parent');
      await window.close();
    });

    journey('every_row_and_the_status_item_speak', async () => {
      const window = await stage.window(server, project.folder);
      await window.until(() => window.statusText(STATUS), /asked/, 'the status bar', 60_000);
      assert.match(await window.statusLabel(STATUS), /Database branch asked/);
      await window.showContainer(CONTAINER);
      await window.until(() => window.rowTexts(), /asked/, 'the tree');
      for (const label of await window.rowLabels()) assert.match(label, /\w+.*(asleep|awake|waking)/i);
      await window.close();
    });
  }, { skip: offshootSkipReason() });
}
