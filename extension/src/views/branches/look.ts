import { l10n } from 'vscode';
import type { Branch, FolderState } from '../../protocol/types.js';
import { computeWord, escapeMarkdown, expiryWords, formatAge, formatBytes, staleWords } from '../words.js';
import { isChangeable } from '../../model.js';
import { followsBrief, followsWords } from '../following.js';
import type { BranchNode } from './nodes.js';

/** An icon of the editor and the theme's colour for it. */
export interface Icon {
  readonly id: string;
  readonly color?: string;
}

/**
 * What stands behind a branch's name: what it does, then what it takes, then what is out of the ordinary. A sidebar of the usual width
 * has room for two or three of these; the editor cuts the rest off, and the tooltip has everything.
 */
export function branchDescription(node: BranchNode, now: number): string {
  const { facts } = node;
  const parts = [
    node.job ?? computeWord(facts.state),
    formatBytes(facts.ownBytes),
    expiryWords(facts, now),
    facts.staleSince === undefined ? undefined : l10n.t('older data'),
    followsBrief(facts),
    facts.inGit ? undefined : l10n.t('not in git'),
    // The mark of this window's branch takes the place of the lock.
    facts.protected && node.here ? l10n.t('protected') : undefined,
  ];
  const text = parts.filter((part) => part !== undefined).join(' · ');
  return node.here ? `● ${text}` : text;
}

/** Where a shape says what it is, a colour may say it again; never the colour alone. */
export function branchIcon(node: BranchNode): Icon {
  const { state } = node.facts;
  if (node.job !== undefined || state === 'waking' || state === 'stopping') {
    return { id: 'loading~spin' };
  }
  if (state === 'failed') {
    return { id: 'error', color: 'list.errorForeground' };
  }
  const id = node.here ? 'target' : node.facts.protected ? 'lock' : 'database';
  return state === 'awake' ? { id, color: 'charts.green' } : { id, color: 'disabledForeground' };
}

/** For menus: words joined by `;`. */
export function branchContext(node: BranchNode): string {
  const { facts } = node;
  const words = ['branch', facts.state];
  const flags: [string, boolean][] = [
    ['current', node.here],
    ['root', facts.root],
    ['protected', facts.protected],
    ['fixed', !isChangeable(facts)],
    ['hasParent', facts.parent !== undefined],
    ['inGit', facts.inGit],
    ['promotes', facts.promotesTo !== undefined],
  ];
  return [...words, ...flags.filter(([, on]) => on).map(([word]) => word)].join(';');
}

function ageWords(createdAt: number, now: number): string {
  return now - createdAt < 60 ? l10n.t('just now') : l10n.t('age {0}', formatAge(createdAt, now));
}

/** What a screen reader says. */
export function branchSpoken(node: BranchNode, now: number): string {
  const { facts } = node;
  const parts = [
    l10n.t('Database branch {0}', node.branch),
    node.here ? l10n.t('the branch of this window') : undefined,
    node.job ?? computeWord(facts.state),
    facts.parent === undefined ? undefined : l10n.t('made from {0}', facts.parent),
    l10n.t('{0} of its own', formatBytes(facts.ownBytes)),
    ageWords(facts.createdAt, now),
    facts.inGit ? undefined : l10n.t('no git branch'),
    facts.protected ? l10n.t('protected') : undefined,
    expiryWords(facts, now),
    staleWords(facts, now),
    followsWords(facts, now),
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}

function protectionWords({ protected: isProtected, overridable }: Branch): string | undefined {
  if (!isProtected) {
    return undefined;
  }
  return overridable === true ? l10n.t('by a rule: is deleted, reset or renamed only against it') : l10n.t('cannot be deleted, reset or renamed');
}

/** The tooltip of a branch, Markdown. */
export function branchTooltip(facts: Branch, now: number, here = false): string {
  const state = `${computeWord(facts.state)}${facts.failure === undefined ? '' : `: ${facts.failure}`}`;
  const rows: [string, string | undefined][] = [
    [l10n.t('Postgres'), state],
    [l10n.t('Made from'), facts.parent === undefined ? undefined : `${facts.parent}${facts.forkLsn === undefined ? '' : ` (${facts.forkLsn})`}`],
    [l10n.t('Made'), `${new Date(facts.createdAt * 1000).toLocaleString()}, ${ageWords(facts.createdAt, now)}`],
    [l10n.t('Of its own'), formatBytes(facts.ownBytes)],
    [l10n.t('Shared'), formatBytes(facts.sharedBytes)],
    [l10n.t('Connections'), facts.connections.toString()],
    [l10n.t('Git branch'), facts.inGit ? facts.name : l10n.t('none')],
    [l10n.t('Promoted to'), facts.promotesTo],
    [l10n.t('This window'), here ? l10n.t('its address leads here') : undefined],
    [l10n.t('Checked out in'), facts.worktrees.length === 0 ? undefined : facts.worktrees.join(', ')],
    [l10n.t('Protected'), protectionWords(facts)],
    [l10n.t('Expiry'), expiryWords(facts, now)],
    [l10n.t('Follows'), followsWords(facts, now)],
    [l10n.t('Data'), facts.staleSince === undefined ? undefined : l10n.t('{0}; a reset takes the new ones', staleWords(facts, now) ?? '')],
  ];
  const lines = rows.filter(([, value]) => value !== undefined).map(([name, value]) => `| ${name} | ${escapeMarkdown(value ?? '')} |`);
  return [`**${escapeMarkdown(facts.name)}**`, '', '| | |', '|:--|:--|', ...lines].join('\n');
}

/** Of a folder without branches: what to write behind its name. */
export function folderDescription(state: FolderState): string {
  switch (state.kind) {
    case 'noGit':
      return l10n.t('not in a git repository');
    case 'notInitialised':
      return state.lost === undefined ? l10n.t('no database yet') : l10n.t('its database is gone');
    case 'untrusted':
      return l10n.t('not trusted');
    case 'starting':
      return l10n.t('starting…');
    case 'failed':
      return state.error.message;
    case 'ready':
      return '';
  }
}

/** Of a folder without branches. */
export function folderIcon(state: FolderState): Icon {
  switch (state.kind) {
    case 'starting':
      return { id: 'loading~spin' };
    case 'failed':
      return { id: 'error', color: 'list.errorForeground' };
    case 'notInitialised':
      return state.lost === undefined ? { id: 'folder', color: 'disabledForeground' } : { id: 'warning', color: 'list.warningForeground' };
    case 'noGit':
    case 'untrusted':
    case 'ready':
      return { id: 'folder', color: 'disabledForeground' };
  }
}
