import * as vscode from 'vscode';
import type { Surroundings } from '../surroundings.js';

interface WireRange {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}

interface WireItem {
  readonly label: string;
  readonly kind?: number;
  readonly detail?: string;
  readonly documentation?: { readonly value: string };
  readonly insertText?: string;
  readonly filterText?: string;
  readonly textEdit?: { readonly range: WireRange; readonly newText: string };
}

interface WireHover {
  readonly contents: { readonly value: string };
  readonly range?: WireRange;
}

/** The kinds that the server has, by the numbers of the protocol. */
const KINDS: ReadonlyMap<number, vscode.CompletionItemKind> = new Map([
  [9, vscode.CompletionItemKind.Module],
  [10, vscode.CompletionItemKind.Property],
  [12, vscode.CompletionItemKind.Value],
  [20, vscode.CompletionItemKind.EnumMember],
]);

const FILES: vscode.DocumentSelector = { scheme: 'file', pattern: '**/offshoot.toml' };

/** Keys and values of `offshoot.toml`: what there is to write, and what it means, as the server has it. */
export function registerConfigLanguage({ server }: Surroundings): vscode.Disposable {
  const ask = async <R>(method: string, document: vscode.TextDocument, position: vscode.Position, cancel: vscode.CancellationToken): Promise<R | undefined> => {
    if (server.state.kind !== 'running') {
      return undefined;
    }
    try {
      const at = { line: position.line, character: position.character };
      return await server.ask<R>(method, { textDocument: { uri: document.uri.toString() }, position: at }, cancel);
    } catch {
      // A server that is gone is told elsewhere.
      return undefined;
    }
  };
  return vscode.Disposable.from(
    vscode.languages.registerHoverProvider(FILES, {
      provideHover: async (document, position, cancel) => {
        const found = await ask<WireHover | null>('textDocument/hover', document, position, cancel);
        if (found === undefined || found === null) {
          return undefined;
        }
        const text = new vscode.MarkdownString(found.contents.value);
        return new vscode.Hover(text, found.range === undefined ? undefined : toRange(found.range));
      },
    }),
    vscode.languages.registerCompletionItemProvider(
      FILES,
      {
        provideCompletionItems: async (document, position, cancel) => {
          const found = await ask<WireItem[]>('textDocument/completion', document, position, cancel);
          return (found ?? []).map(toItem);
        },
      },
      '"',
      '=',
      '[',
    ),
  );
}

function toRange({ start, end }: WireRange): vscode.Range {
  return new vscode.Range(start.line, start.character, end.line, end.character);
}

function toItem(wire: WireItem): vscode.CompletionItem {
  const item = new vscode.CompletionItem(wire.label, KINDS.get(wire.kind ?? 0));
  if (wire.detail !== undefined) {
    item.detail = wire.detail;
  }
  if (wire.documentation !== undefined) {
    item.documentation = new vscode.MarkdownString(wire.documentation.value);
  }
  if (wire.filterText !== undefined) {
    item.filterText = wire.filterText;
  }
  const text = wire.textEdit?.newText ?? wire.insertText;
  if (text !== undefined) {
    item.insertText = text;
  }
  if (wire.textEdit !== undefined) {
    item.range = toRange(wire.textEdit.range);
  }
  return item;
}
