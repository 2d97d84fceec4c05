import type { SchemaObject } from '../protocol/types.js';

/** A statement of a migration that makes, changes or drops an object. */
export interface Found {
  /** Line, from 0. */
  readonly line: number;
  /** Column, from 0. */
  readonly column: number;
  readonly length: number;
}

const WORDS: Readonly<Record<string, string>> = {
  foreignTable: 'foreign\\s+table',
  materializedView: 'materialized\\s+view',
  table: '(?:unlogged\\s+|foreign\\s+|temp(?:orary)?\\s+)?table',
  view: '(?:recursive\\s+)?view',
};

/**
 * Where SQL text makes, changes or drops an object: the last place first, because that made it what it is. An index, trigger or
 * policy counts for its table. Comments are passed over; text within quotes is not told apart, which at worst finds one place more.
 */
export function findStatements(sql: string, object: SchemaObject): Found[] {
  const clean = sql.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '));
  const found: Found[] = [];
  for (const pattern of patterns(object)) {
    for (const match of clean.matchAll(pattern)) {
      if (isOtherCase(match[0], object)) {
        continue;
      }
      const before = clean.slice(0, match.index);
      const line = before.split('\n').length - 1;
      const [first = ''] = match[0].split('\n');
      found.push({ line, column: match.index - (before.lastIndexOf('\n') + 1), length: first.trimEnd().length });
    }
  }
  return found.sort((a, b) => b.line - a.line || b.column - a.column);
}

/** Within quotes the case of letters counts. */
function isOtherCase(statement: string, { schema, name }: SchemaObject): boolean {
  const names = [name.replace(/\(.*$/s, ''), ...(schema === undefined ? [] : [schema])];
  const quoted = [...statement.matchAll(/"((?:[^"]|"")+)"/g)].map(([, text = '']) => text.replaceAll('""', '"'));
  return quoted.some((text) => !names.includes(text) && names.some((each) => each.toLowerCase() === text.toLowerCase()));
}

function patterns({ kind, schema, name }: SchemaObject): RegExp[] {
  // Of a routine the name without its arguments.
  const bare = name.replace(/\(.*$/s, '');
  const own = identifier(bare);
  const qualified = schema === undefined ? own : `(?:${identifier(schema)}\\s*\\.\\s*)?${own}`;
  const words = WORDS[kind] ?? kind.replace(/[A-Z]/g, (letter) => `\\s+${letter.toLowerCase()}`);
  const guard = '(?:if\\s+(?:not\\s+)?exists\\s+)?(?:only\\s+)?';
  const all = [`(?:create(?:\\s+or\\s+replace)?|alter|drop)\\s+${words}\\s+${guard}${qualified}(?![\\w$".])`];
  if (['table', 'foreignTable', 'view', 'materializedView'].includes(kind)) {
    all.push(`create\\s+(?:unique\\s+)?(?:index|trigger|policy|rule)\\b[^;]*?\\bon\\s+(?:only\\s+)?${qualified}(?![\\w$".])`);
  }
  return all.map((pattern) => new RegExp(`\\b${pattern}`, 'gi'));
}

/** A name as SQL may write it: quoted, or plain whatever its case if it needs no quotes. */
function identifier(name: string): string {
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? `(?:"${escaped}"|${escaped})` : `"${escaped.replaceAll('"', '""')}"`;
}

/** The object that a line of a summary belongs to: the nearest heading above, such as `~ table public.items`. */
export function objectOfLine(lines: readonly string[], line: number): SchemaObject | undefined {
  for (let at = line; at >= 0; at -= 1) {
    const text = lines[at] ?? '';
    const heading = /^[+~-] ((?:(?:access|default|event|foreign|materialized|operator|text search|user) )?[a-z]+) (.+)$/.exec(text);
    if (heading?.[1] !== undefined && heading[2] !== undefined) {
      return named(heading[1], heading[2]);
    }
    if (text !== '' && !/^ {4}/.test(text) && !text.startsWith('!')) {
      return undefined;
    }
  }
  return undefined;
}

function named(words: string, title: string): SchemaObject {
  const kind = words.replace(/ ([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const parts = /^("(?:[^"]|"")+"|[^".]+)\.(.+)$/.exec(title);
  const schema = parts?.[1];
  const name = parts?.[2] ?? title;
  return { kind, ...(schema === undefined ? {} : { schema: unquoted(schema) }), name: unquoted(name) };
}

function unquoted(name: string): string {
  return /^"(?:[^"]|"")+"$/.test(name) ? name.slice(1, -1).replaceAll('""', '"') : name;
}
