import type { Picture, TableBox } from '../../protocol/summary.js';
import { layout, type Placed } from '../layout.js';
import type { Texts } from '../messages.js';
import { drawLink } from './links.js';
import { cut, PADDING, ROW_HEIGHT, rowsOf, SIGNS, sizeOf, TITLE_HEIGHT, type Row } from './measure.js';
import { element, text } from './svg.js';

const MARGIN = 24;

/** A picture that was drawn. */
export interface Drawing {
  readonly svg: SVGSVGElement;
  readonly width: number;
  readonly height: number;
  readonly places: readonly Placed[];
  /** The boxes as elements, in the picture's order. */
  readonly boxes: readonly SVGGElement[];
}

/** Draws a picture. Colours and fonts are for the style sheet, or for whoever exports it. */
export function draw(picture: Picture, texts: Texts): Drawing {
  const rows = picture.boxes.map((box) => rowsOf(box, texts.more));
  const tags = picture.boxes.map(({ group }) => (group === 'theirs' ? cut(`← ${picture.theirs}`, 18) : ''));
  const sizes = picture.boxes.map((box, at) => sizeOf(shortTitle(box.title), tags[at] ?? '', rows[at] ?? []));
  const places = layout(sizes, picture.links).map((box) => ({ ...box, x: box.x + MARGIN, y: box.y + MARGIN }));
  const width = Math.max(0, ...places.map((box) => box.x + box.width)) + MARGIN;
  const height = Math.max(0, ...places.map((box) => box.y + box.height)) + MARGIN;
  const svg = element('svg', { viewBox: `0 0 ${width} ${height}`, role: 'group', 'aria-label': texts.picture });
  const links = element('g', { class: 'links', 'aria-hidden': 'true' });
  picture.links.forEach((link) => {
    links.append(...drawLink(link, places, picture.boxes));
  });
  svg.append(links);
  const boxes = picture.boxes.map((box, at) => {
    const made = drawBox(box, rows[at] ?? [], places[at] ?? { x: 0, y: 0, width: 0, height: 0 }, spoken(picture, at, texts));
    made.append(text(tags[at] ?? '', (places[at]?.width ?? 0) - 32, 19.5, 'tag'));
    return made;
  });
  svg.append(...boxes);
  return { svg, width, height, places, boxes };
}

/** Most boxes are tables: that need not be said. */
function shortTitle(title: string): string {
  return title.replace(/^table /, '');
}

/** What a screen reader says of a box. */
function spoken(picture: Picture, at: number, texts: Texts): string {
  const box = picture.boxes[at];
  if (box === undefined) {
    return '';
  }
  const columns = [...box.columns, ...box.parts.map(({ title, state }) => ({ name: title, state }))].filter(({ state }) => state !== 'same');
  const targets = picture.links.filter(({ from, to }) => from === at && to !== at).map(({ to }) => picture.boxes[to]?.title ?? '');
  return [
    `${box.title}, ${texts.states[box.state]}`,
    ...(box.group === undefined ? [] : [texts.groups[box.group]]),
    ...columns.map(({ name, state }) => `${name} ${texts.states[state]}`),
    ...[...new Set(targets)].map((title) => texts.refersTo.replace('{0}', title)),
    ...box.reasons,
  ].join(', ');
}

function drawBox(box: TableBox, rows: readonly Row[], { x, y, width, height }: Placed, label: string): SVGGElement {
  const group = element('g', { class: `box ${box.state}`, transform: `translate(${x} ${y})`, role: 'button', tabindex: '-1', 'aria-label': label });
  group.append(element('rect', { class: 'focus', 'data-focus': '', x: -4, y: -4, width: width + 8, height: height + 8, rx: 8 }));
  group.append(element('rect', { class: 'paper', width, height, rx: 5 }));
  group.append(element('rect', { class: 'band', width: 5, height, rx: 2 }));
  group.append(text(cut(shortTitle(box.title)), PADDING + 6, 20, 'title'));
  if (box.state !== 'same') {
    group.append(element('circle', { class: 'badge', cx: width - 16, cy: 15, r: 9 }), text(SIGNS[box.state], width - 16, 19.5, 'sign'));
  }
  if (rows.length > 0) {
    group.append(element('line', { class: 'rule', x1: 5, x2: width, y1: TITLE_HEIGHT, y2: TITLE_HEIGHT }));
  }
  rows.forEach((row, at) => {
    group.append(...drawRow(row, TITLE_HEIGHT + at * ROW_HEIGHT, width));
  });
  const tip = element('title', {});
  tip.textContent = [box.title, ...box.reasons].join('\n');
  group.prepend(tip);
  return group;
}

function drawRow({ text: name, state, marks, detail }: Row, y: number, width: number): SVGElement[] {
  const baseline = y + 17;
  const drawn: SVGElement[] = state === 'same' ? [] : [element('rect', { class: `line ${state}`, x: 5, y: y + 3, width: width - 6, height: ROW_HEIGHT - 1 })];
  drawn.push(text(SIGNS[state], PADDING + 2, baseline, `mark ${state}`));
  const column = text(name, PADDING + 16, baseline, `column ${state}`);
  if (marks !== '') {
    const keys = element('tspan', { class: 'keys', dx: 6 });
    keys.textContent = marks;
    column.append(keys);
  }
  drawn.push(column, text(detail, width - PADDING, baseline, 'detail'));
  return drawn;
}
