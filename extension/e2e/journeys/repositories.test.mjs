// Several repositories in one window, from the first look in an untrusted workspace to a database for each of them.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedPostgres } from '../lib/postgres.mjs';
import { workbenchNames } from '../lib/installed.mjs';
import { inWorkbench } from '../lib/journey.mjs';
import { CONTAINER, STATUS, offshootSkipReason, openStage } from '../lib/offshoot.mjs';

/** Of the tools of Postgres that copy a database, a system has any version: the oldest one is read by all of them. */
const MAJOR = 15;
const SET_UP = 'Set Up Database Branching';
const FOREVER = 'CREATE TABLE early (id int PRIMARY KEY);\nSELECT pg_sleep(600);\n';

/** The mark of a repository whose database was set up an hour ago; there is none. */
async function loseStore({ folder }) {
  const mark = join(folder, '.git/offshoot/project');
  await mkdir(join(folder, '.git/offshoot'));
  await writeFile(mark, '0123456789abcdef\n');
  const before = Date.now() / 1000 - 3600;
  await utimes(mark, before, before);
}

for (const name of workbenchNames) {
  inWorkbench(name, 'repositories', ({ journey, before, after }) => {
    let stage, inventory, shop, notes, window, url;
    const places = () => ({ stores: join(inventory.env.OFFSHOOT_HOME, 'stores'), mark: join(inventory.folder, '.git/offshoot/project') });
    const inTree = (text, present = true) => window.until(async () => (await window.rowTexts()).some((row) => row.startsWith(text)), present, `${text} in the tree`, 60_000);

    before(async () => {
      stage = await openStage(name);
      inventory = await stage.project({ files: { 'inventory.md': '# Inventory\n', 'forever.dump.sql': FOREVER }, path: cachedPostgres(MAJOR) });
      shop = await inventory.neighbour('shop', { 'shop.md': '# Shop\n' });
      notes = await inventory.neighbour('notes', { 'notes.md': '# Notes\n' });
      await loseStore(notes);
      const server = await stage.server(inventory, { trust: 'restricted' });
      window = await stage.window(server, await inventory.workspace('all', ['inventory', 'shop', 'notes']));
    });

    after(async () => {
      await stage?.close();
    });

    journey('trust_that_is_granted_later_brings_everything_to_life', async () => {
      await window.showContainer(CONTAINER);
      await window.until(() => window.welcomeText(), /do not trust/, 'the welcome of an untrusted workspace', 60_000);
      await window.welcomeButton('Manage Workspace Trust').click();
      await window.trust();
      await window.until(() => window.welcomeText(), /is not where it was/, 'the welcome that leads on from a lost database', 60_000);
      await window.command('View: Close All Editors');
      await window.shot(`lost ${name}`);
      await window.welcomeButton('Show What Happened').click();
      await window.until(() => window.dialogText(), /is not there: .*0123456789abcdef/, 'what happened');
      await window.dialogAction('OK');
    });

    journey('a_set_up_that_is_cancelled_leaves_nothing', async () => {
      await window.welcomeButton('Set Up Again').click();
      await window.quickPick('inventory');
      await window.quickPick('forever.dump.sql');
      await window.until(() => window.quickTexts(), /Newest *Postgres 18.*Postgres 15 *15\.\d+, on this machine/, 'the versions that are there');
      await window.shot(`versions ${name}`);
      await window.quickPick(`Postgres ${MAJOR}`);
      await window.until(() => existsSync(places().stores) && readdirSync(places().stores).length > 0, true, 'the store in the making');
      await window.until(() => window.toasts(), /Set Up Database Branching: Load/, 'the statement that never ends');
      await window.shot(`set-up in progress ${name}`);
      await window.toastAction(SET_UP, 'Cancel');
      await window.until(() => readdirSync(places().stores), [], 'no store');
      await window.until(() => existsSync(places().mark), false, 'no mark in the repository');
      assert.equal(existsSync(join(inventory.folder, 'offshoot.toml')), false);
      await window.until(() => window.toasts(), [], 'nothing to read');
    });

    journey('a_set_up_takes_a_file_that_is_chosen', async () => {
      await window.command(`Offshoot: ${SET_UP}`);
      await window.quickPick('inventory');
      await window.quickPick('Choose a file');
      await window.until(() => window.quickTitle(), /Choose a Dump/, 'the dialog');
      await window.quickRow('schema.sql').waitFor();
      await window.shot(`file ${name}`);
      await window.quickPick('schema.sql');
      await window.quickPick(`Postgres ${MAJOR}`);
      await inTree('main');
      // Repositories with a database first; then what the other folders are.
      await window.until(() => window.rowTexts(), /^\["inventory","main ● .*","shop no database yet","notes its database is gone"\]$/, 'the tree');
      url = new URL(await inventory.offshoot('url'));
    });

    journey('a_copied_database_s_password_is_asked_for_once', async () => {
      assert.notEqual(url.password, '');
      const address = new URL(url);
      address.password = '';
      for (const [row, isKnown] of [['shop', false], ['notes', true]]) {
        await window.rowAction(new RegExp(`^${row}`), `${SET_UP}…`);
        await window.quickPick('Copy a database');
        await window.until(() => window.quickMessage(), /Address of the database/, 'the question for the address');
        await window.inputBox(address.href);
        await window.until(() => window.quickMessage(), /Password for/, 'the question for the password');
        assert.equal(await window.quickInput.inputValue(), isKnown ? url.password : '');
        await window.inputBox(url.password);
        await window.quickPick(`Postgres ${MAJOR}`);
        await inTree(`${row} no database yet`, false);
        await inTree(`${row} its database is gone`, false);
      }
      assert.deepEqual(await shop.sql('SELECT count(*)::int FROM items'), [[200]]);
      for (const question of [1, 2]) {
        await window.command('Offshoot: Forget Kept Passwords…');
        if (question === 1) {
          await window.until(() => window.quickTexts(), /@127\.0\.0\.1:\d+\//, 'what is kept');
          await window.page.keyboard.press('Enter');
        }
        await window.until(() => window.toasts(), question === 1 ? /1 password was forgotten/ : /No password is kept/, 'the answer');
      }
    });

    journey('each_repository_has_its_row_its_source_control_and_its_turn_in_the_status_bar', async () => {
      await shop.git('checkout', '--quiet', '-b', 'sale');
      await inTree('sale');
      await window.until(() => window.rowTexts(), (rows) => ['inventory', 'shop', 'notes'].every((row) => rows.includes(row)), 'a row for each');
      await window.command('Notifications: Clear All Notifications');
      await window.shot(`repositories ${name}`);
      for (const [file, branch] of [['shop.md', /^shop: sale/], ['notes.md', /^notes: main/], ['shop.md', /^shop: sale/]]) {
        await window.openFile(file);
        await window.until(() => window.statusText(STATUS), branch, `the branch of ${file}`);
      }
      // Git's own come first and take much room.
      await window.page.setViewportSize({ width: 1280, height: 1400 });
      await window.showScm();
      const databases = async () => (await window.scmProviders()).filter((text) => text.startsWith('Database')).sort();
      await window.until(databases, /Database: inventory.*Database: notes.*Database: shop.*sale ← main/, 'the source controls');
      await window.shot(`source controls ${name}`);
      await window.page.setViewportSize({ width: 1280, height: 800 });
    });

    journey('a_branch_is_renamed_and_given_an_expiry', async () => {
      await inventory.offshoot('branch', 'create', 'draft');
      await window.showContainer(CONTAINER);
      await window.rowMenu(/^draft/, 'Rename Database Branch…');
      await window.inputBox('main');
      await window.until(() => window.quickMessage(), /already/, 'why not');
      await window.inputBox('final');
      await inTree('final');
      await window.rowMenu(/^final/, 'Set Expiry of Database Branch…');
      await window.quickPick('In 1 week');
      await inTree('final asleep');
      await window.until(() => window.rowTexts(), /final asleep · [^"]*expires in [67] d/, 'the expiry');
      const { branches } = JSON.parse(await inventory.offshoot('branch', 'list', '--json'));
      assert.deepEqual(branches.map((branch) => branch.name).sort(), ['final', 'main']);
    });

    journey('diagnostics_are_copied_and_an_issue_can_be_reported', async () => {
      await window.command('Offshoot: Copy Diagnostics');
      await window.until(() => window.toasts(), /Diagnostics were copied/, 'the notice');
      const text = await window.page.evaluate(() => navigator.clipboard.readText());
      const { version } = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8'));
      for (const part of [`extension ${version}`, 'workspace: trusted, 3 folders', 'Postgres: 15.', 'ready; 2 branches']) assert.ok(text.includes(part), `${part} in ${text}`);
      assert.ok(!text.includes(url.password));
      await window.command('Notifications: Clear All Notifications');
      await window.command('Offshoot: Report Issue…');
      await window.until(() => window.toasts(), /issue/, 'the reporter, or where the text is');
      await window.shot(`report ${name}`);
    });
  }, { skip: offshootSkipReason() });
}
