// What a person sees and does in a window of VS Code. All knowledge of its markup is here and in `markup.mjs`.
import { join } from 'node:path';
import { linesOf, plain, rowTexts } from './markup.mjs';
import { fileName, saveEvidence, shotsFolder, until } from './until.mjs';

const DRAWN_MS = 60_000;
/** How long a button, a row or an editor may take to come. */
const ACT_MS = 30_000;
/** How long what is there may take to take a click, before it is looked at anew. */
const SOON_MS = 2000;

/** @type {Set<Workbench>} */
const open = new Set();

/** Windows that are open now. */
export const openWindows = () => [...open];

/** Text to be found literally. @param {string} text */
const literally = (text) => new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i');

/** One window of VS Code. Locators are Playwright's; methods that return text return what a person reads. */
export class Workbench {
  /** @param {any} page a Playwright page */
  constructor(page) {
    this.page = page;
    page.setDefaultTimeout(ACT_MS);
    open.add(this);
    page.on('close', () => open.delete(this));
    this.sidebar = page.locator('.part.sidebar');
    this.panel = page.locator('.part.panel');
  }

  /**
   * Opens a window and waits until it is drawn.
   *
   * @param {any} profile from `Browser.profile`
   * @param {string} url from `Server.url`
   */
  static async open(profile, url) {
    const workbench = new Workbench(await profile.newPage());
    await workbench.page.goto(url, { timeout: DRAWN_MS });
    await workbench.drawn();
    return workbench;
  }

  /** Waits until the window is drawn and its bars are filled. */
  async drawn() {
    await this.page.locator('.monaco-workbench .part.statusbar .statusbar-item').first().waitFor({ timeout: DRAWN_MS });
    await this.page.locator('.part.activitybar .action-item').first().waitFor({ timeout: DRAWN_MS });
  }

  /** Loads the window again. By its own command, so that it keeps what is open before it goes. */
  async reload() {
    const loaded = this.page.waitForEvent('load', { timeout: DRAWN_MS });
    await this.command('Developer: Reload Window');
    await loaded;
    await this.drawn();
  }

  async close() {
    await this.page.close();
  }

  /** Waits; on failure a picture and the window's text are saved. See `until`. */
  until(read, want, label, ms) {
    return until(read, want, label, { ms, onFailure: () => saveEvidence(this.page, label) });
  }

  /** Saves a picture and returns its path. @param {string} name */
  async shot(name) {
    const path = join(shotsFolder(), `${fileName(name)}.png`);
    await this.page.screenshot({ path });
    return path;
  }

  // ---- Bars

  /** An item of the status bar. @param {string} id `publisher.name.item`, the last from `createStatusBarItem('item', …)` */
  statusItem(id) {
    return this.page.locator(`[id="${id}"]`);
  }

  /** What it says; empty when it is not there. @param {string} id */
  async statusText(id) {
    const item = this.statusItem(id);
    return (await item.count()) === 0 ? '' : plain(await item.innerText());
  }

  /** What a screen reader says of it. @param {string} id */
  async statusLabel(id) {
    const label = await this.statusItem(id).locator('a').first().getAttribute('aria-label');
    return plain(label ?? '');
  }

  /** `warning`, `error` or undefined: the kind of background that was asked for. @param {string} id */
  async statusKind(id) {
    const classes = (await this.statusItem(id).getAttribute('class')) ?? '';
    return /\b(warning|error)-kind\b/.exec(classes)?.[1];
  }

  /** An icon of the activity bar. @param {string} title */
  activity(title) {
    return this.page.locator('.part.activitybar').getByRole('tab').filter({ has: this.page.locator(`[aria-label^="${title}"]`) });
  }

  /** Shows a container of the sidebar; does nothing when it is shown already. @param {string} title */
  async showContainer(title) {
    const tab = this.activity(title);
    await tab.waitFor();
    if ((await tab.getAttribute('aria-selected')) !== 'true') await tab.click();
    await this.sidebar.locator('.composite.title').filter({ hasText: literally(title) }).waitFor();
  }

  // ---- Sidebar

  /** A view's section in the sidebar. @param {string} title */
  view(title) {
    return this.sidebar.locator('.pane').filter({ has: this.page.locator('.pane-header').filter({ hasText: literally(title) }) });
  }

  /** Rows of trees in the sidebar. */
  get rows() {
    return this.sidebar.getByRole('treeitem');
  }

  /** The row with a text in it. @param {string | RegExp} text */
  row(text) {
    return this.rows.filter({ hasText: text }).first();
  }

  /** What the rows say, in order. Long trees are drawn only as far as they are seen. */
  async rowTexts() {
    return rowTexts(this.rows);
  }

  /** What a screen reader says of the rows. */
  async rowLabels() {
    return this.rows.evaluateAll((rows) => rows.map((row) => row.getAttribute('aria-label') ?? ''));
  }

  /** A button in the title of a view or of the container, for `press`. @param {string} name */
  titleButton(name) {
    return this.sidebar.getByRole('button', { name, exact: true }).first();
  }

  /** Presses a button in a view's title, which shows its buttons under the pointer if it is not the only view. @param {string} view @param {string} name */
  async titleAction(view, name) {
    const header = this.view(view).locator('.pane-header').first();
    if (await header.isVisible()) await header.hover();
    await this.press(this.titleButton(name));
  }

  /** Presses a button that a row shows under the pointer. @param {string | RegExp} text @param {string} name */
  async rowAction(text, name) {
    await until(
      async () => {
        // A row that moves just then leaves the pointer on another one, which shows its own buttons.
        await this.row(text).hover({ timeout: SOON_MS });
        return this.press(this.row(text).getByRole('button', { name, exact: true }), SOON_MS).then(() => true, () => false);
      },
      true,
      `${name} of ${text}`,
      { ms: ACT_MS, onFailure: (label) => saveEvidence(this.page, label) },
    );
  }

  /**
   * Presses a button in a toolbar. A tree that is drawn again just then swallows the click; it is pressed again, but only
   * if no button got it.
   *
   * @param {any} button a locator
   * @param {number} [timeout] how long it may take to come, in milliseconds
   */
  async press(button, timeout = ACT_MS) {
    for (let attempt = 1; ; attempt += 1) {
      await this.page.evaluate(() => {
        globalThis.pressed = false;
        const see = (event) => (globalThis.pressed = event.target.closest('.action-label, .monaco-button, [role=button]') !== null);
        document.addEventListener('click', see, { once: true, capture: true });
      });
      await button.click({ timeout });
      if (attempt === 5 || (await this.page.evaluate(() => globalThis.pressed))) return;
    }
  }

  /** Chooses from a row's context menu. @param {string | RegExp} text @param {string} title */
  async rowMenu(text, title) {
    const menu = this.page.locator('.monaco-menu-container .monaco-menu');
    const evidence = { ms: ACT_MS, onFailure: (label) => saveEvidence(this.page, label) };
    await until(
      async () => {
        // A row that is drawn again just then swallows the click.
        if (!(await menu.isVisible())) await this.row(text).click({ button: 'right' });
        return menu.waitFor({ timeout: SOON_MS }).then(() => true, () => false);
      },
      true,
      `the menu of ${text}`,
      evidence,
    );
    // A menu that has just opened lets the first clicks pass.
    await until(
      async () => {
        if (await menu.isVisible()) await this.menuItem(title).click({ timeout: SOON_MS }).catch(() => {});
        return menu.isVisible();
      },
      false,
      `${title} in the menu`,
      evidence,
    );
  }

  /** An entry of the open menu, in the document or in the menu's shadow tree. @param {string} title */
  menuItem(title) {
    return this.page.locator('.monaco-menu').getByRole('menuitem', { name: title }).first();
  }

  /** Text that is shown where a tree would be. */
  async welcomeText() {
    const shown = await this.sidebar.locator('.welcome-view-content:visible').allInnerTexts();
    return plain(shown.join('\n'));
  }

  /** A button of that text. @param {string} name */
  welcomeButton(name) {
    return this.sidebar.locator('.welcome-view-content').getByRole('button', { name });
  }

  // ---- Source control

  /** The list of source controls and their changes. */
  get scm() {
    return this.sidebar.locator('.scm-view:not(.scm-history-view)');
  }

  /** Shows source control and waits for its list. */
  async showScm() {
    await this.showContainer('Source Control');
    await this.scm.waitFor();
  }

  /** Names of the source controls; only seen when there are several. */
  async scmProviders() {
    return (await this.scm.locator('.scm-provider').allInnerTexts()).map((text) => plain(text).replace(/\s*\n\s*/g, ' '));
  }

  /** The files under a group's heading, up to the next heading. @param {string} group @returns {Promise<string[]>} */
  async scmResources(group) {
    const rows = await this.scm.locator('.monaco-list-row').evaluateAll((found) =>
      found
        .map((row) => ({
          at: Number(row.getAttribute('data-index') ?? 0),
          kind: row.querySelector('.resource-group') ? 'group' : row.querySelector('.resource') ? 'resource' : 'other',
          // A resource's name is followed by its folder.
          text: (row.querySelector('.resource .label-name') ?? row.querySelector('.resource-group .name, .resource .name'))?.textContent ?? '',
        }))
        .sort((one, other) => one.at - other.at),
    );
    const start = rows.findIndex(({ kind, text }) => kind === 'group' && plain(text).startsWith(group));
    if (start < 0) return [];
    const end = rows.findIndex(({ kind }, at) => at > start && kind !== 'resource');
    return rows.slice(start + 1, end < 0 ? undefined : end).map(({ text }) => plain(text));
  }

  /** A file in the list. @param {string} name */
  scmResource(name) {
    return this.scm.locator('.resource').filter({ hasText: name }).first();
  }

  // ---- Editors

  /** The tab with that title. @param {string | RegExp} title */
  tab(title) {
    return this.page.locator('.part.editor').getByRole('tab', { name: title });
  }

  /** Both sides of the open diff, as far as they are drawn. @returns {Promise<{ original: string, modified: string }>} */
  async diffTexts(at = 0) {
    const diff = this.page.locator('.monaco-diff-editor').nth(at);
    const side = async (name) => linesOf(diff.locator(`.editor.${name} .view-lines`).first());
    return { original: await side('original'), modified: await side('modified') };
  }

  /** Titles in the editor that shows many diffs. */
  async multiDiffTitles() {
    return (await this.page.locator('.multiDiffEntry .title:visible, .multiDiffEntry .file-path:visible').allInnerTexts()).map(plain);
  }

  /** The text of the editor that has the focus or is the first, as far as it is drawn. */
  async editorText() {
    return linesOf(this.page.locator('.part.editor .monaco-editor .view-lines').first());
  }

  /** Opens a file of the workspace. @param {string} path relative, or a part that fits only one file */
  async openFile(path) {
    await this.#ask(path);
    const name = path.split('/').at(-1) ?? path;
    await this.quickRow(name).waitFor();
    await this.page.keyboard.press('Enter');
    await this.tab(literally(name)).first().waitFor();
  }

  // ---- Palette, quick picks, inputs

  /** Runs a command by its title in the palette. @param {string} title with its category: `View: Close All Editors` */
  async command(title) {
    await this.#ask(`>${title}`);
    // The row's name begins with the title; a key binding and the like may follow.
    const row = this.page.locator('.quick-input-list .monaco-list-row').filter({ has: this.page.locator('.label-name').getByText(literally(title)) }).first();
    await row.waitFor();
    await row.click();
  }

  /** Titles that the palette offers for what is typed. @param {string} text @returns {Promise<string[]>} */
  async commandsFor(text) {
    await this.#ask(`>${text}`);
    await this.page.locator('.quick-input-list .monaco-list-row').first().waitFor();
    const titles = await this.quickTexts();
    await this.page.keyboard.press('Escape');
    return titles;
  }

  async #ask(text) {
    await this.page.keyboard.press('F1');
    const box = this.quickInput;
    await box.waitFor();
    await box.fill(text);
  }

  /** The box of the open quick pick or input. */
  get quickInput() {
    return this.page.locator('.quick-input-widget:visible input[type=text], .quick-input-widget:visible input[type=password]').first();
  }

  /** A row of the open quick pick. @param {string | RegExp} text */
  quickRow(text) {
    return this.page.locator('.quick-input-widget:visible .monaco-list-row').filter({ hasText: text }).first();
  }

  /** What the rows of the open quick pick say. */
  async quickTexts() {
    return (await this.page.locator('.quick-input-widget:visible .monaco-list-row').allInnerTexts()).map((text) => plain(text).replace(/\s*\n\s*/g, ' '));
  }

  /** The title of the open quick pick or input. */
  async quickTitle() {
    return plain(await this.page.locator('.quick-input-widget:visible .quick-input-title').innerText());
  }

  /** What the open input says below the box, such as why a name is not allowed. */
  async quickMessage() {
    return plain(await this.page.locator('.quick-input-widget:visible .quick-input-message').innerText());
  }

  /** Chooses a row of the open quick pick. @param {string | RegExp} text */
  async quickPick(text) {
    await this.quickRow(text).click();
  }

  /** Types into the open input and confirms. @param {string} text */
  async inputBox(text) {
    await this.quickInput.waitFor();
    await this.quickInput.fill(text);
    await this.page.keyboard.press('Enter');
  }

  // ---- Messages

  /** Texts of the notifications that are shown. */
  async toasts() {
    const shown = await this.page.locator('.notification-toast .notification-list-item-message').allInnerTexts();
    return shown.map(plain);
  }

  /** Presses a button of a notification. @param {string | RegExp} text @param {string} button */
  async toastAction(text, button) {
    const toast = this.page.locator('.notification-toast').filter({ hasText: text }).first();
    await toast.getByRole('button', { name: button, exact: true }).click();
  }

  /** The open modal dialog. */
  get dialog() {
    return this.page.locator('.monaco-dialog-box');
  }

  /** What it says; empty when there is none. */
  async dialogText() {
    return (await this.dialog.count()) === 0 ? '' : plain(await this.dialog.locator('.dialog-message-container').innerText());
  }

  /** Presses one of its buttons. @param {string} button */
  async dialogAction(button) {
    await this.dialog.getByRole('button', { name: button, exact: true }).click();
    await this.dialog.waitFor({ state: 'detached' });
  }

  // ---- Trust

  /** Trusts the workspace in the editor *Workspace Trust*, which has to be open. */
  async trust() {
    const editor = this.page.locator('.workspace-trust-editor');
    await editor.waitFor();
    await editor.getByRole('button', { name: 'Trust', exact: true }).first().click();
  }

  // ---- Panel

  /** Opens a terminal in the workspace folder, or shows the open one, and waits for its prompt. */
  async openTerminal() {
    await this.command('Terminal: Focus Terminal');
    await this.page.locator('.terminal-wrapper.active .xterm-screen').click();
    await this.page.locator('.terminal-wrapper.active .xterm.focus').waitFor();
  }

  /** Types a line into the open terminal. It starts to run; what it does is to be awaited. @param {string} line */
  async terminalType(line) {
    await this.page.locator('.terminal-wrapper.active .xterm-helper-textarea').focus();
    await this.page.keyboard.type(line);
    await this.page.keyboard.press('Enter');
  }

  /** What the Problems panel lists, headings included; opens it. */
  async problems() {
    const panel = this.panel.locator('.markers-panel');
    if (!(await panel.isVisible())) {
      await this.command('Problems: Focus on Problems View');
      await panel.waitFor();
    }
    return (await panel.locator('.monaco-list-row').allInnerTexts()).map((text) => plain(text).replace(/\s*\n\s*/g, ' '));
  }

  /** The text of the open output channel, as far as it is drawn. */
  async outputText() {
    return linesOf(this.panel.locator('.view-lines').first());
  }

  /** The document inside of the shown webview. */
  webview() {
    return this.page.frameLocator('iframe.webview.ready').frameLocator('iframe#active-frame');
  }
}
