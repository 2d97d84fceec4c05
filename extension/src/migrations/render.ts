import { l10n } from 'vscode';
import type { Measured, MigrationsApplied, MigrationsDrift, MigrationsPair, MigrationsRehearsal, MigrationsStep, SchemaChange } from '../protocol/types.js';
import { kindTitle, qualifiedName } from '../scm/labels.js';
import { escapeMarkdown, formatBytes, sentences } from '../views/words.js';
import { formatMs } from './words.js';

/** Text in a fence that it cannot end. */
export function fenced(text: string, language: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text.trimEnd()}\n${fence}`;
}

/** A list. */
export function bullets(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}`).join('\n');
}

/** Text as code. */
export function code(text: string): string {
  return `\`${text.replaceAll('`', "'")}\``;
}

/** A change of the schema in a line. */
export function changeLine(change: SchemaChange): string {
  const word = { added: l10n.t('new'), removed: l10n.t('gone'), changed: l10n.t('changed'), renamed: l10n.t('renamed') }[change.change];
  return `${word}: ${kindTitle(change.object.kind)} ${code(qualifiedName(change))}`;
}

/** What was done, step by step. */
export function stepsText(steps: readonly MigrationsStep[]): string[] {
  return steps.flatMap((step) => {
    const mark = { passed: '✓', failed: '✗', skipped: '–' }[step.outcome];
    const place = step.failure === undefined ? [] : [`${code(`${step.failure.path}:${String(step.failure.line)}`)} ${escapeMarkdown(step.failure.message)}`];
    const said = step.message === '' ? [] : [escapeMarkdown(sentences(step.message, step.hint))];
    return [`### ${mark} ${escapeMarkdown(step.title)}`, formatMs(step.tookMs), ...said, ...place, ...(step.log.trim() === '' ? [] : [fenced(step.log, 'text')])];
  });
}

function measuredText(measured: Measured): string[] {
  const locks = measured.steps.flatMap(({ locks: taken }) => taken);
  const longest = new Map<string, (typeof locks)[number]>();
  for (const lock of locks) {
    const key = `${lock.relation} ${lock.mode}`;
    const known = longest.get(key);
    if (known === undefined || known.heldUs < lock.heldUs) {
      longest.set(key, lock);
    }
  }
  const rows = [...longest.values()].map(({ relation, mode, heldUs }) => `| ${code(relation)} | ${mode} | ${formatMs(heldUs / 1000)} |`);
  const { totals } = measured;
  return [
    `## ${l10n.t('Locks and cost')}`,
    l10n.t('{0} in all, {1} rows written, {2} of WAL, {3} of tables rewritten', formatMs(totals.elapsedUs / 1000), totals.rowsWritten, formatBytes(totals.walBytes), formatBytes(totals.rewrittenBytes)),
    rows.length === 0 ? l10n.t('No lock was held on what was there before.') : [`| ${l10n.t('Relation')} | ${l10n.t('Lock')} | ${l10n.t('Held')} |`, '| --- | --- | --- |', ...rows].join('\n'),
  ];
}

/** What came of running migrations, as Markdown. */
export function appliedText(applied: MigrationsApplied): string {
  const { branch, throwaway, passed, ran, changes, sql, measured, steps } = applied;
  const title = throwaway ? l10n.t('Migrations on a throwaway of {0}', branch) : l10n.t('Migrations on {0}', branch);
  const verdict = passed ? (throwaway ? l10n.t('They run. Nothing was kept.') : l10n.t('They ran.')) : l10n.t('They failed.');
  const ranText = ran.length === 0 ? [l10n.t('No file ran.')] : [bullets(ran.map(code))];
  const diff = changes.length === 0 ? [l10n.t('The schema is the same as before.')] : [bullets(changes.map(changeLine)), ...(sql.trim() === '' ? [] : [fenced(sql, 'sql')])];
  return [
    `# ${escapeMarkdown(title)}`,
    `**${verdict}**`,
    ...ranText,
    // Who measured wants to see that.
    ...(measured === undefined ? [] : measuredText(measured)),
    `## ${l10n.t('Schema')}`,
    ...diff,
    `## ${l10n.t('Steps')}`,
    ...stepsText(steps),
    '',
  ].join('\n\n');
}

/** How a branch differs from what its files make, as Markdown. */
export function driftText({ branch, passed, replayed, changes, sql, steps }: MigrationsDrift): string {
  const verdict = !passed ? l10n.t('The files could not be replayed, so that nothing is known.') : l10n.t('{0} has what its {1} applied migrations do not make.', branch, replayed);
  return [`# ${escapeMarkdown(l10n.t('Schema drift of {0}', branch))}`, escapeMarkdown(verdict), bullets(changes.map(changeLine)), ...(sql.trim() === '' ? [] : [fenced(sql, 'sql')]), ...stepsText(steps), ''].join('\n\n');
}

function pairText(pair: MigrationsPair): string[] {
  const mark = { passed: '✓', failed: '✗', skipped: '–' }[pair.outcome];
  const findings = pair.findings.map(({ path, line, message, hint }) => `${path === '' ? '' : `${code(`${path}:${String(line)}`)} `}${escapeMarkdown(sentences(message, hint))}`);
  const orders = pair.orders.flatMap(({ first, ran, skipped, refused, failure }) => [
    l10n.t('{0} first: {1}', code(first), ran.length === 0 ? l10n.t('nothing runs') : ran.map(code).join(', ')),
    ...(skipped.length === 0 ? [] : [l10n.t('passed over in silence: {0}', skipped.map(code).join(', '))]),
    ...(refused.length === 0 ? [] : [l10n.t('refused: {0}', refused.map(code).join(', '))]),
    ...(failure === undefined ? [] : [`${code(`${failure.path}:${String(failure.line)}`)} ${escapeMarkdown(failure.message)}`]),
  ]);
  const differs = pair.differs.length === 0 ? [] : [l10n.t('The end depends on the order:'), bullets(pair.differs.map(changeLine))];
  return [`## ${mark} ${escapeMarkdown(pair.other)}`, escapeMarkdown(sentences(pair.message, undefined)), ...(findings.length === 0 ? [] : [bullets(findings)]), ...(orders.length === 0 ? [] : [bullets(orders)]), ...differs];
}

/** What merges would do, as Markdown. */
export function rehearsalText({ mine, base, passed, pairs, notes, tookMs }: MigrationsRehearsal): string {
  const verdict = pairs.length === 0 ? l10n.t('No other git branch is open.') : passed ? l10n.t('Whatever is merged first, the migrations run and end alike.') : l10n.t('Some merges go wrong.');
  return [
    `# ${escapeMarkdown(l10n.t('Merges of {0} into {1}, rehearsed', mine, base))}`,
    `**${verdict}** ${formatMs(tookMs)}`,
    ...[...pairs].sort((a, b) => rank(a) - rank(b)).flatMap(pairText),
    ...(notes.length === 0 ? [] : [`## ${l10n.t('Not tried')}`, bullets(notes.map(escapeMarkdown))]),
    '',
  ].join('\n\n');
}

function rank({ outcome }: MigrationsPair): number {
  return { failed: 0, skipped: 1, passed: 2 }[outcome];
}
