import * as vscode from 'vscode';
import type { DocumentStore } from './store.js';
import { refOf, type DocumentRef } from './uri.js';

/** Objects of a branch's schema as read-only files, for editors and comparisons. */
export class SchemaFiles implements vscode.FileSystemProvider {
  readonly onDidChangeFile: vscode.Event<vscode.FileChangeEvent[]>;
  private readonly emitter = new vscode.EventEmitter<vscode.FileChangeEvent[]>();
  private readonly store: DocumentStore;

  constructor(store: DocumentStore) {
    this.store = store;
    this.onDidChangeFile = this.emitter.event;
  }

  /** Tells the editor that these files are to be read again. */
  fireChanged(uris: readonly vscode.Uri[]): void {
    this.emitter.fire(uris.map((uri) => ({ type: vscode.FileChangeType.Changed, uri })));
  }

  async stat(uri: vscode.Uri): Promise<vscode.FileStat> {
    const content = await this.store.get(asked(uri));
    return {
      type: vscode.FileType.File,
      ctime: 0,
      mtime: content.changedAt,
      size: Buffer.byteLength(content.text),
      permissions: vscode.FilePermission.Readonly,
    };
  }

  async readFile(uri: vscode.Uri): Promise<Uint8Array> {
    return Buffer.from((await this.store.get(asked(uri))).text);
  }

  watch(): vscode.Disposable {
    // Everything that is open is followed anyway.
    return new vscode.Disposable(() => undefined);
  }

  readDirectory(): [string, vscode.FileType][] {
    return [];
  }

  createDirectory(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  writeFile(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  delete(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  rename(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }
}

function asked(uri: vscode.Uri): DocumentRef {
  const ref = refOf(uri);
  if (ref === undefined) {
    throw vscode.FileSystemError.FileNotFound(uri);
  }
  return ref;
}
