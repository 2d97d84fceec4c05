//! How much room the store may take: what `storage.max_bytes` allows, and what is kept free on its disk.
//!
//! Whatever makes more asks here first; nothing that only reads, removes or goes back does. What the store has on the disk is measured in
//! the background, and what the engine makes since is added to it, so that asking costs next to nothing. What Postgres writes meanwhile is
//! not: near the limit, and before something is refused, all is measured again.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use offshoot_protocol::migrations::MigrationsOnCheckout;
use offshoot_protocol::types::{Branch, Note, NoteKind};
use offshoot_storage::{BranchId, RestoreWindow, Usage};

use super::Engine;
use crate::config::{Config, ConfigFile, OnDelete, OnMerge};
use crate::failure::{Failure, Result};
use crate::{size, sys};

/// A part of `storage.max_bytes` from which on it is told, in percent.
const WARN_PERCENT: u64 = 90;
/// How often the store is measured, if it has a limit.
const INTERVAL: Duration = Duration::from_secs(30);
/// How many times longer than the measuring itself nothing is measured after it.
const REST: u32 = 20;
/// A measurement that is younger is as good as a new one.
const FRESH: Duration = Duration::from_secs(1);
/// Branches that are named where there is no room.
const MOST_NAMES: usize = 3;

/// What is known of the room.
#[derive(Debug, Default)]
pub(super) struct Room(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    config: Option<ConfigFile>,
    known: Option<Known>,
    told: Level,
}

/// What the store had on the disk.
#[derive(Clone, Debug)]
struct Known {
    at: Instant,
    took: Duration,
    /// With what was made since.
    total_bytes: u64,
    trash_bytes: u64,
    /// The branches with the most of their own, the largest first.
    largest: Vec<(String, u64)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Level {
    #[default]
    Enough,
    /// It will not last.
    Little,
    /// Nothing is made that adds to it.
    None,
}

/// The limits that are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// What the store may have on the disk.
    pub(super) max_bytes: Option<u64>,
    /// What is kept free on its disk.
    pub(super) min_free_bytes: u64,
}

impl Limits {
    pub(super) fn of(config: &Config, disk_bytes: u64) -> Self {
        Self {
            max_bytes: config.max_bytes,
            min_free_bytes: config.min_free_bytes.unwrap_or_else(|| sys::reserve(disk_bytes)),
        }
    }
}

impl Room {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limits that are in force now.
pub(super) fn limits(engine: &Engine) -> Result<Limits> {
    let disk = sys::disk(&engine.store.info().path).map_err(|error| unknown(engine, &error))?;
    Ok(limits_with(engine, disk.total_bytes))
}

/// What the main worktree's file says of the past.
pub(super) fn restore(engine: &Engine) -> Option<RestoreWindow> {
    with_config(engine, Config::restore)
}

/// Whether the main worktree's file asks for snapshots at commits.
pub(super) fn snapshots_on_commit(engine: &Engine) -> bool {
    with_config(engine, |config| config.snapshots_on_commit)
}

/// What the main worktree's file says of database branches whose git branch is deleted.
pub(super) fn on_delete(engine: &Engine) -> OnDelete {
    with_config(engine, |config| config.on_delete)
}

/// What the main worktree's file says of merges.
pub(super) fn on_merge(engine: &Engine) -> OnMerge {
    with_config(engine, |config| config.on_merge)
}

/// What the main worktree's file says of pending migrations.
pub(super) fn migrations_on_checkout(engine: &Engine) -> MigrationsOnCheckout {
    with_config(engine, |config| config.migrations_on_checkout)
}

/// Whether the main worktree's file wants to be told what checkouts leave behind.
pub(super) fn tells_leaving(engine: &Engine) -> bool {
    with_config(engine, |config| config.tells_leaving)
}

fn limits_with(engine: &Engine, disk_bytes: u64) -> Limits {
    with_config(engine, |config| Limits::of(config, disk_bytes))
}

fn with_config<T>(engine: &Engine, read: impl FnOnce(&Config) -> T) -> T {
    with_file(engine, |file| match file {
        Some(file) => read(file.config()),
        None => read(&Config::default()),
    })
}

/// The main worktree's file as it is now; it is the project's. None in a bare repository.
pub(super) fn with_file<T>(engine: &Engine, read: impl FnOnce(Option<&ConfigFile>) -> T) -> T {
    let mut state = engine.room.state();
    if state.config.is_none() {
        let worktrees = engine.repository.worktrees().unwrap_or_default();
        state.config = worktrees.first().map(|main| ConfigFile::open(&main.path));
    }
    if let Some(file) = &mut state.config {
        file.refresh();
    }
    read(state.config.as_ref())
}

fn unknown(engine: &Engine, error: &std::io::Error) -> Failure {
    Failure::io(format!("see how much room there is at {}", engine.store.info().path.display()), error)
}

/// Refuses to make more where there is no room for it, and has the store keep the past that the project asks for by now. Blocks,
/// seldom for long.
pub(super) fn admit(engine: &Engine) -> Result<()> {
    // What is made now keeps the past that is asked for now.
    engine.store.set_restore_window(restore(engine));
    // A disk that tells nothing about itself is no reason to refuse.
    let Ok(disk) = sys::disk(&engine.store.info().path) else { return Ok(()) };
    let limits = limits_with(engine, disk.total_bytes);
    if disk.free_bytes < limits.min_free_bytes {
        return Err(no_disk(engine, disk.free_bytes, limits.min_free_bytes));
    }
    let Some(max) = limits.max_bytes else { return Ok(()) };
    let mut known = known(engine)?;
    let age = known.at.elapsed();
    let is_due = match level(known.total_bytes, max) {
        Level::Enough => false,
        Level::Little => age >= known.took * REST,
        Level::None => true,
    };
    if is_due && age > FRESH {
        known = measure(engine)?;
    }
    if known.total_bytes >= max { Err(no_room(&known, max)) } else { Ok(()) }
}

/// A branch was made: its bytes count from now on. Blocks, not for long.
pub(super) fn made(engine: &Engine, branch: BranchId) {
    if engine.room.state().known.is_none() {
        return;
    }
    // The next measurement has them in any case.
    let Ok(size) = engine.store.size(branch) else { return };
    if let Some(known) = &mut engine.room.state().known {
        known.total_bytes += size.own_bytes;
    }
}

/// What a person should know about the room. Blocks, seldom for long.
pub(super) fn note(engine: &Engine) -> Option<Note> {
    let (_, failure) = judge(engine)?;
    Some(Note { kind: NoteKind::Disk, text: failure.0.message.clone(), hint: failure.0.hint.clone() })
}

/// What a person should know about a branch that has more of its own than a rule expects, or nearly so: figures and whether it is over.
pub(crate) fn quota(own_bytes: u64, max_bytes: Option<u64>) -> Option<(String, bool)> {
    let max = max_bytes?;
    let of = size::show(max);
    match level(own_bytes, max) {
        Level::Enough => None,
        Level::Little => {
            let percent = u128::from(own_bytes) * 100 / u128::from(max.max(1));
            Some((format!("{percent} % of its {of}"), false))
        }
        Level::None => Some((format!("over its {of}"), true)),
    }
}

/// The same for a branch's status.
pub(super) fn quota_note(branch: &Branch) -> Option<Note> {
    let (figures, is_over) = quota(branch.own_bytes, branch.max_bytes)?;
    let (name, own) = (&branch.name, size::show(branch.own_bytes));
    let text = if is_over {
        format!("`{name}` has {own} of its own and is {figures}")
    } else {
        format!("`{name}` has {own} of its own, {figures}")
    };
    let hint = format!(
        "Nothing is refused for that. `offshoot branch reset {name}` gives them back with what it changed, and \
         `offshoot policy explain {name}` shows the rule."
    );
    Some(Note { kind: NoteKind::Disk, text, hint: Some(hint) })
}

fn judge(engine: &Engine) -> Option<(Level, Failure)> {
    let disk = sys::disk(&engine.store.info().path).ok()?;
    let limits = limits_with(engine, disk.total_bytes);
    if disk.free_bytes < limits.min_free_bytes {
        return Some((Level::None, no_disk(engine, disk.free_bytes, limits.min_free_bytes)));
    }
    let max = limits.max_bytes?;
    let known = known(engine).ok()?;
    match level(known.total_bytes, max) {
        Level::Enough => None,
        Level::Little => Some((Level::Little, little_room(&known, max))),
        Level::None => Some((Level::None, no_room(&known, max))),
    }
}

fn level(total_bytes: u64, max: u64) -> Level {
    if total_bytes >= max {
        Level::None
    } else if u128::from(total_bytes) * 100 >= u128::from(max) * u128::from(WARN_PERCENT) {
        Level::Little
    } else {
        Level::Enough
    }
}

/// Measures the store if that is due, and tells the log when there is less room than before. Blocks.
pub(super) fn look(engine: &Engine) -> Result<()> {
    if limits(engine)?.max_bytes.is_some() {
        let due = engine.room.state().known.as_ref().is_none_or(|known| {
            let age = known.at.elapsed();
            age >= INTERVAL && age >= known.took * REST
        });
        if due {
            measure(engine)?;
        }
    }
    let (level, failure) = match judge(engine) {
        Some((level, failure)) => (level, Some(failure)),
        None => (Level::Enough, None),
    };
    let before = std::mem::replace(&mut engine.room.state().told, level);
    match failure.filter(|_| before != level) {
        Some(failure) => {
            let hint = failure.0.hint.clone().unwrap_or_default();
            tracing::warn!(hint, "{failure}");
        }
        None if before != level => tracing::info!("there is enough room again"),
        None => (),
    }
    Ok(())
}

/// The last measurement, or a first one.
fn known(engine: &Engine) -> Result<Known> {
    let known = engine.room.state().known.clone();
    known.map_or_else(|| measure(engine), Ok)
}

fn measure(engine: &Engine) -> Result<Known> {
    let begin = Instant::now();
    let usage = engine.store.usage()?;
    Ok(keep(engine, &usage, begin))
}

/// Keeps what the store had on the disk at `begin`.
pub(super) fn measured(engine: &Engine, usage: &Usage, begin: Instant) {
    keep(engine, usage, begin);
}

/// Something was removed: what was measured is too much.
pub(super) fn freed(engine: &Engine) {
    engine.room.state().known = None;
}

fn keep(engine: &Engine, usage: &Usage, begin: Instant) -> Known {
    let trash: Vec<_> =
        usage.branches.iter().filter(|branch| branch.in_trash).map(|branch| branch.id).collect();
    let mut largest: Vec<(String, u64)> = usage
        .branches
        .iter()
        .filter(|branch| !branch.in_trash)
        .map(|branch| (branch.name.clone(), branch.own_bytes))
        .collect();
    largest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    largest.truncate(MOST_NAMES);
    let known = Known {
        at: Instant::now(),
        took: begin.elapsed(),
        total_bytes: usage.total_bytes(),
        trash_bytes: usage.freed_by(&trash),
        largest,
    };
    engine.room.state().known = Some(known.clone());
    known
}

fn no_disk(engine: &Engine, free: u64, min: u64) -> Failure {
    let path = engine.store.info().path.display();
    Failure::configuration(format!(
        "only {} are free on the disk of {path}, of which {} are kept free: nothing more is made",
        size::show(free),
        size::show(min)
    ))
    .hint(
        "Make room on that disk. `offshoot du` shows what the store has of it, and `offshoot branch purge --all` empties its \
         trash; `storage.min_free_bytes` in offshoot.toml says how much is kept free.",
    )
}

fn no_room(known: &Known, max: u64) -> Failure {
    Failure::configuration(format!(
        "the store has {} on the disk, and `storage.max_bytes` allows {}: nothing more is made",
        size::show(known.total_bytes),
        size::show(max)
    ))
    .hint(ways(known))
}

fn little_room(known: &Known, max: u64) -> Failure {
    Failure::configuration(format!(
        "the store has {} on the disk, {} % of the {} that `storage.max_bytes` allows",
        size::show(known.total_bytes),
        u128::from(known.total_bytes) * 100 / u128::from(max.max(1)),
        size::show(max)
    ))
    .hint(ways(known))
}

/// Who has the most, and what to do.
fn ways(known: &Known) -> String {
    let mut owners: Vec<String> =
        known.largest.iter().map(|(name, bytes)| format!("`{name}` {}", size::show(*bytes))).collect();
    if known.trash_bytes > 0 {
        owners.push(format!("the trash {}", size::show(known.trash_bytes)));
    }
    format!(
        "Of their own have {}. `offshoot du` shows every byte. `offshoot branch delete NAME` puts a branch into the trash, and \
         `offshoot branch purge --all` empties it; `offshoot snapshot delete BRANCH@NAME` removes a snapshot for good; or raise `max_bytes` in offshoot.toml.",
        owners.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_tenths_are_little_and_all_is_none() {
        assert_eq!(level(899, 1000), Level::Enough);
        assert_eq!(level(900, 1000), Level::Little);
        assert_eq!(level(1000, 1000), Level::None);
        assert_eq!(level(0, 0), Level::None);
        assert_eq!(level(u64::MAX - 1, u64::MAX), Level::Little);
    }

    #[test]
    fn what_is_refused_names_the_figure_the_owners_and_what_to_do() {
        let known = Known {
            at: Instant::now(),
            took: Duration::ZERO,
            total_bytes: 20_100_000_000,
            trash_bytes: 2_000_000_000,
            largest: vec![("main".into(), 12_000_000_000), ("x".into(), 3_000_000)],
        };
        let failure = no_room(&known, 20_000_000_000);
        insta::assert_snapshot!(format!("{failure}\n{}", failure.0.hint.clone().unwrap()), @r"
        the store has 20 GB on the disk, and `storage.max_bytes` allows 20 GB: nothing more is made
        Of their own have `main` 12 GB, `x` 3.0 MB, the trash 2.0 GB. `offshoot du` shows every byte. `offshoot branch delete NAME` puts a branch into the trash, and `offshoot branch purge --all` empties it; `offshoot snapshot delete BRANCH@NAME` removes a snapshot for good; or raise `max_bytes` in offshoot.toml.
        ");
        assert!(little_room(&known, 21_000_000_000).to_string().contains("95 % of the 21 GB"));
    }

    #[test]
    fn what_is_kept_free_follows_the_disk_unless_it_is_set() {
        let limits = |config: &Config, disk| Limits::of(config, disk).min_free_bytes;
        let config = Config::default();
        assert_eq!(limits(&config, 10_000_000_000), 256_000_000);
        assert_eq!(limits(&config, 100_000_000_000), 1_000_000_000);
        assert_eq!(limits(&config, 9_000_000_000_000), 5_000_000_000);
        let config = Config { min_free_bytes: Some(0), ..Config::default() };
        assert_eq!(limits(&config, 9_000_000_000_000), 0);
    }
}
