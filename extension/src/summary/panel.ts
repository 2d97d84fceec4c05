import * as vscode from 'vscode';
import { detach } from '../detach.js';
import { currencyOf, isCurrent, type Currency } from '../documents/currency.js';
import { SUMMARY } from '../documents/uri.js';
import { branchNamed, readyFolder } from '../model.js';
import type { Filter, ObjectRef } from '../protocol/summary.js';
import { describeError } from '../server/errors.js';
import type { Surroundings } from '../surroundings.js';
import { page } from './html.js';
import type { FromView, PictureRef, ToView } from './messages.js';
import { saveSvg } from './save.js';
import { pictureTexts } from './texts.js';

/** What a picture asks the extension to open. */
export interface PictureEvents {
  readonly open: (ref: PictureRef, object: ObjectRef) => Promise<void>;
  readonly document: (ref: PictureRef) => Promise<void>;
}

/** The picture of one branch in a panel. It follows the database as documents do. */
export class PicturePanel implements vscode.Disposable {
  readonly ref: PictureRef;
  readonly panel: vscode.WebviewPanel;
  private readonly around: Surroundings;
  private readonly events: PictureEvents;
  private readonly listening: vscode.Disposable;
  /** Without the module the program is asked for each picture. */
  private hasModule = true;
  private isReady = false;
  private filter: Filter | undefined;
  private shown: Currency | undefined;
  /** Grows with each question; older answers come too late. */
  private asked = 0;

  constructor(around: Surroundings, panel: vscode.WebviewPanel, ref: PictureRef, events: PictureEvents) {
    this.around = around;
    this.panel = panel;
    this.ref = ref;
    this.events = events;
    const { extensionUri } = around.context;
    const { webview } = panel;
    const address = (...parts: string[]): string => webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, 'extension', ...parts)).toString();
    panel.title = vscode.l10n.t('Changes of {0}', ref.branch);
    webview.options = { enableScripts: true, localResourceRoots: resourceRoots(extensionUri) };
    this.listening = vscode.Disposable.from(
      webview.onDidReceiveMessage((message: FromView) => {
        detach(this.hear(message));
      }),
      around.server.onDidChangeStatus(() => {
        detach(this.update());
      }),
    );
    webview.html = page({
      script: address('dist', 'picture.js'),
      style: address('media', 'picture', 'picture.css'),
      source: webview.cspSource,
      language: vscode.env.language,
      title: panel.title,
    });
  }

  dispose(): void {
    this.listening.dispose();
  }

  private async hear(message: FromView): Promise<void> {
    switch (message.kind) {
      case 'ready':
        await this.start();
        break;
      case 'noModule':
        this.around.log.warn(`The picture asks the program, because the schema module does not run: ${message.why}`);
        this.hasModule = false;
        this.filter = message.filter;
        await this.update(true);
        break;
      case 'filter':
        this.filter = message.filter;
        await this.update(true);
        break;
      case 'open':
        await this.events.open(this.ref, message.object);
        break;
      case 'document':
        await this.events.document(this.ref);
        break;
      case 'export':
        await saveSvg(this.ref, message.svg);
        break;
    }
  }

  private async start(): Promise<void> {
    const file = vscode.Uri.joinPath(this.around.context.extensionUri, 'extension', 'dist', 'schema.wasm');
    let module: Uint8Array | undefined;
    try {
      // Not Node's own kind of buffer, which the editor does not carry over.
      module = new Uint8Array(await vscode.workspace.fs.readFile(file));
    } catch {
      module = undefined;
    }
    this.isReady = true;
    const ready = readyFolder(this.around.server.status, this.ref.folder);
    const base = ready === undefined ? undefined : branchNamed(ready.project, this.ref.branch)?.parent;
    await this.post({ kind: 'start', ref: this.ref, texts: pictureTexts(base ?? ''), ...(module === undefined ? {} : { module }) });
    await this.update(true);
  }

  /** Sends what the branch holds now, unless the view has it. */
  private async update(force = false): Promise<void> {
    const { server } = this.around;
    const now = currencyOf(server.status, { ...this.ref, object: SUMMARY }, vscode.workspace.isTrusted);
    if (!this.isReady || (!force && isCurrent(this.shown, now))) {
      return;
    }
    if (now.kind !== 'ready') {
      const text = now.kind === 'noBranch' ? vscode.l10n.t('There is no database branch “{0}”.', this.ref.branch) : vscode.l10n.t('Waiting for the database…');
      await this.post({ kind: 'message', text });
      return;
    }
    this.shown = now;
    this.asked += 1;
    const turn = this.asked;
    try {
      const message = await this.ask();
      if (turn === this.asked) {
        await this.post(message);
      }
    } catch (error) {
      this.shown = undefined;
      await this.post({ kind: 'message', text: describeError(error) });
    }
  }

  private async ask(): Promise<ToView> {
    const { requests } = this.around.server;
    const { folder, branch } = this.ref;
    if (this.hasModule) {
      return { kind: 'facts', facts: await requests.schemaFacts({ folder, branch }) };
    }
    const filter = this.filter === undefined ? {} : { filter: JSON.stringify(this.filter) };
    return { kind: 'picture', picture: (await requests.schemaSummary({ folder, branch, ...filter })).picture };
  }

  private async post(message: ToView): Promise<void> {
    await this.panel.webview.postMessage(message);
  }
}

/** Folders of the extension that the page may load from. */
export function resourceRoots(extensionUri: vscode.Uri): vscode.Uri[] {
  return [vscode.Uri.joinPath(extensionUri, 'extension', 'dist'), vscode.Uri.joinPath(extensionUri, 'extension', 'media', 'picture')];
}
