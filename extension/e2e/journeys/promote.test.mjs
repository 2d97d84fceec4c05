// Tiers: migrations go from a branch to the one above it, in the tree and by its buttons; and a branch that goes into a bundle and comes out of it.
import assert from 'node:assert/strict';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { installDbmate, migration } from '../lib/dbmate.mjs';
import { workbenchNames } from '../lib/installed.mjs';
import { inWorkbench } from '../lib/journey.mjs';
import { CONTAINER, STATUS, offshootSkipReason, openStage } from '../lib/offshoot.mjs';
import { Workbench } from '../lib/workbench.mjs';

const LOTS = 'db/migrations/20240101000000_lots.sql';
const RACKS = 'db/migrations/20240201000000_racks.sql';
const TIERS = `
[[branches]]
pattern = "feature/**"
parent = "staging"

[[tiers]]
branch = "staging"
checks = ["reversible"]

[[tiers]]
branch = "main"
`;

for (const name of workbenchNames.filter((each) => each === 'current')) {
  inWorkbench(name, 'promote', ({ journey, before, after }) => {
    let stage, project, window;
    const tables = async (branch) => (await project.sql("select coalesce(string_agg(relname, ' ' order by relname), '') from pg_class where relkind = 'r' and relname in ('lots', 'racks')", branch))[0][0];
    const report = () => window.webview().locator('body').innerText();

    before(async () => {
      stage = await openStage(name);
      project = await stage.project();
      await installDbmate(project);
      await project.init('empty');
      await appendFile(join(project.folder, 'offshoot.toml'), TIERS);
      await project.git('commit', '-q', '-a', '-m', 'Tiers');
      await project.git('checkout', '-q', '-b', 'staging');
      await project.offshoot('url');
      await project.git('checkout', '-q', '-b', 'feature/lots');
      await project.write(LOTS, migration('CREATE TABLE lots (id bigint PRIMARY KEY);', 'DROP TABLE lots;'));
      await project.git('add', '.');
      await project.git('commit', '-q', '-m', 'Lots');
      const server = await stage.server(project);
      window = await Workbench.open(await stage.browser.profile(), server.url(project.folder));
    });

    after(async () => stage?.close());

    journey('migrations_are_tried_asked_about_and_brought_to_the_branch_above', async () => {
      await window.until(() => window.statusText(STATUS), /feature\/lots/, 'the status bar', 120_000);
      await window.showContainer(CONTAINER);
      await window.until(() => window.rowTexts(), /main[^]*staging[^]*feature\/lots/, 'the tree');
      await window.rowMenu('feature/lots', 'Promote to Parent');
      await window.until(() => window.dialogText(), /Promote 1 migration of feature\/lots to staging\?[^]*lots\.sql[^]*✓ applies[^]*✓ reversible/, 'the question', 60_000);
      await window.shot(`promote question ${name}`);
      await window.dialogAction('Cancel');
      await window.until(report, /They can be promoted\. staging is as it was[^]*What staging lacks[^]*lots\.sql/, 'the report of the trial');
      await window.shot(`promote trial ${name}`);
      assert.equal(await tables('staging'), '');
      await window.rowMenu('feature/lots', 'Promote to Parent');
      await window.until(() => window.dialogText(), /Promote 1 migration/, 'the question again', 60_000);
      await window.dialogAction('Promote');
      await window.until(() => window.toasts(), /staging has 1 migration of feature\/lots now/, 'the end of it', 60_000);
      await window.until(report, /staging has the migrations of feature\/lots now/, 'the report');
      await window.shot(`promote done ${name}`);
      assert.equal(await tables('staging'), 'lots');
    });

    journey('a_promotion_is_undone_by_its_button', async () => {
      await window.toastAction('migration of feature/lots now', 'Undo');
      await window.until(() => tables('staging'), '', 'staging is what it was', 60_000);
    });

    journey('a_check_that_fails_is_told_and_gone_past_only_where_the_rules_let_somebody', async () => {
      await window.command('Notifications: Clear All Notifications');
      await project.write(RACKS, migration('CREATE TABLE racks (id bigint PRIMARY KEY);', 'SELECT 1;'));
      await project.git('add', '.');
      await project.git('commit', '-q', '-m', 'Racks');
      await window.rowMenu('feature/lots', 'Promote to Parent');
      await window.until(() => window.dialogText(), /What staging asks for does not hold for the migrations of feature\/lots[^]*✗ reversible \(offshoot\.toml:\d+\)/, 'what fails', 60_000);
      await window.shot(`promote fails ${name}`);
      await window.dialogAction('Promote All the Same');
      await window.until(() => window.toasts(), /staging has 2 migrations of feature\/lots now/, 'the end of it', 60_000);
      await window.until(report, /What did not hold was gone past/, 'the report');
      assert.equal(await tables('staging'), 'lots racks');
      await window.command('Notifications: Clear All Notifications');
      // The rule of the file counts as soon as it is saved.
      const rules = TIERS.replace('branch = "main"', 'branch = "main"\nchecks = ["reversible"]\noverride = false');
      await writeFile(join(project.folder, 'offshoot.toml'), rules);
      await project.git('branch', '-f', 'staging', 'feature/lots');
      await window.rowMenu(/^staging/, 'Promote to Parent');
      await window.until(() => window.toasts(), /migrations of staging were not promoted: main is as it was\.[^]*reversible/, 'the refusal', 60_000);
      await window.shot(`promote refused ${name}`);
      assert.equal(await tables('main'), '');
      await window.command('Notifications: Clear All Notifications');
    });

    journey('a_branch_goes_into_a_bundle_and_comes_out_under_another_name', async () => {
      await window.rowMenu('feature/lots', 'Export Branch as Bundle');
      await window.quickPick('What differs');
      await window.until(() => window.quickInput.inputValue(), /feature-lots\.bundle$/, 'the name that is proposed');
      await window.shot(`bundle export ${name}`);
      await window.page.keyboard.press('Enter');
      await window.until(() => window.toasts(), /feature\/lots is in .*feature-lots\.bundle: .* changed pages\. It applies where there is its base/, 'the end of it', 60_000);
      await window.shot(`bundle exported ${name}`);
      await window.command('Offshoot: Import Bundle');
      await window.quickRow('feature-lots.bundle').click();
      await window.until(() => window.quickMessage(), /A bundle of feature\/lots/, 'the question for a name', 60_000);
      assert.equal(await window.quickInput.inputValue(), 'feature/lots');
      await window.page.keyboard.press('Enter');
      await window.until(() => window.quickMessage(), /a database branch of that name already/, 'that the name is taken');
      await window.shot(`bundle import ${name}`);
      await window.inputBox('copy');
      await window.until(() => window.toasts(), /copy was made of a bundle of feature\/lots/, 'the end of it', 60_000);
      await window.until(() => window.rowTexts(), /copy/, 'the row');
    });
  }, { skip: offshootSkipReason() });
}
