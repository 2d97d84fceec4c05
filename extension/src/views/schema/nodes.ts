import type { ObjectPart, SchemaObject } from '../../protocol/types.js';
import { kindTitle } from '../../scm/labels.js';

/** Whose schema a tree shows. */
export interface SchemaRef {
  /** URI of the folder. */
  readonly folder: string;
  /** Name of the database branch. */
  readonly branch: string;
}

/** A row of the tree. */
export type SchemaNode =
  /** Above everything: the branch. */
  | { readonly kind: 'branch'; readonly id: string; readonly ref: SchemaRef; readonly state: 'asleep' | 'awake' }
  | { readonly kind: 'schema'; readonly id: string; readonly ref: SchemaRef; readonly name: string; readonly objects: readonly SchemaObject[] }
  | { readonly kind: 'class'; readonly id: string; readonly ref: SchemaRef; readonly of: string; readonly objects: readonly SchemaObject[] }
  | { readonly kind: 'object'; readonly id: string; readonly ref: SchemaRef; readonly object: SchemaObject }
  | { readonly kind: 'part'; readonly id: string; readonly ref: SchemaRef; readonly object: SchemaObject; readonly part: ObjectPart }
  | { readonly kind: 'message'; readonly id: string; readonly text: string; readonly tooltip?: string };

/** Kinds whose objects have parts worth a row. */
const WITH_PARTS = new Set(['table', 'foreignTable', 'view', 'materializedView', 'type', 'domain']);

/** Kinds in the order in which people look for them; all others follow by name. */
const ORDER = ['table', 'foreignTable', 'view', 'materializedView', 'function', 'procedure', 'aggregate', 'type', 'domain', 'sequence'];

/** Whether an object can be opened in the tree. */
export function hasParts(object: SchemaObject): boolean {
  return WITH_PARTS.has(object.kind);
}

/** The schemas with what lies in them, and at the end what lies in none, by kind. */
export function schemaNodes(ref: SchemaRef, objects: readonly SchemaObject[], id: string): SchemaNode[] {
  const names = new Set(objects.filter(({ kind }) => kind === 'schema').map(({ name }) => name));
  objects.forEach(({ schema }) => {
    if (schema !== undefined) {
      names.add(schema);
    }
  });
  const schemas = [...names].sort().map((name): SchemaNode => {
    return { kind: 'schema', id: `${id}/s:${name}`, ref, name, objects: objects.filter(({ schema }) => schema === name) };
  });
  return [...schemas, ...classNodes(ref, objects.filter(({ schema, kind }) => schema === undefined && kind !== 'schema'), id)];
}

/** The kinds of these objects, each with its objects. */
export function classNodes(ref: SchemaRef, objects: readonly SchemaObject[], id: string): SchemaNode[] {
  const byKind = new Map<string, SchemaObject[]>();
  for (const object of objects) {
    const known = byKind.get(object.kind);
    if (known === undefined) {
      byKind.set(object.kind, [object]);
    } else {
      known.push(object);
    }
  }
  const rank = (kind: string): number => (ORDER.includes(kind) ? ORDER.indexOf(kind) : ORDER.length);
  const kinds = [...byKind.keys()].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  return kinds.map((kind) => ({ kind: 'class', id: `${id}/k:${kind}`, ref, of: kind, objects: byKind.get(kind) ?? [] }));
}

/** The objects of a kind. */
export function objectNodes(ref: SchemaRef, objects: readonly SchemaObject[], id: string): SchemaNode[] {
  return objects.map((object) => ({ kind: 'object', id: `${id}/o:${object.name}`, ref, object }));
}

/** The parts of an object: columns first, in the table's order. */
export function partNodes(ref: SchemaRef, object: SchemaObject, parts: readonly ObjectPart[], id: string): SchemaNode[] {
  return parts.map((part) => ({ kind: 'part', id: `${id}/p:${part.kind}:${part.name}`, ref, object, part }));
}

/** The heading of a kind: `Materialized views`. */
export function classTitle(kind: string): string {
  const title = kindTitle(kind);
  const plural = title.endsWith('y') ? `${title.slice(0, -1)}ies` : /(s|x|ch)$/.test(title) ? (title === 'statistics' ? title : `${title}es`) : `${title}s`;
  return plural.charAt(0).toUpperCase() + plural.slice(1);
}
