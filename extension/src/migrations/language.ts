import * as vscode from 'vscode';
import type { Surroundings } from '../surroundings.js';

interface WireRange {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}

interface WireLens {
  readonly range: WireRange;
  readonly command?: vscode.Command;
}

interface WireHover {
  readonly contents: { readonly value: string };
}

interface WireAction {
  readonly title: string;
  readonly isPreferred?: boolean;
  readonly edit?: { readonly changes?: Readonly<Record<string, readonly { readonly range: WireRange; readonly newText: string }[]>> };
}

const FILES: vscode.DocumentSelector = { scheme: 'file' };

/** Lenses, hovers and quick fixes of migration files, as the server has them. Other files cost a look into a list. */
export function registerLanguage({ server, migrations }: Surroundings): vscode.Disposable {
  const lenses = new vscode.EventEmitter<void>();
  const isOurs = (document: vscode.TextDocument): boolean => server.state.kind === 'running' && migrations.rowsIn(document.uri).length > 0;
  const ask = async <R>(method: string, document: vscode.TextDocument, more: object, cancel: vscode.CancellationToken): Promise<R | undefined> => {
    if (!isOurs(document)) {
      return undefined;
    }
    try {
      return await server.ask<R>(method, { textDocument: { uri: document.uri.toString() }, ...more }, cancel);
    } catch {
      // The editor asks again by itself; a server that is gone is told elsewhere.
      return undefined;
    }
  };
  return vscode.Disposable.from(
    lenses,
    migrations.onDidChange(() => {
      lenses.fire();
    }),
    vscode.languages.registerCodeLensProvider(FILES, {
      onDidChangeCodeLenses: lenses.event,
      provideCodeLenses: async (document, cancel) => {
        const found = await ask<WireLens[]>('textDocument/codeLens', document, {}, cancel);
        return (found ?? []).map(({ range, command }) => new vscode.CodeLens(toRange(range), command));
      },
    }),
    vscode.languages.registerHoverProvider(FILES, {
      provideHover: async (document, position, cancel) => {
        const found = await ask<WireHover | null>('textDocument/hover', document, { position: { line: position.line, character: position.character } }, cancel);
        return found === undefined || found === null ? undefined : new vscode.Hover(new vscode.MarkdownString(found.contents.value));
      },
    }),
    vscode.languages.registerCodeActionsProvider(
      FILES,
      {
        provideCodeActions: async (document, range, context, cancel) => {
          const wire = { start: { line: range.start.line, character: range.start.character }, end: { line: range.end.line, character: range.end.character } };
          const found = await ask<WireAction[]>('textDocument/codeAction', document, { range: wire, context: { diagnostics: [] } }, cancel);
          return (found ?? []).map((action) => toAction(action, context.diagnostics));
        },
      },
      { providedCodeActionKinds: [vscode.CodeActionKind.QuickFix] },
    ),
  );
}

function toRange({ start, end }: WireRange): vscode.Range {
  return new vscode.Range(start.line, start.character, end.line, end.character);
}

function toAction({ title, isPreferred, edit }: WireAction, diagnostics: readonly vscode.Diagnostic[]): vscode.CodeAction {
  const action = new vscode.CodeAction(title, vscode.CodeActionKind.QuickFix);
  action.isPreferred = isPreferred ?? false;
  action.diagnostics = diagnostics.filter(({ source }) => source === 'Offshoot');
  const changes = new vscode.WorkspaceEdit();
  for (const [uri, edits] of Object.entries(edit?.changes ?? {})) {
    changes.set(vscode.Uri.parse(uri), edits.map(({ range, newText }) => new vscode.TextEdit(toRange(range), newText)));
  }
  action.edit = changes;
  return action;
}
