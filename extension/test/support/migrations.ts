import type { FolderMigrations } from '../../src/migrations/rows.js';
import type { MigrationEntry, MigrationFile, MigrationProject, MigrationsStatus } from '../../src/protocol/types.js';
import { ready } from './status.js';

/** An entry that will not be run unless said otherwise. */
export function entry(file: number | undefined, state: MigrationEntry['state'], more: Partial<MigrationEntry> = {}): MigrationEntry {
  return { ...(file === undefined ? {} : { file }), state, next: state === 'pending' ? 'runs' : 'nothing', ...more };
}

/** A project of dbmate with these files. */
export function project(names: readonly string[], entries: MigrationEntry[], more: Partial<MigrationProject> = {}): MigrationProject {
  const files = names.map((name): MigrationFile => ({ key: name, name, path: `db/migrations/${name}.sql`, line: 1 }));
  const count = (state: string): number => entries.filter((each) => each.state === state).length;
  return {
    id: 'dbmate', tool: 'dbmate', name: 'dbmate', root: '', folders: ['db/migrations'], files, diagnostics: [],
    branches: [{ branch: 'feature', standing: 'behind', applied: count('applied'), pending: count('pending'), filesOf: 'asked', entries, diagnostics: [] }],
    commands: { apply: 'dbmate up' }, canReplay: true, canNew: true, ...more,
  };
}

/** What is known of one worktree. */
export function known(...projects: MigrationProject[]): FolderMigrations {
  const status: MigrationsStatus = { worktree: '/work/shop', branch: 'feature', projects, diagnostics: [], onCheckout: 'ask' };
  return { ready: ready('file:///work/shop'), status, error: undefined };
}
