import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export const HELP = `Plays the story of Offshoot on a sample project in a temporary folder.

  npm start                        build, then play with a million inventory items
  npm start -- --rows 100000       play with fewer
  npm start -- --bin PATH          use this offshoot and build nothing
  npm start -- --keep              keep the folder and the engine, to look around
  npm run --silent start -- --json one JSON document on standard output instead of text`;

const MIN_ROWS = 1_000;
const MAX_ROWS = 9_999_999;

/**
 * @param {string[]} argv
 * @throws {Error} with a sentence for the person, when an argument is unknown or out of range
 */
export function parseArguments(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      rows: { type: 'string', default: '1000000' },
      bin: { type: 'string' },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const rows = Number(values.rows);
  if (!Number.isInteger(rows) || rows < MIN_ROWS || rows > MAX_ROWS) {
    throw new Error(`--rows takes a whole number from ${MIN_ROWS} to ${MAX_ROWS}, not ${values.rows}.`);
  }
  return { ...values, rows, bin: values.bin === undefined ? undefined : resolve(values.bin) };
}
