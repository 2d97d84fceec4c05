//! Keeping the past: snapshots while branches are written to, and removing what is too old or too much.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::SystemTime;

use offshoot_postgres::Lsn;

use super::wal::KeptWal;
use super::{KEEP_WAL, RestoreWindow, micros, now_us};
use crate::BranchId;
use crate::driver::DriverKind;
use crate::error::StorageError;
use crate::files::disk_usage;
use crate::metadata::{self, BranchRow};
use crate::snapshots::SnapshotKind;
use crate::store::{ComputeState, Store, locked};
use crate::throwaway::is_unlisted;

/// What the past has on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptPast {
    /// WAL that only the past needs.
    pub wal_bytes: u64,
    /// Snapshots that the store took by itself: their small files, and pages that nothing else reads.
    pub snapshot_bytes: u64,
    /// How many there are.
    pub snapshots: usize,
}

impl KeptPast {
    /// All bytes.
    pub fn total_bytes(&self) -> u64 {
        self.wal_bytes + self.snapshot_bytes
    }
}

/// What is kept of the past of one state of a branch.
struct Line {
    branch: BranchRow,
    wal: KeptWal,
    /// What can be replayed from, oldest first.
    bases: Vec<BranchRow>,
    /// Whether something else than the past may need its WAL.
    is_held: bool,
}

impl Line {
    /// When what is kept begins.
    fn begins_us(&self) -> Option<u64> {
        self.bases.first().and_then(|base| base.past.moment_us)
    }
}

impl Store {
    /// Takes a snapshot of each awake branch that has written much since its last one, or that has none that leads on. Call it
    /// every few seconds. Returns how many it took.
    ///
    /// # Errors
    /// The first failure; the other branches have their turn all the same.
    pub fn keep_past(&self) -> Result<usize, StorageError> {
        let Some(window) = *locked(&self.shared.restore) else { return Ok(0) };
        if !self.keeps_past() {
            return Ok(0);
        }
        let (mut taken, mut first_failure) = (0, None);
        for (id, cell) in self.cells() {
            if cell.state() != ComputeState::Awake {
                continue;
            }
            match self.keep_past_of(id, window) {
                Ok(true) => taken += 1,
                Ok(false) => {}
                Err(error) => first_failure = first_failure.or(Some(error)),
            }
        }
        first_failure.map_or(Ok(taken), Err)
    }

    fn keep_past_of(&self, id: BranchId, window: RestoreWindow) -> Result<bool, StorageError> {
        let Ok(row) = self.shared.branch_row(id) else { return Ok(false) };
        if is_unlisted(&row.name) || !self.is_snapshot_due(&row, window)? {
            return Ok(false);
        }
        let making = self.making();
        let name = now_us().to_string();
        let taken = self.fork_as(&making, &name, id, Some(SnapshotKind::Auto), |_| Ok(()))?;
        tracing::debug!(branch = row.name, snapshot = %taken, "took a snapshot of the present");
        Ok(true)
    }

    fn is_snapshot_due(&self, row: &BranchRow, window: RestoreWindow) -> Result<bool, StorageError> {
        let mut rows = self.shared.metadata.states_of(row.id)?;
        rows.sort_by_key(|row| std::cmp::Reverse((row.fork_lsn, row.id)));
        let wal = KeptWal::of(&self.shared.paths.branch(row.id))?;
        let end = wal.end()?;
        let leads_on = |base: &BranchRow| {
            let lsn = base.fork_lsn.filter(|_| base.past.moment_us.is_some())?;
            (wal.since(lsn).is_some() && self.leads_on(base)).then_some(lsn)
        };
        let last = rows.iter().find_map(leads_on);
        Ok(last.is_none_or(|last| end.0.saturating_sub(last.0) >= window.snapshot_bytes))
    }

    /// Removes what is older than the window at `now`, and the oldest of what is more than its bytes; all of it if the window is
    /// off. What a branch needs to start, and its present, are never touched. Call it every few minutes. Returns the bytes of WAL and
    /// the snapshots that were removed.
    ///
    /// # Errors
    /// The first failure; the rest is tried again the next time.
    pub fn trim_past(&self, now: SystemTime) -> Result<(u64, usize), StorageError> {
        if self.shared.info.driver != DriverKind::Layers {
            return Ok((0, 0));
        }
        let window = *locked(&self.shared.restore);
        let limit_us = window.map_or(u64::MAX, |window| {
            micros(now).saturating_sub(u64::try_from(window.window.as_micros()).unwrap_or(u64::MAX))
        });
        let mut lines = self.lines()?;
        let (mut removed_bytes, mut removed_snapshots) = (0, 0);
        for line in &mut lines {
            let kept = if window.is_some() {
                // The last one before the window leads into it.
                let is_before = |base: &&BranchRow| base.past.moment_us.is_some_and(|us| us <= limit_us);
                line.bases.iter().take_while(is_before).count().saturating_sub(1)
            } else {
                line.bases.len()
            };
            let (bytes, snapshots) = self.shorten(line, kept)?;
            removed_bytes += bytes;
            removed_snapshots += snapshots;
        }
        let max_bytes = window.map_or(0, |window| window.max_bytes);
        let mut total = self.kept_past()?.total_bytes();
        while window.is_some() && total > max_bytes {
            let oldest =
                lines.iter_mut().filter(|line| !line.bases.is_empty()).min_by_key(|line| line.begins_us());
            let Some(line) = oldest else { break };
            let (bytes, snapshots) = self.shorten(line, 1)?;
            removed_bytes += bytes;
            removed_snapshots += snapshots;
            total = self.kept_past()?.total_bytes();
        }
        if removed_bytes > 0 || removed_snapshots > 0 {
            tracing::info!(removed_bytes, removed_snapshots, "the oldest of the past was removed");
        }
        Ok((removed_bytes, removed_snapshots))
    }

    /// What the past has on the disk. Takes time in the number of snapshots and of files of WAL.
    ///
    /// # Errors
    /// Only if the metadata or a control file cannot be read.
    pub fn kept_past(&self) -> Result<KeptPast, StorageError> {
        let rows = self.shared.metadata.branches()?;
        let autos: Vec<BranchId> = rows.iter().filter(|row| is_auto(row)).map(|row| row.id).collect();
        let mut kept = KeptPast { snapshots: autos.len(), ..KeptPast::default() };
        for row in rows.iter().filter(|row| row.snapshot.is_none() && !is_unlisted(&row.name)) {
            kept.wal_bytes += KeptWal::of(&self.shared.paths.branch(row.id))?.past_bytes();
        }
        kept.snapshot_bytes = self.shared.driver.only_read_by(&autos)?;
        for id in &autos {
            kept.snapshot_bytes += disk_usage(self.shared.paths.branch(*id).folder());
        }
        Ok(kept)
    }

    /// The past of all states of all branches, the trash among them.
    fn lines(&self) -> Result<Vec<Line>, StorageError> {
        let rows = self.shared.metadata.branches()?;
        let mut by_origin: HashMap<BranchId, Vec<BranchRow>> = HashMap::new();
        for row in rows.iter().filter(|row| row.snapshot.is_some()) {
            by_origin.entry(row.past.origin.unwrap_or(row.owner())).or_default().push(row.clone());
        }
        // With the window off, WAL that is there is what the project's settings ask for.
        let keeps = |(name, _): &(String, String)| name == KEEP_WAL.0;
        let asked_to_keep =
            locked(&self.shared.restore).is_none() && locked(&self.shared.settings).iter().any(keeps);
        let mut lines = Vec::new();
        for branch in rows.into_iter().filter(|row| row.snapshot.is_none() && !is_unlisted(&row.name)) {
            let paths = self.shared.paths.branch(branch.id);
            let mut bases = by_origin.remove(&branch.id).unwrap_or_default();
            bases.retain(|base| base.past.moment_us.is_some() && base.fork_lsn.is_some());
            bases.sort_by_key(|base| (base.fork_lsn, base.id));
            let slots = std::fs::read_dir(paths.data().join("pg_replslot"));
            let is_held = asked_to_keep || slots.is_ok_and(|mut entries| entries.next().is_some());
            lines.push(Line { wal: KeptWal::of(&paths)?, branch, bases, is_held });
        }
        // The past of states that are gone for good.
        let lost = by_origin.into_values().flatten().filter(is_auto).map(|row| row.id).collect::<Vec<_>>();
        self.forget_snapshots(&lost)?;
        Ok(lines)
    }

    /// Forgets the first `count` bases of a line, and the WAL before the next one.
    fn shorten(&self, line: &mut Line, count: usize) -> Result<(u64, usize), StorageError> {
        let gone: Vec<BranchRow> = line.bases.drain(..count).collect();
        let autos: Vec<BranchId> = gone.iter().filter(|row| is_auto(row)).map(|row| row.id).collect();
        self.forget_snapshots(&autos)?;
        if line.is_held {
            return Ok((0, autos.len()));
        }
        let from: Option<Lsn> = line.bases.first().and_then(|base| base.fork_lsn);
        let _still = locked(&self.shared.old_wal);
        let bytes = line.wal.remove_before(from)?;
        if bytes > 0 {
            self.shared.driver.shortened(line.branch.id);
            tracing::debug!(branch = line.branch.name, bytes, "removed WAL of the past");
        }
        Ok((bytes, autos.len()))
    }

    /// Removes snapshots for good.
    fn forget_snapshots(&self, ids: &[BranchId]) -> Result<(), StorageError> {
        if ids.is_empty() {
            return Ok(());
        }
        let shared = &self.shared;
        for id in ids {
            self.sleep(*id)?;
        }
        let _turn = locked(&shared.merging);
        let _alone = shared.making.write().unwrap_or_else(PoisonError::into_inner);
        shared.metadata.transaction(|transaction| {
            ids.iter().try_for_each(|id| metadata::forget_branch(transaction, *id))
        })?;
        for id in ids {
            locked(&shared.cells).remove(id);
        }
        shared.driver.reclaim()
    }
}

fn is_auto(row: &BranchRow) -> bool {
    matches!(row.snapshot, Some((_, SnapshotKind::Auto)))
}
