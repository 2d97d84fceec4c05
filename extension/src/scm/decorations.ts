import * as vscode from 'vscode';
import { listGroup, SCHEME, refOf } from '../documents/uri.js';
import type { Surroundings } from '../surroundings.js';
import { changeOfDocument, changesOf, type FolderChanges } from './change.js';
import { changeColour, changeLetter } from './labels.js';
import { describeChange } from './resource.js';
import { sidesOf, type OpenableChange } from './sides.js';

/** Letter and colour of changed objects, in the source control view and on the tabs of their documents. */
export class ChangeDecorations implements vscode.FileDecorationProvider, vscode.Disposable {
  readonly onDidChangeFileDecorations: vscode.Event<undefined>;
  private readonly emitter = new vscode.EventEmitter<undefined>();
  private readonly registration: vscode.Disposable;
  private all: readonly FolderChanges[];
  private fingerprint: string;

  constructor({ server }: Surroundings) {
    this.onDidChangeFileDecorations = this.emitter.event;
    this.all = changesOf(server.status);
    this.fingerprint = JSON.stringify(this.all);
    this.registration = vscode.Disposable.from(
      server.onDidChangeStatus((status) => {
        this.take(changesOf(status));
      }),
      vscode.window.registerFileDecorationProvider(this),
      this.emitter,
    );
  }

  provideFileDecoration(uri: vscode.Uri): vscode.FileDecoration | undefined {
    if (uri.scheme !== SCHEME) {
      return undefined;
    }
    const change = changeOfDocument(uri, this.all);
    if (change === undefined || !isChangedSide(uri, change)) {
      return undefined;
    }
    const { change: kind } = change.change;
    return new vscode.FileDecoration(changeLetter(kind, change.group), describeChange(change), new vscode.ThemeColor(changeColour(kind, change.group)));
  }

  dispose(): void {
    this.registration.dispose();
  }

  private take(all: readonly FolderChanges[]): void {
    const fingerprint = JSON.stringify(all);
    if (fingerprint !== this.fingerprint) {
      this.all = all;
      this.fingerprint = fingerprint;
      this.emitter.fire(undefined);
    }
  }
}

/** The side that a change is compared with is not changed; in a list there is one row for both. */
function isChangedSide(uri: vscode.Uri, change: OpenableChange): boolean {
  if (listGroup(uri) !== undefined || change.change.change === 'removed') {
    return true;
  }
  const ref = refOf(uri);
  const { right } = sidesOf(change);
  return ref?.state === undefined && (change.group === 'conflict' || ref?.branch === right.branch);
}
