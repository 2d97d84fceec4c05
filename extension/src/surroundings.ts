import type * as vscode from 'vscode';
import type { Reports } from './documents/reports.js';
import type { MigrationsBook } from './migrations/book.js';
import type { Server } from './server/server.js';

/** What every surface gets: the extension's own context, the server and the client's log. */
export interface Surroundings {
  readonly context: vscode.ExtensionContext;
  readonly server: Server;
  readonly log: vscode.LogOutputChannel;
  /** What is known of migrations. */
  readonly migrations: MigrationsBook;
  readonly reports: Reports;
}
