import { l10n } from 'vscode';
import type { Currency } from './currency.js';
import { isSummary, type DocumentRef } from './uri.js';

/** What a document shows in place of an object that cannot be read now: an SQL comment. */
export function placeholderText(ref: DocumentRef, why: Currency): string {
  return inLanguageOf(ref, placeholder(ref, why));
}

function placeholder(ref: DocumentRef, why: Currency): string {
  switch (why.kind) {
    case 'waiting':
      return comment(l10n.t('Waiting for the database…'));
    case 'untrusted':
      return comment(l10n.t('Shown as soon as this workspace is trusted.'));
    case 'noDatabase':
      return comment(l10n.t('The folder of this document has no database branch here: {0}', ref.folder));
    case 'noBranch':
      return comment(l10n.t('There is no database branch “{0}”.', ref.branch));
    case 'ready':
      return '';
  }
}

/** What a document shows that could not be read. */
export function failureText(ref: DocumentRef, why: string): string {
  return inLanguageOf(ref, comment(l10n.t('“{0}” could not be read from database branch “{1}”.', ref.object.name, ref.branch), why));
}

/** A summary is no SQL: its remarks begin otherwise. */
function inLanguageOf(ref: DocumentRef, text: string): string {
  return isSummary(ref) ? text.replace(/^--/gm, '#') : text;
}

function comment(...texts: string[]): string {
  const lines = texts.flatMap((text) => text.split(/\r?\n/));
  return `${lines.map((line) => `-- ${line}`).join('\n')}\n`;
}
