import * as vscode from 'vscode';
import { Trace } from 'vscode-jsonrpc/node';
import type { Connection } from './connection.js';

/** Writes what crosses the wire to the server's log as `offshoot.trace.server` says, from now on. */
export function followTrace(connection: Connection, log: vscode.LogOutputChannel): void {
  const tracer = {
    log: (message: string, data?: string): void => {
      // At the level that is always shown: whoever asks for a trace wants to see it.
      log.info(data === undefined ? message : `${message}\n${data}`);
    },
  };
  const apply = (): void => {
    const setting = vscode.workspace.getConfiguration('offshoot').get<string>('trace.server', 'off');
    connection.trace(Trace.fromString(setting), tracer);
  };
  apply();
  connection.own(
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration('offshoot.trace.server')) {
        apply();
      }
    }),
  );
}

/** Writes a line of the server's standard error at the level that it names. */
export function logServerLine(log: vscode.LogOutputChannel, line: string): void {
  const text = line.trimEnd();
  if (text === '') {
    return;
  }
  const parts = /^(?:\S+Z\s+)?(ERROR|WARN|INFO|DEBUG|TRACE)\s+(.*)$/.exec(text);
  const message = parts?.[2] ?? text;
  switch (parts?.[1]) {
    case 'ERROR':
      log.error(message);
      break;
    case 'WARN':
      log.warn(message);
      break;
    case 'DEBUG':
      log.debug(message);
      break;
    case 'TRACE':
      log.trace(message);
      break;
    case undefined:
    default:
      log.info(message);
  }
}
