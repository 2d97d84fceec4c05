import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findStatements, objectOfLine } from '../src/documents/migrations.js';
import type { SchemaObject } from '../src/protocol/types.js';

const items: SchemaObject = { kind: 'table', schema: 'public', name: 'items' };

function lines(sql: string, object: SchemaObject = items): number[] {
  return findStatements(sql, object).map(({ line }) => line);
}

test('the_last_statement_about_an_object_comes_first', () => {
  assert.deepEqual(lines('create table items (id int);\n\nALTER TABLE IF EXISTS ONLY public.items\n  add column a int;\ndrop table "items";'), [4, 2, 0]);
});

test('other_objects_with_like_names_are_not_taken_for_it', () => {
  assert.deepEqual(lines('create table items2 (id int);\ncreate table other.items (id int);\ncreate view items as select 1;\nalter table "Items" add a int;'), []);
});

test('comments_are_passed_over', () => {
  assert.deepEqual(lines('-- create table items\n/* drop table items;\n*/ create table items (id int);'), [2]);
});

test('indexes_triggers_and_policies_count_for_their_table', () => {
  assert.deepEqual(lines('create unique index concurrently a on public.items (id);\ncreate trigger t before insert on items execute function f();\ncreate policy p on other using (true);'), [1, 0]);
});

test('names_that_need_quotes_are_found_quoted', () => {
  const odd: SchemaObject = { kind: 'table', schema: 'My Shop', name: 'a"b.c$1 (x' };
  assert.deepEqual(lines('create table "My Shop"."a""b.c$1 (x" (id int);', odd), []);
  assert.deepEqual(lines('create table "My Shop"."Order Lines" (id int);', { kind: 'table', schema: 'My Shop', name: 'Order Lines' }), [0]);
});

test('routines_are_found_by_name', () => {
  const total: SchemaObject = { kind: 'function', schema: 'public', name: 'total(bigint, text)' };
  assert.deepEqual(lines('create or replace function public.total(o bigint, t text) returns int', total), [0]);
  assert.deepEqual(lines('create materialized  view if not exists v as select 1', { kind: 'materializedView', schema: 'public', name: 'v' }), [0]);
});

test('a_place_is_that_of_the_statement', () => {
  assert.deepEqual(findStatements('\n  create table items\n(id int)', items), [{ line: 1, column: 2, length: 'create table items'.length }]);
});

test('a_line_of_a_summary_belongs_to_the_object_above', () => {
  const text = ['# Database diff: a ← b', '', '! hazard: DELETES DATA: x', '', '~ table public.items', '! hazard: x', '      create table', '', '    + a', '# Plan', '      create'];
  const at = (line: number): SchemaObject | undefined => objectOfLine(text, line);
  assert.deepEqual([4, 5, 6, 8].map(at), [items, items, items, items]);
  assert.deepEqual([0, 2, 9, 10].map(at), [undefined, undefined, undefined, undefined]);
  assert.deepEqual(objectOfLine(['+ materialized view "My Shop"."a.b"'], 0), { kind: 'materializedView', schema: 'My Shop', name: 'a.b' });
  assert.deepEqual(objectOfLine(['- extension pgcrypto'], 0), { kind: 'extension', name: 'pgcrypto' });
});
