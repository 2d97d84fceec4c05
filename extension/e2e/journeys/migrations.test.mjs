// Migrations beside their files: lenses, applying, taking back, diagnostics, the tree, source control, reports.
import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
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

/** Stands in for the tool where it is run, on the worktree's branch only; states are read without it. */
const DBMATE = `#!/bin/sh
set -e
ask() { offshoot sql --json -c "$1"; }
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
      await writeFile(tool, DBMATE);
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
      await window.until(() => window.webview().locator('body').innerText(), /Merges of feature into main[^]*Some merges go wrong[^]*other/, 'the report', 60_000);
      await window.shot(`migrations rehearsal ${name}`);
    });

    journey('a_checkout_that_leads_to_pending_migrations_asks_once', async () => {
      await project.git('checkout', '-q', 'other');
      await window.until(() => window.toasts(), /“other” has \d pending migrations/, 'the question', 60_000);
      await window.shot(`migrations question ${name}`);
      await window.toastAction('pending migrations', 'Not Now');
      await window.until(() => window.toasts(), (toasts) => !toasts.some((text) => /pending/.test(text)), 'no question');
      assert.deepEqual(await project.sql("select to_regclass('racks')"), [[null]]);
    });
  });
}
