import type { ReadyFolder } from '../model.js';
import { fileName, type ListGroup } from '../documents/uri.js';
import type { ChangeKind, ProjectStatus, SchemaChange } from '../protocol/types.js';

/** Puts a text into the person's language. */
type Translate = (message: string, ...args: string[]) => string;

/** Names of the branch that a folder's address leads to, and of the one that it is compared with. */
export function branchAndBase(project: ProjectStatus): { branch: string | undefined; base: string | undefined } {
  const { worktree, schema } = project;
  const branch = worktree.branch?.name;
  if (schema.kind === 'ready' && schema.branch === branch) {
    return { branch, base: schema.base };
  }
  return { branch, base: worktree.branch?.parent };
}

/**
 * Where a folder's database stands: `feature ← main`. Follows *Database:* in the source control view. It is no part of the
 * source control's name, which cannot change: a new one at each checkout would come back from wherever a person put it.
 */
export function lineage(project: ProjectStatus, t: Translate): string | undefined {
  const { branch, base } = branchAndBase(project);
  return branch === undefined || base === undefined ? branch : t('{0} ← {1}', branch, base);
}

/** One folder a worktree, the first one: a worktree's database is shown once. */
export function worktreeFolders(folders: readonly ReadyFolder[]): ReadyFolder[] {
  const seen = new Set<string>();
  return folders.filter(({ project }) => {
    const fresh = !seen.has(project.worktree.path);
    seen.add(project.worktree.path);
    return fresh;
  });
}

/** Changes by schema, then by name, then by kind; what lies in no schema comes first. */
export function sortedChanges(changes: readonly SchemaChange[]): SchemaChange[] {
  return [...changes].sort(
    (a, b) =>
      compare(a.object.schema ?? '', b.object.schema ?? '') ||
      compare(a.object.name, b.object.name) ||
      compare(a.object.kind, b.object.kind),
  );
}

/** The same order on every machine: by the letters, whatever their case, then by the code points. */
function compare(a: string, b: string): number {
  return a.localeCompare(b, 'en', { sensitivity: 'base', numeric: true }) || (a < b ? -1 : Number(a > b));
}

/** The letter beside a changed object; an exclamation mark beside one that both sides changed. */
export function changeLetter(change: ChangeKind, group: ListGroup): string {
  return group === 'conflict' ? '!' : { added: 'A', changed: 'M', removed: 'D', renamed: 'R' }[change];
}

/** The colour of a changed object: the one that git's own changes have. */
export function changeColour(change: ChangeKind, group: ListGroup): string {
  const name = group === 'conflict' ? 'conflicting' : { added: 'added', changed: 'modified', removed: 'deleted', renamed: 'renamed' }[change];
  return `gitDecoration.${name}ResourceForeground`;
}

/** The title of a comparison: `items.sql (main ↔ feature)`, or `old.sql → items.sql (main ↔ feature)` of what was renamed. */
export function changeTitle({ object, renamedFrom, change }: SchemaChange, left: string, right: string): string {
  const former = renamedFrom !== undefined && change === 'renamed' ? `${fileName(renamedFrom)} → ` : '';
  return `${former}${fileName(object)} (${left} ↔ ${right})`;
}

/** An object as SQL writes it, for people: `public.items`. */
export function qualifiedName({ object }: Pick<SchemaChange, 'object'>): string {
  return object.schema === undefined ? object.name : `${object.schema}.${object.name}`;
}

const ICONS: Readonly<Record<string, string>> = {
  aggregate: 'symbol-function',
  column: 'symbol-field',
  constraint: 'symbol-ruler',
  domain: 'symbol-enum',
  extension: 'extensions',
  foreignTable: 'table',
  function: 'symbol-function',
  index: 'symbol-key',
  materializedView: 'preview',
  policy: 'shield',
  procedure: 'symbol-method',
  publication: 'broadcast',
  role: 'account',
  schema: 'symbol-namespace',
  sequence: 'symbol-numeric',
  server: 'server',
  subscription: 'rss',
  table: 'table',
  trigger: 'zap',
  type: 'symbol-enum',
  view: 'preview',
};

/** The name of the editor's icon for a kind of object or of a part of one. */
export function kindIcon(kind: string): string {
  return ICONS[kind] ?? 'symbol-misc';
}

/** `materializedView` as people write it. */
export function kindTitle(kind: string): string {
  return kind.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
