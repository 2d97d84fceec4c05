//! Which snapshot and whose WAL lead to a moment.

use std::fmt;

use offshoot_postgres::Lsn;

use super::wal::KeptWal;
use super::{Moment, micros, now_us, time};
use crate::BranchId;
use crate::error::StorageError;
use crate::events::EventKind;
use crate::metadata::BranchRow;
use crate::store::Store;

/// A moment, in the units of recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Microseconds since 1970.
    Time(u64),
    Lsn(Lsn),
}

impl Target {
    pub(super) fn of(moment: Moment) -> Self {
        match moment {
            Moment::Time(time) => Self::Time(micros(time)),
            Moment::Lsn(lsn) => Self::Lsn(lsn),
        }
    }

    pub(super) fn refused(self, row: &BranchRow, why: String) -> StorageError {
        StorageError::NoSuchMoment { branch: row.name.clone(), moment: self.to_string(), why }
    }

    pub(super) fn check_is_past(self, row: &BranchRow) -> Result<(), StorageError> {
        match self {
            Self::Time(us) if us > now_us() => Err(self.refused(row, "it is in the future".to_owned())),
            _ => Ok(()),
        }
    }

    /// Whether a state that was made so far back, at the end of this WAL, is not after it.
    fn is_reached_from(self, row: &BranchRow) -> bool {
        match self {
            Self::Time(us) => row.past.moment_us.is_some_and(|made| made <= us),
            Self::Lsn(lsn) => row.fork_lsn.is_some_and(|made| made <= lsn),
        }
    }

    /// Whether it lies in the time of this state of a branch, or in the time of its children.
    fn is_since(self, row: &BranchRow) -> bool {
        match (self, row.past.origin) {
            // The first state of all, unless it got its data when there was another one.
            (Self::Time(us), None) => row.past.moment_us.is_none_or(|made| made <= us),
            (Self::Time(us), Some(_)) => row.past.moment_us.unwrap_or(row.created_ms * 1000) <= us,
            (Self::Lsn(lsn), Some(_)) => row.fork_lsn.is_none_or(|made| made <= lsn),
            (Self::Lsn(_), None) => true,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(us) => f.write_str(&time::timestamp(*us)),
            Self::Lsn(lsn) => write!(f, "{lsn}"),
        }
    }
}

/// What leads to a moment.
pub(super) struct Way {
    /// What is replayed from: a snapshot, or a branch that was never awake.
    pub(super) base: BranchRow,
    /// Whose WAL is replayed; none is needed where the base is all there is.
    pub(super) wal: Option<KeptWal>,
}

/// Where a moment may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    /// In what the branch was, or in what it was made of.
    Anywhere,
    /// In this branch's own time, whatever state it was in.
    Itself,
}

impl Store {
    /// The way to `target` of `from`.
    pub(super) fn way(&self, from: &BranchRow, target: Target, within: Within) -> Result<Way, StorageError> {
        let rows = self.shared.metadata.branches()?;
        let mut oldest = None;
        let mut next = Some(self.state_before_undo(&rows, from, target)?.unwrap_or(from));
        for _ in 0..=rows.len() {
            let Some(state) = next else { break };
            if target.is_since(state) {
                if let Some(way) = self.way_within(&rows, state, from, target)? {
                    return Ok(way);
                }
                oldest = self.bases(&rows, state)?.first().map(|(base, _)| base.clone()).or(oldest);
                break;
            }
            oldest = self.bases(&rows, state)?.first().map(|(base, _)| base.clone()).or(oldest);
            next = before(&rows, state, target);
            if within == Within::Itself && !next.is_some_and(|next| leads_to(&rows, next, from.id)) {
                return Err(target.refused(from, not_yet_there(state, target)));
            }
        }
        let why = match oldest {
            Some(BranchRow { past, fork_lsn, .. }) => match (target, past.moment_us, fork_lsn) {
                (Target::Time(_), Some(us), _) => format!("the oldest moment is {}", time::timestamp(us)),
                (Target::Lsn(_), _, Some(lsn)) => format!("the oldest position is {lsn}"),
                _ => "nothing of that time is kept".to_owned(),
            },
            None => "nothing of its past is kept yet".to_owned(),
        };
        Err(target.refused(from, why))
    }

    /// The state that `from` was in at `target`, if an undo has brought an older one back since: that one has nothing of the time in
    /// which another was in its place.
    fn state_before_undo<'r>(
        &self,
        rows: &'r [BranchRow],
        from: &BranchRow,
        target: Target,
    ) -> Result<Option<&'r BranchRow>, StorageError> {
        let Target::Time(us) = target else { return Ok(None) };
        let (mut state, mut is_undone) = (from.id, false);
        for event in self.events()? {
            if micros(event.at) <= us {
                break;
            }
            let replaced = matches!(
                event.kind,
                EventKind::Reset | EventKind::Restored | EventKind::Refreshed | EventKind::Undone
            );
            let Some(former) = event.other.filter(|_| replaced && event.branch == state) else { continue };
            is_undone |= event.kind == EventKind::Undone;
            state = former;
        }
        if !is_undone || state == from.id {
            return Ok(None);
        }
        let found = rows.iter().find(|row| row.id == state);
        let gone =
            || target.refused(from, "what it was then was undone, and is gone for good since".to_owned());
        found.map(Some).ok_or_else(gone)
    }

    fn way_within(
        &self,
        rows: &[BranchRow],
        state: &BranchRow,
        from: &BranchRow,
        target: Target,
    ) -> Result<Option<Way>, StorageError> {
        if let Target::Lsn(lsn) = target {
            let end = KeptWal::of(&self.shared.paths.branch(state.id))?.end()?;
            if lsn > end {
                let why = format!("the WAL of {} ends at {end}", state.name);
                return Err(target.refused(from, why));
            }
        }
        let bases = self.bases(rows, state)?;
        let nearest = bases.into_iter().rev().find(|(base, _)| target.is_reached_from(base));
        Ok(nearest.map(|(base, wal)| Way { base, wal }))
    }

    /// What of `state` can be replayed from, with all WAL since, oldest first.
    pub(super) fn bases(
        &self,
        rows: &[BranchRow],
        state: &BranchRow,
    ) -> Result<Vec<(BranchRow, Option<KeptWal>)>, StorageError> {
        // Of a branch that was never awake there is nothing but itself.
        if self.is_as_made(state)? && state.past.moment_us.is_some() && state.fork_lsn.is_some() {
            return Ok(vec![(state.clone(), None)]);
        }
        let wal = KeptWal::of(&self.shared.paths.branch(state.id))?;
        let mut bases = Vec::new();
        let of_it = |row: &&BranchRow| row.snapshot.is_some() && row.past.origin == Some(state.id);
        for row in rows.iter().filter(of_it) {
            let Some(lsn) = row.fork_lsn.filter(|_| row.past.moment_us.is_some()) else { continue };
            if let Some(since) = wal.since(lsn)
                && self.leads_on(row)
            {
                bases.push((row.clone(), Some(since)));
            }
        }
        bases.sort_by_key(|(base, _)| (base.fork_lsn, base.id));
        Ok(bases)
    }

    /// The time of the oldest base that leads to moments of `from`, without a gap up to now.
    pub(super) fn oldest_us(&self, from: &BranchRow) -> Result<Option<u64>, StorageError> {
        let rows = self.shared.metadata.branches()?;
        let (mut oldest, mut next) = (None, Some(from));
        for _ in 0..=rows.len() {
            let Some(state) = next else { break };
            let bases = self.bases(&rows, state)?;
            let Some((base, _)) = bases.first() else { break };
            oldest = base.past.moment_us;
            // Less than all of it is kept: what came before leads nowhere near.
            if base.fork_lsn > state.fork_lsn {
                break;
            }
            let before_it = Target::Time(state.past.moment_us.unwrap_or(0).saturating_sub(1));
            next = before(&rows, state, before_it).filter(|_| state.past.origin.is_some());
        }
        Ok(oldest)
    }
}

/// Whether `state` is `live` or was replaced by it, perhaps by way of others.
fn leads_to(rows: &[BranchRow], state: &BranchRow, live: BranchId) -> bool {
    let mut next = Some(state.id);
    for _ in 0..=rows.len() {
        match next {
            Some(id) if id == live => return true,
            Some(id) => next = rows.iter().find(|row| row.id == id).and_then(|row| row.replaced_by),
            None => return false,
        }
    }
    false
}

/// Why a branch cannot be had as of a moment before its first state.
fn not_yet_there(first: &BranchRow, target: Target) -> String {
    let made = match (target, first.fork_lsn) {
        (Target::Lsn(_), Some(lsn)) => lsn.to_string(),
        _ => time::timestamp(first.past.moment_us.unwrap_or(first.created_ms * 1000)),
    };
    format!("it was made, or last reset, at {made}, and what it was before is not kept")
}

/// What was there before `state` was made: the state that it took the place of, or the one that it comes from.
fn before<'a>(rows: &'a [BranchRow], state: &BranchRow, target: Target) -> Option<&'a BranchRow> {
    let replaced = rows
        .iter()
        .filter(|row| row.is_in_trash() && row.replaced_by == Some(state.id) && row.id != state.id)
        .filter(|row| matches!(target, Target::Time(_)) && target.is_since(row) && row.id < state.id)
        .max_by_key(|row| row.trashed_ms);
    replaced.or_else(|| rows.iter().find(|row| Some(row.id) == state.past.origin))
}
