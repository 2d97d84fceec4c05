import * as vscode from 'vscode';
import type { ReadyFolder } from '../model.js';
import type { Surroundings } from '../surroundings.js';

/**
 * Saves the migrations of a worktree that were changed in the editor: tools run what is on the disk.
 *
 * @throws {Error} If one cannot be saved, before anything is run.
 */
export async function saveMigrations({ migrations }: Surroundings, ready: ReadyFolder): Promise<void> {
  const { path } = ready.project.worktree;
  const changed = vscode.workspace.textDocuments.filter((document) => document.isDirty && migrations.rowsIn(document.uri).some(({ worktree }) => worktree === path));
  for (const document of changed) {
    if (!(await document.save())) {
      throw new Error(vscode.l10n.t('{0} could not be saved, so nothing was run.', vscode.workspace.asRelativePath(document.uri)));
    }
  }
}
