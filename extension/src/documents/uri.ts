import type { ChangeGroup, SchemaObject } from '../protocol/types.js';

/** Scheme of the documents that show an object of a branch's schema. */
export const SCHEME = 'offshoot';

/** What a document shows. */
export interface DocumentRef {
  /** URI of the workspace's folder. */
  readonly folder: string;
  /** Name of the database branch. */
  readonly branch: string;
  readonly object: SchemaObject;
  /** As it was when the branch left its parent; absent means now. */
  readonly state?: 'fork';
}

/** In place of an object: all that the branch does to the schema of its parent. */
export const SUMMARY: SchemaObject = { kind: 'branchDiff', name: 'Branch Diff' };

/** Whether a document is the summary of a branch. */
export function isSummary(ref: DocumentRef): boolean {
  return ref.object.kind === SUMMARY.kind;
}

/** The groups that changes are listed in; `schema` holds all of them where the fork point is not known. */
export type ListGroup = ChangeGroup | 'schema';

const GROUPS: readonly ListGroup[] = ['schema', 'conflict', 'mine', 'theirs', 'both'];

/** Parts of a URI, none of them percent-encoded. */
export interface UriParts {
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly query: string;
}

/**
 * The URI of a side of a comparison. Only the query is read back: it alone can hold every name as it is. Authority and path
 * are what people see, and the paths of both sides are the same, or the editor would report a rename.
 */
export function sideParts(ref: DocumentRef): UriParts {
  return { scheme: SCHEME, authority: authority(ref.branch), path: `/${objectPath(ref.object)}`, query: query(ref) };
}

/** The URI of an object on its own, whose path tells the branch too. */
export function plainParts(ref: DocumentRef): UriParts {
  const branch = ref.branch.split('/').map(segment).join('/');
  return { ...sideParts(ref), path: `/${branch}/${objectPath(ref.object)}` };
}

/**
 * The URI of an object in a list of changes. It is never opened: the editor would show a lock in the list, in place of the
 * letter that tells what happened, for every read-only document that is open.
 */
export function listParts(ref: DocumentRef, group: ListGroup): UriParts {
  return { ...sideParts(ref), query: JSON.stringify({ ...queryOf(ref), list: group }) };
}

/** The URI of an object in a tree; never opened, for the same reason. It belongs to no group. */
export function treeParts(ref: DocumentRef): UriParts {
  return { ...sideParts(ref), query: JSON.stringify({ ...queryOf(ref), list: 'tree' }) };
}

/** The group that a URI in a list belongs to; `undefined` for a document. */
export function listGroup(uri: { readonly scheme: string; readonly query: string }): ListGroup | undefined {
  const list = queryRead(uri)?.['list'];
  return GROUPS.find((group) => group === list);
}

/** What a URI of any of these kinds is about; `undefined` for another one. */
export function refOf(uri: { readonly scheme: string; readonly query: string }): DocumentRef | undefined {
  const read = queryRead(uri);
  if (read === undefined) {
    return undefined;
  }
  const { folder, branch, kind, schema, name, state } = read;
  if (typeof folder !== 'string' || typeof branch !== 'string' || typeof kind !== 'string' || typeof name !== 'string') {
    return undefined;
  }
  const object = { kind, ...(typeof schema === 'string' ? { schema } : {}), name };
  return { folder, branch, object, ...(state === 'fork' ? { state } : {}) };
}

/** The name of an object's file: `items.sql`. */
export function fileName(object: SchemaObject): string {
  return `${segment(object.name)}.${object.kind === SUMMARY.kind ? 'offshoot-diff' : 'sql'}`;
}

/** The same text for the same object on the same branch of the same folder. */
export function refKey(ref: DocumentRef): string {
  return query(ref);
}

function query(ref: DocumentRef): string {
  return JSON.stringify(queryOf(ref));
}

function queryOf({ folder, branch, object: { kind, schema, name }, state }: DocumentRef): Record<string, string> {
  return { folder, branch, kind, ...(schema === undefined ? {} : { schema }), name, ...(state === undefined ? {} : { state }) };
}

function queryRead(uri: { readonly scheme: string; readonly query: string }): Record<string, unknown> | undefined {
  if (uri.scheme !== SCHEME) {
    return undefined;
  }
  try {
    const read: unknown = JSON.parse(uri.query);
    return typeof read === 'object' && read !== null ? (read as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function objectPath(object: SchemaObject): string {
  const name = fileName(object);
  return object.schema === undefined ? name : `${segment(object.schema)}/${name}`;
}

/** A name as one part of a path: what would split or lead out of the path is written as percent and hexadecimal digits. */
function segment(name: string): string {
  const safe = name.replace(/[\p{Cc}/\\%]/gu, (character) => encodeURIComponent(character));
  return /^\.{0,2}$/.test(safe) ? safe.replace(/\./g, '%2E') || '%' : safe;
}

/** A branch's name in what an authority may be made of; two branches may have the same. */
function authority(branch: string): string {
  return branch.toLowerCase().replace(/[^a-z0-9._-]+/g, '-');
}
