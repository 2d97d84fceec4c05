import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileName, listParts, plainParts, refOf, sideParts, type DocumentRef } from '../src/documents/uri.js';

const ODD = [
  'main', 'feature/a b', 'Feature', '100%', '%2F', '#1', 'a?b', 'a&b=c', 'naïve', '日本語', '🐘', 'it\'s', '"quoted"', 'back\\slash', '..', '.', '../..',
  'a/../b', '//', 'line\nbreak', 'tab\t', '@', 'a@b:1', '{}', '\u2028', 'ünï/cödé', '',
];

function ref(branch: string, schema: string | undefined, name: string): DocumentRef {
  return { folder: 'file:///home/me/my%20app', branch, object: { kind: 'table', ...(schema === undefined ? {} : { schema }), name } };
}

test('every_branch_schema_and_object_name_is_read_back_as_it_was', () => {
  for (const name of ODD) {
    for (const each of [ref(name, 'public', 'items'), ref('main', name, 'items'), ref('main', 'public', name), ref(name, undefined, name)]) {
      for (const parts of [sideParts(each), plainParts(each), listParts(each, 'mine')]) {
        assert.deepEqual(refOf(parts), each);
        assert.deepEqual(refOf({ ...parts, query: decodeURIComponent(encodeURIComponent(parts.query)) }), each);
      }
    }
  }
});

test('no_name_leads_out_of_its_part_of_the_path', () => {
  for (const name of ODD) {
    const side = sideParts(ref('main', name, name)).path.split('/');
    assert.equal(side.length, 3, `${name}: ${side.join('|')}`);
    assert.ok(side.slice(1).every((part) => part !== '' && part !== '.' && part !== '..'));
    const plain = plainParts(ref(name, 'public', 'items')).path.split('/');
    assert.ok(plain.slice(1).every((part) => part !== '' && part !== '.' && part !== '..'), plain.join('|'));
  }
});

test('an_authority_is_made_of_what_an_authority_may_hold', () => {
  for (const name of ODD) {
    assert.match(sideParts(ref(name, 'public', 'items')).authority, /^[a-z0-9._-]*$/);
  }
});

test('a_path_reads_well', () => {
  assert.equal(sideParts(ref('feature/a', 'public', 'items')).path, '/public/items.sql');
  assert.equal(plainParts(ref('feature/a', 'public', 'items')).path, '/feature/a/public/items.sql');
  assert.equal(sideParts(ref('main', undefined, 'pgcrypto')).path, '/pgcrypto.sql');
  assert.equal(fileName({ kind: 'function', schema: 'public', name: 'total(integer, text)' }), 'total(integer, text).sql');
});

test('both_sides_of_a_comparison_have_one_path_and_differ_all_the_same', () => {
  const [base, branch] = [sideParts(ref('main', 'public', 'items')), sideParts(ref('feature', 'public', 'items'))];
  assert.equal(base.path, branch.path);
  assert.notEqual(base.query, branch.query);
});

test('branches_and_objects_that_differ_in_case_only_are_two_documents', () => {
  const queries = [ref('Main', 'public', 'Items'), ref('main', 'public', 'Items'), ref('Main', 'public', 'items')].map((each) => sideParts(each).query);
  assert.equal(new Set(queries).size, 3);
});

test('what_stands_for_a_change_in_a_list_is_no_document_that_is_opened', () => {
  const each = ref('main', 'public', 'items');
  assert.ok(![sideParts(each).query, plainParts(each).query].includes(listParts(each, 'mine').query));
});

test('other_uris_are_not_taken_for_documents', () => {
  const { query } = sideParts(ref('main', 'public', 'items'));
  assert.equal(refOf({ scheme: 'file', query }), undefined);
  for (const other of ['', '{}', 'null', '[]', '1', '{"folder":1,"branch":"a","kind":"table","name":"b"}', '{"folder":']) {
    assert.equal(refOf({ scheme: 'offshoot', query: other }), undefined, other);
  }
});
