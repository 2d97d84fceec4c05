import { l10n } from 'vscode';
import type { Texts } from './messages.js';

/** The texts of the picture in the person's language. */
export function pictureTexts(base: string): Texts {
  return {
    filter: l10n.t('Filter by name'),
    allKinds: l10n.t('All kinds'),
    allGroups: l10n.t('All changes'),
    groups: {
      conflict: l10n.t('Conflicts'),
      mine: l10n.t('Mine'),
      theirs: base === '' ? l10n.t('From parent') : l10n.t('From parent ({0})', base),
      both: l10n.t('Alike on both'),
      unknown: l10n.t('Schema changes'),
    },
    states: {
      same: l10n.t('not changed'),
      added: l10n.t('added'),
      removed: l10n.t('removed'),
      changed: l10n.t('changed'),
      conflict: l10n.t('in conflict'),
    },
    exportSvg: l10n.t('Save as SVG…'),
    openDocument: l10n.t('Open Summary'),
    zoomIn: l10n.t('Zoom In'),
    zoomOut: l10n.t('Zoom Out'),
    nothing: l10n.t('The schemas of the branch and its parent are the same.'),
    nothingFits: l10n.t('No change fits the filter.'),
    others: l10n.t('Other objects'),
    more: l10n.t('{0} more', '{0}'),
    hidden: l10n.t('{0} more tables are not drawn. Filter to see them.', '{0}'),
    picture: l10n.t('Changed tables and their keys'),
    refersTo: l10n.t('refers to {0}', '{0}'),
    help: l10n.t('Arrow keys move between tables, Enter opens the change.'),
    waiting: l10n.t('Waiting for the database…'),
  };
}
