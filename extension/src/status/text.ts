import { l10n } from 'vscode';
import { gitHeadName, type ReadyFolder } from '../model.js';
import type { FolderState, NoteKind } from '../protocol/types.js';
import { computeWord, escapeMarkdown, formatBytes, sentences, withoutIcons } from '../views/words.js';
import { wasStopped } from '../views/welcome.js';
import type { ServerState } from '../server/state.js';

/** What the status bar shows. */
export interface StatusText {
  readonly text: string;
  /** Background. */
  readonly alarm: 'none' | 'warning' | 'error';
  /** Markdown. */
  readonly tooltip: string;
  /** What a screen reader says. */
  readonly spoken: string;
}

/** Subjects of notes that ask for attention. A detached HEAD is an ordinary state during a rebase; other commits are a fact to know. */
const WARNING_NOTES: readonly NoteKind[] = ['ask', 'noBranch', 'config', 'portTaken', 'binding', 'compute', 'disk', 'follow', 'envFile', 'hook'];

/** What migrations have to say in the status bar. */
export interface MigrationNotes {
  /** Sentences for people. */
  readonly lines: readonly string[];
  /** Something went wrong. */
  readonly warns: boolean;
}

/** The item for a folder whose engine answers. `repository` is its name where the window has several. */
export function readyText(ready: ReadyFolder, repository?: string, migrations: MigrationNotes = { lines: [], warns: false }): StatusText {
  const { project } = ready;
  const { worktree } = project;
  const branch = worktree.branch;
  const name = branch?.name ?? l10n.t('no database branch');
  const apart = worktree.git.kind === 'branch' && branch !== undefined && branch.name !== worktree.git.name;
  const job = project.jobs.find((each) => each.branch === branch?.name) ?? project.jobs[0];
  const busy = job !== undefined || branch?.state === 'waking' || branch?.state === 'stopping';
  const failed = branch?.state === 'failed';
  const warns = migrations.warns || apart || branch === undefined || worktree.ask !== undefined || worktree.notes.some(({ kind }) => WARNING_NOTES.includes(kind));
  const state = job?.title ?? (branch === undefined ? undefined : computeWord(branch.state));
  const suffix = busy || failed || branch?.state === 'asleep' ? state : undefined;
  const told = job?.title ?? [name, suffix].filter((part) => part !== undefined).join(' · ');
  const icon = busy ? '$(loading~spin)' : failed ? '$(error)' : '$(database)';
  return {
    text: `${icon} ${withoutIcons(repository === undefined ? told : `${repository}: ${told}`)}`,
    alarm: failed ? 'error' : warns ? 'warning' : 'none',
    tooltip: tooltip(ready, migrations),
    spoken: [
      l10n.t('Database branch {0}', name),
      repository === undefined ? undefined : l10n.t('repository {0}', repository),
      state,
      apart ? l10n.t('git has {0} checked out', gitHeadName(project)) : undefined,
      ...worktree.notes.map((note) => note.text),
      ...migrations.lines,
    ]
      .filter((part) => part !== undefined)
      .join(', '),
  };
}

/** The item for a folder with a database that cannot be shown, or none that is to be shown. */
export function otherText(state: FolderState): StatusText | undefined {
  switch (state.kind) {
    case 'failed':
      if (wasStopped(state)) {
        return simple('$(debug-stop)', l10n.t('database engine'), 'none', [state.error.message, state.error.hint ?? ''].join('\n\n'));
      }
      return simple('$(error)', l10n.t('database engine'), 'error', sentences(state.error.message, state.error.hint));
    case 'starting':
      return simple('$(loading~spin)', l10n.t('database'), 'none', l10n.t('The database engine is starting.'));
    case 'notInitialised':
      return state.lost === undefined ? undefined : simple('$(warning)', l10n.t('database'), 'warning', l10n.t('The folder of the database is not there: {0}', state.lost));
    case 'noGit':
    case 'untrusted':
    case 'ready':
      return undefined;
  }
}

/** The item while the server does not run. */
export function serverText(state: ServerState): StatusText | undefined {
  switch (state.kind) {
    case 'starting':
      return simple('$(loading~spin)', l10n.t('database'), 'none', l10n.t('Offshoot is starting.'));
    case 'missing':
    case 'failed':
      return simple('$(error)', 'Offshoot', 'error', sentences(state.reason, undefined));
    case 'stopped':
    case 'untrusted':
    case 'running':
      return undefined;
  }
}

/** The URI of a link to a command with these arguments. */
export function commandLink(title: string, command: string, argument: unknown): string {
  return `[${escapeMarkdown(title)}](command:${command}?${encodeURIComponent(JSON.stringify([argument]))})`;
}

function tooltip({ folder, project }: ReadyFolder, migrations: MigrationNotes): string {
  const { worktree, schema } = project;
  const branch = worktree.branch;
  const lines: string[] = [];
  if (branch === undefined) {
    lines.push(`**${escapeMarkdown(l10n.t('No database branch'))}**`);
  } else {
    const from = branch.parent === undefined ? '' : ` ← ${escapeMarkdown(branch.parent)}`;
    lines.push(`$(database) **${escapeMarkdown(branch.name)}**${from}`);
    lines.push(escapeMarkdown(`${l10n.t('Postgres {0}', project.postgres)}, ${computeWord(branch.state)}${branch.failure === undefined ? '' : `: ${branch.failure}`}`));
    lines.push(escapeMarkdown(l10n.t('{0} of its own, {1} shared', formatBytes(branch.ownBytes), formatBytes(branch.sharedBytes))));
    if (branch.staleSince !== undefined) {
      lines.push(`$(history) ${escapeMarkdown(l10n.t('Its data are older than those of the root branch: a reset takes the new ones.'))}`);
    }
  }
  lines.push(`$(git-branch) ${escapeMarkdown(gitHeadName(project))}`);
  if (schema.kind === 'ready' && schema.changes.length > 0) {
    const count = schema.changes.length;
    lines.push(escapeMarkdown(count === 1 ? l10n.t('1 schema change against {0}', schema.base) : l10n.t('{0} schema changes against {1}', count, schema.base)));
  }
  for (const note of worktree.notes) {
    lines.push(`$(warning) ${escapeMarkdown(sentences(note.text, note.hint))}`);
  }
  for (const offer of worktree.offers ?? []) {
    lines.push(`$(lightbulb) ${escapeMarkdown(sentences(offer.text, undefined))}`);
  }
  for (const line of migrations.lines) {
    lines.push(`$(list-ordered) ${escapeMarkdown(line)}`);
  }
  for (const job of project.jobs) {
    lines.push(`$(loading~spin) ${escapeMarkdown(job.title)}`);
  }
  return [...lines, '---', links(folder.uri, branch?.name, branch?.parent !== undefined, worktree.ask !== undefined)].join('\n\n');
}

function links(folder: string, branch: string | undefined, resets: boolean, asks: boolean): string {
  const target = branch === undefined ? { folder } : { folder, branch };
  const all = [
    asks ? commandLink(l10n.t('Answer…'), 'offshoot.answerCheckout', folder) : undefined,
    commandLink(l10n.t('Copy URL'), 'offshoot.copyUrl', { folder }),
    branch === undefined ? undefined : commandLink(l10n.t('SQL'), 'offshoot.openSql', target),
    commandLink(l10n.t('New branch…'), 'offshoot.createBranch', target),
    branch === undefined || !resets ? undefined : commandLink(l10n.t('Reset'), 'offshoot.resetBranch', target),
    commandLink(l10n.t('Logs'), 'offshoot.showEngineLog', { folder }),
  ];
  return all.filter((link) => link !== undefined).join(' | ');
}

/** The commands that a tooltip may run. */
export const TOOLTIP_COMMANDS: readonly string[] = [
  'offshoot.answerCheckout',
  'offshoot.copyUrl',
  'offshoot.openSql',
  'offshoot.createBranch',
  'offshoot.resetBranch',
  'offshoot.showEngineLog',
];

function simple(icon: string, text: string, alarm: StatusText['alarm'], tooltipText: string): StatusText {
  return { text: `${icon} ${text}`, alarm, tooltip: escapeMarkdown(tooltipText), spoken: `Offshoot: ${tooltipText}` };
}
