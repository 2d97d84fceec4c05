import * as vscode from 'vscode';
import { registerCheckout } from './checkout/checkout.js';
import { registerCommands } from './commands/commands.js';
import { registerDocuments } from './documents/documents.js';
import { Reports } from './documents/reports.js';
import { MigrationsBook } from './migrations/book.js';
import { registerMigrations } from './migrations/migrations.js';
import { registerScm } from './scm/scm.js';
import { registerConfigLanguage } from './server/configLanguage.js';
import { Server } from './server/server.js';
import { registerStatusBar } from './status/statusBar.js';
import { registerSummary } from './summary/summary.js';
import type { Surroundings } from './surroundings.js';
import { registerTerminal } from './terminal/terminal.js';
import { registerBranchesView } from './views/branches/branchesView.js';
import { registerContextKeys } from './views/contextKeys.js';
import { registerMigrationsView } from './views/migrations/migrationsView.js';
import { registerSchemaView } from './views/schema/schemaView.js';
import { registerWalkthrough } from './walkthrough/walkthrough.js';

let running: Server | undefined;

/**
 * Called by the editor once, at the first activation event, and waited for by it. Registers what the editor asks for right after that:
 * commands, the tree, documents. Everything that only follows the server comes later, and the server itself last.
 */
export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('Offshoot', { log: true });
  const server = new Server(context, log);
  running = server;
  const migrations = new MigrationsBook(server);
  const reports = new Reports();
  const around: Surroundings = { context, server, log, migrations, reports };
  const branches = registerBranchesView(around);
  context.subscriptions.push(
    log,
    server,
    migrations,
    reports,
    registerContextKeys(around),
    registerCommands(around),
    branches.parts,
    registerDocuments(around),
    registerSummary(around),
    registerSchemaView(around),
    registerMigrationsView(around),
    registerMigrations(around),
    registerCheckout(around),
    registerWalkthrough(around, branches),
  );
  setImmediate(() => {
    context.subscriptions.push(registerStatusBar(around), registerScm(around), registerTerminal(around), registerConfigLanguage(around));
    server.follow();
  });
}

/** Called by the editor when it closes; it waits for the server, which lets go of the engine. */
export async function deactivate(): Promise<void> {
  await running?.stop();
}
