// `node scripts/icon.mjs`: draws the listing's `extension/media/icon.png` from the outline `extension/media/offshoot.svg`.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { root } from './lib/repository.mjs';

const SIZE = 128;
const MARGIN = 20;
const CORNER = 26;
const STROKE_WIDTH = 7;
const BACKGROUND = [17, 94, 89];
const FOREGROUND = [240, 253, 250];
const STEPS = 16;

/** The polylines of paths that hold nothing but `M`, `L` and `C`, in the picture's pixels. */
function polylines(svg) {
  const scale = (SIZE - 2 * MARGIN) / 24;
  return [...svg.matchAll(/ d="([^"]+)"/g)].map(([, path]) => {
    const points = [];
    for (const [, command, rest] of path.matchAll(/([MLC])([^MLC]*)/g)) {
      const numbers = rest.trim().split(/\s+/).map((text) => MARGIN + Number(text) * scale);
      if (command === 'C') curve(points, numbers);
      else points.push(numbers);
    }
    return points;
  });
}

function curve(points, [bx, by, cx, cy, dx, dy]) {
  const [ax, ay] = points.at(-1);
  const at = (t, a, b, c, d) => (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t ** 2 * c + t ** 3 * d;
  for (let step = 1; step <= STEPS; step += 1) points.push([at(step / STEPS, ax, bx, cx, dx), at(step / STEPS, ay, by, cy, dy)]);
}

function distance(x, y, [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const t = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}

/** How much of a pixel a shape covers whose edge is `inside` pixels away. */
const coverage = (inside) => Math.min(1, Math.max(0, inside + 0.5));

function pixel(x, y, lines) {
  const half = SIZE / 2;
  const corner = (value) => Math.max(0, Math.abs(value - half) - (half - CORNER));
  const plate = coverage(CORNER - Math.hypot(corner(x), corner(y)));
  const nearest = Math.min(...lines.flatMap((points) => points.slice(1).map((point, index) => distance(x, y, points[index], point))));
  const ink = coverage(STROKE_WIDTH / 2 - nearest);
  return [...BACKGROUND.map((value, index) => Math.round(value + (FOREGROUND[index] - value) * ink)), Math.round(255 * plate)];
}

function crc32(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (0xedb88320 & -(sum & 1));
  }
  return ~sum >>> 0;
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'ascii'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** A PNG of eight bits a channel, with transparency. Each line of pixels starts with filter 0: none. */
function png(lines) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(SIZE, 0);
  header.writeUInt32BE(SIZE, 4);
  header.set([8, 6, 0, 0, 0], 8);
  const rows = Array.from({ length: SIZE }, (_, y) => [0, ...Array.from({ length: SIZE }, (__, x) => pixel(x + 0.5, y + 0.5, lines)).flat()]);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(Buffer.from(rows.flat()), { level: 9 })), chunk('IEND', Buffer.alloc(0))]);
}

const media = join(root, 'extension', 'media');
await writeFile(join(media, 'icon.png'), png(polylines(await readFile(join(media, 'offshoot.svg'), 'utf8'))));
