const STYLES = { bold: [1, 22], dim: [2, 22], green: [32, 39], red: [31, 39], cyan: [36, 39] };
const ANSI = /\u001b\[[0-9;]*m/g;
const MIN_WIDTH = 40;
const MAX_WIDTH = 110;

/** @param {number} ms @returns {string} such as `85 ms`, `1.2 s` or `2 min 5 s` */
export function formatDuration(ms) {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** @param {number} bytes @returns {string} in powers of 1000, such as `0 B`, `92 kB` or `-1.4 GB` */
export function formatBytes(bytes) {
  const sign = bytes < 0 ? '-' : '';
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${sign}${value.toFixed(unit === 0 || value >= 9.95 ? 0 : 1)} ${units[unit]}`;
}

/** @param {number} value @returns {string} with a comma between thousands, whatever the locale */
export function formatCount(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Length of what a person sees. */
export function visibleLength(text) {
  return [...text.replace(ANSI, '')].length;
}

/**
 * Lays a result out as lines: the names of the columns, a rule and the rows; cut off at `width`.
 *
 * @param {string[]} columns
 * @param {(string | number | boolean | null)[][]} rows
 * @param {number} width
 */
export function table(columns, rows, width) {
  const cells = [columns, ...rows.map((row) => row.map((value) => (value === null ? '' : String(value))))];
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => visibleLength(row[column]))));
  const line = (row) => row.map((value, column) => pad(value, widths[column])).join('  ');
  const rule = widths.map((length) => '-'.repeat(length)).join('  ');
  return [line(cells[0]), rule, ...cells.slice(1).map(line)].map((text) => cut(text.trimEnd(), width));
}

/** Puts two blocks of lines beside each other, or below each other when both do not fit into `width`. */
export function sideBySide(left, right, width) {
  const indent = Math.max(...left.map(visibleLength)) + 4;
  if (indent + Math.max(...right.map(visibleLength)) > width) return [...left, '', ...right];
  const height = Math.max(left.length, right.length);
  return Array.from({ length: height }, (_, at) => `${pad(left[at] ?? '', indent)}${right[at] ?? ''}`.trimEnd());
}

function pad(text, width) {
  return text + ' '.repeat(Math.max(0, width - visibleLength(text)));
}

function cut(text, width) {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, Math.max(1, width - 3)).join('')}...`;
}

/** Breaks prose into lines of at most `width` characters; a longer word stays whole. */
export function wrap(text, width) {
  const lines = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && visibleLength(last) + 1 + visibleLength(word) <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Where the story is told. Colours and the moving line are for a terminal; `quiet` tells nothing at all. */
export class Terminal {
  #stream;
  #quiet;
  #colours;
  #moving;
  #ticker;

  /** @param {{ stream?: NodeJS.WriteStream, quiet?: boolean, env?: NodeJS.ProcessEnv }} [settings] */
  constructor({ stream = process.stdout, quiet = false, env = process.env } = {}) {
    this.#stream = stream;
    this.#quiet = quiet;
    this.#moving = stream.isTTY === true && env.TERM !== 'dumb';
    this.#colours = !env.NO_COLOR && (this.#moving || Boolean(env.FORCE_COLOR));
  }

  get width() {
    const columns = this.#stream.columns ?? Number(process.env.COLUMNS ?? 90);
    return Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, columns || 90));
  }

  /** @param {keyof typeof STYLES} style */
  paint(style, text) {
    const [on, off] = STYLES[style];
    return this.#colours ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  }

  line(text = '') {
    if (this.#quiet) return;
    this.#clear();
    this.#stream.write(`${text}\n`);
  }

  lines(texts, indent = 0) {
    for (const text of texts) this.line(text === '' ? '' : ' '.repeat(indent) + text);
  }

  prose(text, indent = 0) {
    this.lines(wrap(text, this.width - indent), indent);
  }

  /** Shows that `work` goes on, with its time, until it ends. */
  async during(label, work) {
    if (this.#quiet || !this.#moving) return work();
    const started = performance.now();
    const draw = () => {
      this.#stream.write(`\r\u001b[K${cut(`   ${label} ... ${Math.floor((performance.now() - started) / 1000)} s`, this.width - 1)}`);
    };
    this.#ticker = setInterval(draw, 500);
    draw();
    try {
      return await work();
    } finally {
      this.#clear();
    }
  }

  #clear() {
    if (this.#ticker === undefined) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    this.#stream.write('\r\u001b[K');
  }
}
