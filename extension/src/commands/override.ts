import * as vscode from 'vscode';
import { RequestError } from '../server/errors.js';
import { sentences, withoutOverride } from '../views/words.js';

/** What a request says that goes against the rules of `offshoot.toml`. */
export interface Against {
  readonly overrideRules?: true;
}

/** Does what a rule may forbid. If one does, asks once whether it is meant all the same. */
export async function unlessRuled<T>(work: (against: Against) => Promise<T>): Promise<T> {
  try {
    return await work({});
  } catch (error) {
    if (!(error instanceof RequestError) || error.rpc.reason !== 'ruled') {
      throw error;
    }
    const button = vscode.l10n.t('Override the Rule');
    const choice = await vscode.window.showWarningMessage(sentences(error.rpc.message, undefined), { modal: true, detail: withoutOverride(error.rpc.hint ?? '') }, button);
    if (choice !== button) {
      throw new vscode.CancellationError();
    }
    return work({ overrideRules: true });
  }
}
