import type * as vscode from 'vscode';

/** What was answered once and for all about migrations after a checkout, by repository. */
export type Answer = 'never' | 'always';

const keyOf = (answer: Answer): string => `offshoot.migrations.${answer}`;

/** Whether this was answered for the repository. */
export function isAnswered(memory: vscode.Memento, answer: Answer, repository: string): boolean {
  return memory.get<readonly string[]>(keyOf(answer), []).includes(repository);
}

/** Keeps an answer. */
export async function keepAnswer(memory: vscode.Memento, answer: Answer, repository: string): Promise<void> {
  const all = memory.get<readonly string[]>(keyOf(answer), []);
  await memory.update(keyOf(answer), [...new Set([...all, repository])]);
}

/** Forgets all answers about a repository. */
export async function forgetAnswers(memory: vscode.Memento, repository: string): Promise<void> {
  for (const answer of ['never', 'always'] as const) {
    const left = memory.get<readonly string[]>(keyOf(answer), []).filter((one) => one !== repository);
    await memory.update(keyOf(answer), left);
  }
}
