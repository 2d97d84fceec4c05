import * as vscode from 'vscode';
import type { Surroundings } from '../surroundings.js';
import { registerActions, registerMigrationKeys } from './actions.js';
import { MigrationDecorations } from './decorations.js';
import { registerLanguage } from './language.js';
import { ToolOutput } from './output.js';
import { registerOffers } from './offerQuestion.js';
import { registerPromote } from './promote.js';
import { registerQuestion } from './question.js';
import { registerSync } from './sync.js';

/** Everything about migrations but the tree and the source control group. */
export function registerMigrations(around: Surroundings): vscode.Disposable {
  const output = new ToolOutput();
  const tools = { around, output, reports: around.reports };
  return vscode.Disposable.from(
    output,
    new MigrationDecorations(around.migrations),
    registerActions(tools),
    registerPromote(tools),
    registerMigrationKeys(around),
    registerLanguage(around),
    registerSync(around),
    registerQuestion(tools),
    registerOffers(tools),
  );
}
