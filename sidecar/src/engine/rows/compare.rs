//! Comparing the rows of one table on both sides.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use offshoot_storage::{Blocks, ChangedBlocks};
use postgres::Statement;
use postgres::fallible_iterator::FallibleIterator;

use super::Pair;
use super::side::{Digest, Place, Shape, Side, Table, Trouble};
use crate::failure::{Failure, Result};

/// Pages that one statement reads, so that limits are looked at in between.
const CHUNK_PAGES: u64 = 512;
/// Of how many ranges on neighbours are read together, and what may lie between them.
const MANY_RANGES: usize = 256;
const GAP_PAGES: u64 = 3;
/// Rows without a counterpart that are kept in mind, about 64 bytes each.
const MOST_UNMATCHED: usize = 1_000_000;

/// What a comparison may take.
pub(super) struct Limits<'l> {
    until: Instant,
    pub(super) sample: usize,
    over: &'l AtomicBool,
}

impl<'l> Limits<'l> {
    pub(super) fn new(time: Duration, sample: u32, over: &'l AtomicBool) -> Self {
        Self { until: Instant::now() + time, sample: sample as usize, over }
    }
}

/// Places of some rows.
#[derive(Debug, Default)]
pub(super) struct Picked {
    pub(super) inserted: Vec<Place>,
    /// On the other side and on the branch.
    pub(super) updated: Vec<(Place, Place)>,
    pub(super) deleted: Vec<Place>,
}

/// What differs in a table.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) key: Vec<String>,
    pub(super) inserted: u64,
    pub(super) updated: u64,
    pub(super) deleted: u64,
    pub(super) pages: u64,
    pub(super) whole: bool,
    /// Columns that only the branch has, and that only the other side has, of a table that both have.
    pub(super) new_columns: Vec<String>,
    pub(super) gone_columns: Vec<String>,
    pub(super) incomplete: Option<String>,
    pub(super) picked: Picked,
    /// Columns of the branch and of the other side.
    pub(super) columns: (Vec<String>, Vec<String>),
}

impl Outcome {
    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        let all_columns = self.new_columns.is_empty() && self.gone_columns.is_empty();
        // Pages without rows have no values either.
        let all_compared = self.incomplete.is_none() && (all_columns || self.pages == 0);
        (self.inserted, self.updated, self.deleted) == (0, 0, 0) && all_compared
    }
}

/// Compares a table.
pub(super) fn table(
    ours: &mut Side,
    theirs: &mut Side,
    pair: &Pair,
    changed: &ChangedBlocks,
    limits: &Limits<'_>,
) -> Result<Outcome> {
    ours.next()?;
    theirs.next()?;
    let mut outcome = Outcome::default();
    let ended = match (&pair.ours, &pair.theirs) {
        (Some(table), Some(other)) => both(ours, theirs, (table, other), changed, limits, &mut outcome),
        (Some(table), None) => alone(ours, table, true, limits, &mut outcome),
        (None, Some(table)) => alone(theirs, table, false, limits, &mut outcome),
        (None, None) => Ok(()),
    };
    match ended {
        Ok(()) => Ok(outcome),
        Err(Trouble::Table(reason)) => {
            outcome.incomplete = Some(reason);
            Ok(outcome)
        }
        Err(Trouble::Broken(failure)) => Err(failure),
    }
}

/// Reads from one side, and recovers it from an error.
macro_rules! read {
    ($side:expr, $call:expr) => {
        match $call {
            Ok(value) => value,
            Err(error) => return Err($side.recover(&error)),
        }
    };
}

fn both(
    ours: &mut Side,
    theirs: &mut Side,
    (table, other): (&Table, &Table),
    changed: &ChangedBlocks,
    limits: &Limits<'_>,
    outcome: &mut Outcome,
) -> std::result::Result<(), Trouble> {
    let shape = read!(ours, ours.shape(table));
    let other_shape = read!(theirs, theirs.shape(other));
    let (pages, other_pages) = (read!(ours, ours.pages(table)), read!(theirs, theirs.pages(other)));
    let columns: Vec<String> =
        shape.columns.iter().filter(|name| other_shape.columns.contains(name)).cloned().collect();
    let key = common_key(&shape, &other_shape);
    let statement = read!(ours, ours.prepare(table, &columns, &key));
    let other_statement = read!(theirs, theirs.prepare(other, &columns, &key));
    outcome.whole = table.file != other.file;
    let longest = pages.max(other_pages);
    let all = [Blocks { start: 0, end: longest }];
    let ranges = if outcome.whole { &all[..] } else { changed.of(table.file) };
    let only = |of: &[String]| of.iter().filter(|name| !columns.contains(name)).cloned().collect();
    (outcome.new_columns, outcome.gone_columns) = (only(&shape.columns), only(&other_shape.columns));
    outcome.columns = (shape.columns, other_shape.columns);
    let mut matching = Matching::new(key.is_empty(), limits.sample);
    outcome.key = key;
    let mut trouble = None;
    for chunk in chunks(ranges, longest) {
        let read =
            [(&mut *theirs, &other_statement, other_pages, false), (&mut *ours, &statement, pages, true)]
                .into_iter()
                .try_for_each(|(side, statement, pages, is_ours)| {
                    let chunk = chunk.start..chunk.end.min(pages);
                    outcome.pages += chunk.end.saturating_sub(chunk.start);
                    read_chunk(side, statement, &chunk, |key, content, place| {
                        matching.add(key, content, place, is_ours);
                    })
                });
        if let Err(found) = read.and_then(|()| limits.check(matching.kept())) {
            trouble = Some(found);
            break;
        }
    }
    // Rows whose counterpart was not reached would count as inserted and deleted.
    matching.finish(outcome, trouble.is_none());
    trouble.map_or(Ok(()), Err)
}

impl Limits<'_> {
    fn check(&self, kept: usize) -> std::result::Result<(), Trouble> {
        if self.over.load(Ordering::Acquire) {
            return Err(Trouble::Broken(Failure::cancelled()));
        }
        if kept > MOST_UNMATCHED {
            return Err(Trouble::Table(format!("more than {MOST_UNMATCHED} rows differ")));
        }
        if Instant::now() >= self.until {
            return Err(Trouble::Table("it took too long".to_owned()));
        }
        Ok(())
    }
}

fn read_chunk(
    side: &mut Side,
    statement: &Statement,
    chunk: &Blocks,
    mut take: impl FnMut(Digest, Digest, Place),
) -> std::result::Result<(), Trouble> {
    if chunk.start >= chunk.end {
        return Ok(());
    }
    let (from, to) = (format!("({},0)", chunk.start), format!("({},0)", chunk.end));
    let mut read = || -> std::result::Result<(), postgres::Error> {
        let mut rows = side.client.query_raw(statement, [&from, &to])?;
        while let Some(row) = rows.next()? {
            take(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        }
        Ok(())
    };
    let ended = read();
    ended.map_err(|error| side.recover(&error))
}

/// The first key of the branch that is one on the other side too.
fn common_key(ours: &Shape, theirs: &Shape) -> Vec<String> {
    let sorted = |key: &[String]| {
        let mut key = key.to_vec();
        key.sort();
        key
    };
    let is_theirs = |key: &&Vec<String>| theirs.keys.iter().any(|other| sorted(other) == sorted(key));
    ours.keys.iter().find(is_theirs).cloned().unwrap_or_default()
}

/// Ranges in pieces, up to the end of the longer side.
fn chunks(ranges: &[Blocks], end: u64) -> Vec<Blocks> {
    let gap = if ranges.len() > MANY_RANGES { GAP_PAGES } else { 0 };
    let mut joined: Vec<Blocks> = Vec::new();
    for blocks in ranges {
        let blocks = blocks.start..blocks.end.min(end);
        match joined.last_mut() {
            _ if blocks.is_empty() => (),
            Some(last) if blocks.start <= last.end + gap => last.end = blocks.end,
            _ => joined.push(blocks),
        }
    }
    let pieces = joined.into_iter().flat_map(|blocks| {
        let starts = (blocks.start..blocks.end).step_by(CHUNK_PAGES as usize);
        starts.map(move |start| start..(start + CHUNK_PAGES).min(blocks.end))
    });
    pieces.collect()
}

/// Finds rows' counterparts.
struct Matching {
    /// Rows are matched by their content.
    by_content: bool,
    most_picked: usize,
    /// Rows without a counterpart yet: of each key how many the branch has more than the other side, the content and the place
    /// of the last.
    open: HashMap<Digest, (i64, Digest, Place)>,
    updated: u64,
    picked: Vec<(Place, Place)>,
}

impl Matching {
    fn new(by_content: bool, most_picked: usize) -> Self {
        Self { by_content, most_picked, open: HashMap::new(), updated: 0, picked: Vec::new() }
    }

    fn kept(&self) -> usize {
        self.open.len()
    }

    fn add(&mut self, key: Digest, content: Digest, place: Place, is_ours: bool) {
        let one = if is_ours { 1 } else { -1 };
        match self.open.entry(key) {
            Entry::Vacant(free) => drop(free.insert((one, content, place))),
            Entry::Occupied(mut entry) => {
                let (surplus, before, at) = *entry.get();
                if surplus + one == 0 {
                    entry.remove();
                    if !self.by_content && before != content {
                        self.updated += 1;
                        if self.picked.len() < self.most_picked {
                            self.picked.push(if is_ours { (at, place) } else { (place, at) });
                        }
                    }
                } else {
                    *entry.get_mut() = (surplus + one, content, place);
                }
            }
        }
    }

    fn finish(self, outcome: &mut Outcome, is_whole: bool) {
        outcome.updated = self.updated;
        outcome.picked.updated = self.picked;
        if !is_whole {
            return;
        }
        let (mut new, mut old) = (Vec::new(), Vec::new());
        for (surplus, _, place) in self.open.into_values() {
            let (count, places) = if surplus > 0 {
                (&mut outcome.inserted, &mut new)
            } else {
                (&mut outcome.deleted, &mut old)
            };
            *count += surplus.unsigned_abs();
            places.push(place);
        }
        let first = |mut places: Vec<Place>| {
            places.sort_unstable();
            places.truncate(self.most_picked);
            places
        };
        (outcome.picked.inserted, outcome.picked.deleted) = (first(new), first(old));
    }
}

/// Counts the rows of a table that the other side has not.
fn alone(
    side: &mut Side,
    table: &Table,
    is_ours: bool,
    limits: &Limits<'_>,
    outcome: &mut Outcome,
) -> std::result::Result<(), Trouble> {
    outcome.whole = true;
    outcome.pages = read!(side, side.pages(table));
    if outcome.pages == 0 {
        return Ok(());
    }
    let shape = read!(side, side.shape(table));
    outcome.columns = if is_ours { (shape.columns, Vec::new()) } else { (Vec::new(), shape.columns) };
    let count =
        read!(side, side.client.query_one(&format!("SELECT count(*) FROM ONLY {}", table.sql()), &[]));
    let places = format!("SELECT ctid FROM ONLY {} LIMIT {}", table.sql(), limits.sample);
    let places = read!(side, side.client.query(&places, &[])).iter().map(|row| row.get(0)).collect();
    let count = count.get::<_, i64>(0) as u64;
    if is_ours {
        (outcome.inserted, outcome.picked.inserted) = (count, places);
    } else {
        (outcome.deleted, outcome.picked.deleted) = (count, places);
    }
    limits.check(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_the_end_and_into_pieces() {
        assert_eq!(chunks(&[1..2, 4..2000], 1030), [1..2, 4..516, 516..1028, 1028..1030]);
        assert!(chunks(&[7..8, 8..9], 7).is_empty());
        let many: Vec<Blocks> = (0..300).map(|n| n * 4..n * 4 + 1).collect();
        assert_eq!(chunks(&many, 5000).len(), 1197_usize.div_ceil(512));
    }
}
