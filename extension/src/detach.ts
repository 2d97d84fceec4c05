import { showError } from './server/errors.js';

/** Lets `work` go on by itself; if it fails, the person is told. For event handlers, which nobody awaits. */
export function detach(work: PromiseLike<unknown>): void {
  Promise.resolve(work).catch(async (error: unknown) => showError(error)).catch(() => undefined);
}
