import * as vscode from 'vscode';
import { isCancelled, RequestError } from '../server/errors.js';
import { sentences } from '../views/words.js';

/** What is wrong with a name at first sight; the server has the last word. */
export function nameFault(name: string, taken: readonly string[]): string | undefined {
  if (name.trim() === '') {
    return vscode.l10n.t('A branch needs a name.');
  }
  if (taken.includes(name.trim())) {
    return vscode.l10n.t('There is a database branch of that name already.');
  }
  return undefined;
}

/** A question for a name. */
export interface NameQuestion {
  readonly title: string;
  readonly prompt: string;
  readonly placeholder?: string;
  readonly value?: string;
  readonly step?: number;
  readonly totalSteps?: number;
  /** Names that exist. */
  readonly taken: readonly string[];
}

/**
 * Asks for a name and does `run` with it; what the server refuses as the person's mistake is shown at the box, which stays open.
 * `undefined`: the person left.
 */
export async function askName<R>(question: NameQuestion, run: (name: string) => Promise<R>): Promise<R | undefined> {
  const box = vscode.window.createInputBox();
  box.title = question.title;
  box.prompt = question.prompt;
  box.placeholder = question.placeholder;
  box.value = question.value ?? '';
  box.step = question.step;
  box.totalSteps = question.totalSteps;
  box.ignoreFocusOut = true;
  const subscriptions: { dispose(): unknown }[] = [box];
  try {
    return await new Promise<R | undefined>((resolve, reject) => {
      const accept = async (): Promise<void> => {
        // A key that was struck twice.
        if (box.busy) {
          return;
        }
        const fault = nameFault(box.value, question.taken);
        if (fault !== undefined) {
          box.validationMessage = fault;
          return;
        }
        box.enabled = false;
        box.busy = true;
        try {
          resolve(await run(box.value.trim()));
        } catch (error) {
          if (!(error instanceof RequestError) || error.rpc.kind !== 'user' || isCancelled(error)) {
            throw error;
          }
          box.validationMessage = sentences(error.rpc.message, error.rpc.hint);
          box.enabled = true;
          box.busy = false;
        }
      };
      subscriptions.push(
        box.onDidChangeValue((value) => {
          box.validationMessage = value === '' ? undefined : nameFault(value, question.taken);
        }),
        box.onDidAccept(() => {
          accept().catch(reject);
        }),
        box.onDidHide(() => {
          resolve(undefined);
        }),
      );
      box.show();
    });
  } finally {
    subscriptions.forEach((each) => {
      each.dispose();
    });
  }
}
