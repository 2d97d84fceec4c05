const ANSI = /\u001b\[[0-9;]*m/g;

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/**
 * Reads the summary of cargo nextest: `Summary [ 1.2s] 12 tests run: 11 passed (1 slow), 1 failed, 2 skipped`.
 *
 * @param {string} output
 * @returns {Counts | undefined} undefined if there is no summary, because the tests were not run
 */
export function countNextest(output) {
  const summary = output.replace(ANSI, '').match(/^\s*Summary \[.*?\].*$/gm)?.at(-1);
  if (summary === undefined) return undefined;
  const number = (what) => Number(summary.match(new RegExp(`(\\d+) ${what}`))?.[1] ?? 0);
  return { passed: number('passed'), failed: number('failed') + number('timed out') + number('exec failed'), skipped: number('skipped') };
}

/**
 * Adds up the results of `cargo test`: one line `test result: ok. 3 passed; 0 failed; 1 ignored; …` for each program.
 *
 * @param {string} output
 * @returns {Counts | undefined}
 */
export function countCargoTest(output) {
  const results = [...output.replace(ANSI, '').matchAll(/^test result: .*? (\d+) passed; (\d+) failed; (\d+) ignored/gm)];
  if (results.length === 0) return undefined;
  return sum(results.map(([, passed, failed, skipped]) => ({ passed: Number(passed), failed: Number(failed), skipped: Number(skipped) })));
}

/**
 * Reads the last lines of node's TAP report: `# pass 3`, `# fail 0`, `# cancelled 0`, `# skipped 0`, `# todo 0`.
 *
 * @param {string} report
 * @returns {Counts | undefined}
 */
export function countTap(report) {
  const number = (what) => Number([...report.matchAll(new RegExp(`^# ${what} (\\d+)$`, 'gm'))].at(-1)?.[1] ?? Number.NaN);
  const counts = { passed: number('pass'), failed: number('fail') + number('cancelled'), skipped: number('skipped') + number('todo') };
  return Object.values(counts).some(Number.isNaN) ? undefined : counts;
}

/** @param {Counts[]} all @returns {Counts} */
export function sum(all) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const counts of all) for (const key of Object.keys(total)) total[key] += counts[key];
  return total;
}

/** The closing line: `12 passed, 0 failed`, and the skipped ones if there are any. */
export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
