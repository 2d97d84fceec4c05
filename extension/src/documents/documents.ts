import * as vscode from 'vscode';
import { detach } from '../detach.js';
import { describeError } from '../server/errors.js';
import type { Surroundings } from '../surroundings.js';
import { registerDocumentCommands } from './commands.js';
import { currencyOf } from './currency.js';
import { registerDefinitions } from './definitions.js';
import { SchemaFiles } from './files.js';
import { DocumentStore, type Read } from './store.js';
import { failureText, placeholderText } from './texts.js';
import { isSummary, refKey, refOf, SCHEME, type DocumentRef } from './uri.js';

/** Shows objects of a branch's schema as documents that follow the database, and opens them. */
export function registerDocuments(around: Surroundings): vscode.Disposable {
  const { server, log } = around;
  const read = async (ref: DocumentRef): Promise<Read> => {
    try {
      if (isSummary(ref)) {
        return { text: (await server.requests.schemaSummary({ folder: ref.folder, branch: ref.branch })).document, failed: false };
      }
      return { text: (await server.requests.schemaDefinition(ref)).text ?? '', failed: false };
    } catch (error) {
      log.warn(`Read ${ref.object.kind} ${ref.object.name} of branch ${ref.branch}: ${describeError(error)}`);
      return { text: failureText(ref, describeError(error)), failed: true };
    }
  };
  const store = new DocumentStore(
    {
      currency: (ref) => currencyOf(server.status, ref, vscode.workspace.isTrusted),
      read,
      placeholder: placeholderText,
    },
    (key) => {
      files.fireChanged(openUris(key));
    },
  );
  const files = new SchemaFiles(store);
  /** The database may have changed between the editor's reading and its telling that the document is open. */
  const checkOpened = async (document: vscode.TextDocument, ref: DocumentRef): Promise<void> => {
    const { text } = await store.get(ref);
    if (!document.isClosed && text.replaceAll('\r\n', '\n') !== document.getText().replaceAll('\r\n', '\n')) {
      files.fireChanged([document.uri]);
    }
  };
  const refreshAll = (): void => {
    detach(store.refreshAll());
  };
  return vscode.Disposable.from(
    vscode.workspace.registerFileSystemProvider(SCHEME, files, {
      isCaseSensitive: true,
      isReadonly: new vscode.MarkdownString(vscode.l10n.t('This is what the database branch holds. Change it with SQL or a migration.')),
    }),
    server.onDidChangeStatus(refreshAll),
    vscode.workspace.onDidGrantWorkspaceTrust(refreshAll),
    vscode.workspace.onDidOpenTextDocument((document) => {
      const ref = refOf(document.uri);
      if (ref !== undefined) {
        detach(checkOpened(document, ref));
      }
    }),
    vscode.workspace.onDidCloseTextDocument((document) => {
      const ref = refOf(document.uri);
      if (ref !== undefined && openUris(refKey(ref)).length === 0) {
        store.forget(ref);
      }
    }),
    registerDocumentCommands(around),
    registerDefinitions(around),
  );
}

/** The open documents that show what `key` names: on its own, or as a side of a comparison. */
function openUris(key: string): vscode.Uri[] {
  return vscode.workspace.textDocuments
    .filter((document) => !document.isClosed)
    .map((document) => document.uri)
    .filter((uri) => {
      const ref = refOf(uri);
      return ref !== undefined && refKey(ref) === key;
    });
}
