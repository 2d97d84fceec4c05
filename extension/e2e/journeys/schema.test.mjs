// What a branch does to the schema: groups in source control, the summary, its picture, the tree of objects.
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { workbenchNames } from '../lib/installed.mjs';
import { inWorkbench } from '../lib/journey.mjs';
import { CONTAINER, STATUS, openStage } from '../lib/offshoot.mjs';
import { Workbench } from '../lib/workbench.mjs';

const MINE = `CREATE TABLE lots (id bigint PRIMARY KEY, item_id integer NOT NULL REFERENCES items, code text NOT NULL);
ALTER TABLE items ADD COLUMN lot text; ALTER TABLE warehouses ALTER COLUMN name TYPE varchar(80)`;
const THEIRS = 'ALTER TABLE warehouses ALTER COLUMN name TYPE varchar(40); CREATE TABLE suppliers (id bigint PRIMARY KEY, name text NOT NULL)';
const MIGRATION = 'migrations/002_storage.sql';

/** One workbench is enough: what is drawn here does not depend on the editor's version, and these minutes are dear. */
for (const name of workbenchNames.filter((each) => each === 'current')) {
  inWorkbench(name, 'schema', ({ journey, before, after }) => {
    let stage, project, server, profile, window;

    before(async () => {
      stage = await openStage(name);
      project = await stage.project();
      await project.init();
      await project.git('checkout', '-q', '-b', 'feature/lots');
      await mkdir(join(project.folder, 'migrations'), { recursive: true });
      await writeFile(join(project.folder, MIGRATION), `-- Lots.\n${MINE.replaceAll('; ', ';\n')};\n`);
      await project.sql(MINE);
      await project.sql(THEIRS, 'main');
      server = await stage.server(project);
      profile = await stage.browser.profile();
      window = await Workbench.open(profile, server.url(project.folder));
    });

    after(async () => stage?.close());

    journey('changes_are_grouped_by_whose_they_are', async () => {
      await window.until(() => window.statusText(STATUS), /feature\/lots/, 'the status bar', 120_000);
      await window.showScm();
      await window.until(() => window.scmResources('Conflicts'), ['warehouses.sql'], 'the conflict', 60_000);
      await window.until(() => window.scmResources('Mine'), ['items.sql', 'lots.sql'], 'what the branch did');
      await window.until(() => window.scmResources('From parent (main)'), ['suppliers.sql'], 'what came in');
      await window.shot(`groups ${name}`);
    });

    journey('a_conflict_shows_both_sides', async () => {
      await window.scmResource('warehouses.sql').click();
      await window.until(async () => (await window.diffTexts()).original, /character varying\(80\)/, 'mine');
      await window.until(async () => (await window.diffTexts()).modified, /character varying\(40\)/, 'theirs');
      await window.scmResource('suppliers.sql').click();
      await window.until(async () => (await window.diffTexts()).modified, /CREATE TABLE public\.suppliers/, 'what the parent made');
      await window.command('View: Close All Editors');
    });

    journey('the_summary_begins_with_the_verdict_and_the_risks_and_is_live', async () => {
      await window.command('Offshoot: Branch Diff Summary');
      await window.until(() => window.editorText(), /# Database diff: feature\/lots ← main[^]*1 conflict[^]*! conflict: table public\.warehouses/, 'the summary');
      await window.shot(`summary ${name}`);
      await project.sql('CREATE TABLE shelves (id bigint PRIMARY KEY)');
      await window.until(() => window.editorText(), /3 changes on feature\/lots/, 'the next change, in the open document');
    });

    journey('go_to_definition_leads_to_the_migration', async () => {
      await window.command('View: Close All Editors');
      await window.showScm();
      await window.scmResource('lots.sql').click();
      await window.until(async () => (await window.diffTexts()).modified, /CREATE TABLE public\.lots/, 'the definition');
      await window.page.locator('.monaco-diff-editor .editor.modified .view-line').first().click();
      await window.command('Go to Definition');
      await window.tab(/002_storage\.sql/).waitFor();
      await window.command('View: Close All Editors');
    });

    journey('the_picture_is_drawn_and_filtered_without_the_server', async () => {
      await window.command('Offshoot: Picture of the Changes');
      const page = window.webview();
      await window.until(() => page.locator('.box .title').allTextContents(), /public\.items[^]*public\.lots|public\.lots[^]*public\.items/, 'the boxes', 30_000);
      assert.match(await page.locator('.box.conflict').first().getAttribute('aria-label'), /warehouses, in conflict/);
      await window.shot(`picture ${name}`);
      assert.equal(await page.locator('body').getAttribute('data-source'), 'module', 'who filters');
      await page.locator('input[type=search]').fill('suppliers');
      await window.until(() => page.locator('.box').count(), 1, 'the one that fits');
      await page.locator('input[type=search]').fill('');
      await window.until(async () => (await page.locator('.box').count()) > 3, true, 'all of them again');
    });

    journey('the_picture_can_be_used_with_the_keyboard_alone', async () => {
      const page = window.webview();
      await page.locator('.box[tabindex="0"]').focus();
      await page.locator('.box:focus').press('End');
      await page.locator('.box:focus').press('Home');
      await page.locator('.box:focus').press('Enter');
      await window.until(async () => (await window.diffTexts()).original, /CREATE TABLE/, 'the change of the box');
    });

    journey('the_picture_comes_back_after_a_reload', async () => {
      await window.command('View: Close All Editors');
      await window.command('Offshoot: Picture of the Changes');
      await window.webview().locator('input[type=search]').fill('lots');
      await window.until(() => window.webview().locator('.box.added').count(), 1, 'the filtered picture');
      await window.reload();
      await window.until(() => window.webview().locator('.box.added').count(), 1, 'the picture of before', 60_000);
      assert.equal(await window.webview().locator('input[type=search]').inputValue(), 'lots');
      assert.equal(await window.webview().locator('body').getAttribute('data-source'), 'module', 'who filters');
      await window.command('View: Close All Editors');
    });

    journey('the_tree_of_objects_opens_definitions', async () => {
      await window.showContainer(CONTAINER);
      await window.command('Offshoot: Focus on Schema View');
      const rows = window.view('Schema').locator('.monaco-list-row');
      await window.until(async () => (await rows.allInnerTexts()).join('\n'), /public/, 'the schemas', 60_000);
      await rows.filter({ hasText: 'public' }).first().click();
      await rows.filter({ hasText: 'Tables' }).first().click();
      await rows.filter({ hasText: 'lots' }).first().waitFor();
      await rows.filter({ hasText: 'lots' }).first().locator('.monaco-tl-twistie').click();
      await rows.filter({ hasText: 'lots' }).first().click();
      await window.until(() => window.editorText(), /CREATE TABLE public\.lots/, 'the definition');
      await window.until(async () => (await rows.allInnerTexts()).join('\n'), /item_id/, 'the columns');
      await window.shot(`explorer ${name}`);
    });
  });
}
