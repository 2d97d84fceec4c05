import * as vscode from 'vscode';

const SCHEME = 'offshoot-report';

/** Reports as documents that nobody saves; one that is made again replaces the one before. */
export class Reports implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly texts = new Map<string, string>();
  private readonly registration: vscode.Disposable;

  constructor() {
    this.registration = vscode.workspace.registerTextDocumentContentProvider(SCHEME, this);
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.texts.get(uri.path) ?? vscode.l10n.t('This report is gone. Make it again.');
  }

  /** Shows a text in an editor. */
  async open(name: string, text: string): Promise<void> {
    const document = await vscode.workspace.openTextDocument(this.put(name, text));
    await vscode.window.showTextDocument(document, { preview: true });
  }

  /** Shows Markdown as it is meant to be read. */
  async show(name: string, markdown: string): Promise<void> {
    await vscode.commands.executeCommand('markdown.showPreview', this.put(`${name}.md`, markdown));
  }

  /** Shows two texts beside each other. */
  async compare(title: string, name: string, left: { label: string; text: string }, right: { label: string; text: string }): Promise<void> {
    const uris = [left, right].map(({ label, text }) => this.put(`${label}/${name}`, text));
    await vscode.commands.executeCommand('vscode.diff', ...uris, title);
  }

  /** Shows a text beside a file, which can be edited there. */
  async beside(title: string, name: string, left: { label: string; text: string }, right: vscode.Uri): Promise<void> {
    await vscode.commands.executeCommand('vscode.diff', this.put(`${left.label}/${name}`, left.text), right, title);
  }

  dispose(): void {
    this.registration.dispose();
    this.changed.dispose();
  }

  private put(name: string, text: string): vscode.Uri {
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${name.replace(/[^\p{L}\p{N}._@ /-]/gu, '-')}` });
    this.texts.set(uri.path, text);
    this.changed.fire(uri);
    return uri;
  }
}
