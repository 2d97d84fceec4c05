import type { Column, TableBox } from '../../protocol/summary.js';
import type { Sized } from '../layout.js';

export const TITLE_HEIGHT = 30;
export const ROW_HEIGHT = 20;
export const PADDING = 10;
const MAX_CHARACTERS = 48;
const MIN_WIDTH = 150;
/** Of the fonts that the picture is drawn with: an exported picture has no canvas to measure with. */
const TITLE_CHARACTER = 7.6;
const ROW_CHARACTER = 6.8;

/** A line within a box. */
export interface Row {
  readonly text: string;
  readonly state: Column['state'];
  /** Marks before the name: `PK`, `FK`. */
  readonly marks: string;
  readonly detail: string;
}

/** Sign of a state: nothing depends on colour alone. */
export const SIGNS: Readonly<Record<Column['state'], string>> = { same: '', added: '+', removed: '−', changed: '~', conflict: '!' };

/** A text that is cut where it is too long. */
export function cut(text: string, most = MAX_CHARACTERS): string {
  const letters = Array.from(text);
  return letters.length <= most ? text : `${letters.slice(0, most - 1).join('')}…`;
}

/** The lines of a box. `more` is a text with a hole for a number. */
export function rowsOf(box: TableBox, more: string): Row[] {
  const columns = box.columns.map(({ name, detail, before, state, primary, foreign }) => ({
    text: cut(name, 24),
    state,
    marks: [...(primary ? ['PK'] : []), ...(foreign ? ['FK'] : [])].join(' '),
    detail: cut(before === undefined ? detail : `${former(before, detail)} → ${detail}`, 60),
  }));
  const parts = box.parts.map(({ title, state }) => ({ text: cut(title), state, marks: '', detail: '' }));
  const rest = box.more > 0 ? [{ text: more.replace('{0}', String(box.more)), state: 'same' as const, marks: '', detail: '' }] : [];
  return [...columns, ...parts, ...rest];
}

/** The former type without what both say at the end. */
function former(before: string, now: string): string {
  const end = ' not null';
  return before.endsWith(end) && now.endsWith(end) ? before.slice(0, -end.length) : before;
}

/** The size of a box with these lines. */
export function sizeOf(title: string, tag: string, rows: readonly Row[]): Sized {
  const widths = rows.map(({ text, marks, detail }) => 22 + (text.length + 1 + detail.length + (marks === '' ? 0 : marks.length + 2)) * ROW_CHARACTER);
  const width = Math.max(MIN_WIDTH, 48 + cut(title).length * TITLE_CHARACTER + tag.length * ROW_CHARACTER, ...widths) + 2 * PADDING;
  return { width: Math.ceil(width), height: TITLE_HEIGHT + rows.length * ROW_HEIGHT + (rows.length === 0 ? 0 : PADDING) };
}
