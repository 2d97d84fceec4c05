import * as vscode from 'vscode';

/** The person wants to go to the step before. */
export const BACK = Symbol('back');

/** The answer to a step; `undefined`: the person left. */
export type Answered<T> = T | typeof BACK | undefined;

/** Where a step stands. */
export interface StepPlace {
  readonly title: string;
  readonly step: number;
  readonly totalSteps: number;
}

/** A list to choose from. */
export async function askPick<T extends vscode.QuickPickItem>(place: StepPlace, placeholder: string, items: readonly T[]): Promise<Answered<T>> {
  const pick = vscode.window.createQuickPick<T>();
  pick.placeholder = placeholder;
  pick.items = items;
  pick.matchOnDescription = true;
  return shown(pick, place, (accept) => pick.onDidAccept(() => {
    const [chosen] = pick.selectedItems;
    if (chosen !== undefined) {
      accept(chosen);
    }
  }));
}

/** A line of text. `fault` says what is wrong with it; nothing wrong is accepted. */
export async function askText(
  place: StepPlace,
  options: { prompt: string; placeholder: string; value?: string; password?: boolean; fault?: (text: string) => string | undefined },
): Promise<Answered<string>> {
  const box = vscode.window.createInputBox();
  box.prompt = options.prompt;
  box.placeholder = options.placeholder;
  box.value = options.value ?? '';
  box.password = options.password ?? false;
  return shown(box, place, (accept) =>
    vscode.Disposable.from(
      box.onDidChangeValue(() => {
        box.validationMessage = undefined;
      }),
      box.onDidAccept(() => {
        const fault = options.fault?.(box.value);
        box.validationMessage = fault;
        if (fault === undefined) {
          accept(box.value);
        }
      }),
    ),
  );
}

async function shown<T>(input: vscode.QuickInput & { buttons: readonly vscode.QuickInputButton[]; onDidTriggerButton: vscode.Event<vscode.QuickInputButton> }, place: StepPlace, listen: (accept: (value: T) => void) => vscode.Disposable): Promise<Answered<T>> {
  input.title = place.title;
  input.step = place.step;
  input.totalSteps = place.totalSteps;
  input.ignoreFocusOut = true;
  input.buttons = place.step > 1 ? [vscode.QuickInputButtons.Back] : [];
  const subscriptions: { dispose(): unknown }[] = [input];
  try {
    return await new Promise<Answered<T>>((resolve) => {
      subscriptions.push(
        listen(resolve),
        input.onDidTriggerButton(() => {
          resolve(BACK);
        }),
        input.onDidHide(() => {
          resolve(undefined);
        }),
      );
      input.show();
    });
  } finally {
    subscriptions.forEach((each) => {
      each.dispose();
    });
  }
}
