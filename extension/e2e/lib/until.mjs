// Waiting for what a person would see, and saying what was there instead.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { setTimeout as pause } from 'node:timers/promises';

let folder;
let saved = 0;

/** Where pictures go: `OFFSHOOT_E2E_SHOTS`, or a temporary folder that is made when the first one is needed. */
export function shotsFolder() {
  if (folder !== undefined) return folder;
  const wanted = process.env.OFFSHOOT_E2E_SHOTS;
  if (wanted !== undefined) mkdirSync(wanted, { recursive: true });
  return (folder = wanted ?? mkdtempSync(join(tmpdir(), 'offshoot-shots-')));
}

/** A name for a file, made of what a person wrote. @param {string} label */
export const fileName = (label) => label.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '').slice(0, 80);

/** @param {unknown} want */
const fits = (want, got) => {
  if (typeof want === 'function') return Boolean(want(got));
  if (want instanceof RegExp) return want.test(typeof got === 'string' ? got : JSON.stringify(got));
  return isDeepStrictEqual(got, want);
};

/**
 * Reads until the value is the wanted one, and returns it. A value that cannot be read yet counts as not the wanted one.
 *
 * @template T
 * @param {() => Promise<T> | T} read
 * @param {T | RegExp | ((value: T) => boolean)} want a pattern is matched against text, or against the JSON of anything else
 * @param {string} label what is waited for, in the words of a person
 * @param {{ ms?: number, onFailure?: (label: string) => Promise<string> }} [options] `onFailure` returns more for the message
 * @returns {Promise<T>}
 */
export async function until(read, want, label, { ms = 40_000, onFailure } = {}) {
  const end = performance.now() + ms;
  /** @type {{ value: T } | undefined} */
  let last;
  let error;
  while (performance.now() < end) {
    try {
      const value = await within(read, end - performance.now());
      last = { value };
      if (fits(want, value)) return value;
    } catch (failure) {
      error = failure;
    }
    await pause(50);
  }
  const seen = last === undefined ? `could not read it: ${error?.message}` : `last saw ${JSON.stringify(last.value)}`;
  const more = onFailure === undefined ? '' : `\n${await onFailure(label).catch((failure) => failure.message)}`;
  assert.fail(`${label}: wanted ${want instanceof RegExp || typeof want === 'function' ? want : JSON.stringify(want)} within ${ms / 1000} s, ${seen}${more}`);
}

/** A read that hangs must not outlive the limit. */
async function within(read, ms) {
  let timer;
  const limit = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error('reading took too long')), Math.max(ms, 1))));
  try {
    return await Promise.race([read(), limit]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Saves a picture of the page and its text as a screen reader hears it; returns a sentence that says where.
 *
 * @param {any} page a Playwright page
 * @param {string} label
 */
export async function saveEvidence(page, label) {
  const base = join(shotsFolder(), `failed-${process.pid}-${(saved += 1)}-${fileName(label)}`);
  const text = await page.locator('body').ariaSnapshot({ timeout: 5000 }).catch((error) => `no text: ${error.message}`);
  writeFileSync(`${base}.txt`, text);
  await page.screenshot({ path: `${base}.png`, timeout: 10_000 });
  return `see ${base}.png and ${base}.txt`;
}
