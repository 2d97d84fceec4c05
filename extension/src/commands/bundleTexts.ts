import { l10n } from 'vscode';
import type { Bundle, BundleApplied, BundleCreated } from '../protocol/types.js';
import { formatBytes, sentences } from '../views/words.js';

/** Letters of a hash that people are shown. */
const SHOWN = 8;

/** What is in the file, what it needs there, and what of it others must not have. */
export function exportedText({ bundle, bytes, snapshot }: BundleCreated, path: string): string {
  const { branch, base, roles } = bundle;
  return [
    l10n.t('{0} is in {1}: {2}, {3}.', branch, path, formatBytes(bytes), pagesText(bundle)),
    base === undefined ? undefined : l10n.t('It applies where there is its base: {0} ({1}).', base.label, base.id.slice(0, SHOWN)),
    snapshot === undefined ? undefined : l10n.t('Bundles of {0} and its branches are small from now on, as long as there is the snapshot {1}.', branch, `${branch}@${snapshot}`),
    roles.length === 0 ? undefined : l10n.t('In it are the data of its pages, deleted rows among them, and the password verifiers of {0}.', roles.join(', ')),
  ]
    .filter((text) => text !== undefined)
    .join(' ');
}

/** How many pages it has, and whether these are all. */
export function pagesText({ pages, base }: Bundle): string {
  return base === undefined ? l10n.t('all {0} pages', pages) : l10n.t('{0} changed pages', pages);
}

/** What was made, and what somebody should know of it. */
export function importedText({ branch, bundle, notes }: BundleApplied): string {
  const over = branch.parent === undefined ? l10n.t('Database branch {0} was made of a bundle of {1}.', branch.name, bundle.branch) : l10n.t('Database branch {0} was made of a bundle of {1}, over {2}.', branch.name, bundle.branch, branch.parent);
  return [over, ...notes.map((note) => sentences(note, undefined))].join(' ');
}
