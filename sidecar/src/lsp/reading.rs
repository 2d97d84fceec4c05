//! What blocks: connecting to an engine, waiting for its events, reading its state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use offshoot_protocol::client::HangUp;
use offshoot_protocol::error::Reason;
use offshoot_protocol::method::{
    BranchGetList, ChangedNotification, EngineGetStatus, SchemaGetChanges, Subscribe, WorktreeGetStatus,
};
use offshoot_protocol::types::{
    BranchList, Nothing, SchemaChanges, SchemaChangesParams, Subject, WorktreeParams, WorktreeStatus,
};
use offshoot_protocol::{Client, ClientError, RpcError};

use super::Background;
use crate::address::without_password;
use crate::failure::{Failure, Result};
use crate::project::Project;
use crate::renames;
use crate::session::{connect, engine_file, not_running, try_connect};

/// How long the engine may take to tell its state: a switch in progress is waited for.
const READ_PATIENCE: Duration = Duration::from_mins(1);
/// How long it may take to read a schema: two servers may have to wake.
const SCHEMA_PATIENCE: Duration = Duration::from_mins(3);
/// How long an event is waited for at a time; the end of the connection is seen at once.
const EVENT_WAIT: Duration = Duration::from_hours(1);

/// Two connections to an engine.
pub(super) struct Connection {
    /// Subscribed already, so that nothing changes unseen from here on.
    pub(super) events: Client,
    /// Ends `events`.
    pub(super) hang_up: HangUp,
    pub(super) reader: Client,
    /// Of the engine.
    pub(super) pid: u32,
    /// Version of its Postgres.
    pub(super) postgres: String,
}

/// The state of a repository's databases, as the engine told it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) list: BranchList,
    /// By root. URLs have no password.
    pub(super) worktrees: BTreeMap<PathBuf, Result<WorktreeStatus, RpcError>>,
}

/// Connects, starting the engine if it may be.
pub(super) fn open(
    project: &Project,
    may_start: bool,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Connection> {
    let mut events = connect(project, &Background { may_start, is_cancelled })?;
    let hang_up = events.hang_up()?;
    events.call::<Subscribe>(&Nothing {}, READ_PATIENCE)?;
    let mut reader = try_connect(&project.store)?.ok_or_else(not_running)?;
    let status = reader.call::<EngineGetStatus>(&Nothing {}, READ_PATIENCE)?;
    Ok(Connection { events, hang_up, reader, pid: status.pid, postgres: status.postgres })
}

/// Reads everything but schemas.
///
/// # Errors
/// If the connection cannot be used any more. What the engine refuses for one worktree stands in its place.
pub(super) fn read(client: &mut Client, worktrees: &BTreeSet<PathBuf>) -> Result<Seen> {
    let mut seen = BTreeMap::new();
    for root in worktrees {
        let path = root.to_string_lossy().into_owned();
        let status = match client.call::<WorktreeGetStatus>(&WorktreeParams { path }, READ_PATIENCE) {
            Ok(status) => Ok(bare(status)),
            Err(ClientError::Rpc(error)) => Err(error),
            Err(other) => return Err(other.into()),
        };
        seen.insert(root.clone(), status);
    }
    let list = client.call::<BranchGetList>(&Nothing {}, READ_PATIENCE)?;
    Ok(Seen { list, worktrees: seen })
}

fn bare(mut status: WorktreeStatus) -> WorktreeStatus {
    status.endpoint.url = without_password(&status.endpoint.url);
    status
}

/// Compares a branch's schema with its parent's, with the renames that the work tree `root` confirms.
pub(super) fn read_schema(store: &Path, branch: String, root: Option<&Path>) -> Result<SchemaChanges> {
    let lines = root.map(renames::of_worktree).transpose().unwrap_or_else(|failure| {
        tracing::warn!(error = %failure, "read the renames of a work tree");
        None
    });
    let renames = lines.unwrap_or_default().into_iter().map(|line| line.text).collect();
    let mut client = try_connect(store)?.ok_or_else(not_running)?;
    Ok(client.call::<SchemaGetChanges>(
        &SchemaChangesParams { branch, base: None, three_way: true, renames },
        SCHEMA_PATIENCE,
    )?)
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The engine took its leave: somebody stopped it.
    Orderly,
    /// It died, or another one is in its place.
    Other,
}

/// Hands every event to `tell` until the connection ends or `tell` says that nobody listens.
pub(super) fn follow(
    mut events: Client,
    pid: u32,
    store: &Path,
    mut tell: impl FnMut(Subject) -> bool,
) -> Ending {
    loop {
        match events.next_notification::<ChangedNotification>(EVENT_WAIT) {
            Ok(Some(changed)) if !tell(changed.what) => return Ending::Other,
            Ok(_) => (),
            Err(error) => {
                // An engine that is stopped removes its file before it goes; a killed one leaves it.
                let ending = if engine_file(store).is_none() { Ending::Orderly } else { Ending::Other };
                tracing::info!(%error, pid, ?ending, "the connection to the engine ended");
                return ending;
            }
        }
    }
}

/// The error of an engine that was stopped by somebody.
pub(super) fn stopped() -> RpcError {
    let text = "the engine was stopped";
    Failure::engine(text)
        .reason(Reason::Stopped)
        .hint("Start the engine, or use any command: it starts by itself.")
        .0
}
