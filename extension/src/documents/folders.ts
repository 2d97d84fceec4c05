import * as vscode from 'vscode';
import { targetArgument } from '../commands/target.js';
import { ChangeResource } from '../scm/resource.js';
import { folderOfRoot } from '../scm/root.js';

/** The folder that a command is about: named by its URI, by the root of a source control, or by one of its resources. */
export function folderUri(argument: unknown): string | undefined {
  if (argument instanceof ChangeResource) {
    return argument.opens.folder;
  }
  if (typeof argument !== 'object' || argument === null) {
    return undefined;
  }
  if ('rootUri' in argument && argument.rootUri instanceof vscode.Uri) {
    return folderOfRoot(argument.rootUri);
  }
  if ('resourceStates' in argument && Array.isArray(argument.resourceStates)) {
    return folderUri(argument.resourceStates[0]);
  }
  return targetArgument(argument).folder;
}
