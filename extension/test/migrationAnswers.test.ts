import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forgetAnswers, isAnswered, keepAnswer } from '../src/migrations/answers.js';

function memory(): Parameters<typeof isAnswered>[0] {
  const kept = new Map<string, unknown>();
  return {
    keys: () => [...kept.keys()],
    get: <T>(key: string, otherwise?: T) => (kept.get(key) ?? otherwise) as T,
    update: async (key: string, value: unknown) => {
      await Promise.resolve();
      kept.set(key, value);
    },
  };
}

test('an_answer_about_migrations_is_kept_for_its_repository_until_it_is_forgotten', async () => {
  const kept = memory();
  await keepAnswer(kept, 'always', 'shop');
  await keepAnswer(kept, 'always', 'shop');
  await keepAnswer(kept, 'never', 'blog');
  assert.equal(isAnswered(kept, 'always', 'shop'), true);
  assert.equal(isAnswered(kept, 'never', 'shop'), false);
  assert.equal(isAnswered(kept, 'always', 'blog'), false);
  await forgetAnswers(kept, 'shop');
  assert.equal(isAnswered(kept, 'always', 'shop'), false);
  assert.equal(isAnswered(kept, 'never', 'blog'), true);
});
