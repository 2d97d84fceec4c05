//! What happened to branches, and when. Each act is written in the transaction that does it, so that the two agree after a crash.
//!
//! A branch has one number for each state that it was ever in: a reset makes another one. So an event names the state that it is
//! about and, where one took the place of another, both. Events outlive what they are about.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Row, Transaction, params};

use crate::BranchId;
use crate::error::StorageError;
use crate::past::now_us;
use crate::store::Store;

/// How many are kept.
const MOST: i64 = 10_000;
/// How long they are kept.
const KEPT: Duration = Duration::from_hours(365 * 24);
/// How many that are too old go at a time, with each new one.
const TRIMMED: i64 = 50;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A branch was made of [`Event::other`]; [`Event::detail`] is the moment or, after an `@`, the snapshot, if it was not made of the
    /// present.
    Created,
    /// It was put back to the present of its parent, [`Event::other_name`]; [`Event::other`] is what it was.
    Reset,
    /// It was taken back to the moment or the snapshot of [`Event::detail`]; [`Event::other`] is what it was.
    Restored,
    /// It, the root branch, got new data; [`Event::other`] is what it was.
    Refreshed,
    /// It was called [`Event::other_name`] before.
    Renamed,
    /// It went to the trash.
    Deleted,
    /// It came back from the trash, in the place of [`Event::other`] if that was there.
    Undone,
    /// A snapshot was taken under the name of [`Event::detail`].
    SnapshotTaken,
    /// The snapshot of that name was removed.
    SnapshotRemoved,
    /// What the caller tells, by a word of its own.
    Told(String),
}

impl EventKind {
    /// The word that it is written down by.
    pub(crate) fn word(&self) -> &str {
        match self {
            Self::Created => "created",
            Self::Reset => "reset",
            Self::Restored => "restored",
            Self::Refreshed => "refreshed",
            Self::Renamed => "renamed",
            Self::Deleted => "deleted",
            Self::Undone => "undone",
            Self::SnapshotTaken => "snapshot",
            Self::SnapshotRemoved => "snapshot removed",
            Self::Told(word) => word,
        }
    }

    fn parse(text: String) -> Self {
        let own = [
            Self::Created,
            Self::Reset,
            Self::Restored,
            Self::Refreshed,
            Self::Renamed,
            Self::Deleted,
            Self::Undone,
            Self::SnapshotTaken,
            Self::SnapshotRemoved,
        ];
        own.into_iter().find(|kind| kind.word() == text).unwrap_or(Self::Told(text))
    }
}

/// Something that happened to a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Grows with each.
    pub number: u64,
    /// When.
    pub at: SystemTime,
    /// What.
    pub kind: EventKind,
    /// The state of the branch afterwards.
    pub branch: BranchId,
    /// The branch's name then.
    pub name: String,
    /// Another branch or state, by kind.
    pub other: Option<BranchId>,
    /// Another name, by kind.
    pub other_name: Option<String>,
    /// More, by kind.
    pub detail: Option<String>,
}

impl Event {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get::<_, i64>("number")? as u64,
            at: UNIX_EPOCH + Duration::from_micros(row.get::<_, i64>("at_us")? as u64),
            kind: EventKind::parse(row.get("kind")?),
            branch: BranchId(row.get::<_, i64>("branch")? as u64),
            name: row.get("name")?,
            other: row.get::<_, Option<i64>>("other")?.map(|id| BranchId(id as u64)),
            other_name: row.get("other_name")?,
            detail: row.get("detail")?,
        })
    }
}

/// Writes what happened to `branch`, as a part of doing it. The oldest of what is too much, or too old, goes.
pub(crate) fn record(
    transaction: &Transaction<'_>,
    kind: EventKind,
    branch: (BranchId, &str),
    other: (Option<BranchId>, Option<&str>),
    detail: Option<&str>,
) -> Result<(), StorageError> {
    let now = now_us();
    transaction
        .prepare_cached(
            "INSERT INTO events (at_us, kind, branch, name, other, other_name, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            now as i64,
            kind.word(),
            branch.0.0 as i64,
            branch.1,
            other.0.map(|id| id.0 as i64),
            other.1,
            detail
        ])?;
    let newest = transaction.last_insert_rowid();
    let limit = now.saturating_sub(KEPT.as_micros() as u64);
    transaction.prepare_cached("DELETE FROM events WHERE number <= ?1")?.execute([newest - MOST])?;
    transaction
        .prepare_cached(
            "DELETE FROM events WHERE number < (SELECT min(number) FROM events) + ?1 AND at_us < ?2",
        )?
        .execute([TRIMMED, limit as i64])?;
    Ok(())
}

impl Store {
    /// What happened to branches, the newest first: at the most ten thousand events, of the last year.
    ///
    /// # Errors
    /// Only if the metadata cannot be read.
    pub fn events(&self) -> Result<Vec<Event>, StorageError> {
        self.shared.metadata.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT * FROM events ORDER BY number DESC")?;
            statement.query_map([], Event::read)?.collect()
        })
    }

    /// Writes down what the caller did to a live branch. `word` is none of the store's own.
    ///
    /// # Errors
    /// [`StorageError::NoSuchBranch`].
    pub fn tell_event(&self, branch: BranchId, word: &str, detail: Option<&str>) -> Result<(), StorageError> {
        let row = self.shared.branch_row(branch)?;
        let kind = EventKind::Told(word.to_owned());
        self.shared
            .metadata
            .transaction(|transaction| record(transaction, kind, (row.id, &row.name), (None, None), detail))
    }
}
