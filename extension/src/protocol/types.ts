// Generated from `sidecar/protocol`: do not edit. `npm run generate` writes it anew.

/**
 * What a person says to [`Ask`].
 */
export type Answer = "create" | "useParent" | "never" | "askAgain";

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
 * Cannot be deleted, reset or renamed.
 */
protected: boolean,
/**
 * When it goes to the trash by itself, in seconds since 1970.
 */
expiresAt?: number, };

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
workDoneToken?: string, };

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
from?: string, };

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
to: string, };

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
export type NoteKind = "detached" | "ask" | "noBranch" | "otherCommits" | "config" | "portTaken" | "binding" | "compute";

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
 * Long work that was asked for here, in this window or in another one.
 */
jobs: Array<Job>, };

/**
 * Situations that a client acts on by itself.
 */
export type Reason = "copiedRepository" | "cancelled" | "unknownMethod" | "stopping" | "stopped";

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
replaced: boolean, };

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
ask?: Ask, };
