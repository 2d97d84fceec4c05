// What is asked with buttons where git or a rule leaves something to decide: a branch that is left, a rebase, a merge, a rule that refuses.
import assert from 'node:assert/strict';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { installDbmate, migration } from '../lib/dbmate.mjs';
import { workbenchNames } from '../lib/installed.mjs';
import { inWorkbench } from '../lib/journey.mjs';
import { CONTAINER, STATUS, offshootSkipReason, openStage } from '../lib/offshoot.mjs';
import { Workbench } from '../lib/workbench.mjs';

const ITEMS = 'db/migrations/20240101000000_items.sql';
const LOTS = 'db/migrations/20240201000000_lots.sql';

for (const name of workbenchNames.filter((each) => each === 'current')) {
  inWorkbench(name, 'offers', ({ journey, before, after }) => {
    let stage, project, window;
    const checkOut = async (branch) => {
      await project.git('checkout', '-q', branch);
      await window.until(() => window.statusText(STATUS), new RegExp(branch), 'the status bar', 60_000);
    };
    const columns = async () => (await project.sql("select coalesce(string_agg(attname, ' ' order by attname), '') from pg_attribute where attrelid = 'items'::regclass and attnum > 0 and not attisdropped"))[0][0];
    const quiet = async () => {
      await window.command('Notifications: Clear All Notifications');
      await window.until(() => window.toasts(), [], 'no message');
    };

    before(async () => {
      stage = await openStage(name);
      project = await stage.project({ files: { [ITEMS]: migration('CREATE TABLE items (id bigint PRIMARY KEY);', 'DROP TABLE items;') } });
      await installDbmate(project);
      await project.init('empty');
      await project.offshoot('migrations', 'apply');
      await project.git('checkout', '-q', '-b', 'feature');
      await project.offshoot('diff');
      const server = await stage.server(project);
      window = await Workbench.open(await stage.browser.profile(), server.url(project.folder));
    });

    after(async () => stage?.close());

    journey('a_branch_that_is_left_with_changes_is_kept_in_a_snapshot_by_a_button', async () => {
      await window.until(() => window.statusText(STATUS), /feature/, 'the status bar', 120_000);
      await project.sql('ALTER TABLE items ADD COLUMN by_hand int');
      await checkOut('main');
      await window.until(() => window.toasts(), /feature.* was left with changes of its schema that are in no migration/, 'the offer', 60_000);
      await window.shot(`offers left ${name}`);
      await window.toastAction('was left with changes', 'Snapshot');
      await window.until(() => project.offshoot('snapshot', 'list', 'feature'), /left-20/, 'the snapshot');
      await window.until(() => window.toasts(), /A snapshot of feature was taken/, 'that it is told');
      await window.shot(`offers kept ${name}`);
      await quiet();
      assert.deepEqual((await project.status()).offers ?? [], []);
    });

    journey('what_is_in_no_migration_is_written_to_one_on_its_own_branch', async () => {
      await checkOut('feature');
      await project.sql('ALTER TABLE items ADD COLUMN second int');
      await checkOut('main');
      await window.until(() => window.toasts(), /was left with changes/, 'the offer', 60_000);
      await window.toastAction('was left with changes', 'Write Migration');
      await window.until(() => window.statusText(STATUS), /feature/, 'the branch of the changes', 60_000);
      await window.until(() => window.quickMessage(), /A name for it/, 'the question for a name', 60_000);
      await window.shot(`offers name ${name}`);
      await window.inputBox('by_hand');
      await window.until(() => window.editorText(), /ADD COLUMN by_hand integer[^]*second integer|by_hand[^]*second/, 'the new file', 60_000);
      await window.shot(`offers written ${name}`);
      await project.git('add', '.');
      await project.git('commit', '-q', '-m', 'By hand');
      await window.command('View: Close All Editors');
      await quiet();
    });

    journey('a_branch_that_was_rebased_starts_anew', async () => {
      await checkOut('main');
      await project.write(LOTS, migration('CREATE TABLE lots (id bigint PRIMARY KEY);', 'DROP TABLE lots;'));
      await project.git('add', '.');
      await project.git('commit', '-q', '-m', 'Lots');
      await project.offshoot('migrations', 'apply');
      await checkOut('feature');
      await quiet();
      await project.git('rebase', '-q', 'main');
      await window.until(() => window.toasts(), /feature.*rebased/, 'the offer', 60_000);
      await window.shot(`offers rebased ${name}`);
      await window.toastAction('rebased', 'Start Anew');
      await window.until(() => window.dialogText(), /Start “feature” anew\?/, 'the question');
      await window.shot(`offers anew ${name}`);
      await window.dialogAction('Start Anew');
      await window.until(() => window.toasts(), /ran on feature/, 'the migrations', 60_000);
      assert.equal(await columns(), 'by_hand id second');
      await quiet();
    });

    journey('a_branch_that_was_merged_goes_by_a_button', async () => {
      await checkOut('main');
      await quiet();
      await project.git('merge', '-q', '--no-edit', 'feature');
      await window.until(() => window.toasts(), /feature.*merged/, 'the offer', 60_000);
      await window.shot(`offers merged ${name}`);
      await window.toastAction('merged', 'Apply Migrations');
      await window.until(() => window.toasts(), /ran on main/, 'the migrations', 60_000);
      assert.equal(await columns(), 'by_hand id second');
      await quiet();
    });

    journey('a_rule_that_refuses_a_branch_is_gone_past_by_its_button', async () => {
      await appendFile(join(project.folder, 'offshoot.toml'), '\n[limits]\nbranches = 2\n');
      await window.showContainer(CONTAINER);
      await window.rowMenu(/^main/, 'Create DB Branch');
      await window.inputBox('third');
      await window.until(() => window.dialogText(), /2 (database )?branches|limits/, 'the refusal', 60_000);
      await window.shot(`offers rule ${name}`);
      await window.dialogAction('Cancel');
      assert.doesNotMatch((await window.rowTexts()).join('\n'), /third/);
      await window.rowMenu(/^main/, 'Create DB Branch');
      await window.inputBox('third');
      await window.until(() => window.dialogText(), /./, 'the refusal again', 60_000);
      await window.dialogAction('Override the Rule');
      await window.until(() => window.rowTexts(), /third/, 'the row', 60_000);
      await window.shot(`offers overridden ${name}`);
    });

    journey('a_branch_that_only_a_rule_protects_is_deleted_against_it_from_its_menu', async () => {
      await appendFile(join(project.folder, 'offshoot.toml'), '\n[[branches]]\npattern = "third"\nprotected = true\n');
      await window.until(async () => (await project.offshoot('policy', 'explain', 'third')).includes('protected'), true, 'the rule');
      await quiet();
      await window.rowMenu('third', 'Delete Database Branch');
      await window.until(() => window.dialogText(), /`?third`? is protected by offshoot\.toml, line \d+/, 'the refusal', 60_000);
      await window.shot(`offers protected ${name}`);
      await window.dialogAction('Override the Rule');
      await window.until(() => window.toasts(), /Database branch third was deleted/, 'that it is told', 60_000);
      await window.until(async () => /third/.test((await window.rowTexts()).join('\n')), false, 'the row is gone', 60_000);
    });
  }, { skip: offshootSkipReason() });
}
