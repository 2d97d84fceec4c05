import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { homedir } from 'node:os';
import * as vscode from 'vscode';
import {
  createMessageConnection,
  type MessageConnection,
  ProgressType,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
  type Trace,
  type Tracer,
} from 'vscode-jsonrpc/node';
import type { EditorOptions, RpcError } from '../protocol/types.js';
import { RequestError } from './errors.js';
import { logServerLine } from './trace.js';

/** How long a server may take to end after it was asked to. */
const SHUTDOWN_PATIENCE_MS = 2_000;

/**
 * A running server process and the language server protocol with it.
 *
 * This is a client of its own because the usual library is larger than this whole extension may be, for features of which Offshoot
 * uses one.
 */
export class Connection implements vscode.Disposable {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly rpc: MessageConnection;
  private readonly owned: { dispose(): unknown }[] = [];
  private readonly closed = new vscode.EventEmitter<string>();
  /** Fires once, with how the process ended. */
  readonly onClosed = this.closed.event;

  constructor(path: string, log: vscode.LogOutputChannel) {
    // Not in the workspace: nothing that lies there may be found by a relative path.
    this.child = spawn(path, ['lsp'], { cwd: homedir(), env: process.env, stdio: ['pipe', 'pipe', 'pipe'], windowsHide: true });
    this.rpc = createMessageConnection(new StreamMessageReader(this.child.stdout), new StreamMessageWriter(this.child.stdin));
    let ended = false;
    const end = (how: string): void => {
      if (!ended) {
        ended = true;
        this.dispose();
        this.closed.fire(how);
        this.closed.dispose();
      }
    };
    this.child.on('error', (error) => {
      end(error.message);
    });
    this.child.on('exit', (code, signal) => {
      end(signal ?? `exit code ${String(code)}`);
    });
    this.child.stdin.on('error', () => undefined);
    let rest = '';
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach((line) => {
        logServerLine(log, line);
      });
    });
    this.rpc.onError(([error]) => {
      // What could not be written to a server that has ended is of no interest: that it ended is told already.
      if (!ended) {
        log.error(error.message);
      }
    });
    this.rpc.onNotification('window/logMessage', (message: { message: string }) => {
      logServerLine(log, message.message);
    });
    this.rpc.listen();
  }

  /** Says hello. `options` is what Offshoot's server wants to know. */
  async initialize(client: { name: string; version: string }, folders: { uri: string; name: string }[], options: EditorOptions): Promise<void> {
    await this.request('initialize', {
      processId: process.pid,
      clientInfo: client,
      locale: vscode.env.language,
      rootUri: folders[0]?.uri ?? null,
      workspaceFolders: folders,
      initializationOptions: options,
      capabilities: {
        general: { positionEncodings: ['utf-16'] },
        workspace: { workspaceFolders: true },
        window: { workDoneProgress: true },
        textDocument: {
          synchronization: { dynamicRegistration: false, didSave: false },
          publishDiagnostics: { relatedInformation: false, versionSupport: true },
        },
      },
    });
    this.notify('initialized', {});
  }

  /** Sends a request. Rejects with [`RequestError`] if the server says no. */
  async request<R>(method: string, params: unknown, cancel?: vscode.CancellationToken): Promise<R> {
    try {
      // An absent token would count as a second parameter and make a list of them.
      return await (cancel === undefined ? this.rpc.sendRequest<R>(method, params) : this.rpc.sendRequest<R>(method, params, cancel));
    } catch (error) {
      throw asRequestError(error);
    }
  }

  /** Sends a notification; lost if the server is gone. */
  notify(method: string, params?: object): void {
    (params === undefined ? this.rpc.sendNotification(method) : this.rpc.sendNotification(method, params)).catch(() => undefined);
  }

  onNotification(method: string, handler: (params: unknown) => void): void {
    this.rpc.onNotification(method, handler);
  }

  onProgress(token: string, handler: (value: unknown) => void): { dispose(): void } {
    return this.rpc.onProgress(new ProgressType<unknown>(), token, handler);
  }

  trace(level: Trace, tracer: Tracer): void {
    this.rpc.trace(level, tracer, { sendNotification: false }).catch(() => undefined);
  }

  /** Disposes of `what` when this ends. */
  own(what: { dispose(): unknown }): void {
    this.owned.push(what);
  }

  /** Asks the server to end and waits for it, not for ever. */
  async shutdown(): Promise<void> {
    const exited = new Promise<void>((resolve) => {
      this.child.once('exit', () => {
        resolve();
      });
    });
    if (this.child.exitCode !== null || this.child.signalCode !== null || this.child.pid === undefined) {
      this.dispose();
      return;
    }
    const impatience = setTimeout(() => this.child.kill(), SHUTDOWN_PATIENCE_MS);
    await this.rpc.sendRequest('shutdown').catch(() => undefined);
    this.notify('exit');
    this.child.stdin.end();
    await exited;
    clearTimeout(impatience);
    this.dispose();
  }

  /** Lets go of it; a server whose input ends, ends by itself. */
  dispose(): void {
    this.owned.splice(0).forEach((each) => {
      each.dispose();
    });
    this.rpc.dispose();
    this.child.stdin.end();
  }
}

function asRequestError(error: unknown): unknown {
  if (!(error instanceof ResponseError)) {
    return error;
  }
  const data: unknown = error.data;
  if (isRpcError(data)) {
    return new RequestError(data);
  }
  const cancelled = error.code === -32800;
  return new RequestError({ kind: 'internal', message: error.message, ...(cancelled ? { reason: 'cancelled' as const } : {}) });
}

function isRpcError(data: unknown): data is RpcError {
  return typeof data === 'object' && data !== null && 'kind' in data && 'message' in data && typeof data.message === 'string';
}
