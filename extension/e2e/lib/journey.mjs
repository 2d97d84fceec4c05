// Tests in a real VS Code: skipped loudly where there is none, and with evidence when they fail.
import { after, before, describe, test } from 'node:test';
import { skipReason } from './installed.mjs';
import { saveEvidence } from './until.mjs';
import { openWindows } from './workbench.mjs';

const SUITE_MS = 600_000;

/**
 * A suite in one workbench. Where the workbench is not installed, or `skip` says so, each of its journeys counts as
 * skipped and the hooks do not run.
 *
 * @typedef {{
 *   journey: (name: string, work: (t: import('node:test').TestContext) => Promise<void>) => void,
 *   before: (work: () => Promise<void>) => void,
 *   after: (work: () => Promise<void>) => void,
 * }} Suite `journey` is `test`; when it fails, what every open window showed is saved and the message says where
 *
 * @param {import('./installed.mjs').WorkbenchName} workbench
 * @param {string} title
 * @param {(suite: Suite) => void} register
 * @param {{ skip?: string | false }} [options] a further reason to skip, such as `databaseSkipReason()`
 */
export function inWorkbench(workbench, title, register, { skip: further = false } = {}) {
  const skip = skipReason(workbench) || further;
  describe(`${title}, in VS Code (${workbench})`, { timeout: SUITE_MS }, () => {
    const journey = (name, work) => void test(name, { skip }, (t) => withEvidence(name, () => work(t)));
    const nothing = () => {};
    register(skip ? { journey, before: nothing, after: nothing } : { journey, before: (work) => before(work), after: (work) => after(work) });
  });
}

async function withEvidence(name, work) {
  try {
    await work();
  } catch (error) {
    // `until` has saved its window already.
    if (!(error instanceof Error) || error.message.includes('\nsee ')) throw error;
    const places = [];
    for (const { page } of openWindows()) places.push(await saveEvidence(page, name).catch((failure) => failure.message));
    error.stack = `${error.message}\n${places.join('\n')}\n${error.stack?.slice(error.stack.indexOf('\n    at ')) ?? ''}`;
    throw error;
  }
}
