// Generated from `sidecar/protocol`: do not edit. `npm run generate` writes it anew.

import type { CancellationToken } from 'vscode';
import type {
  Branch,
  Bundle,
  BundleApplied,
  BundleCreated,
  ComparedFacts,
  Definition,
  Diagnostics,
  EditorAnswerParams,
  EditorBranchParams,
  EditorBundleApplyParams,
  EditorBundleCreateParams,
  EditorBundleParams,
  EditorCreateParams,
  EditorDefinitionParams,
  EditorExpireParams,
  EditorInitParams,
  EditorInitResult,
  EditorLogParams,
  EditorObjectsParams,
  EditorOutput,
  EditorPartsParams,
  EditorProtectParams,
  EditorRenameParams,
  EditorStatus,
  EditorSummaryParams,
  EditorUndoParams,
  EditorUrl,
  EditorUrlParams,
  FolderParams,
  Log,
  LogFiles,
  LogFilesParams,
  MigrationsApplied,
  MigrationsApplyParams,
  MigrationsCheckParams,
  MigrationsDrift,
  MigrationsDriftParams,
  MigrationsNew,
  MigrationsNewParams,
  MigrationsRan,
  MigrationsRanParams,
  MigrationsRehearsal,
  MigrationsRehearseParams,
  MigrationsReport,
  MigrationsStatus,
  MigrationsStatusParams,
  MigrationsUndoParams,
  MigrationsUndone,
  Nothing,
  ObjectParts,
  PostgresVersions,
  PromoteParams,
  Promoted,
  SchemaObjects,
  SchemaSummary,
  TrustParams,
  UndoResult,
} from './types.js';

/** Sends a request to the language server. */
export type Send = <P, R>(method: string, params: P, cancel?: CancellationToken) => Promise<R>;

/** Every request of the editor, typed. */
export class ServerRequests {
  private readonly send: Send;

  constructor(send: Send) {
    this.send = send;
  }

  /** Makes the repository's database. Long. */
  init(params: EditorInitParams, cancel?: CancellationToken): Promise<EditorInitResult> {
    return this.send('offshoot/init', params, cancel);
  }

  /** The versions of Postgres that a database can be made with, and which of them are on this machine. */
  postgres(params: FolderParams, cancel?: CancellationToken): Promise<PostgresVersions> {
    return this.send('offshoot/postgres', params, cancel);
  }

  /** Makes a branch. */
  branchCreate(params: EditorCreateParams, cancel?: CancellationToken): Promise<Branch> {
    return this.send('offshoot/branch/create', params, cancel);
  }

  /** Moves a branch to the trash. */
  branchDelete(params: EditorBranchParams, cancel?: CancellationToken): Promise<Nothing> {
    return this.send('offshoot/branch/delete', params, cancel);
  }

  /** Renames a branch. */
  branchRename(params: EditorRenameParams, cancel?: CancellationToken): Promise<Branch> {
    return this.send('offshoot/branch/rename', params, cancel);
  }

  /** Takes a branch to its parent's present. Long. */
  branchReset(params: EditorBranchParams, cancel?: CancellationToken): Promise<Branch> {
    return this.send('offshoot/branch/reset', params, cancel);
  }

  /** Brings the newest deleted or reset branch back. */
  branchUndo(params: EditorUndoParams, cancel?: CancellationToken): Promise<UndoResult> {
    return this.send('offshoot/branch/undo', params, cancel);
  }

  /** What happened to a branch, and when. */
  branchLog(params: EditorLogParams, cancel?: CancellationToken): Promise<Log> {
    return this.send('offshoot/branch/log', params, cancel);
  }

  /** Protects a branch from being deleted, reset or renamed, or no longer. */
  branchProtect(params: EditorProtectParams, cancel?: CancellationToken): Promise<Branch> {
    return this.send('offshoot/branch/protect', params, cancel);
  }

  /** Says when a branch goes to the trash by itself, or that it stays. */
  branchExpire(params: EditorExpireParams, cancel?: CancellationToken): Promise<Branch> {
    return this.send('offshoot/branch/expire', params, cancel);
  }

  /** Starts a branch's Postgres. Long. */
  branchWake(params: EditorBranchParams, cancel?: CancellationToken): Promise<Branch> {
    return this.send('offshoot/branch/wake', params, cancel);
  }

  /** Stops a branch's Postgres; closes its connections. */
  branchSleep(params: EditorBranchParams, cancel?: CancellationToken): Promise<Branch> {
    return this.send('offshoot/branch/sleep', params, cancel);
  }

  /** Answers the question that a checkout raised. */
  answer(params: EditorAnswerParams, cancel?: CancellationToken): Promise<Nothing> {
    return this.send('offshoot/answer', params, cancel);
  }

  /** The address of a branch or of the worktree, with the password. */
  url(params: EditorUrlParams, cancel?: CancellationToken): Promise<EditorUrl> {
    return this.send('offshoot/url', params, cancel);
  }

  /** One object of a branch's schema as SQL. */
  schemaDefinition(params: EditorDefinitionParams, cancel?: CancellationToken): Promise<Definition> {
    return this.send('offshoot/schema/definition', params, cancel);
  }

  /** The objects of a branch's schema. */
  schemaObjects(params: EditorObjectsParams, cancel?: CancellationToken): Promise<SchemaObjects> {
    return this.send('offshoot/schema/objects', params, cancel);
  }

  /** The parts of an object of a branch's schema. */
  schemaParts(params: EditorPartsParams, cancel?: CancellationToken): Promise<ObjectParts> {
    return this.send('offshoot/schema/parts', params, cancel);
  }

  /** What a branch does to the schema of its parent, as a document and a picture. */
  schemaSummary(params: EditorSummaryParams, cancel?: CancellationToken): Promise<SchemaSummary> {
    return this.send('offshoot/schema/summary', params, cancel);
  }

  /** The schemas that a summary is made of. */
  schemaFacts(params: EditorSummaryParams, cancel?: CancellationToken): Promise<ComparedFacts> {
    return this.send('offshoot/schema/facts', params, cancel);
  }

  /** The migrations of a worktree and what they have done to branches. Wakes the branches whose histories are not known. */
  migrationsStatus(params: MigrationsStatusParams, cancel?: CancellationToken): Promise<MigrationsStatus> {
    return this.send('offshoot/migrations/status', params, cancel);
  }

  /** Runs pending migrations with the tool's own command, or takes the newest one back. Long; tells what the tool prints. */
  migrationsApply(params: MigrationsApplyParams, cancel?: CancellationToken): Promise<MigrationsApplied> {
    return this.send('offshoot/migrations/apply', params, cancel);
  }

  /** What a file held when it ran on the worktree's branch, where that is known. */
  migrationsRan(params: MigrationsRanParams, cancel?: CancellationToken): Promise<MigrationsRan> {
    return this.send('offshoot/migrations/ran', params, cancel);
  }

  /** Takes a branch back to before its migrations were applied last. */
  migrationsUndo(params: MigrationsUndoParams, cancel?: CancellationToken): Promise<MigrationsUndone> {
    return this.send('offshoot/migrations/undo', params, cancel);
  }

  /** Tries pending migrations on a throwaway. Long. */
  migrationsCheck(params: MigrationsCheckParams, cancel?: CancellationToken): Promise<MigrationsReport> {
    return this.send('offshoot/migrations/check', params, cancel);
  }

  /** Whether a branch has the schema that the files make. Long. */
  migrationsDrift(params: MigrationsDriftParams, cancel?: CancellationToken): Promise<MigrationsDrift> {
    return this.send('offshoot/migrations/drift', params, cancel);
  }

  /** Tries merges in both orders on throwaways. Long. */
  migrationsRehearse(params: MigrationsRehearseParams, cancel?: CancellationToken): Promise<MigrationsRehearsal> {
    return this.send('offshoot/migrations/rehearse', params, cancel);
  }

  /** Writes a new migration from a difference. Long. */
  migrationsNew(params: MigrationsNewParams, cancel?: CancellationToken): Promise<MigrationsNew> {
    return this.send('offshoot/migrations/new', params, cancel);
  }

  /** Brings the migrations of a git branch to the database branch of a tier, once the tier's checks pass. Long; tells what the tool prints. */
  promote(params: PromoteParams, cancel?: CancellationToken): Promise<Promoted> {
    return this.send('offshoot/promote', params, cancel);
  }

  /** Writes a branch to a file for another store. Long. */
  bundleCreate(params: EditorBundleCreateParams, cancel?: CancellationToken): Promise<BundleCreated> {
    return this.send('offshoot/bundle/create', params, cancel);
  }

  /** What such a file says of itself. The rest of it is not looked at. */
  bundleRead(params: EditorBundleParams, cancel?: CancellationToken): Promise<Bundle> {
    return this.send('offshoot/bundle/read', params, cancel);
  }

  /** Makes a branch of such a file. Long. */
  bundleApply(params: EditorBundleApplyParams, cancel?: CancellationToken): Promise<BundleApplied> {
    return this.send('offshoot/bundle/apply', params, cancel);
  }

  /** Log files that can be shown. */
  logFiles(params: LogFilesParams, cancel?: CancellationToken): Promise<LogFiles> {
    return this.send('offshoot/logFiles', params, cancel);
  }

  /** Text that helps whoever reads a report. */
  diagnostics(params: Nothing, cancel?: CancellationToken): Promise<Diagnostics> {
    return this.send('offshoot/diagnostics', params, cancel);
  }

  /** Stops the engine of the folder's repository and starts it again. */
  engineRestart(params: FolderParams, cancel?: CancellationToken): Promise<Nothing> {
    return this.send('offshoot/engine/restart', params, cancel);
  }

  /** Reads everything again and sends `offshoot/status`, changed or not. */
  refresh(params: Nothing, cancel?: CancellationToken): Promise<Nothing> {
    return this.send('offshoot/refresh', params, cancel);
  }
}

/** All that there is to draw; from the server. */
export const statusNotification = 'offshoot/status';
export type StatusPayload = EditorStatus;

/** What a program prints that a request runs; from the server. */
export const outputNotification = 'offshoot/output';
export type OutputPayload = EditorOutput;

/** The workspace became trusted; from the editor. */
export const trustNotification = 'offshoot/trust';
export type TrustPayload = TrustParams;
