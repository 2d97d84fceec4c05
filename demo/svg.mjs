// Draws the output of a terminal as an SVG picture: text stays text, so that it is sharp, searchable and small.
const COLOURS = { 31: '#ff7b72', 32: '#7ee787', 36: '#79c0ff' };
const TEXT = '#e6edf3';
const DIM = '#8b949e';
const BACKGROUND = '#0d1117';
const CHARACTER_WIDTH = 8.4;
const LINE_HEIGHT = 20;
const MARGIN = 20;
const BAR_HEIGHT = 36;

/**
 * @param {string} output with colours as ANSI escape sequences
 * @param {{ title: string }} settings
 * @returns {string} the SVG document
 */
export function renderTerminal(output, { title }) {
  const lines = output.replace(/\r\u001b\[K|\r/g, '').trimEnd().split('\n').map(spans);
  const columns = Math.max(...lines.map((line) => line.reduce((sum, { text }) => sum + [...text].length, 0)));
  const width = Math.ceil(columns * CHARACTER_WIDTH + 2 * MARGIN);
  const height = BAR_HEIGHT + lines.length * LINE_HEIGHT + MARGIN;
  const rows = lines.map((line, index) => draw(line, BAR_HEIGHT + (index + 0.75) * LINE_HEIGHT)).filter(Boolean);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(title)}">
<title>${escape(title)}</title>
<rect width="${width}" height="${height}" rx="10" fill="${BACKGROUND}"/>
<circle cx="22" cy="18" r="6" fill="#ff5f57"/><circle cx="42" cy="18" r="6" fill="#febc2e"/><circle cx="62" cy="18" r="6" fill="#28c840"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="${TEXT}" style="white-space: pre">
${rows.join('\n')}
</g>
</svg>
`;
}

/** Cuts a line at its escape sequences. */
function spans(line) {
  const found = [];
  let style = {};
  for (const part of line.split(/(\u001b\[[0-9;]*m)/)) {
    const code = part.match(/^\u001b\[(\d*)/)?.[1];
    if (code !== undefined) style = restyle(style, Number(code));
    else if (part !== '') found.push({ text: part, ...style });
  }
  return found;
}

function restyle(style, code) {
  if (code === 0) return {};
  if (code === 1) return { ...style, bold: true };
  if (code === 2) return { ...style, colour: DIM };
  if (code === 22) return { ...style, bold: undefined, colour: style.colour === DIM ? undefined : style.colour };
  if (code === 39) return { ...style, colour: undefined };
  return COLOURS[code] === undefined ? style : { ...style, colour: COLOURS[code] };
}

/** Each piece is placed and stretched by its column, so that columns line up in any font. */
function draw(line, y) {
  let column = 0;
  const pieces = line.map(({ text, bold, colour }) => {
    const start = column + text.length - text.trimStart().length;
    column += [...text].length;
    const shown = text.trim();
    if (shown === '') return '';
    const x = MARGIN + start * CHARACTER_WIDTH;
    const length = [...shown].length;
    const look = `${bold ? ' font-weight="bold"' : ''}${colour ? ` fill="${colour}"` : ''}`;
    return `<text x="${x.toFixed(1)}" y="${y}" textLength="${(length * CHARACTER_WIDTH).toFixed(1)}"${look}>${escape(shown)}</text>`;
  });
  return pieces.join('');
}

function escape(text) {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}
