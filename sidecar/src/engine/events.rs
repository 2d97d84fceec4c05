//! `branch/log`: what happened to branches, in lines.
//!
//! The store tells of states: a reset makes another one of the same branch. Those that took each other's places are one line here,
//! whatever the branch was called.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use offshoot_protocol::past::{Log, LogEntry, LogKind, LogParams};
use offshoot_storage::{BranchId, Event, EventKind};
use serde::{Deserialize, Serialize};

use super::{Engine, branches};
use crate::failure::{Failure, Result};
use crate::timestamp;

/// The word for migrations that ran.
const MIGRATED: &str = "migrated";
/// The word for a branch that came in a bundle.
const UNBUNDLED: &str = "bundle";
/// Entries of one answer; a message has an end.
const MOST: usize = 2000;

/// What the engine tells the store about an act of its own.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    /// What it did.
    pub(super) what: String,
    /// The git commit that was checked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) commit: Option<String>,
    /// Whether it went wrong.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) failed: bool,
}

/// Writes down that migrations ran on a branch. That it cannot be is no reason for them to have failed. Blocks.
pub(super) fn migrated(engine: &Engine, id: BranchId, told: &Told) {
    tell(engine, id, MIGRATED, told);
}

/// Writes down where a branch came from that was made of a bundle. Blocks.
pub(super) fn unbundled(engine: &Engine, id: BranchId, of: &str) {
    let told = Told { what: format!("came in a bundle of {of}"), ..Told::default() };
    tell(engine, id, UNBUNDLED, &told);
}

fn tell(engine: &Engine, id: BranchId, word: &str, told: &Told) {
    let written = serde_json::to_string(told)
        .map_err(|e| Failure::internal(e.to_string()))
        .and_then(|text| Ok(engine.store.tell_event(id, word, Some(&text))?));
    if let Err(failure) = written {
        tracing::warn!(id = id.0, error = %failure, word, "what happened is not written down");
    }
}

/// `branch/log`.
pub(super) async fn log(engine: &Arc<Engine>, params: LogParams) -> Result<Log> {
    engine.blocking(move |engine| read(engine, &params)).await
}

fn read(engine: &Engine, params: &LogParams) -> Result<Log> {
    let events = engine.store.events()?;
    let lines = Lines::of(&events);
    let mut oldest_moment = None;
    let chosen: Vec<&Event> = match &params.branch {
        None => events.iter().collect(),
        Some(name) => {
            let live = engine.store.branch_named(name)?.map(|branch| branch.id);
            if let Some(id) = live {
                oldest_moment = engine.store.oldest_moment(id)?.map(timestamp::seconds);
            }
            let gone = || events.iter().find(|event| event.name == *name).map(|event| event.branch);
            let Some(id) = live.or_else(gone) else { return Err(branches::unknown(name)) };
            with_origins(&events, &lines, id)
        }
    };
    let limit = params.limit.map_or(MOST, |limit| limit as usize).min(MOST);
    let older = chosen.len().saturating_sub(limit) as u32;
    let ways = Ways::of(engine)?;
    let entries = chosen.into_iter().take(limit).map(|event| entry(event, &lines, &ways)).collect();
    Ok(Log { entries, older, oldest_moment })
}

/// What happened to the branch of `id`, and to each that it comes from before it was made; newest first.
fn with_origins<'e>(events: &'e [Event], lines: &Lines, id: BranchId) -> Vec<&'e Event> {
    let mut line = Some(lines.of_state(id));
    let mut chosen = Vec::new();
    for event in events {
        if line == Some(lines.of_state(event.branch)) {
            chosen.push(event);
            if event.kind == EventKind::Created {
                line = event.other.map(|parent| lines.of_state(parent));
            }
        }
    }
    chosen
}

/// Which states are the same branch's.
struct Lines(HashMap<BranchId, BranchId>);

impl Lines {
    fn of(events: &[Event]) -> Self {
        let mut lines = Self(HashMap::new());
        for event in events {
            let replaces = matches!(
                event.kind,
                EventKind::Reset | EventKind::Restored | EventKind::Refreshed | EventKind::Undone
            );
            if let Some(other) = event.other.filter(|_| replaces) {
                let (one, other) = (lines.of_state(event.branch), lines.of_state(other));
                // The oldest state names the line. So nothing goes round in circles.
                lines.0.insert(one.max(other), one.min(other));
            }
        }
        lines
    }

    fn of_state(&self, mut id: BranchId) -> BranchId {
        while let Some(older) = self.0.get(&id).filter(|older| **older < id) {
            id = *older;
        }
        id
    }
}

/// What leads back.
struct Ways {
    /// Names of states in the trash that others took the place of.
    kept_as: HashMap<BranchId, String>,
    trash: HashMap<BranchId, (String, SystemTime)>,
    /// Named snapshots, each with its branch's present state and name.
    snapshots: HashSet<(String, String)>,
    live: HashMap<String, BranchId>,
}

impl Ways {
    fn of(engine: &Engine) -> Result<Self> {
        let mut snapshots = HashSet::new();
        let mut live = HashMap::new();
        for branch in engine.store.branches()? {
            for snapshot in engine.store.snapshots(branch.id)? {
                if snapshot.kind == offshoot_storage::SnapshotKind::Named {
                    snapshots.insert((branch.name.clone(), snapshot.name));
                }
            }
            live.insert(branch.name, branch.id);
        }
        Ok(Self { kept_as: engine.store.kept_as()?, trash: engine.store.in_trash()?, snapshots, live })
    }

    /// The command that leads back to before `event`; to it, for a snapshot.
    fn of_event(&self, event: &Event) -> Option<String> {
        match event.kind {
            EventKind::Deleted => {
                let there = self.trash.contains_key(&event.branch) && !self.live.contains_key(&event.name);
                there.then(|| format!("offshoot undo {}", event.name))
            }
            EventKind::Reset | EventKind::Restored | EventKind::Refreshed | EventKind::Undone => {
                let former = event.other.filter(|former| self.trash.contains_key(former))?;
                self.kept_as.get(&former).map(|name| format!("offshoot undo {name}"))
            }
            EventKind::SnapshotTaken => {
                let name = event.detail.clone()?;
                let there = self.snapshots.contains(&(event.name.clone(), name.clone()));
                there.then(|| format!("offshoot restore {} --at @{name}", event.name))
            }
            _ => None,
        }
    }
}

fn entry(event: &Event, lines: &Lines, ways: &Ways) -> LogEntry {
    let kind = match &event.kind {
        EventKind::Created => LogKind::Created,
        EventKind::Reset => LogKind::Reset,
        EventKind::Restored => LogKind::Restored,
        EventKind::Refreshed => LogKind::Refreshed,
        EventKind::Renamed => LogKind::Renamed,
        EventKind::Deleted => LogKind::Deleted,
        EventKind::Undone => LogKind::Undone,
        EventKind::SnapshotTaken => LogKind::SnapshotTaken,
        EventKind::SnapshotRemoved => LogKind::SnapshotRemoved,
        EventKind::Told(word) if word == MIGRATED => LogKind::Migrated,
        EventKind::Told(_) => LogKind::Other,
    };
    let told: Option<Told> = match (&event.kind, &event.detail) {
        (EventKind::Told(_), Some(text)) => serde_json::from_str(text).ok(),
        _ => None,
    };
    let is_told = matches!(event.kind, EventKind::Told(_));
    LogEntry {
        number: event.number,
        at_us: timestamp::micros(event.at),
        kind,
        branch: event.name.clone(),
        line: lines.of_state(event.branch).0,
        parent_line: match kind {
            LogKind::Created => event.other.map(|parent| lines.of_state(parent).0),
            _ => None,
        },
        from: event.other_name.clone(),
        detail: match &told {
            Some(told) => Some(told.what.clone()),
            None if is_told => None,
            None => event.detail.clone(),
        },
        failed: told.as_ref().is_some_and(|told| told.failed),
        commit: told.and_then(|told| told.commit),
        way_back: ways.of_event(event),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn event(number: u64, kind: EventKind, branch: u64, other: Option<u64>) -> Event {
        Event {
            number,
            at: UNIX_EPOCH,
            kind,
            branch: BranchId(branch),
            name: "x".into(),
            other: other.map(BranchId),
            other_name: None,
            detail: None,
        }
    }

    #[test]
    fn states_that_took_each_others_places_are_one_line_and_a_branch_has_its_parents_past() {
        let mut events = vec![
            event(1, EventKind::Created, 1, None),
            event(2, EventKind::SnapshotTaken, 1, None),
            event(3, EventKind::Created, 2, Some(1)),
            event(4, EventKind::SnapshotTaken, 1, None),
            event(5, EventKind::Reset, 5, Some(2)),
            event(6, EventKind::Restored, 6, Some(5)),
            event(7, EventKind::Undone, 5, Some(6)),
            event(8, EventKind::Created, 8, Some(1)),
        ];
        events.reverse();
        let lines = Lines::of(&events);
        assert!([2, 5, 6].iter().all(|id| lines.of_state(BranchId(*id)) == BranchId(2)));
        assert_eq!(lines.of_state(BranchId(8)), BranchId(8));
        let numbers = |id| -> Vec<u64> {
            with_origins(&events, &lines, BranchId(id)).iter().map(|event| event.number).collect()
        };
        assert_eq!(numbers(6), [7, 6, 5, 3, 2, 1]);
        assert_eq!(numbers(8), [8, 4, 2, 1]);
    }
}
