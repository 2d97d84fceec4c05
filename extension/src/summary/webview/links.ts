import type { Link, TableBox } from '../../protocol/summary.js';
import type { Placed } from '../layout.js';
import { ROW_HEIGHT, SIGNS, TITLE_HEIGHT } from './measure.js';
import { element, text } from './svg.js';

/** How far a line goes straight out of a box before it bends. */
const LEAD = 36;

/** A foreign key: from the referring column to the table that is referred to, with a ring and an arrow at the ends. */
export function drawLink(link: Link, places: readonly Placed[], boxes: readonly TableBox[]): SVGElement[] {
  const [from, to] = [places[link.from], places[link.to]];
  if (from === undefined || to === undefined) {
    return [];
  }
  const y1 = from.y + rowOffset(link, boxes[link.from]);
  const y2 = to.y + TITLE_HEIGHT / 2 + (link.from === link.to ? -4 : 0);
  const isRight = from.x >= to.x + to.width;
  const isLeft = to.x >= from.x + from.width;
  // Otherwise they lie in one column, and the line goes round at the right.
  const [x1, out] = isRight ? [from.x, -1] : [from.x + from.width, 1];
  const [x2, into] = isLeft ? [to.x, -1] : [to.x + to.width, 1];
  const path = `M ${x1 + out * 7} ${y1} C ${x1 + out * LEAD} ${y1} ${x2 + into * (LEAD + 8)} ${y2} ${x2 + into * 9} ${y2}`;
  const tip = element('title', {});
  tip.textContent = `${link.name} (${link.columns})`;
  const line = element('path', { class: `link ${link.state}`, d: path });
  line.append(tip);
  const arrow = element('path', { class: `arrow ${link.state}`, d: `M ${x2 + into} ${y2} l ${into * 9} -4.5 v 9 z` });
  const ring = element('circle', { class: `ring ${link.state}`, cx: x1 + out * 4, cy: y1, r: 3 });
  const sign = link.state === 'same' ? [] : [text(SIGNS[link.state], (x1 + x2 + out * 7 + into * 9) / 2, (y1 + y2) / 2 - 5, `linkSign ${link.state}`)];
  return [line, arrow, ring, ...sign];
}

/** The middle of the row of the first referring column, or of the title if that is not shown. */
function rowOffset(link: Link, box: TableBox | undefined): number {
  const [first] = link.columns.split(', ');
  const row = box?.columns.findIndex(({ name }) => name === first) ?? -1;
  return row < 0 ? TITLE_HEIGHT / 2 : TITLE_HEIGHT + row * ROW_HEIGHT + ROW_HEIGHT / 2 + 2;
}
