// Migrations beside their files: lenses, applying, taking back, diagnostics, the tree, source control, reports.
import assert from 'node:assert/strict';
import { appendFile, chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { workbenchNames } from '../lib/installed.mjs';
import { inWorkbench } from '../lib/journey.mjs';
import { CONTAINER, STATUS, openStage } from '../lib/offshoot.mjs';
import { Workbench } from '../lib/workbench.mjs';

const ONE = 'db/migrations/20240101000000_suppliers.sql';
const TWO = 'db/migrations/20240201000000_lots.sql';

const file = (up, down) => `-- migrate:up\n${up}\n\n-- migrate:down\n${down}\n`;
/** Of another git branch; it has the version of the second one. */
const THREE = 'db/migrations/20240201000000_racks.sql';
const FILES = {
  [ONE]: file('CREATE TABLE suppliers (id bigint PRIMARY KEY, name text NOT NULL);', 'DROP TABLE suppliers;'),
  [TWO]: file('CREATE TABLE lots (id bigint PRIMARY KEY);\nALTER TABLE suppliers ADD COLUMN city text NOT NULL;', 'DROP TABLE lots;'),
};

const FOUR = 'db/migrations/20240401000000_shelves.sql';

/** Stands in for the tool where it is run, on the worktree's branch only; states are read without it. OFFSHOOT_TEST_DBMATE names the real one. */
const DBMATE = `#!/bin/sh
set -e
ask() { offshoot sql --json -c "$1"; }
case " $* " in *' rollback '*)
  for file in $(ls -r db/migrations/*.sql); do
    version=$(basename "$file" | cut -d_ -f1)
    case $(ask "select version from schema_migrations where version = '$version'") in *'"'$version'"'*) ;; *) continue ;; esac
    echo "Rolling back: $(basename "$file")"
    down=$(sed -n '/-- migrate:down/,$p' "$file" | grep -v '^-- migrate:')
    ask "begin; $down; delete from schema_migrations where version = '$version'; commit" > /dev/null
    exit
  done ;;
esac
ask 'create table if not exists schema_migrations (version varchar(128) primary key)' > /dev/null
for file in db/migrations/*.sql; do
  version=$(basename "$file" | cut -d_ -f1)
  case $(ask "select version from schema_migrations where version = '$version'") in *'"'$version'"'*) continue ;; esac
  echo "Applying: $(basename "$file")"
  up=$(sed -n '/-- migrate:up/,/-- migrate:down/p' "$file" | grep -v '^-- migrate:')
  ask "begin; $up; insert into schema_migrations values ('$version'); commit" > /dev/null
done
`;

/** One workbench is enough: what is drawn here does not depend on the editor's version, and these minutes are dear. */
for (const name of workbenchNames.filter((each) => each === 'current')) {
  inWorkbench(name, 'migrations', ({ journey, before, after }) => {
    let stage, project, window;
    const lenses = async () => (await window.page.locator('.codelens-decoration').allInnerTexts()).join(' ').replace(/\s+/g, ' ');
    const lens = (title) => window.page.locator('.codelens-decoration a').filter({ hasText: title }).first();

    before(async () => {
      stage = await openStage(name);
      project = await stage.project({ files: { [ONE]: FILES[ONE] } });
      const tool = join(dirname(project.folder), 'tools', 'dbmate');
      await mkdir(dirname(tool), { recursive: true });
      const real = process.env.OFFSHOOT_TEST_DBMATE;
      await writeFile(tool, real === undefined ? DBMATE : `#!/bin/sh\nexec '${real}' --no-dump-schema "$@"\n`);
      await chmod(tool, 0o755);
      project.env.PATH = `${dirname(tool)}:${project.env.PATH}`;
      await project.init('empty');
      await project.git('checkout', '-q', '-b', 'other');
      await writeFile(join(project.folder, THREE), file('CREATE TABLE racks (id bigint PRIMARY KEY);', 'DROP TABLE racks;'));
      await project.git('add', '.');
      await project.git('commit', '-q', '-m', 'Racks');
      await project.git('checkout', '-q', '-b', 'feature', 'main');
      await writeFile(join(project.folder, TWO), FILES[TWO]);
      await project.git('add', '.');
      await project.git('commit', '-q', '-m', 'Lots');
      const server = await stage.server(project);
      window = await Workbench.open(await stage.browser.profile(), server.url(project.folder));
    });

    after(async () => stage?.close());

    journey('the_tree_and_source_control_show_what_is_pending', async () => {
      await window.until(() => window.statusText(STATUS), /feature/, 'the status bar', 120_000);
      await window.showContainer(CONTAINER);
      await window.until(() => window.rowTexts(), /dbmate db\/migrations · 2 pending[^]*suppliers\.sql[^]*lots\.sql/, 'the tree', 60_000);
      await window.shot(`migrations tree ${name}`);
      await window.showScm();
      await window.until(() => window.scmResources('Migrations'), ['20240101000000_suppliers.sql', '20240201000000_lots.sql'], 'the group');
      await window.scmResource('suppliers.sql').click();
      await window.until(lenses, /Pending on feature.*Apply Here, with 1 Other.*Apply on a Throwaway.*Preview Diff.*Measure Locks/, 'the lenses');
    });

    journey('a_preview_leaves_nothing_behind', async () => {
      await lens('Preview Diff').click();
      const page = window.webview();
      await window.until(() => page.locator('body').innerText(), /throwaway of feature[^]*public\.suppliers/, 'the report', 60_000);
      await window.shot(`migrations preview ${name}`);
      assert.deepEqual(await project.sql("select to_regclass('suppliers')"), [[null]]);
      await window.command('View: Close All Editors');
    });

    journey('apply_here_runs_the_tool_and_undo_takes_it_back', async () => {
      await window.openFile(TWO);
      await window.until(lenses, /Pending on feature/, 'the lens');
      await lens('Apply Here').click();
      await window.until(() => window.toasts(), /2 migrations ran on feature/, 'the end of it', 60_000);
      await window.until(lenses, /Applied to feature/, 'the lens afterwards');
      await window.until(() => window.outputText(), /Applying: 20240201000000_lots\.sql/, 'what the tool printed');
      await window.shot(`migrations applied ${name}`);
      await window.toastAction('migrations ran', 'Undo');
      await window.until(lenses, /Pending on feature/, 'the lens after the undo', 60_000);
      assert.deepEqual(await project.sql("select to_regclass('lots')"), [[null]]);
    });

    journey('a_file_that_was_changed_after_it_ran_is_told_on_its_line', async () => {
      await lens('Apply Here').click();
      await window.until(lenses, /Applied to feature/, 'the lens', 60_000);
      await writeFile(join(project.folder, TWO), FILES[TWO].replace('lots (id bigint', 'lots (id integer'));
      await window.until(lenses, /Changed since it ran on feature/, 'the lens of the changed file');
      await window.until(() => window.problems(), /20240201000000_lots\.sql[^]*changed/i, 'the problem');
      await window.showContainer(CONTAINER);
      await window.until(() => window.rowTexts(), /lots\.sql changed since it ran[^]*Applied 1/, 'the tree, what needs a person first');
      await window.shot(`migrations changed ${name}`);
      await project.git('checkout', '-q', '--', TWO);
      await window.until(lenses, /Applied to feature/, 'the lens of the file as it was');
    });

    journey('a_hover_tells_what_a_file_has_done', async () => {
      await window.openFile(TWO);
      await window.command('Show or Focus Hover');
      const hover = async () => (await window.page.locator('.monaco-hover:visible').allInnerTexts()).join(' ').replace(/\s+/g, ' ');
      await window.until(hover, /dbmate migration lots, version 20240201000000 Applied to feature.*can be taken back/, 'the hover');
      await window.shot(`migrations hover ${name}`);
    });

    journey('drift_is_shown_side_by_side_and_becomes_a_new_migration', async () => {
      await project.sql('CREATE TABLE shelves (id bigint PRIMARY KEY)');
      await window.command('Offshoot: Show Schema Drift');
      await window.until(async () => (await window.diffTexts()).modified, /CREATE TABLE public\.shelves/, 'what the branch has', 60_000);
      assert.doesNotMatch((await window.diffTexts()).original, /shelves/);
      await window.shot(`migrations drift ${name}`);
      await window.command('View: Close All Editors');
      await window.command('Offshoot: New Migration from the Difference');
      await window.inputBox('shelves');
      await window.tab(/_shelves\.sql/).waitFor({ timeout: 60_000 });
      await window.until(() => window.editorText(), /-- migrate:up[^]*CREATE TABLE public\.shelves/, 'the new file');
      await window.until(lenses, /on feature/, 'its state');
    });

    journey('a_rehearsal_finds_what_two_branches_cannot_both_have', async () => {
      await window.command('View: Close All Editors');
      await window.command('Offshoot: Rehearse Merges');
      await window.until(() => window.dialogText(), /runs the migrations of the git branch other/, 'the question', 60_000);
      await window.dialogAction('Run Them');
      await window.until(() => window.webview().locator('body').innerText(), /Merges of feature into main[^]*Some merges go wrong[^]*other/, 'the report', 60_000);
      await window.shot(`migrations rehearsal ${name}`);
    });

    journey('a_migration_is_tried_and_measured_where_nothing_of_it_stays', async () => {
      await window.command('View: Close All Editors');
      await writeFile(join(project.folder, FOUR), file('CREATE INDEX ON stock (n);', 'select 1;'));
      await project.sql('CREATE TABLE stock AS SELECT generate_series(1, 20000) n; ANALYZE stock');
      await project.sql('DROP TABLE IF EXISTS shelves');
      await window.showContainer(CONTAINER);
      await window.until(() => window.rowTexts(), /20240401000000_shelves\.sql pending/, 'the new file in the tree');
      await window.row('20240401000000_shelves.sql').click();
      await window.until(lenses, /Pending on feature.*Apply on a Throwaway/, 'the lenses');
      await window.until(() => window.problems(), /Writes to `stock` \(20,000 rows, .*long-index-build/, 'the rule about the table', 30_000);
      await window.shot(`migrations rule ${name}`);
      await lens('Apply on a Throwaway').click();
      await window.until(() => window.toasts(), /20240401000000_shelves\.sql runs on a throwaway of feature/, 'the end of it', 60_000);
      await lens('Measure Locks').click();
      await window.until(() => window.webview().locator('body').innerText(), /Locks and cost[^]*public\.stock[^]*SHARE/, 'the report', 60_000);
      await window.shot(`migrations measured ${name}`);
    });

    journey('a_migration_that_is_not_saved_is_saved_before_it_is_run_and_the_place_of_a_failure_is_shown', async () => {
      await window.command('View: Close All Editors');
      await window.row('20240401000000_shelves.sql').click();
      await window.until(() => window.editorText(), /CREATE INDEX/, 'the file');
      await window.page.locator('.part.editor .view-line').filter({ hasText: 'CREATE INDEX' }).click();
      await window.page.keyboard.press('End');
      await window.page.keyboard.type(' ALTER TABLE nowhere ADD x int;');
      // Not by the lens: the editor makes them anew after the last key, and a click in between is lost.
      await window.rowAction('20240401000000_shelves.sql', 'Apply Migrations on a Throwaway');
      await window.until(() => window.toasts(), /failed on a throwaway of feature.*nowhere.* does not exist/, 'the failure', 60_000);
      await window.until(() => window.problems(), /nowhere.* does not exist.*Postgres/, 'the problem');
      await window.shot(`migrations failed ${name}`);
      await window.toastAction('failed', 'Show Statement');
      await rm(join(project.folder, FOUR));
      await window.command('View: Revert and Close Editor').catch(() => {});
    });

    journey('rolling_back_runs_the_tools_own_way_back_and_says_so', async () => {
      await window.command('View: Close All Editors');
      await window.openFile(TWO);
      await window.until(lenses, /Applied to feature/, 'the lens');
      await window.command('Offshoot: Roll Back Newest Migration');
      await window.until(() => window.toasts(), /20240201000000_lots\.sql was rolled back on feature/, 'the end of it', 60_000);
      await window.until(lenses, /Pending on feature/, 'the lens');
      assert.deepEqual(await project.sql("select to_regclass('lots'), to_regclass('suppliers')"), [[null, 'suppliers']]);
      await window.shot(`migrations rolled back ${name}`);
      await window.toastAction('rolled back', 'Undo');
      await window.until(lenses, /Applied to feature/, 'the lens after the undo', 60_000);
      assert.deepEqual(await project.sql("select to_regclass('lots')"), [['lots']]);
    });

    journey('a_merge_that_is_not_finished_and_a_version_that_is_there_twice_are_told', async () => {
      const conflict = 'db/migrations/20240501000000_conflict.sql';
      const twin = 'db/migrations/20240201000000_twin.sql';
      await writeFile(join(project.folder, conflict), '-- migrate:up\n<<<<<<< HEAD\nSELECT 1;\n=======\nSELECT 2;\n>>>>>>> other\n\n-- migrate:down\n');
      await writeFile(join(project.folder, twin), file('SELECT 1;', 'SELECT 1;'));
      await window.until(() => window.problems(), /conflict\.sql[^]*merge/i, 'the conflict', 30_000);
      await window.until(() => window.problems(), /twin\.sql[^]*20240201000000/, 'the twins');
      await window.shot(`migrations conflict ${name}`);
      await rm(join(project.folder, conflict));
      await rm(join(project.folder, twin));
      await window.until(() => window.problems(), (rows) => !rows.some((row) => /twin|conflict/.test(row)), 'no problem');
    });

    journey('a_checkout_that_leads_to_pending_migrations_asks_once', async () => {
      await project.git('checkout', '-q', 'other');
      await window.until(() => window.toasts(), /“other” has \d pending migrations/, 'the question', 60_000);
      await window.shot(`migrations question ${name}`);
      await window.toastAction('pending migrations', 'Not Now');
      await window.until(() => window.toasts(), (toasts) => !toasts.some((text) => /pending/.test(text)), 'no question');
      assert.deepEqual(await project.sql("select to_regclass('racks')"), [[null]]);
    });

    journey('a_checkout_applies_where_the_person_has_allowed_it_and_on_no_other_branch', async () => {
      await appendFile(join(project.folder, 'offshoot.toml'), '\n[migrations]\non_checkout = "apply"\n');
      await project.git('commit', '-q', '-a', '-m', 'Apply on checkout');
      await project.git('checkout', '-q', '-b', 'auto');
      await window.until(() => window.toasts(), /pending migrations of “auto” to be applied/, 'the question', 60_000);
      await window.shot(`migrations allowed ${name}`);
      // The question stays while the person goes on.
      await project.git('checkout', '-q', 'feature');
      await window.until(() => window.statusText(STATUS), /feature/, 'the status bar');
      await window.toastAction('“auto”', 'Apply Once');
      await window.until(() => window.toasts(), /“auto” is not checked out any more/, 'nothing was run');
      await window.command('Notifications: Clear All Notifications');
      await window.until(() => window.toasts(), [], 'no message');
      await project.git('checkout', '-q', 'auto');
      await window.until(() => window.toasts(), /pending migrations of “auto” to be applied/, 'the question again', 60_000);
      await window.toastAction('“auto”', 'Always in This Repository');
      await window.until(() => window.toasts(), /ran on auto/, 'the end of it', 60_000);
      assert.deepEqual(await project.sql("select to_regclass('racks')"), [['racks']]);
      await window.command('Notifications: Clear All Notifications');
      await window.until(() => window.toasts(), [], 'no message');
      await project.git('checkout', '-q', '-b', 'again', 'other');
      await window.until(() => window.toasts(), /ran on again/, 'it runs without a question', 60_000);
    });
  });
}
