import { l10n } from 'vscode';
import type { Branch } from '../protocol/types.js';
import { expiryWords } from '../views/words.js';

const DAY_S = 86_400;

/** A time from now after which a branch goes to the trash by itself; without `days` it never does. */
export interface ExpiryChoice {
  readonly label: string;
  readonly description?: string;
  readonly days?: number;
}

/** What to choose from; `never` says what holds now. `now` in seconds since 1970. */
export function expiryChoices(branch: Branch, now: number): ExpiryChoice[] {
  const present = expiryWords(branch, now);
  return [
    { label: l10n.t('In 1 day'), days: 1 },
    { label: l10n.t('In 1 week'), days: 7 },
    { label: l10n.t('In 2 weeks'), days: 14 },
    { label: l10n.t('In 30 days'), days: 30 },
    { label: l10n.t('Never'), description: present === undefined ? l10n.t('as it is now') : l10n.t('now: {0}', present) },
  ];
}

/** Seconds since 1970 at which it goes. */
export function expiryTime({ days }: ExpiryChoice, now: number): number | undefined {
  return days === undefined ? undefined : Math.floor(now) + days * DAY_S;
}
