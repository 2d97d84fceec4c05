// What has to happen even when a run is broken off, by a signal or by an error that nobody caught.
import { constants } from 'node:os';

/** @type {Set<() => void>} */
const works = new Set();
let prepared = false;

function prepare() {
  if (prepared) return;
  prepared = true;
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.once(signal, () => process.exit(128 + constants.signals[signal]));
  process.once('exit', () => {
    for (const work of works) {
      try {
        work();
      } catch {
        // the others still have their turn
      }
    }
  });
}

/**
 * Runs `work`, which must not wait, when the process ends; returns how to call that off.
 *
 * @param {() => void} work
 * @returns {() => void}
 */
export function lastResort(work) {
  prepare();
  works.add(work);
  return () => void works.delete(work);
}
