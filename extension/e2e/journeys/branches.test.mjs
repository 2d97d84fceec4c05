// The main journey: a database branch for every git branch, from set-up to undo.
import assert from 'node:assert/strict';
import { workbenchNames } from '../lib/installed.mjs';
import { inWorkbench } from '../lib/journey.mjs';
import { CONTAINER, STATUS, offshootSkipReason, openStage } from '../lib/offshoot.mjs';
import { processesWith } from '../lib/processes.mjs';
import { Workbench } from '../lib/workbench.mjs';

for (const name of workbenchNames) {
  inWorkbench(name, 'branches', ({ journey, before, after }) => {
    let stage, project, server, profile, window;

    before(async () => {
      stage = await openStage(name);
      project = await stage.project();
      server = await stage.server(project);
      profile = await stage.browser.profile();
      window = await Workbench.open(profile, server.url(project.folder));
    });

    after(async () => {
      await stage?.close();
      if (server !== undefined) assert.deepEqual(processesWith('HOME', server.home), [], 'nothing is left running');
    });

    journey('a_database_is_set_up_from_a_dump_that_lies_in_the_repository', async () => {
      await window.showContainer(CONTAINER);
      await window.until(() => window.welcomeText(), /no database yet/, 'the welcome', 60_000);
      await window.shot(`set-up ${name}`);
      await window.welcomeButton('Set Up Database Branching').click();
      await window.quickPick('schema.sql');
      await window.quickPick('Newest');
      await window.until(() => window.rowTexts(), /main/, 'the tree', 120_000);
      await window.until(() => window.toasts(), /has its database/, 'the summary');
      await window.until(() => window.statusText(STATUS), /main/, 'the status bar');
      await project.git('add', '.');
      await project.git('commit', '--quiet', '-m', 'Branch the database with git');
    });

    journey('create_db_branch_makes_one_and_offers_to_check_it_out', async () => {
      await window.titleAction('Database Branches', 'Create DB Branch');
      // With one branch there is no question which one is the parent.
      await window.inputBox('two words');
      await window.until(() => window.quickMessage(), /`two words` is not a branch name/, 'why the name is no name');
      await window.inputBox('experiment');
      await window.until(() => window.rowTexts(), /experiment/, 'the new row');
      assert.match((await window.rowLabels()).join('\n'), /main[^]*experiment/);
      assert.equal((await project.git('branch', '--list', 'experiment')).trim(), '', 'git has no such branch yet');
    });

    journey('a_checkout_in_the_terminal_moves_tree_status_bar_and_source_control', async () => {
      await window.openTerminal();
      const typed = Date.now();
      await window.terminalType('git checkout -q -b feature/lots');
      await window.until(() => window.statusText(STATUS), /feature\/lots/, 'the status bar');
      console.log(`# checkout to status bar: ${Date.now() - typed} ms, typing included`);
      await window.until(() => window.rowTexts(), /feature\/lots/, 'the tree');
      await window.showScm();
      await window.until(() => window.scmProviders(), /Database: feature\/lots ← main/, 'the source control');
      await window.command('Terminal: Kill All Terminals');
    });

    journey('a_change_of_the_schema_shows_as_a_diff_that_follows_the_database', async () => {
      await project.sql('ALTER TABLE items ADD COLUMN lot text; CREATE TABLE lots (id int PRIMARY KEY, code text NOT NULL); DROP TABLE movements');
      await window.until(() => window.scmResources('Mine'), ['items.sql', 'lots.sql', 'movements.sql'], 'the changes');
      await window.scmResource('items.sql').click();
      await window.until(async () => (await window.diffTexts()).modified, /lot text/, 'the new column');
      assert.doesNotMatch((await window.diffTexts()).original, /lot text/);
      await window.shot(`diff ${name}`);
      await project.sql('ALTER TABLE items ADD COLUMN serial_number text');
      await window.until(async () => (await window.diffTexts()).modified, /serial_number text/, 'the next column, in the open editor');
    });

    journey('review_all_opens_every_change_in_one_editor', async () => {
      await window.command('Offshoot: Review All Schema Changes');
      await window.until(() => window.multiDiffTitles(), /items\.sql/, 'the first');
      assert.match((await window.multiDiffTitles()).join('\n'), /lots\.sql/);
      await window.shot(`review ${name}`);
    });

    journey('open_documents_survive_a_reload', async () => {
      await window.reload();
      await window.until(() => window.multiDiffTitles(), /items\.sql/, 'the titles', 60_000);
      await window.until(async () => (await window.diffTexts()).modified, /serial_number text/, 'the text', 60_000);
      await window.command('View: Close All Editors');
    });

    journey('two_windows_show_the_same', async () => {
      const other = await Workbench.open(profile, server.url(project.folder));
      await other.until(() => other.statusText(STATUS), /feature\/lots/, 'the other window', 60_000);
      await project.offshoot('branch', 'create', 'seen-by-both');
      for (const each of [window, other]) {
        await each.showContainer(CONTAINER);
        await each.until(() => each.rowTexts(), /seen-by-both/, 'the branch of the terminal');
      }
      await other.close();
      await window.page.bringToFront();
    });

    journey('reset_and_delete_can_be_undone', async () => {
      await window.showContainer(CONTAINER);
      await window.rowMenu('feature/lots', 'Reset Database Branch to Its Parent');
      await window.until(() => window.toasts(), /is what main is now/, 'the reset');
      await window.showScm();
      await window.until(() => window.scmResources('Mine'), [], 'no changes');
      await window.toastAction('is what main is now', 'Undo');
      await window.until(() => window.scmResources('Mine'), ['items.sql', 'lots.sql', 'movements.sql'], 'the changes again');
      await window.showContainer(CONTAINER);
      await window.rowMenu('seen-by-both', 'Delete Database Branch');
      await window.until(async () => (await window.rowTexts()).some((text) => text.startsWith('seen-by-both')), false, 'the row is gone');
      await window.toastAction('was deleted', 'Undo');
      await window.until(() => window.rowTexts(), /seen-by-both/, 'the row is back');
    });

    journey('the_history_of_a_branch_leads_to_what_it_was', async () => {
      await project.offshoot('snapshot', 'create', 'counted');
      await project.sql('ALTER TABLE items ADD COLUMN counted_by text');
      const choose = async (what) => {
        await window.rowMenu('feature/lots', 'Show History');
        await window.quickPick('snapshot @counted');
        await window.quickPick(what);
      };
      await choose('Compare with now');
      await window.until(() => window.editorText(), /counted_by/, 'the difference', 60_000);
      await window.shot(`history ${name}`);
      await window.command('View: Close All Editors');
      await choose('Branch from here');
      await window.inputBox('recount');
      await window.until(() => window.rowTexts(), /recount/, 'the new row', 60_000);
      await project.offshoot('branch', 'delete', 'recount');
      await project.sql('ALTER TABLE items DROP COLUMN counted_by');
    });

    journey('an_engine_that_is_killed_comes_back', async () => {
      const { pid } = JSON.parse(await project.offshoot('engine', 'status', '--json'));
      process.kill(pid, 'SIGKILL');
      const back = async () => {
        const now = JSON.parse(await project.offshoot('engine', 'status', '--json').catch(() => '{}'));
        return now.pid !== undefined && now.pid !== pid;
      };
      await window.until(back, true, 'another engine', 60_000);
      await window.until(() => window.statusText(STATUS), /feature\/lots/, 'the status bar', 60_000);
    });

    journey('back_on_main_nothing_differs', async () => {
      await project.git('checkout', '--quiet', 'main');
      await window.until(() => window.statusText(STATUS), /^main/, 'the status bar');
      assert.deepEqual(await project.sql("SELECT count(*)::int FROM information_schema.columns WHERE table_name = 'items' AND column_name = 'lot'"), [[0]]);
      await window.showScm();
      await window.until(() => window.scmProviders(), /Database: main/, 'the source control');
      await window.shot(`main ${name}`);
    });
  }, { skip: offshootSkipReason() });
}
