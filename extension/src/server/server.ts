import * as vscode from 'vscode';
import { detach } from '../detach.js';
import { outputNotification, ServerRequests, statusNotification } from '../protocol/methods.js';
import type { EditorOutput, EditorStatus } from '../protocol/types.js';
import { findServer, ServerMissing } from './binary.js';
import type { Connection } from './connection.js';
import { sayThatItCrashed } from './crashNotice.js';
import { ServerUnavailable } from './errors.js';
import { runWithProgress } from './progress.js';
import { RESTART_DELAYS_MS, type ServerState, STABLE_AFTER_MS, whyUnavailable } from './state.js';
import { followWindow, wireFolder } from './window.js';

/** The language server: finds it, starts it, starts it again when it breaks down, and carries requests to it. */
export class Server implements vscode.Disposable {
  readonly requests: ServerRequests;
  readonly onDidChangeState: vscode.Event<ServerState>;
  readonly onDidChangeStatus: vscode.Event<EditorStatus>;
  /** What programs print that requests run. */
  readonly onDidOutput: vscode.Event<EditorOutput>;
  private readonly context: vscode.ExtensionContext;
  private readonly log: vscode.LogOutputChannel;
  private readonly stateEmitter = new vscode.EventEmitter<ServerState>();
  private readonly statusEmitter = new vscode.EventEmitter<EditorStatus>();
  private readonly outputEmitter = new vscode.EventEmitter<EditorOutput>();
  private readonly subscriptions: { dispose(): unknown }[] = [];
  private currentState: ServerState = { kind: 'stopped' };
  private currentStatus: EditorStatus | undefined;
  private connection: Connection | undefined;
  private ownLog: vscode.LogOutputChannel | undefined;
  /** Grows with every start and stop; what belongs to an older one is ignored. */
  private generation = 0;
  private crashes = 0;
  private retry: NodeJS.Timeout | undefined;

  constructor(context: vscode.ExtensionContext, log: vscode.LogOutputChannel) {
    this.context = context;
    this.log = log;
    this.onDidChangeState = this.stateEmitter.event;
    this.onDidChangeStatus = this.statusEmitter.event;
    this.onDidOutput = this.outputEmitter.event;
    this.requests = new ServerRequests(async (method, params, cancel) => this.ask(method, params, cancel));
  }

  /** Sends a request of the language server protocol itself; `requests` has all others. */
  async ask<R>(method: string, params: unknown, cancel?: vscode.CancellationToken): Promise<R> {
    if (this.connection === undefined || this.currentState.kind !== 'running') {
      const { message, hint } = whyUnavailable(this.currentState);
      throw new ServerUnavailable(message, hint);
    }
    return this.connection.request(method, params, cancel);
  }

  /** Sends a notification; lost if the server does not run. */
  notify(method: string, params: object): void {
    this.connection?.notify(method, params);
  }

  /** What the server itself writes. Made when it is first needed: not while the editor waits for the extension. */
  get serverLog(): vscode.LogOutputChannel {
    this.ownLog ??= vscode.window.createOutputChannel('Offshoot Server', { log: true });
    return this.ownLog;
  }

  /** What the server is doing now. */
  get state(): ServerState {
    return this.currentState;
  }

  /** The newest status. A server that is started again keeps the one before, so that nothing flickers; absent if it cannot run. */
  get status(): EditorStatus | undefined {
    return this.currentStatus;
  }

  /** Starts the server as soon as the workspace is trusted and has a folder. Called once. */
  follow(): void {
    this.subscriptions.push(followWindow(this));
    detach(this.start());
  }

  /** Starts the server unless it runs, is starting, or may not: an untrusted workspace, no folder. Never rejects. */
  async start(): Promise<void> {
    if (this.currentState.kind === 'running' || this.currentState.kind === 'starting') {
      return;
    }
    if (vscode.workspace.workspaceFolders === undefined || vscode.workspace.workspaceFolders.length === 0) {
      this.currentStatus = undefined;
      this.become({ kind: 'stopped' });
      return;
    }
    if (!vscode.workspace.isTrusted) {
      this.become({ kind: 'untrusted' });
      return;
    }
    clearTimeout(this.retry);
    const generation = ++this.generation;
    this.become({ kind: 'starting' });
    try {
      const binary = await findServer(this.context, this.log);
      if (generation !== this.generation) {
        return;
      }
      await this.connect(binary.path, binary.version, generation);
    } catch (error) {
      if (generation !== this.generation) {
        return;
      }
      this.failedToStart(error);
    }
  }

  /** Stops the server and starts it, wherever it was found this time. */
  async restart(): Promise<void> {
    this.crashes = 0;
    await this.stop();
    await this.start();
  }

  /**
   * Runs something long: shows `title` and what the server reports, and offers to cancel.
   * `run` gives `token` to the request as `workDoneToken`.
   */
  async withProgress<R>(
    title: string,
    run: (token: string, cancel: vscode.CancellationToken) => Promise<R>,
    where: vscode.ProgressLocation = vscode.ProgressLocation.Notification,
  ): Promise<R> {
    return runWithProgress(this.connection, title, run, where);
  }

  dispose(): void {
    detach(this.stop());
    this.subscriptions.forEach((each) => {
      each.dispose();
    });
    this.ownLog?.dispose();
    this.stateEmitter.dispose();
    this.statusEmitter.dispose();
    this.outputEmitter.dispose();
  }

  private async connect(path: string, version: string, generation: number): Promise<void> {
    // Their library is most of the bundle and is not needed before: it is not evaluated while the editor waits for the extension.
    const [{ Connection }, { ConfigFileSync }, { followTrace }] = await Promise.all([
      import('./connection.js'),
      import('./configFile.js'),
      import('./trace.js'),
    ]);
    if (generation !== this.generation) {
      return;
    }
    const connection = new Connection(path, this.serverLog);
    this.connection = connection;
    const startedAt = Date.now();
    connection.onClosed((how) => {
      if (generation === this.generation) {
        this.crashed(how, Date.now() - startedAt);
      }
    });
    connection.onNotification(statusNotification, (params) => {
      const status = params as EditorStatus;
      if (generation === this.generation) {
        this.currentStatus = status;
        this.statusEmitter.fire(status);
      }
    });
    connection.onNotification(outputNotification, (params) => {
      this.outputEmitter.fire(params as EditorOutput);
    });
    followTrace(connection, this.serverLog);
    await connection.initialize(
      { name: 'offshoot-editor', version },
      (vscode.workspace.workspaceFolders ?? []).map(wireFolder),
      { trusted: true },
    );
    if (generation !== this.generation) {
      return;
    }
    connection.own(new ConfigFileSync(connection));
    this.log.info(`Server ${version} runs: ${path}`);
    this.become({ kind: 'running', version, path });
  }

  /** Ends the server and waits for it. */
  async stop(): Promise<void> {
    this.generation += 1;
    clearTimeout(this.retry);
    const connection = this.connection;
    this.connection = undefined;
    if (this.currentState.kind !== 'stopped') {
      this.become({ kind: 'stopped' });
    }
    await connection?.shutdown();
  }

  private failedToStart(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.log.error(`The server could not be started: ${reason}`);
    this.connection?.dispose();
    this.connection = undefined;
    this.currentStatus = undefined;
    this.become(error instanceof ServerMissing ? { kind: 'missing', reason } : { kind: 'failed', reason });
  }

  /** Starts it again, later and later; says so once. */
  private crashed(how: string, afterMs: number): void {
    this.connection = undefined;
    this.generation += 1;
    this.crashes = afterMs > STABLE_AFTER_MS ? 1 : this.crashes + 1;
    this.log.error(`The server ended (${how}), ${this.crashes.toString()} times in a row`);
    const delayMs = RESTART_DELAYS_MS[this.crashes - 1];
    if (delayMs === undefined) {
      this.currentStatus = undefined;
    }
    this.become({ kind: 'failed', reason: vscode.l10n.t('the server ended unexpectedly ({0})', how) });
    if (delayMs !== undefined) {
      this.retry = setTimeout(() => {
        detach(this.start());
      }, delayMs);
    }
    if (this.crashes === 1 || delayMs === undefined) {
      detach(sayThatItCrashed(delayMs !== undefined));
    }
  }

  private become(state: ServerState): void {
    this.currentState = state;
    this.stateEmitter.fire(state);
  }
}
