// `npm run picture`: plays the story for real and draws the part of it that the readme shows.
// Takes the arguments of `npm start`, such as `--bin`.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { renderTerminal } from '../demo/svg.mjs';
import { run } from './lib/process.mjs';
import { root } from './lib/repository.mjs';

const FIRST = 'Check out a feature branch';
const AFTER = 'In your own repository';

const { stdout } = await run(process.execPath, [join(root, 'scripts', 'start.mjs'), ...process.argv.slice(2)], {
  cwd: root,
  env: { ...process.env, NO_COLOR: '', FORCE_COLOR: '1', COLUMNS: '92' },
  onOutput: (text) => process.stderr.write(text),
});
const lines = stdout.split('\n');
const from = lines.findIndex((line) => line.includes(FIRST));
const to = lines.findIndex((line) => line.includes(AFTER));
if (from < 0 || to < 0) throw new Error(`The output of the story has no line with ${FIRST} or ${AFTER}.`);

const file = join(root, 'docs', 'images', 'terminal.svg');
await mkdir(dirname(file), { recursive: true });
await writeFile(file, renderTerminal(lines.slice(from, to).join('\n'), { title: 'A database branch for a git branch, in a terminal' }));
console.error(`Wrote ${file}.`);
