// Proves the harness itself, with a small extension of its own. Journeys through Offshoot build on it.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openBrowser } from './lib/browser.mjs';
import { here, workbenchNames } from './lib/installed.mjs';
import { inWorkbench } from './lib/journey.mjs';
import { makeProject } from './lib/project.mjs';
import { processesWith } from './lib/processes.mjs';
import { startServer } from './lib/server.mjs';
import { Workbench } from './lib/workbench.mjs';

const STATUS = 'sample.e2e-sample.state';
const extension = { source: join(here, 'sample'), parts: ['main.cjs', 'media'] };

for (const name of workbenchNames) {
  inWorkbench(name, 'the harness', ({ journey, before, after }) => {
    let project, browser, server, profile, window;

    before(async () => {
      project = await makeProject({ files: { 'notes.txt': 'new line\nsame line\n' } });
      [browser, server] = await Promise.all([openBrowser(), startServer({ workbench: name, extension, env: project.env })]);
      profile = await browser.profile();
      window = await Workbench.open(profile, server.url(project.folder));
      await window.until(() => window.statusText(STATUS), 'main, 0', 'the status item', 60_000);
    });

    after(async () => {
      await browser?.close();
      await server?.stop();
      await project?.remove();
      if (server !== undefined) assert.deepEqual(processesWith('HOME', server.home), [], 'nothing is left running');
    });

    journey('a_fresh_window_asks_and_says_nothing', async () => {
      assert.equal(await window.dialogText(), '');
      assert.deepEqual(await window.toasts(), []);
    });

    journey('a_view_is_filled_by_its_title_button_and_changed_by_its_rows', async () => {
      await window.showContainer('Sample');
      await window.press(window.titleButton('Add Item'));
      await window.until(() => window.rowTexts(), ['item 1 an item'], 'one row');
      await window.press(window.titleButton('Add Item'));
      await window.until(() => window.statusText(STATUS), 'main, 2', 'two items');
      assert.equal(await window.statusKind(STATUS), 'warning');
      await window.rowAction('item 1', 'Remove Item');
      await window.until(() => window.rowTexts(), ['item 2 an item'], 'the other row');
      assert.match((await window.rowLabels())[0], /item 2/);
    });

    journey('source_control_opens_a_diff_with_a_virtual_document', async () => {
      await window.showScm();
      await window.until(() => window.scmResources('Sample Changes'), ['notes.txt'], 'the change');
      await window.until(() => window.scmProviders(), /Sample SCM/, 'the source control');
      await window.scmResource('notes.txt').click();
      await window.until(() => window.diffTexts(), { original: 'old line\nsame line\n', modified: 'new line\nsame line\n' }, 'both sides');
      await window.command('View: Close All Editors');
      await window.showContainer('Sample');
      await window.rowMenu('item 2', 'Open Diff');
      await window.tab(/notes\.txt \(sample\)/).waitFor();
      await window.shot(`harness ${name}`);
    });

    journey('questions_are_answered_and_the_clipboard_works', async () => {
      await window.statusItem(STATUS).click();
      assert.equal(await window.quickTitle(), 'Which kind');
      await window.quickPick('two');
      await window.until(() => window.quickTitle(), 'Its name', 'the second question');
      await window.inputBox('a b');
      await window.until(() => window.quickMessage(), /no spaces/, 'the refusal');
      await window.inputBox('stock');
      await window.until(() => window.toasts(), ['Made two stock'], 'the notification');
      await window.toastAction('Made two', 'Undo');
      await window.until(() => window.dialogText(), /Really undo\?\s*It is gone then\./, 'the dialog');
      await window.dialogAction('Undo It');
      await window.until(() => window.statusText(STATUS), 'undone stock', 'the clipboard');
    });

    journey('files_problems_and_output_can_be_read', async () => {
      await window.openFile('schema.sql');
      await window.until(() => window.editorText(), /CREATE TABLE public\.warehouses/, 'the file');
      await window.until(() => window.problems(), /This line is the same/, 'the problem');
      await window.command('Sample: Show Log');
      await window.until(() => window.outputText(), /1 items/, 'the log');
    });

    journey('a_terminal_and_a_second_window_see_the_same', async () => {
      const other = await Workbench.open(profile, server.url(project.folder));
      await window.page.bringToFront();
      await window.openTerminal();
      await window.terminalType('git checkout -q -b other && offshoot --version > .version');
      for (const each of [window, other]) await each.until(() => each.statusText(STATUS), 'other, 1', 'the branch of the terminal');
      await writeFile(join(project.folder, '.items'), 'a\nb\nc\n');
      for (const each of [window, other]) await each.until(() => each.statusText(STATUS), 'other, 3', 'a change from outside');
      await other.close();
    });

    journey('an_untrusted_folder_is_restricted_until_it_is_trusted', async () => {
      const careful = await startServer({ workbench: name, extension, trust: 'restricted', env: project.env });
      try {
        const untrusted = await Workbench.open(await browser.profile(), careful.url(project.folder));
        await untrusted.until(() => untrusted.statusText(STATUS), 'other, 3, restricted', 'the restricted extension', 60_000);
      } finally {
        await careful.stop();
      }
    });
  });
}
