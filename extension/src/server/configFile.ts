import * as vscode from 'vscode';
import type { Connection } from './connection.js';

interface WireDiagnostic {
  readonly range: { readonly start: WirePosition; readonly end: WirePosition };
  readonly severity?: number;
  readonly code?: string | number;
  readonly codeDescription?: { readonly href: string };
  readonly source?: string;
  readonly message: string;
}

interface WirePosition {
  readonly line: number;
  readonly character: number;
}

const SEVERITIES = [
  vscode.DiagnosticSeverity.Error,
  vscode.DiagnosticSeverity.Warning,
  vscode.DiagnosticSeverity.Information,
  vscode.DiagnosticSeverity.Hint,
];

/** Shows the server every open `offshoot.toml`, and the person what the server finds wrong in them and in migrations. */
export class ConfigFileSync implements vscode.Disposable {
  private readonly connection: Connection;
  private readonly diagnostics = vscode.languages.createDiagnosticCollection('offshoot');
  private readonly subscriptions: { dispose(): unknown }[];

  constructor(connection: Connection) {
    this.connection = connection;
    this.subscriptions = [
      this.diagnostics,
      vscode.workspace.onDidOpenTextDocument((document) => {
        this.opened(document);
      }),
      vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (isConfigFile(document) && contentChanges.length > 0) {
          connection.notify('textDocument/didChange', {
            textDocument: { uri: document.uri.toString(), version: document.version },
            contentChanges: [{ text: document.getText() }],
          });
        }
      }),
      vscode.workspace.onDidCloseTextDocument((document) => {
        if (isConfigFile(document)) {
          connection.notify('textDocument/didClose', { textDocument: { uri: document.uri.toString() } });
        }
      }),
    ];
    connection.onNotification('textDocument/publishDiagnostics', (params) => {
      const { uri, diagnostics } = params as { uri: string; diagnostics: WireDiagnostic[] };
      this.diagnostics.set(vscode.Uri.parse(uri), diagnostics.map(toDiagnostic));
    });
    vscode.workspace.textDocuments.forEach((document) => {
      this.opened(document);
    });
  }

  dispose(): void {
    this.subscriptions.forEach((each) => {
      each.dispose();
    });
  }

  private opened(document: vscode.TextDocument): void {
    if (isConfigFile(document)) {
      this.connection.notify('textDocument/didOpen', {
        textDocument: { uri: document.uri.toString(), languageId: document.languageId, version: document.version, text: document.getText() },
      });
    }
  }
}

function isConfigFile(document: vscode.TextDocument): boolean {
  return document.uri.scheme === 'file' && document.uri.path.endsWith('/offshoot.toml');
}

function toDiagnostic(wire: WireDiagnostic): vscode.Diagnostic {
  const { start, end } = wire.range;
  const range = new vscode.Range(start.line, start.character, end.line, end.character);
  const severity = SEVERITIES[(wire.severity ?? 1) - 1] ?? vscode.DiagnosticSeverity.Error;
  const diagnostic = new vscode.Diagnostic(range, wire.message, severity);
  diagnostic.source = wire.source ?? 'offshoot';
  if (wire.code !== undefined) {
    diagnostic.code = wire.codeDescription === undefined ? wire.code : { value: wire.code, target: vscode.Uri.parse(wire.codeDescription.href) };
  }
  return diagnostic;
}
