/** A box to place; sizes in pixels. */
export interface Sized {
  readonly width: number;
  readonly height: number;
}

/** A line from a referring box to the one that is referred to, by their places in the list. */
export interface Edge {
  readonly from: number;
  readonly to: number;
}

/** Where a box lies. */
export interface Placed extends Sized {
  readonly x: number;
  readonly y: number;
}

/** Room between columns: lines run there. */
const COLUMN_GAP = 72;
const ROW_GAP = 24;
/** A column that would be taller is split. */
const MIN_COLUMN_HEIGHT = 640;
const MIN_ROW_WIDTH = 900;
const SWEEPS = 6;

/**
 * Places boxes in columns: what is referred to lies left of what refers to it. Within a column boxes lie near those that they have a
 * line to; boxes without lines fill rows below.
 */
export function layout(boxes: readonly Sized[], edges: readonly Edge[]): Placed[] {
  const real = edges.filter(({ from, to }) => from !== to);
  const linked = new Set(real.flatMap(({ from, to }) => [from, to]));
  const columns = order(layers(boxes.length, real, linked), real);
  const placed = place(boxes, columns.filter((column) => column.length > 0));
  const alone = boxes.map((_, at) => at).filter((at) => !linked.has(at));
  placeRows(boxes, alone, placed);
  return placed;
}

/** Puts boxes without lines in rows below all others. */
function placeRows(boxes: readonly Sized[], alone: readonly number[], placed: Placed[]): void {
  const used = placed.filter((box) => (box as Placed | undefined) !== undefined);
  const area = alone.reduce((sum, at) => sum + ((boxes[at]?.width ?? 0) + ROW_GAP) * ((boxes[at]?.height ?? 0) + ROW_GAP), 0);
  const most = Math.max(MIN_ROW_WIDTH, Math.sqrt(area * 1.6), ...used.map((box) => box.x + box.width));
  let x = 0;
  let y = used.length === 0 ? 0 : Math.max(...used.map((box) => box.y + box.height)) + 2 * ROW_GAP;
  let tallest = 0;
  for (const at of alone) {
    const { width, height } = boxes[at] ?? { width: 0, height: 0 };
    if (x > 0 && x + width > most) {
      x = 0;
      y += tallest + ROW_GAP;
      tallest = 0;
    }
    placed[at] = { x, y, width, height };
    x += width + ROW_GAP;
    tallest = Math.max(tallest, height);
  }
}

/** Each linked box one column right of the rightmost that it refers to; a line that closes a circle counts for nothing. */
function layers(count: number, edges: readonly Edge[], linked: ReadonlySet<number>): number[][] {
  const targets: number[][] = Array.from({ length: count }, () => []);
  edges.forEach(({ from, to }) => targets[from]?.push(to));
  const rank = new Map<number, number>();
  const open = new Set<number>();
  const visit = (at: number): number => {
    const known = rank.get(at);
    if (known !== undefined) {
      return known;
    }
    open.add(at);
    const below = (targets[at] ?? []).filter((to) => !open.has(to)).map(visit);
    open.delete(at);
    const own = below.length === 0 ? 0 : Math.max(...below) + 1;
    rank.set(at, own);
    return own;
  };
  const columns: number[][] = [];
  for (const at of linked) {
    (columns[visit(at)] ??= []).push(at);
  }
  return Array.from(columns, (column) => column.sort((a, b) => a - b));
}

/** Sorts each column by the middle of the neighbours in all others, back and forth. */
function order(columns: number[][], edges: readonly Edge[]): number[][] {
  const neighbours = new Map<number, number[]>();
  const add = (a: number, b: number): void => {
    neighbours.set(a, [...(neighbours.get(a) ?? []), b]);
  };
  edges.forEach(({ from, to }) => {
    add(from, to);
    add(to, from);
  });
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const position = new Map(columns.flatMap((column) => column.map((at, row): [number, number] => [at, (row + 0.5) / column.length])));
    const middle = (at: number): number => {
      const places = (neighbours.get(at) ?? []).map((other) => position.get(other) ?? 0.5);
      return places.reduce((sum, each) => sum + each, 0) / Math.max(places.length, 1);
    };
    const turn = sweep % 2 === 0 ? columns : [...columns].reverse();
    for (const column of turn) {
      column.sort((a, b) => middle(a) - middle(b) || a - b);
      column.forEach((at, row) => position.set(at, (row + 0.5) / column.length));
    }
  }
  return columns;
}

function place(boxes: readonly Sized[], columns: readonly number[][]): Placed[] {
  const height = (at: number): number => (boxes[at]?.height ?? 0) + ROW_GAP;
  const area = boxes.reduce((sum, box) => sum + (box.width + COLUMN_GAP) * (box.height + ROW_GAP), 0);
  const most = Math.max(MIN_COLUMN_HEIGHT, Math.sqrt(area));
  const split = columns.flatMap((column) => {
    const parts: number[][] = [[]];
    let filled = 0;
    for (const at of column) {
      if (filled > 0 && filled + height(at) > most) {
        parts.push([]);
        filled = 0;
      }
      parts.at(-1)?.push(at);
      filled += height(at);
    }
    return parts;
  });
  const heights = split.map((column) => column.reduce((sum, at) => sum + height(at), -ROW_GAP));
  const tallest = Math.max(0, ...heights);
  const placed: Placed[] = [];
  let x = 0;
  split.forEach((column, index) => {
    const width = Math.max(...column.map((at) => boxes[at]?.width ?? 0));
    let y = Math.round((tallest - (heights[index] ?? 0)) / 2);
    for (const at of column) {
      const box = boxes[at] ?? { width: 0, height: 0 };
      placed[at] = { x, y, width, height: box.height };
      y += height(at);
    }
    x += width + COLUMN_GAP;
  });
  return placed;
}

/** The box to go to from `at` in a direction: the nearest whose middle lies there; what lies straight ahead counts as nearer. */
export function neighbour(boxes: readonly Placed[], at: number, dx: number, dy: number): number | undefined {
  const here = boxes[at];
  if (here === undefined) {
    return undefined;
  }
  let best: { at: number; far: number } | undefined;
  boxes.forEach((box, index) => {
    const right = box.x + box.width / 2 - here.x - here.width / 2;
    const down = box.y + box.height / 2 - here.y - here.height / 2;
    const ahead = right * dx + down * dy;
    const far = ahead + 2 * Math.abs(right * dy + down * dx);
    if (index !== at && ahead > 0 && (best === undefined || far < best.far)) {
      best = { at: index, far };
    }
  });
  return best?.at;
}
