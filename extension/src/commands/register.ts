import * as vscode from 'vscode';
import { showError } from '../server/errors.js';

/** Registers a command whose failures are told to the person. It is there whether or not the server runs. */
export function command(name: string, run: (argument: unknown, ...rest: unknown[]) => Promise<unknown>): vscode.Disposable {
  return vscode.commands.registerCommand(name, async (argument: unknown, ...rest: unknown[]) => {
    try {
      return await run(argument, ...rest);
    } catch (error) {
      await showError(error);
      return undefined;
    }
  });
}
