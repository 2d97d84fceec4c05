import { l10n } from 'vscode';
import type { Branch, ComputeState } from '../protocol/types.js';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** Bytes as people read them, in powers of 1000, with at most one digit after the point: `1.2 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits).replace(/\.0$/, '')} ${UNITS[unit] ?? ''}`;
}

/** A length of time in its largest unit: `just now` is for the caller to say. Seconds in, `5 min`, `3 h`, `12 d`, `2 y` out. */
export function formatDuration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return l10n.t('{0} min', Math.max(minutes, 1));
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 24) {
    return l10n.t('{0} h', hours);
  }
  const days = Math.floor(hours / 24);
  return days < 365 ? l10n.t('{0} d', days) : l10n.t('{0} y', Math.floor(days / 365));
}

/** The same for time that is still to come, to the nearest unit: a day is `1 d` when its first second is over. */
export function formatRemaining(seconds: number): string {
  const unit = seconds >= DAY ? DAY : seconds >= HOUR ? HOUR : MINUTE;
  return formatDuration(seconds + unit / 2);
}

/** Time since `then`, both in seconds since 1970: `now` within the first minute. */
export function formatAge(then: number, now: number): string {
  return now - then < 60 ? l10n.t('now') : formatDuration(now - then);
}

/** State of a branch's Postgres in one word. */
export function computeWord(state: ComputeState): string {
  switch (state) {
    case 'asleep':
      return l10n.t('asleep');
    case 'waking':
      return l10n.t('waking…');
    case 'awake':
      return l10n.t('awake');
    case 'stopping':
      return l10n.t('falling asleep…');
    case 'failed':
      return l10n.t('failed');
  }
}

/** When a branch goes to the trash by itself, if ever. */
export function expiryWords(branch: Branch, now: number): string | undefined {
  if (branch.expiresAt === undefined) {
    return undefined;
  }
  return branch.expiresAt <= now ? l10n.t('expired, stays while it is used') : l10n.t('expires in {0}', formatRemaining(branch.expiresAt - now));
}

/** That its data are older than the root branch's, and since when. */
export function staleWords(branch: Branch, now: number): string | undefined {
  return branch.staleSince === undefined ? undefined : l10n.t('data from before the refresh {0} ago', formatDuration(now - branch.staleSince));
}

/** Text that Markdown shows as it is. */
export function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-.!|<>~&$]/g, '\\$&');
}

/** A message as the wire has it, lower case and without a full stop, as a sentence with its hint. */
export function sentences(message: string, hint: string | undefined): string {
  // A path or another name at the beginning stays as it is written.
  const first = /^\p{Ll}[\p{L}-]*(?=[\s,:;]|$)/u.test(message) ? message.charAt(0).toLocaleUpperCase() + message.slice(1) : message;
  const ended = /[.!?…]$/.test(first) ? first : `${first}.`;
  return hint === undefined || hint === '' ? ended : `${ended} ${hint}`;
}

/** A hint without the sentences that tell how a terminal goes against a rule: here a button does. */
export function withoutOverride(hint: string): string {
  return hint.replaceAll(/(?<=^|[.\n] ?)`[^`]*--override[^`]*`[^.\n]*\.\s?/g, '').trim();
}

/** A name as text, never as an icon: `$(…)` has a meaning in labels and in the status bar. */
export function withoutIcons(text: string): string {
  return text.replace(/\$\(/g, '$\u200B(');
}
