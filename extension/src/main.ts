import * as vscode from 'vscode';
import { registerCheckout } from './checkout/checkout.js';
import { registerCommands } from './commands/commands.js';
import { registerDocuments } from './documents/documents.js';
import { registerScm } from './scm/scm.js';
import { Server } from './server/server.js';
import { registerStatusBar } from './status/statusBar.js';
import type { Surroundings } from './surroundings.js';
import { registerTerminal } from './terminal/terminal.js';
import { registerBranchesView } from './views/branches/branchesView.js';
import { registerContextKeys } from './views/contextKeys.js';
import { registerWalkthrough } from './walkthrough/walkthrough.js';

let running: Server | undefined;

/** Called by the editor once, at the first activation event. Registers every surface; the server starts when all that is done. */
export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('Offshoot', { log: true });
  const server = new Server(context, log);
  running = server;
  const around: Surroundings = { context, server, log };
  context.subscriptions.push(
    log,
    server,
    registerContextKeys(around),
    registerCommands(around),
    registerBranchesView(around),
    registerStatusBar(around),
    registerScm(around),
    registerDocuments(around),
    registerCheckout(around),
    registerWalkthrough(around),
    registerTerminal(around),
  );
  // After this function has returned, so that the editor does not wait for a program to be found and started.
  setImmediate(() => {
    server.follow();
  });
}

/** Called by the editor when it closes; it waits for the server, which lets go of the engine. */
export async function deactivate(): Promise<void> {
  await running?.stop();
}
