//! What the log of a branch is told of migrations.

use std::sync::Arc;

use offshoot_protocol::migrations::MigrationsDirection;
use offshoot_storage::BranchId;

use super::git::Git;
use super::status::Place;
use crate::engine::Engine;
use crate::engine::events::{self, Told};

/// Files that are named.
const MOST_NAMES: usize = 3;

/// Writes down what ran on a branch, with the git commit of its worktree.
pub(super) async fn tell(
    engine: &Arc<Engine>,
    id: BranchId,
    place: &Place,
    direction: MigrationsDirection,
    ran: &[String],
    passed: bool,
) {
    let what = words(direction, ran, passed);
    let (root, commit) = (place.root.clone(), place.unpacked_of.as_ref().map(|commit| commit.id.clone()));
    let work = move |engine: &Arc<Engine>| {
        let commit = commit.or_else(|| Git::of(&root).commit("HEAD").ok());
        events::migrated(engine, id, &Told { what, commit, failed: !passed });
        Ok(())
    };
    // Only a panic, which is told elsewhere.
    let _ = engine.blocking(work).await;
}

fn words(direction: MigrationsDirection, ran: &[String], passed: bool) -> String {
    let done = match direction {
        MigrationsDirection::Up => "applied",
        MigrationsDirection::Down => "taken back",
    };
    let mut names: Vec<&str> =
        ran.iter().map(|path| path.rsplit('/').next().unwrap_or(path)).take(MOST_NAMES).collect();
    let more = format!("{} more", ran.len().saturating_sub(MOST_NAMES));
    if ran.len() > MOST_NAMES {
        names.push(&more);
    }
    let what = if ran.is_empty() { "no migration".to_owned() } else { names.join(", ") };
    let failed = if passed { "" } else { "; the tool failed" };
    format!("{what} {done}{failed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_files_is_cut_short() {
        let files = ["a/1.sql", "a/2.sql", "a/3.sql", "a/4.sql"].map(str::to_owned);
        assert_eq!(words(MigrationsDirection::Up, &files, true), "1.sql, 2.sql, 3.sql, 1 more applied");
        assert_eq!(words(MigrationsDirection::Down, &files[..1], false), "1.sql taken back; the tool failed");
    }
}
