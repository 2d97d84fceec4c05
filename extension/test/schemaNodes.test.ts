import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SchemaObject } from '../src/protocol/types.js';
import { classNodes, classTitle, hasParts, schemaNodes } from '../src/views/schema/nodes.js';

const ref = { folder: 'file:///work/shop', branch: 'feature' };
const objects: SchemaObject[] = [
  { kind: 'schema', name: 'public' }, { kind: 'schema', name: 'empty' }, { kind: 'extension', name: 'pgcrypto' },
  { kind: 'sequence', schema: 'public', name: 's' }, { kind: 'table', schema: 'public', name: 'b' }, { kind: 'table', schema: 'public', name: 'a' },
  { kind: 'function', schema: 'app', name: 'f(integer)' },
];

test('schemas_come_first_then_what_lies_in_none', () => {
  const nodes = schemaNodes(ref, objects, 'root');
  assert.deepEqual(nodes.map((node) => (node.kind === 'schema' ? node.name : node.kind === 'class' ? node.of : '')), ['app', 'empty', 'public', 'extension']);
});

test('kinds_come_in_the_order_in_which_people_look_for_them', () => {
  const nodes = classNodes(ref, objects.filter(({ schema }) => schema === 'public'), 'root');
  assert.deepEqual(nodes.map((node) => (node.kind === 'class' ? [node.of, node.objects.length] : [])), [['table', 2], ['sequence', 1]]);
});

test('ids_tell_rows_apart', () => {
  const nodes = schemaNodes(ref, objects, 'root');
  assert.equal(new Set(nodes.map(({ id }) => id)).size, nodes.length);
});

test('headings_read_well', () => {
  assert.deepEqual(['table', 'materializedView', 'policy', 'statistics', 'index'].map(classTitle), ['Tables', 'Materialized views', 'Policies', 'Statistics', 'Indexes']);
  assert.ok(hasParts({ kind: 'table', name: 'a' }) && !hasParts({ kind: 'sequence', name: 'a' }));
});
