// Generated from `sidecar/protocol`: do not edit. `npm run generate` writes it anew.

/**
 * What a person says to [`Ask`].
 */
export type Answer = "create" | "useParent" | "never" | "askAgain" | "dismiss" | "dismissAll" | "snapshot";

/**
 * A git branch without a database branch is checked out: what shall be done?
 */
export type Ask = {
/**
 * Name of the git branch.
 */
name: string,
/**
 * The database branch that a new one would come from.
 */
parent: string, };

/**
 * A database branch.
 */
export type Branch = {
/**
 * Number within the store; never used twice.
 */
id: number,
/**
 * Name.
 */
name: string,
/**
 * Name of the parent.
 */
parent?: string,
/**
 * Where it left the parent, as Postgres writes it: `0/16B3748`.
 */
forkLsn?: string,
/**
 * Seconds since 1970.
 */
createdAt: number,
/**
 * State of its Postgres.
 */
state: ComputeState,
/**
 * Why the state is failed.
 */
failure?: string,
/**
 * True for the branch that `init` made.
 */
root: boolean,
/**
 * Bytes on disk that no other branch uses.
 */
ownBytes: number,
/**
 * Bytes on disk that it reads together with others.
 */
sharedBytes: number,
/**
 * Whether git has a branch of this name.
 */
inGit: boolean,
/**
 * Connections to it, over all endpoints.
 */
connections: number,
/**
 * Worktrees whose endpoint leads here.
 */
worktrees: Array<string>,
/**
 * Cannot be deleted, reset, restored or renamed, as a person or a rule said.
 */
protected: boolean,
/**
 * Whether only a rule protects it, and `overrideRules` goes past that.
 */
overridable?: boolean,
/**
 * When it goes to the trash by itself, in seconds since 1970.
 */
expiresAt?: number,
/**
 * From how many bytes of its own on a rule has it told.
 */
maxBytes?: number,
/**
 * When the root branch got new data that this branch has not, in seconds since 1970. A reset takes them.
 */
staleSince?: number,
/**
 * The server that it, the root branch, follows.
 */
follows?: Follows,
/**
 * The tier that the migrations of the git branch of this name go to next.
 */
promotesTo?: string, };

/**
 * What a bundle has in it.
 */
export type Bundle = {
/**
 * The branch that it was made of.
 */
branch: string,
/**
 * The version of Postgres.
 */
postgres: string,
/**
 * The cluster's number; the same in all branches of a store. As text: it has more digits than a number in JSON.
 */
systemIdentifier: string,
/**
 * The timeline of the last checkpoint in it.
 */
timeline: number,
/**
 * Where that checkpoint is.
 */
checkpoint: string,
/**
 * The state that the other side must have; absent if all pages are in it.
 */
base?: BundleBase,
/**
 * Relation files.
 */
relations: number,
/**
 * Pages of 8 KiB.
 */
pages: number,
/**
 * Bytes of it, unpacked.
 */
unpackedBytes: number,
/**
 * Extensions of the database.
 */
extensions: Array<string>,
/**
 * Roles whose password verifiers are in it.
 */
roles: Array<string>,
/**
 * The hash of the schema.
 */
schema: string,
/**
 * SHA-256 over all pages, if all are in it.
 */
state?: string, };

/**
 * What was made of a bundle.
 */
export type BundleApplied = {
/**
 * The branch.
 */
branch: Branch,
/**
 * What was in the bundle.
 */
bundle: Bundle,
/**
 * The snapshot of the branch that smaller bundles stand on from now on.
 */
snapshot?: string,
/**
 * What somebody should know.
 */
notes: Array<string>, };

/**
 * A state that a bundle is made against.
 */
export type BundleBase = {
/**
 * SHA-256 over all of its pages.
 */
id: string,
/**
 * What it is called where the bundle was made.
 */
label: string, };

/**
 * A bundle that was made.
 */
export type BundleCreated = {
/**
 * What is in it.
 */
bundle: Bundle,
/**
 * Bytes of the file.
 */
bytes: number,
/**
 * The snapshot of the branch that smaller bundles are made against from now on.
 */
snapshot?: string, };

/**
 * Whose change it is.
 */
export type ChangeGroup = "mine" | "theirs" | "both" | "conflict";

/**
 * What happened to an object.
 */
export type ChangeKind = "added" | "removed" | "changed" | "renamed";

/**
 * The schemas that a summary is made of, each as text.
 */
export type ComparedFacts = {
/**
 * Name of the parent.
 */
base: string,
/**
 * The branch's.
 */
mine: string,
/**
 * The parent's.
 */
theirs: string,
/**
 * The parent's when the branch was made; absent if that is not known.
 */
fork?: string, };

/**
 * State of a branch's Postgres.
 */
export type ComputeState = "asleep" | "waking" | "awake" | "stopping" | "failed";

/**
 * An object's definition.
 */
export type Definition = {
/**
 * The whole of it as SQL; absent if the branch has no such object.
 */
text?: string, };

/**
 * Text that helps whoever reads a report. Has no password and no data.
 */
export type Diagnostics = {
/**
 * Markdown.
 */
text: string, };

/**
 * What the person said to the question that a checkout raised.
 */
export type EditorAnswerParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * The answer.
 */
answer: Answer, };

/**
 * A branch is meant.
 */
export type EditorBranchParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * Name of the branch.
 */
name: string,
/**
 * Reports go here.
 */
workDoneToken?: string,
/**
 * Against the rules of `offshoot.toml`.
 */
overrideRules?: boolean, };

/**
 * An editor wants a branch of a bundle.
 */
export type EditorBundleApplyParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * The absolute path of the file.
 */
file: string,
/**
 * Name of the branch to make.
 */
name: string,
/**
 * Against the rules of `offshoot.toml`.
 */
overrideRules?: boolean,
/**
 * Reports go here.
 */
workDoneToken?: string, };

/**
 * An editor wants a bundle of a branch.
 */
export type EditorBundleCreateParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * Name of the branch.
 */
branch: string,
/**
 * The absolute path of the file. One that is there is replaced, once the new one is whole.
 */
file: string,
/**
 * All pages, not only those that differ from a base.
 */
full?: boolean,
/**
 * Reports go here.
 */
workDoneToken?: string, };

/**
 * A file with a bundle is meant.
 */
export type EditorBundleParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * The absolute path of the file.
 */
file: string, };

/**
 * Makes a branch.
 */
export type EditorCreateParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * Name of the branch.
 */
name: string,
/**
 * Name of its parent; absent means the branch of the worktree.
 */
from?: string,
/**
 * The moment of its parent that it begins with, in microseconds since 1970; absent for now.
 */
atUs?: number,
/**
 * Against the rules of `offshoot.toml`.
 */
overrideRules?: boolean, };

/**
 * An object of a branch's schema is meant.
 */
export type EditorDefinitionParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * Name of the branch.
 */
branch: string,
/**
 * The object.
 */
object: SchemaObject,
/**
 * In which state of the branch.
 */
state?: SchemaState, };

/**
 * Says when a branch goes to the trash by itself.
 */
export type EditorExpireParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * Name of the branch.
 */
name: string,
/**
 * Seconds since 1970; absent means never.
 */
at?: number, };

/**
 * Makes the database of a repository.
 */
export type EditorInitParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * What it starts with.
 */
source: InitSource,
/**
 * Major version of Postgres, 14 to 18; absent means the newest there is.
 */
postgres?: number,
/**
 * Reports go here.
 */
workDoneToken?: string, };

/**
 * What was made.
 */
export type EditorInitResult = {
/**
 * Bytes on disk.
 */
bytes: number,
/**
 * SQL statements that were run.
 */
statements: number,
/**
 * Rows that were loaded.
 */
rows: number,
/**
 * What could not be loaded as it was written.
 */
notes: Array<string>, };

/**
 * Asks what happened to a branch.
 */
export type EditorLogParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * Name of the branch.
 */
name: string,
/**
 * The newest so many.
 */
limit: number, };

/**
 * Asks for the objects of a branch's schema.
 */
export type EditorObjectsParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * Name of the branch.
 */
branch: string,
/**
 * Whether the branch may be woken.
 */
wake: boolean, };

/**
 * The initialization options of the editor.
 */
export type EditorOptions = {
/**
 * False in a workspace that is not trusted: the server then starts no engine and runs no program.
 */
trusted: boolean, };

/**
 * What a program printed whose request has this token. All of it, in order.
 */
export type EditorOutput = {
/**
 * The `workDoneToken` of the request.
 */
token: string,
/**
 * What it printed since the message before.
 */
text: string, };

/**
 * Asks for the parts of an object.
 */
export type EditorPartsParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * Name of the branch.
 */
branch: string,
/**
 * The object.
 */
object: SchemaObject, };

/**
 * Guards a branch, or no longer.
 */
export type EditorProtectParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * Name of the branch.
 */
name: string,
/**
 * Whether it is protected from now on.
 */
on: boolean, };

/**
 * Another name for a branch.
 */
export type EditorRenameParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * Present name.
 */
name: string,
/**
 * New name.
 */
to: string,
/**
 * Against the rules of `offshoot.toml`.
 */
overrideRules?: boolean, };

/**
 * Notification `offshoot/status`: all that there is to draw. Sent whenever any of it changes.
 */
export type EditorStatus = {
/**
 * Version of the program.
 */
version: string,
/**
 * The workspace's folders, in its order.
 */
folders: Array<FolderStatus>, };

/**
 * Asks for what a branch does to the schema of its parent.
 */
export type EditorSummaryParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * Name of the branch.
 */
branch: string,
/**
 * What to show: JSON of a filter of `offshoot-summary`; absent for everything.
 */
filter?: string, };

/**
 * Asks for a deleted or reset branch back.
 */
export type EditorUndoParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * Id that the branch had before it was deleted or reset; absent means the one that was deleted or reset last.
 */
id?: number, };

/**
 * An address.
 */
export type EditorUrl = {
/**
 * With the password.
 */
url: string,
/**
 * The branch that it leads to now.
 */
branch: string, };

/**
 * A branch's address, or that of the worktree.
 */
export type EditorUrlParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * Name of the branch; absent means the unchanging address of the worktree.
 */
branch?: string,
/**
 * Without a branch: take another port, because another program has this one.
 */
newPort?: boolean, };

/**
 * A TCP address on this machine.
 */
export type EndpointStatus = {
/**
 * Port on 127.0.0.1.
 */
port: number,
/**
 * Connection URL, with the password.
 */
url: string,
/**
 * False while another program has the port.
 */
listening: boolean,
/**
 * Connections through it.
 */
connections: number, };

/**
 * Whose move it is after a failure.
 */
export type ErrorKind = "user" | "configuration" | "engine" | "internal";

/**
 * A folder is meant.
 */
export type FolderParams = {
/**
 * URI of the folder.
 */
folder: string, };

/**
 * What a folder is to Offshoot.
 */
export type FolderState = { "kind": "noGit" } | { "kind": "notInitialised",
/**
 * Root of the worktree.
 */
root: string,
/**
 * Files in it that look like dumps, relative to the root; at most 20.
 */
dumps: Array<string>,
/**
 * The folder that held its database, if it had one: that folder is not there any more, or was never finished.
 */
lost?: string, } | { "kind": "untrusted" } | { "kind": "starting" } | { "kind": "ready" } & ProjectStatus | { "kind": "failed",
/**
 * Why.
 */
error: RpcError, };

/**
 * A folder of the workspace.
 */
export type FolderStatus = {
/**
 * As the editor named it.
 */
uri: string,
/**
 * Name that people see.
 */
name: string,
/**
 * Its path.
 */
path: string,
/**
 * What it is to Offshoot.
 */
state: FolderState, };

/**
 * What following is doing, or why it is not.
 */
export type FollowState = "waiting" | "catchingUp" | "current" | "inUse" | "disconnected" | "refused" | "slotLost" | "upgraded" | "otherSystem" | "diverged" | "restored" | "timelineSwitched" | "addressGone" | "masking" | "failed";

/**
 * In short, of a root branch.
 */
export type Follows = {
/**
 * Host and database of the source.
 */
source: string,
/**
 * What following is doing.
 */
state: FollowState,
/**
 * Why, where the state is no good one.
 */
trouble?: string,
/**
 * It has what the source had then, in seconds since 1970.
 */
freshAt?: number, };

/**
 * What is known of the schema that a branch had when it left its parent.
 */
export type ForkPoint = { "kind": "notAsked" } | { "kind": "known" } | { "kind": "unknown",
/**
 * Why, in one sentence.
 */
reason: string, };

/**
 * What a worktree has checked out.
 */
export type GitHead = { "kind": "branch",
/**
 * Its short name.
 */
name: string, } | { "kind": "detached",
/**
 * Its hash.
 */
commit: string, };

/**
 * What a new database starts with.
 */
export type InitSource = { "kind": "empty" } | { "kind": "dump",
/**
 * Absolute, or relative to the folder.
 */
path: string, } | { "kind": "server",
/**
 * `postgres://…`, with the password.
 */
url: string, };

/**
 * Work under way.
 */
export type Job = {
/**
 * What is being done: `Resetting feature`.
 */
title: string,
/**
 * The branch that it is about.
 */
branch?: string, };

/**
 * What happened to branches.
 */
export type Log = {
/**
 * The newest first. Of one branch: what happened to it, and to those that it comes from before it was made.
 */
entries: Array<LogEntry>,
/**
 * How many older ones were left out.
 */
older: number,
/**
 * Since when branches can be made as of any moment, in seconds since 1970; of one branch only.
 */
oldestMoment?: number, };

/**
 * Something that happened to a branch.
 */
export type LogEntry = {
/**
 * Grows with each.
 */
number: number,
/**
 * When, in microseconds since 1970.
 */
atUs: number,
/**
 * What.
 */
kind: LogKind,
/**
 * The branch's name then.
 */
branch: string,
/**
 * The same for all entries of a branch, whatever it was called.
 */
line: number,
/**
 * The `line` of the branch that it was made of.
 */
parentLine?: number,
/**
 * The name of its parent, when it was made or reset; its name before, when it was renamed.
 */
from?: string,
/**
 * The moment or the snapshot, after an `@`, that it was made of or taken back to; the name of the snapshot that was taken or
 * removed; what ran.
 */
detail?: string,
/**
 * The git commit that was checked out.
 */
commit?: string,
/**
 * Whether that went wrong.
 */
failed?: boolean,
/**
 * The command that leads back to before it, or to it, as long as there is one.
 */
wayBack?: string, };

/**
 * Log files that can be shown. Absent ones do not exist yet.
 */
export type LogFiles = {
/**
 * Of the engine.
 */
engine?: string,
/**
 * Of the Postgres of the branch that was named.
 */
postgres?: string, };

/**
 * Asks for log files.
 */
export type LogFilesParams = {
/**
 * URI of the folder.
 */
folder: string,
/**
 * Name of a branch.
 */
branch?: string, };

/**
 * What happened to a branch.
 */
export type LogKind = "created" | "reset" | "restored" | "refreshed" | "renamed" | "deleted" | "undone" | "snapshotTaken" | "snapshotRemoved" | "migrated" | "other";

/**
 * Why a plan did not run to its end.
 */
export type MeasureFailure = {
/**
 * The number of the step, from 0; of a commit, of the last step of its part.
 */
step: number,
/**
 * What that step makes, changes or drops.
 */
what: string,
/**
 * The statement.
 */
statement: string,
/**
 * What Postgres said.
 */
message: string,
/**
 * SQLSTATE.
 */
code: string,
/**
 * Where in the statement, in characters from 1.
 */
position?: number,
/**
 * More of it.
 */
detail?: string,
/**
 * What Postgres advises.
 */
hint?: string,
/**
 * Whether the failure took back what its transaction had done.
 */
rolledBack: boolean, };

/**
 * What a plan did and cost.
 */
export type Measured = {
/**
 * Steps in the order in which they ran; after a failure those before it, and what the failed one did until then.
 */
steps: Array<MeasuredStep>,
/**
 * The parts of the plan that ran.
 */
parts: Array<MeasuredPart>,
/**
 * Sums over all steps and commits.
 */
totals: MeasuredTotals,
/**
 * Why the plan did not run to its end.
 */
failure?: MeasureFailure, };

/**
 * A relation's new file.
 */
export type MeasuredFile = {
/**
 * Schema and name, quoted.
 */
relation: string,
/**
 * `table`, `index`, `materialized view`, `toast table` or `sequence`.
 */
kind: string,
/**
 * Its bytes.
 */
bytes: number, };

/**
 * A lock on a relation.
 */
export type MeasuredLock = {
/**
 * Schema and name, quoted.
 */
relation: string,
/**
 * As SQL names it, such as `ACCESS EXCLUSIVE`.
 */
mode: string,
/**
 * Microseconds from the start of the statement that took it to the end of its transaction; of a sampled one, for as
 * long as it was seen.
 */
heldUs: number,
/**
 * Seen by looking every few milliseconds, as the statement ends its transactions itself: shorter ones are missing.
 */
sampled: boolean, };

/**
 * A part of a plan: one transaction, or statements by themselves.
 */
export type MeasuredPart = {
/**
 * Whether its steps ran in one transaction.
 */
transactional: boolean,
/**
 * Microseconds of its statements and its commit.
 */
elapsedUs: number,
/**
 * Those of the commit.
 */
commitUs: number, };

/**
 * A step of a plan.
 */
export type MeasuredStep = {
/**
 * Its part, from 0.
 */
part: number,
/**
 * What the step makes, changes or drops.
 */
what: string,
/**
 * Microseconds that its statements took, without the commit.
 */
elapsedUs: number,
/**
 * Rows that it read by scans of tables.
 */
rowsRead: number,
/**
 * Rows that it inserted, updated or deleted.
 */
rowsWritten: number,
/**
 * Bytes of WAL.
 */
walBytes: number,
/**
 * Locks that it was the first of its transaction to take on relations that were there before, strongest first.
 */
locks: Array<MeasuredLock>,
/**
 * Tables, materialized views and indexes that got a new file.
 */
rewritten: Array<MeasuredFile>,
/**
 * Relations that are new and not empty, such as an index that was built.
 */
built: Array<MeasuredFile>, };

/**
 * Sums.
 */
export type MeasuredTotals = {
/**
 * Microseconds of statements and commits.
 */
elapsedUs: number,
/**
 * Rows read.
 */
rowsRead: number,
/**
 * Rows written.
 */
rowsWritten: number,
/**
 * Bytes of WAL.
 */
walBytes: number,
/**
 * Bytes of relations that got a new file.
 */
rewrittenBytes: number,
/**
 * Bytes of relations that are new.
 */
builtBytes: number, };

/**
 * The migrations of a project on a branch.
 */
export type MigrationBranch = {
/**
 * Name of the branch.
 */
branch: string,
/**
 * In a word.
 */
standing: MigrationStanding,
/**
 * How many files are applied.
 */
applied: number,
/**
 * How many will run at the next run.
 */
pending: number,
/**
 * By whose files it is judged.
 */
filesOf: MigrationFilesOf,
/**
 * Places in [`MigrationProject::files`] of the files that are not among those by which it is judged, and that are in no
 * entry therefore.
 */
absent?: Array<number>,
/**
 * All files in the project's order, then rows of the history without a file. See [`MigrationsStatusParams::brief`].
 */
entries: Array<MigrationEntry>,
/**
 * What is wrong on this branch.
 */
diagnostics: Array<MigrationDiagnostic>,
/**
 * Why its history was not read, in one sentence; the standing is unknown then.
 */
unread?: string,
/**
 * The snapshot that `migrations/undo` goes back to.
 */
undo?: MigrationsSnapshot, };

/**
 * The commands of a tool as one types them; absent where it has none.
 */
export type MigrationCommands = {
/**
 * Applies what is pending.
 */
apply?: string,
/**
 * Prints the tool's own status.
 */
status?: string,
/**
 * Takes the newest one back.
 */
down?: string, };

/**
 * Something that is wrong with a file, a configuration or a history.
 */
export type MigrationDiagnostic = {
/**
 * The file, relative to the worktree; empty if it is about the database.
 */
path: string,
/**
 * Line in the file, from 1.
 */
line: number,
/**
 * How bad.
 */
severity: MigrationSeverity,
/**
 * Its kind, such as `duplicateVersion`.
 */
code: string,
/**
 * What is wrong.
 */
message: string,
/**
 * What to do next; may be empty.
 */
hint: string, };

/**
 * A migration on a branch.
 */
export type MigrationEntry = {
/**
 * Its place in [`MigrationProject::files`], from 0; absent for a row without a file, and for a file that the worktree
 * does not have.
 */
file?: number,
/**
 * The path of a file that the worktree does not have. See [`MigrationBranch::files_of`].
 */
path?: string,
/**
 * What the tool calls a row without a file.
 */
row?: string,
/**
 * Its state.
 */
state: MigrationState,
/**
 * When it ran, as the history says it.
 */
at?: string,
/**
 * How long it ran, in milliseconds.
 */
tookMs?: number,
/**
 * What comes next.
 */
next: MigrationNext,
/**
 * What else is known, such as the error of a failure.
 */
note?: string, };

/**
 * A migration file.
 */
export type MigrationFile = {
/**
 * What the history knows it by.
 */
key: string,
/**
 * The version, if the tool has such.
 */
version?: string,
/**
 * What people call it.
 */
name: string,
/**
 * The file, relative to the worktree.
 */
path: string,
/**
 * Where in the file it starts, from 1.
 */
line: number,
/**
 * Runs whenever its content changed.
 */
repeatable?: boolean,
/**
 * Can be taken back.
 */
hasDown?: boolean, };

/**
 * By whose files a branch is judged.
 */
export type MigrationFilesOf = "asked" | "worktree" | "gitBranch" | "noGitBranch";

/**
 * What a tool will do with a migration at its next run.
 */
export type MigrationNext = "nothing" | "runs" | "refuses" | "skips";

/**
 * A migration tool in a folder.
 */
export type MigrationProject = {
/**
 * Unchanging name of it: the tool, and behind a colon its folder, unless that is the root.
 */
id: string,
/**
 * The tool, such as `node-pg-migrate`.
 */
tool: string,
/**
 * The tool's name for people.
 */
name: string,
/**
 * The layout, if the tool has several.
 */
layout?: string,
/**
 * The folder that the tool is run in, relative to the worktree; empty for its root.
 */
root: string,
/**
 * The configuration file, relative to the worktree.
 */
config?: string,
/**
 * The folders with migrations, relative to the worktree.
 */
folders: Array<string>,
/**
 * The history table as SQL; absent for plain files.
 */
history?: string,
/**
 * The migrations in the tool's order.
 */
files: Array<MigrationFile>,
/**
 * What they have done to the branches that were asked for, the worktree's first.
 */
branches: Array<MigrationBranch>,
/**
 * What is wrong with the files, on whatever branch.
 */
diagnostics: Array<MigrationDiagnostic>,
/**
 * The tool's commands, for people.
 */
commands: MigrationCommands,
/**
 * Whether all files are SQL, so that Offshoot itself can run them on throwaways.
 */
canReplay: boolean,
/**
 * Whether a new migration can be written from a difference.
 */
canNew: boolean, };

/**
 * How bad a finding is.
 */
export type MigrationSeverity = "note" | "warning" | "error";

/**
 * Where a branch stands.
 */
export type MigrationStanding = "upToDate" | "behind" | "diverged" | "unknown";

/**
 * What a migration has done to a branch.
 */
export type MigrationState = "applied" | "pending" | "failed" | "outOfOrder" | "changed" | "missing" | "unknownRow" | "baseline" | "ignored" | "unknown";

/**
 * How large a table is.
 */
export type MigrationTable = {
/**
 * Name of its schema.
 */
schema: string,
/**
 * Its name.
 */
name: string,
/**
 * How many rows it has, as Postgres estimates it; absent if they were never counted.
 */
rows?: number,
/**
 * Bytes of its rows, without indexes; of a partitioned table those of all partitions.
 */
bytes: number,
/**
 * Whether it is partitioned.
 */
partitioned: boolean,
/**
 * Whether its name alone means it, by the search path.
 */
visible: boolean, };

/**
 * What came of running migrations.
 */
export type MigrationsApplied = {
/**
 * Name of the branch.
 */
branch: string,
/**
 * Whether it was a throwaway of it.
 */
throwaway: boolean,
/**
 * Whether all went well. If not, [`Self::steps`] tells.
 */
passed: boolean,
/**
 * The snapshot that was taken before.
 */
snapshot?: MigrationsSnapshot,
/**
 * One for each project that was run.
 */
steps: Array<MigrationsStep>,
/**
 * The files that ran, relative to the worktree.
 */
ran: Array<string>,
/**
 * What the schema has now and had not before; on the branch, or its throwaway.
 */
changes: Array<SchemaChange>,
/**
 * The same as SQL.
 */
sql: string,
/**
 * What it cost, if that was asked for and all files are SQL.
 */
measured?: Measured,
/**
 * The status after it; absent for a throwaway.
 */
status?: MigrationsStatus, };

/**
 * Migrations are to be run with the tool's own command.
 */
export type MigrationsApplyParams = {
/**
 * Any path inside the worktree, whose files and database branch are meant.
 */
folder: string,
/**
 * Which project, by tool or id; absent means all that have something to run.
 */
tool?: string,
/**
 * Which way.
 */
direction?: MigrationsDirection,
/**
 * On a throwaway of the branch, which is gone afterwards; Offshoot runs SQL files itself there and records nothing.
 */
throwaway?: boolean,
/**
 * With `throwaway`: of this branch in place of the worktree's. Without: the one that the worktree has to lead to.
 */
branch?: string,
/**
 * With `throwaway`: up to and with this file, by path, key or version.
 */
to?: string,
/**
 * With `throwaway`: measures locks, rewrites and times of SQL files.
 */
measure?: boolean,
/**
 * Takes no snapshot before.
 */
noSnapshot?: boolean,
/**
 * Although a rule lets no session write to the branch.
 */
overrideRules?: boolean,
/**
 * The environment of the tool, which is all that it gets; the engine sets the address in it.
 */
environment?: Array<MigrationsVariable>, };

/**
 * Migrations are to be checked on a throwaway.
 */
export type MigrationsCheckParams = {
/**
 * Any path inside the worktree, whose files are meant.
 */
folder: string,
/**
 * The database branch whose throwaway they are run on; absent means the parent of the worktree's, or the root.
 */
against?: string,
/**
 * Which project, by tool or id; absent means all.
 */
tool?: string,
/**
 * As in [`MigrationsApplyParams`].
 */
environment?: Array<MigrationsVariable>, };

/**
 * Somebody who is connected to a branch.
 */
export type MigrationsConnection = {
/**
 * Process id of its backend.
 */
pid: number,
/**
 * Its `application_name`; may be empty.
 */
application: string,
/**
 * Name of its role.
 */
user: string,
/**
 * Whether it has a transaction open.
 */
inTransaction: boolean, };

/**
 * Which way migrations are run.
 */
export type MigrationsDirection = "up" | "down";

/**
 * What a branch has that the files do not make, and the other way round.
 */
export type MigrationsDrift = {
/**
 * Name of the branch.
 */
branch: string,
/**
 * Whether there is any difference; absent if the files could not be replayed, so that nothing is known.
 */
drifted?: boolean,
/**
 * Why nothing is known, then.
 */
unknown?: string,
/**
 * How many migrations were replayed. Those that the branch has not applied are left out.
 */
replayed: number,
/**
 * What the branch has and the files do not make.
 */
changes: Array<SchemaChange>,
/**
 * What makes the schema of the files into that of the branch.
 */
sql: string,
/**
 * Those objects as the files make them, as SQL; absent if nothing differs.
 */
expected?: string,
/**
 * The same objects as the branch has them, in the same order.
 */
actual?: string,
/**
 * How long it took.
 */
tookMs: number,
/**
 * How the replay went. If a step failed, nothing is known of the difference.
 */
steps: Array<MigrationsStep>,
/**
 * Whether the replay went well.
 */
passed: boolean,
/**
 * What could not be told, and was left out of the comparison.
 */
notes: Array<string>,
/**
 * What to do next: what makes a migration of the difference, or how what no migration made is taken as given; absent if nothing differs.
 */
hint?: string, };

/**
 * Asks whether a branch has the schema that the files make.
 */
export type MigrationsDriftParams = {
/**
 * Any path inside the worktree, whose files are meant.
 */
folder: string,
/**
 * Name of the database branch; absent means the worktree's.
 */
branch?: string,
/**
 * Which project, by tool or id; absent means all.
 */
tool?: string,
/**
 * As in [`MigrationsApplyParams`].
 */
environment?: Array<MigrationsVariable>,
/**
 * Takes what the branch has now as given, whatever made it: from now on it is compared with that and the files that run later.
 */
accept?: boolean, };

/**
 * A statement that Postgres refused.
 */
export type MigrationsFailure = {
/**
 * The file, relative to the worktree.
 */
path: string,
/**
 * Line in the file, from 1.
 */
line: number,
/**
 * Column in characters, from 1.
 */
column: number,
/**
 * The statement.
 */
statement: string,
/**
 * What Postgres said.
 */
message: string,
/**
 * SQLSTATE.
 */
code: string,
/**
 * What Postgres advises.
 */
hint?: string, };

/**
 * A new migration.
 */
export type MigrationsNew = {
/**
 * The project's id.
 */
project: string,
/**
 * The files that were written, relative to the worktree; to be opened in this order.
 */
files: Array<string>,
/**
 * Its statements.
 */
sql: string,
/**
 * What to look at before it is used.
 */
notes: Array<string>,
/**
 * The database branch that it was made on, and that has what it does already. Absent for an empty one.
 */
branch?: string,
/**
 * Whether the files, run after all others on a throwaway of where it starts from, make the schema of the branch.
 * Absent for an empty one.
 */
proof?: MigrationsStep,
/**
 * The commands that bring the branch in line with its files, in their order; empty if there are none.
 */
inLine: Array<string>,
/**
 * The command of the tool that records it as applied on the branch without running it, where it has one.
 */
mark?: string, };

/**
 * A new migration is to be written.
 */
export type MigrationsNewParams = {
/**
 * Any path inside the worktree.
 */
folder: string,
/**
 * What it is called.
 */
name: string,
/**
 * Which project, by tool or id; absent means the only one.
 */
tool?: string,
/**
 * The database branch that it starts from, with the files that are pending there; absent means the parent of the
 * worktree's branch, and for a branch without one an empty database with all files.
 */
from?: string,
/**
 * Writes no statements.
 */
empty?: boolean,
/**
 * As in [`MigrationsApplyParams`].
 */
environment?: Array<MigrationsVariable>, };

/**
 * What is to be done when a checkout leads to a branch with pending migrations.
 */
export type MigrationsOnCheckout = "ask" | "apply" | "nothing";

/**
 * One order of two merges.
 */
export type MigrationsOrder = {
/**
 * The git branch that is merged first.
 */
first: string,
/**
 * The files that ran, in their order.
 */
ran: Array<string>,
/**
 * Files that the tool would pass over in silence.
 */
skipped: Array<string>,
/**
 * Files because of which the tool would stop.
 */
refused: Array<string>,
/**
 * The statement that failed.
 */
failure?: MigrationsFailure, };

/**
 * How a step went.
 */
export type MigrationsOutcome = "passed" | "failed" | "skipped";

/**
 * My branch and another one.
 */
export type MigrationsPair = {
/**
 * The other git branch.
 */
other: string,
/**
 * Failed if merging both in some order goes wrong; skipped if it could not be tried.
 */
outcome: MigrationsOutcome,
/**
 * In one sentence.
 */
message: string,
/**
 * What goes wrong.
 */
findings: Array<MigrationDiagnostic>,
/**
 * Mine first, then the other one first.
 */
orders: Array<MigrationsOrder>,
/**
 * What the schema has if mine comes first and has not if the other one does.
 */
differs: Array<SchemaChange>, };

/**
 * What a file held when it ran.
 */
export type MigrationsRan = {
/**
 * Name of the branch.
 */
branch: string,
/**
 * The id that git gives that content, if it was seen.
 */
blob?: string,
/**
 * The text, if git has it or it was kept.
 */
text?: string,
/**
 * Why there is no text, in one sentence.
 */
why?: string, };

/**
 * What a file held when it ran is wanted.
 */
export type MigrationsRanParams = {
/**
 * Any path inside the worktree, whose branch is meant.
 */
folder: string,
/**
 * The project, by tool or id; absent means the first that has the file.
 */
tool?: string,
/**
 * The file, relative to the worktree.
 */
path: string, };

/**
 * What merging each of the others before and after mine does.
 */
export type MigrationsRehearsal = {
/**
 * The git branch of the worktree.
 */
mine: string,
/**
 * The git branch that they are merged into.
 */
base: string,
/**
 * The database branch of it, of which throwaways were made.
 */
branch: string,
/**
 * Whether no pair has an error.
 */
passed: boolean,
/**
 * One for each other branch.
 */
pairs: Array<MigrationsPair>,
/**
 * How long it took.
 */
tookMs: number,
/**
 * What was not tried, and why.
 */
notes: Array<string>, };

/**
 * Merges are to be rehearsed.
 */
export type MigrationsRehearseParams = {
/**
 * Any path inside the worktree, whose git branch is mine.
 */
folder: string,
/**
 * Other git branches; empty means all that are not merged.
 */
with?: Array<string>,
/**
 * That the migrations of other git branches may run, as they are now, is agreed to and remembered. Without it, and without
 * names in `with`, commits that were not agreed to fail with the reason `notAgreed`.
 */
agreed?: boolean,
/**
 * The git branch that they are merged into; absent means the one of the root database branch.
 */
base?: string,
/**
 * Which project, by tool or id; absent means all.
 */
tool?: string,
/**
 * As in [`MigrationsApplyParams`].
 */
environment?: Array<MigrationsVariable>, };

/**
 * What a check found.
 */
export type MigrationsReport = {
/**
 * Root folder of the worktree.
 */
worktree: string,
/**
 * The database branch that it was tried against.
 */
against: string,
/**
 * Whether no step failed.
 */
passed: boolean,
/**
 * In their order.
 */
steps: Array<MigrationsStep>,
/**
 * The files that ran, relative to the worktree.
 */
ran: Array<string>,
/**
 * What they do to the schema.
 */
changes: Array<SchemaChange>,
/**
 * The same as SQL.
 */
sql: string,
/**
 * What they cost, where all files are SQL.
 */
measured?: Measured,
/**
 * How long the check took.
 */
tookMs: number,
/**
 * The report for people, as Markdown.
 */
markdown: string, };

/**
 * A snapshot that was taken before migrations were applied.
 */
export type MigrationsSnapshot = {
/**
 * Name of the branch.
 */
branch: string,
/**
 * Its name among those of the branch: `B@NAME` is it.
 */
name: string,
/**
 * Seconds since 1970.
 */
createdAt: number, };

/**
 * The migrations of a worktree and what they have done to branches.
 */
export type MigrationsStatus = {
/**
 * Root folder of the worktree.
 */
worktree: string,
/**
 * Name of the worktree's database branch.
 */
branch?: string,
/**
 * The commit or git branch whose files these are, if not the worktree's.
 */
commit?: string,
/**
 * By folder and tool. Empty if no tool was found.
 */
projects: Array<MigrationProject>,
/**
 * What is wrong with files of no project.
 */
diagnostics: Array<MigrationDiagnostic>,
/**
 * What is to be done when a checkout leads to a branch with pending migrations.
 */
onCheckout: MigrationsOnCheckout,
/**
 * The tables of the worktree's branch, if [`MigrationsStatusParams::sizes`] asked for them and they were ever seen.
 */
tables?: Array<MigrationTable>, };

/**
 * Whose migrations are wanted.
 */
export type MigrationsStatusParams = {
/**
 * Any path inside the worktree.
 */
folder: string,
/**
 * Names of database branches; empty means the worktree's.
 */
branches?: Array<string>,
/**
 * All database branches in place of `branches`.
 */
all?: boolean,
/**
 * Only the projects of this tool, as [`MigrationProject::tool`] or [`MigrationProject::id`] has it.
 */
tool?: string,
/**
 * The files of this commit or git branch in place of those of the worktree.
 */
commit?: string,
/**
 * Wakes no branch: what a sleeping one has is told if it is known, and is unknown otherwise.
 */
knownOnly?: boolean,
/**
 * Adds the sizes of the tables of the worktree's branch.
 */
sizes?: boolean,
/**
 * Leaves out applied entries on all branches but the worktree's.
 */
brief?: boolean, };

/**
 * A step of a check, or a run of a tool.
 */
export type MigrationsStep = {
/**
 * What it tried.
 */
kind: MigrationsStepKind,
/**
 * The project's id; absent for a step of all.
 */
project?: string,
/**
 * What people are told of it.
 */
title: string,
/**
 * How it went.
 */
outcome: MigrationsOutcome,
/**
 * One sentence; may be empty if it went well.
 */
message: string,
/**
 * What to do next.
 */
hint?: string,
/**
 * How long it took.
 */
tookMs: number,
/**
 * What the tool printed, or the statements that were run; the end of it, if it was much.
 */
log: string,
/**
 * Where it failed, if that is known.
 */
failure?: MigrationsFailure, };

/**
 * What a step tried.
 */
export type MigrationsStepKind = "files" | "apply" | "proof" | "again" | "down" | "cost" | "command";

/**
 * A branch is to be taken back to before its migrations were applied last.
 */
export type MigrationsUndoParams = {
/**
 * Any path inside the worktree.
 */
folder: string,
/**
 * Name of the branch; absent means the worktree's.
 */
branch?: string,
/**
 * Name of the snapshot; absent means the newest that was taken before migrations.
 */
snapshot?: string,
/**
 * Only tell what it would be, and whom it would disconnect.
 */
dryRun?: boolean,
/**
 * Against the rules of `offshoot.toml`.
 */
overrideRules?: boolean, };

/**
 * A branch was taken back.
 */
export type MigrationsUndone = {
/**
 * Name of the branch.
 */
branch: string,
/**
 * What it is again.
 */
snapshot: MigrationsSnapshot,
/**
 * The command that brings back what it was before this.
 */
redo: string,
/**
 * Who was connected, and is not any more.
 */
ended: Array<MigrationsConnection>, };

/**
 * A variable of the environment that a tool is started with.
 */
export type MigrationsVariable = {
/**
 * Name.
 */
name: string,
/**
 * Value.
 */
value: string, };

/**
 * Something that a person should know about a worktree.
 */
export type Note = {
/**
 * What it is about.
 */
kind: NoteKind,
/**
 * One sentence.
 */
text: string,
/**
 * What to do.
 */
hint?: string, };

/**
 * Subjects of [`Note`]s.
 */
export type NoteKind = "detached" | "ask" | "noBranch" | "otherCommits" | "config" | "portTaken" | "binding" | "compute" | "disk" | "gone" | "follow" | "envFile" | "hook" | "readOnly";

/**
 * Parameters or result of methods that have none: an empty object.
 */
export type Nothing = Record<symbol, never>;

/**
 * A part of an object: a column, an index, a constraint.
 */
export type ObjectPart = {
/**
 * `column`, `index`, `constraint` …
 */
kind: string,
/**
 * Its name.
 */
name: string,
/**
 * What is to be said of it in a line.
 */
detail: string, };

/**
 * The parts of an object.
 */
export type ObjectParts = {
/**
 * In the order of the definition.
 */
parts: Array<ObjectPart>, };

/**
 * Something to decide about a worktree's databases, until it is done or [`crate::types::Answer::Dismiss`] is said.
 */
export type Offer = {
/**
 * What git did.
 */
kind: OfferKind,
/**
 * The database branch that it is about: that was left, merged, rebased, or that has the migration.
 */
branch: string,
/**
 * The one that the worktree went to, or that `branch` was merged into.
 */
into?: string,
/**
 * Migrations: applied on `branch` and not among the files of `into`; pending after a merge or a rebase; reverted.
 */
migrations?: Array<string>,
/**
 * Whether the branch that was left has changes of the schema that are in no migration, as far as is known.
 */
changes?: boolean,
/**
 * Transactions that were open on the branch that was left, and were rolled back.
 */
transactions?: number,
/**
 * After a merge: `on_merge = "apply"`.
 */
apply?: boolean,
/**
 * After a merge: the branch is protected, or a tier, and its database branch is not offered to be deleted.
 */
keeps?: boolean,
/**
 * One sentence.
 */
text: string,
/**
 * What to do in a terminal.
 */
hint: string, };

/**
 * What git did.
 */
export type OfferKind = "left" | "merged" | "rebased" | "reverted";

/**
 * A rule, or a line.
 */
export type PolicyPlace = {
/**
 * The file; with `main:` before it as it is committed on the branch `main`.
 */
file: string,
/**
 * From 1.
 */
line: number,
/**
 * The pattern of the rule.
 */
pattern?: string, };

/**
 * A major version of Postgres.
 */
export type PostgresMajor = {
/**
 * Its number.
 */
major: number,
/**
 * The version that is on this machine, such as `18.4`; absent if it has to be fetched.
 */
version?: string, };

/**
 * Which versions of Postgres a new database can run on.
 */
export type PostgresVersions = {
/**
 * Newest first.
 */
majors: Array<PostgresMajor>,
/**
 * The major that is taken when nobody chooses.
 */
default: number, };

/**
 * A repository with its database.
 */
export type ProjectStatus = {
/**
 * The same for all worktrees of a repository: its git common directory.
 */
id: string,
/**
 * The worktree that the folder lies in. Its endpoint's URL has no password here; `offshoot/url` has it.
 */
worktree: WorktreeStatus,
/**
 * Parents before children.
 */
branches: Array<Branch>,
/**
 * What `offshoot/branch/undo` would bring back: the name of a branch.
 */
undo?: string,
/**
 * Postgres that the branches run on, such as `18.1`.
 */
postgres: string,
/**
 * What the worktree's branch does to the schema.
 */
schema: SchemaStatus,
/**
 * Grows whenever `offshoot/migrations/status` has something else to tell; absent while it has nothing.
 */
migrations?: number,
/**
 * Long work that was asked for here, in this window or in another one.
 */
jobs: Array<Job>, };

/**
 * Something that a tier wants.
 */
export type PromoteCheck = {
/**
 * As the file has it: a word of `checks`, `max_lock` or `max_rewrite`.
 */
name: string,
/**
 * How it went. What could not be tried does not hold either.
 */
outcome: MigrationsOutcome,
/**
 * What was found, in one sentence; may be empty if it went well.
 */
message: string,
/**
 * What to do.
 */
hint?: string,
/**
 * The line that wants it; absent for what is always wanted.
 */
place?: PolicyPlace, };

/**
 * The migrations of a git branch are to be promoted.
 */
export type PromoteParams = {
/**
 * Any path inside the worktree, whose installed packages the tools may need.
 */
folder: string,
/**
 * The git branch; absent means the one that is checked out.
 */
branch?: string,
/**
 * The branch of the tier; absent means the next.
 */
to?: string,
/**
 * The commit that the branch has to be at, such as that of a trial which somebody agreed to; absent means any.
 */
commit?: string,
/**
 * Which project, by tool or id; absent means all.
 */
tool?: string,
/**
 * Only the checks.
 */
dryRun?: boolean,
/**
 * Against the rules of `offshoot.toml`, where they allow it.
 */
overrideRules?: boolean,
/**
 * The environment of the tools.
 */
environment?: Array<MigrationsVariable>, };

/**
 * What came of it.
 */
export type Promoted = {
/**
 * The git branch.
 */
branch: string,
/**
 * Its commit, whose files ran.
 */
commit: string,
/**
 * The branch of the tier.
 */
to: string,
/**
 * Whether only the checks were made.
 */
dryRun: boolean,
/**
 * Whether the tier has the migrations now, or would have.
 */
passed: boolean,
/**
 * The files that the tier lacked, in the order in which they run.
 */
lacked: Array<string>,
/**
 * One for each thing that the tier wants.
 */
checks: Array<PromoteCheck>,
/**
 * Whether a check was gone past.
 */
overridden: boolean,
/**
 * Whether `--override` would go past the checks that failed.
 */
mayOverride: boolean,
/**
 * What was tried on a throwaway; absent if nothing was lacking.
 */
report?: MigrationsReport,
/**
 * What was done on the tier's branch.
 */
applied?: MigrationsApplied,
/**
 * Whether the tier's branch was taken back to what it was, as the tool failed there.
 */
takenBack: boolean,
/**
 * What a person should know.
 */
notes?: Array<string>,
/**
 * How long all of it took.
 */
tookMs: number, };

/**
 * Situations that a client acts on by itself.
 */
export type Reason = "copiedRepository" | "cancelled" | "unknownMethod" | "stopping" | "stopped" | "missingTool" | "noMigrations" | "notAgreed" | "underWay" | "ruled";

/**
 * A failure as a person reads it: what happened, and what to do next.
 *
 * Travels in `error.data` of a JSON-RPC response; `error.message` repeats the message.
 */
export type RpcError = {
/**
 * Whose move it is.
 */
kind: ErrorKind,
/**
 * One sentence, lower case, without a full stop: what happened, to which branch.
 */
message: string,
/**
 * What to do next; may have several lines.
 */
hint?: string,
/**
 * A stable word for programs that act on this very situation.
 */
reason?: Reason, };

/**
 * An object that differs.
 */
export type SchemaChange = {
/**
 * What happened to it: on the branch; of [`ChangeGroup::Theirs`], and of a conflict that only the parent's change is in,
 * on the parent.
 */
change: ChangeKind,
/**
 * The object.
 */
object: SchemaObject,
/**
 * What it is called in the schema that it is compared with, if it is called otherwise there: at the fork point, in a
 * conflict on the parent. It may be its schema that was renamed.
 */
renamedFrom?: SchemaObject,
/**
 * Whose change it is.
 */
group: ChangeGroup,
/**
 * In a conflict: what the branch did to it since the fork point; absent if nothing.
 */
mine?: ChangeKind,
/**
 * In a conflict: what the parent did to it since the fork point; absent if nothing.
 */
theirs?: ChangeKind,
/**
 * In a conflict: what collides, a sentence each. Empty otherwise.
 */
reasons?: Array<string>, };

/**
 * An object that a person sees as one thing; a table with its columns, constraints and indexes.
 */
export type SchemaObject = {
/**
 * `table`, `view`, `function` …: as `offshoot-schema` names it.
 */
kind: string,
/**
 * Schema, if it lies in one.
 */
schema?: string,
/**
 * Name; of a function with the types of its arguments.
 */
name: string, };

/**
 * The objects of a schema.
 */
export type SchemaObjects = {
/**
 * The branch would have to be woken.
 */
asleep: boolean,
/**
 * Sorted by kind, schema and name.
 */
objects: Array<SchemaObject>, };

/**
 * A state of a branch's schema.
 */
export type SchemaState = "present" | "fork";

/**
 * What a branch does to the schema of its parent.
 */
export type SchemaStatus = { "kind": "none" } | { "kind": "reading" } | { "kind": "ready",
/**
 * Name of the branch.
 */
branch: string,
/**
 * Name of the parent.
 */
base: string,
/**
 * Changes with every new state of either schema; a document that was read at another revision is stale.
 */
revision: number,
/**
 * Whether `changes` are those since the fork point.
 */
fork: ForkPoint,
/**
 * Sorted by schema and name. An object of which each side changed another part is there twice, as mine and as theirs.
 */
changes: Array<SchemaChange>, } | { "kind": "failed",
/**
 * Why.
 */
error: RpcError, };

/**
 * A summary.
 */
export type SchemaSummary = {
/**
 * The document in the language `offshoot-diff`.
 */
document: string,
/**
 * JSON of a picture of `offshoot-summary`.
 */
picture: string, };

/**
 * The editor's trust in the workspace changed, which it does in one direction only.
 */
export type TrustParams = {
/**
 * Whether programs may be run.
 */
trusted: boolean, };

/**
 * What `branch/undo` brought back.
 */
export type UndoResult = {
/**
 * The branch as it is now.
 */
branch: Branch,
/**
 * True if a branch of that name existed and was replaced (a reset was undone).
 */
replaced: boolean,
/**
 * True if its expiry had passed, and was taken away.
 */
hadExpired: boolean, };

/**
 * A worktree, its branch and its endpoint.
 */
export type WorktreeStatus = {
/**
 * Root folder of the worktree.
 */
path: string,
/**
 * What is checked out.
 */
git: GitHead,
/**
 * The database branch that the endpoint leads to; absent when it could not be made (see `notes`).
 */
branch?: Branch,
/**
 * The address.
 */
endpoint: EndpointStatus,
/**
 * What a person should know.
 */
notes: Array<Note>,
/**
 * The question that the checkout raised, with `on_checkout = "ask"`.
 */
ask?: Ask,
/**
 * What git did that leaves something to decide, newest last.
 */
offers?: Array<Offer>, };
