import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Memento, SecretStorage } from 'vscode';
import { expiryChoices, expiryTime } from '../src/commands/expiries.js';
import { majorChoices } from '../src/setup/major.js';
import { Passwords } from '../src/setup/passwords.js';
import { branch, NOW } from './support/statuses.js';

/** What the editor keeps, in memory. */
function kept(): { secrets: Map<string, string>; passwords: () => Passwords } {
  const [secrets, memory] = [new Map<string, string>(), new Map<string, unknown>()];
  const storage = {
    get: async (key: string) => Promise.resolve(secrets.get(key)),
    store: async (key: string, value: string) => Promise.resolve(void secrets.set(key, value)),
    delete: async (key: string) => Promise.resolve(void secrets.delete(key)),
  };
  const memento = {
    get: (key: string, otherwise: unknown) => memory.get(key) ?? otherwise,
    update: async (key: string, value: unknown) => Promise.resolve(void memory.set(key, value)),
  };
  return { secrets, passwords: () => new Passwords(storage as unknown as SecretStorage, memento as unknown as Memento) };
}

test('a_password_is_found_again_by_another_address_of_the_same_database', async () => {
  const { passwords } = kept();
  await passwords().keep('postgres://anna@db/shop', 's3cret');
  assert.equal(await passwords().get('postgresql://anna@DB:5432/shop?sslmode=require'), 's3cret');
  assert.equal(await passwords().get('postgres://anna@db/stock'), undefined);
});

test('what_is_kept_is_listed_without_the_password_and_can_be_forgotten', async () => {
  const { secrets, passwords } = kept();
  await passwords().keep('postgres://anna@db/shop', 's3cret');
  await passwords().keep('postgres://anna@db/shop', 'changed');
  await passwords().keep('postgres://anna@db/stock', 'other');
  assert.deepEqual(passwords().list().map(({ address }) => address), ['anna@db:5432/shop', 'anna@db:5432/stock']);
  for (const { key } of passwords().list()) {
    await passwords().forget(key);
  }
  assert.deepEqual([passwords().list(), secrets.size], [[], 0]);
});

test('a_server_that_wants_no_password_any_more_has_none_kept', async () => {
  const { secrets, passwords } = kept();
  await passwords().keep('postgres://anna@db/shop', 's3cret');
  await passwords().keep('postgres://anna@db/shop', '');
  assert.deepEqual([passwords().list(), secrets.size], [[], 0]);
});

test('versions_say_whether_they_are_on_this_machine', () => {
  const choices = majorChoices({ default: 18, majors: [{ major: 18, version: '18.4' }, { major: 17 }] });
  assert.deepEqual(choices, [
    { label: 'Newest', description: 'Postgres 18.4, on this machine' },
    { label: 'Postgres 18', description: '18.4, on this machine', major: 18 },
    { label: 'Postgres 17', description: 'is fetched first', major: 17 },
  ]);
  assert.equal(majorChoices({ default: 18, majors: [{ major: 18 }] })[0]?.description, 'Postgres 18, is fetched first');
});

test('an_expiry_is_counted_from_now_and_never_is_none', () => {
  const login = branch('login', { parent: 'main', expiresAt: NOW + 2 * 86_400 });
  const choices = expiryChoices(login, NOW);
  const times = choices.map((choice) => expiryTime(choice, NOW + 0.7));
  assert.deepEqual(times, [...[1, 7, 14, 30].map((days) => NOW + days * 86_400), undefined]);
  assert.equal(choices.at(-1)?.description, 'now: expires in 2 d');
  assert.equal(expiryChoices(branch('x'), NOW).at(-1)?.description, 'as it is now');
});
