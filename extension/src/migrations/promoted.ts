import { l10n } from 'vscode';
import type { PromoteCheck, Promoted } from '../protocol/types.js';
import { escapeMarkdown, sentences } from '../views/words.js';
import { bullets, changeLine, code, stepsText } from './render.js';

/** Files that a question lists; the report has all. */
const MOST_FILES = 10;
/** Letters of a commit's name that people are shown. */
const SHOWN = 8;
const MARKS = { passed: '✓', failed: '✗', skipped: '?' } as const;

/** What was found and done, as Markdown. */
export function promotedText(promoted: Promoted): string {
  const { branch, commit, to, lacked, checks, report, applied } = promoted;
  const steps = [...(report?.steps ?? []), ...(applied?.steps ?? [])];
  return [
    `# ${escapeMarkdown(l10n.t('Promotion of {0} to {1}', branch, to))}`,
    `**${escapeMarkdown(verdict(promoted))}**`,
    ...notes(promoted).map(escapeMarkdown),
    `## ${escapeMarkdown(l10n.t('What {0} lacks of {1} ({2})', to, branch, commit.slice(0, SHOWN)))}`,
    bullets(lacked.map(code)),
    `## ${escapeMarkdown(l10n.t('What {0} asks for', to))}`,
    bullets(checks.map((check) => checkText(check, code, escapeMarkdown))),
    ...(applied === undefined || applied.changes.length === 0 ? [] : [`## ${l10n.t('Schema')}`, bullets(applied.changes.map(changeLine))]),
    `## ${l10n.t('Steps')}`,
    ...stepsText(steps),
    '',
  ].join('\n\n');
}

/** The same in few lines, for a question. */
export function asPlainText(promoted: Promoted): string {
  const { to, lacked, checks } = promoted;
  const more = lacked.length - MOST_FILES;
  return [
    ...lacked.slice(0, MOST_FILES),
    ...(more > 0 ? [l10n.t('and {0} more', more)] : []),
    '',
    l10n.t('On a throwaway of {0}:', to),
    ...checks.map((check) => checkText(check, asIs, asIs)),
    ...notes(promoted).flatMap((note) => ['', note]),
  ].join('\n');
}

/** Why nothing was promoted, and what to do. */
export function refusal({ branch, to, checks }: Promoted): string {
  const wrong = checks.find(({ outcome }) => outcome === 'failed') ?? checks.find(({ outcome }) => outcome !== 'passed');
  const why = wrong === undefined ? '' : checkText(wrong, asIs, asIs);
  return l10n.t('The migrations of {0} were not promoted: {1} is as it was. {2}', branch, to, why).trimEnd();
}

function asIs(text: string): string {
  return text;
}

function verdict({ branch, to, passed, applied, overridden, takenBack }: Promoted): string {
  if (applied === undefined) {
    return passed ? l10n.t('They can be promoted. {0} is as it was: this was a trial.', to) : l10n.t('They were not promoted: {0} is as it was.', to);
  }
  if (!passed) {
    return takenBack ? l10n.t('It failed on {0} itself, which is again what it was before.', to) : l10n.t('It failed on {0} itself, on which nothing was changed.', to);
  }
  const done = l10n.t('{0} has the migrations of {1} now.', to, branch);
  return overridden ? `${done} ${l10n.t('What did not hold was gone past.')}` : done;
}

function notes({ notes: told }: Promoted): string[] {
  return (told ?? []).map((note) => sentences(note, undefined));
}

function checkText({ name, outcome, message, hint, place }: PromoteCheck, named: (text: string) => string, said: (text: string) => string): string {
  const line = place === undefined ? '' : ` (${place.file}:${place.line.toString()})`;
  const found = message === '' ? '' : `: ${said(sentences(message, outcome === 'passed' ? undefined : hint))}`;
  return `${MARKS[outcome]} ${named(name)}${said(line)}${found}`;
}
