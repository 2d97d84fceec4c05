import { l10n } from 'vscode';
import type { MigrationEntry, MigrationState } from '../protocol/types.js';
import { formatAge } from '../views/words.js';

/** How a state looks. */
export interface Look {
  /** Name of an icon. */
  readonly icon: string;
  /** Name of a colour of the theme. */
  readonly color: string | undefined;
  /** At most two characters beside a file's name. */
  readonly badge: string;
}

const LOOKS: Readonly<Record<MigrationState, Look>> = {
  applied: { icon: 'pass', color: 'charts.green', badge: '✓' },
  pending: { icon: 'circle-outline', color: 'charts.blue', badge: '○' },
  failed: { icon: 'error', color: 'list.errorForeground', badge: '✗' },
  outOfOrder: { icon: 'warning', color: 'list.warningForeground', badge: '↕' },
  changed: { icon: 'diff-modified', color: 'list.warningForeground', badge: '≠' },
  missing: { icon: 'diff-removed', color: 'list.warningForeground', badge: '–' },
  unknownRow: { icon: 'question', color: 'list.warningForeground', badge: '?' },
  baseline: { icon: 'dash', color: 'disabledForeground', badge: '·' },
  ignored: { icon: 'circle-slash', color: 'disabledForeground', badge: '·' },
  unknown: { icon: 'question', color: 'disabledForeground', badge: '?' },
};

/** How a migration in this state is drawn. */
export function look(state: MigrationState): Look {
  return LOOKS[state];
}

/** A state in words. */
export function stateWords(state: MigrationState): string {
  switch (state) {
    case 'applied':
      return l10n.t('applied');
    case 'pending':
      return l10n.t('pending');
    case 'failed':
      return l10n.t('failed');
    case 'outOfOrder':
      return l10n.t('older than the newest applied one');
    case 'changed':
      return l10n.t('changed since it ran');
    case 'missing':
      return l10n.t('ran, without a file');
    case 'unknownRow':
      return l10n.t('row that cannot be placed');
    case 'baseline':
      return l10n.t('before the baseline');
    case 'ignored':
      return l10n.t('ignored by the tool');
    case 'unknown':
      return l10n.t('not known');
  }
}

/** Milliseconds as people read them. */
export function formatMs(ms: number): string {
  return ms < 1000 ? l10n.t('{0} ms', Math.round(ms)) : l10n.t('{0} s', (ms / 1000).toFixed(1));
}

/** When it ran, how long, or why it does not, in few words. `now` in seconds since 1970. */
export function entryWords(entry: MigrationEntry, now: number): string {
  const words: string[] = entry.state === 'applied' ? [] : [stateWords(entry.state)];
  if (entry.next === 'refuses') {
    words.push(l10n.t('the tool refuses'));
  } else if (entry.next === 'skips') {
    words.push(l10n.t('the tool passes over it'));
  }
  if (entry.at !== undefined) {
    words.push(whenWords(entry.at, now));
  }
  if (entry.tookMs !== undefined) {
    words.push(formatMs(entry.tookMs));
  }
  return words.join(' · ');
}

/** A time as a history has it: its age if it is one that can be read. */
function whenWords(at: string, now: number): string {
  // Histories have a space between day and time, and zones without minutes.
  if (!/^\s*\d{4}-\d\d-\d\d/.test(at)) {
    return at;
  }
  const seconds = Date.parse(at.trim().replace(/^(\d{4}-\d\d-\d\d) /, '$1T').replace(/([+-]\d\d)$/, '$1:00')) / 1000;
  return Number.isFinite(seconds) ? formatAge(Math.min(seconds, now), now) : at;
}
