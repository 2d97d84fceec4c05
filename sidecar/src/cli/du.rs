//! `offshoot du` and `offshoot branch purge`: the disk.

use std::collections::HashMap;
use std::io::{BufRead, IsTerminal, Write};

use offshoot_protocol::disk::{BranchDiskUsage, DiskShare, DiskUsage, PurgeParams};
use offshoot_protocol::method::{DiskGetUsage, DiskPurge};
use offshoot_protocol::types::Nothing;
use unicode_width::UnicodeWidthStr;

use super::connect::Session;
use super::output::{Output, bytes};
use super::plain::plain;
use crate::failure::{Failure, Result};

/// Shares that people are shown; programs get all.
const MOST_SHARES: usize = 12;
/// Names that a share is shown with.
const MOST_NAMES: usize = 4;

pub(super) fn run(output: Output) -> Result<u8> {
    let usage = Session::open(output)?.call::<DiskGetUsage>(&Nothing {})?;
    if output.json {
        output.value(&usage)?;
    } else {
        output.line(report(&usage, output));
    }
    Ok(super::OK)
}

fn report(usage: &DiskUsage, output: Output) -> String {
    let (trashed, live): (Vec<_>, Vec<_>) =
        usage.branches.iter().partition(|branch| branch.trashed_at.is_some());
    let width = usage
        .branches
        .iter()
        .map(|branch| plain(&branch.name).width())
        .max()
        .unwrap_or(0)
        .max("in the trash".len());
    let row = |name: &str, own: &str, shared: &str| {
        format!("{name}{}  {own:>9}  {shared:>9}", " ".repeat(width.saturating_sub(name.width())))
    };
    let branch_row = |branch: &&BranchDiskUsage| {
        row(&plain(&branch.name), &bytes(branch.own_bytes), &bytes(branch.shared_bytes))
    };
    let mut lines = vec![output.faint(&row("branch", "its own", "shared"))];
    lines.extend(live.iter().map(branch_row));
    if !trashed.is_empty() {
        lines.extend([String::new(), output.faint(&row("in the trash", "its own", "shared"))]);
        lines.extend(trashed.iter().map(branch_row));
    }
    let together: Vec<&DiskShare> = usage.shares.iter().filter(|share| share.readers.len() > 1).collect();
    if !together.is_empty() {
        let names = names(usage);
        lines.extend([String::new(), output.faint("shared by")]);
        lines.extend(together.iter().take(MOST_SHARES).map(|share| {
            let readers: Vec<&str> =
                share.readers.iter().filter_map(|id| names.get(id).map(String::as_str)).collect();
            let more = readers.len().saturating_sub(MOST_NAMES);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(
                "{:>9}  {}{more}",
                bytes(share.bytes),
                readers[..readers.len().min(MOST_NAMES)].join(", ")
            )
        }));
        if together.len() > MOST_SHARES {
            let rest: u64 = together[MOST_SHARES..].iter().map(|share| share.bytes).sum();
            lines.push(format!("{:>9}  {} smaller groups", bytes(rest), together.len() - MOST_SHARES));
        }
    }
    lines.extend([
        String::new(),
        format!(
            "{} in all, {} of it libraries, logs and metadata. {} are free on this disk.",
            output.strong(&bytes(usage.total_bytes)),
            bytes(usage.other_bytes),
            bytes(usage.free_bytes)
        ),
    ]);
    let past = usage.past_wal_bytes + usage.past_snapshot_bytes;
    if past > 0 {
        lines.push(format!(
            "{} of it are the past of branches: {} WAL and {} snapshots. `restore.window` and `restore.max_bytes` bound it.",
            bytes(past),
            bytes(usage.past_wal_bytes),
            bytes(usage.past_snapshot_bytes)
        ));
    }
    if usage.standby.is_some() {
        lines.push(format!(
            "{} of it are only the standby's, of the server that is followed. `offshoot follow stop` frees them.",
            bytes(usage.standby_bytes)
        ));
    }
    if usage.seed_cache_bytes > 0 {
        lines.push(format!(
            "Beside the store, {} of what seeds have made are kept for all projects. `offshoot seed clear` frees them.",
            bytes(usage.seed_cache_bytes)
        ));
    }
    if let Some(max) = usage.max_bytes {
        let used = u128::from(usage.total_bytes) * 100 / u128::from(max.max(1));
        let text = format!("`storage.max_bytes` allows {}; {used} % are used.", bytes(max));
        lines.push(match used {
            ..90 => text,
            90..100 => output.warn(&text),
            _ => output.bad(&format!("{text} Nothing more is made.")),
        });
    }
    if usage.free_bytes < usage.min_free_bytes {
        let text =
            format!("{} are to be kept free there: nothing more is made.", bytes(usage.min_free_bytes));
        lines.push(output.bad(&text));
    }
    if usage.trash_bytes > 0 {
        lines.push(format!("`offshoot branch purge --all` would free {}.", bytes(usage.trash_bytes)));
    }
    lines.join("\n")
}

/// Names by number; those of the trash say so.
fn names(usage: &DiskUsage) -> HashMap<u64, String> {
    let name = |branch: &BranchDiskUsage| {
        let place = if branch.trashed_at.is_some() { " (trash)" } else { "" };
        (branch.id, format!("{}{place}", plain(&branch.name)))
    };
    let standby = usage.standby.map(|id| (id, "the standby".to_owned()));
    usage.branches.iter().map(name).chain(standby).collect()
}

/// `offshoot branch purge`.
pub(super) fn purge(names: Vec<String>, yes: bool, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    // Nothing brings it back: who cannot be asked has to say so.
    if !yes && (output.json || !std::io::stdin().is_terminal()) {
        return Err(Failure::user("this removes branches for good, and nobody can be asked here")
            .hint("Say `--yes` if that is meant."));
    }
    if !yes && !agreed(&names)? {
        return Ok(super::NEGATIVE);
    }
    let purged = session.call::<DiskPurge>(&PurgeParams { names })?;
    if output.json {
        output.value(&purged)?;
    } else if purged.branches == 0 {
        output.line("The trash is empty.");
    } else {
        let what = if purged.branches == 1 { "1 branch" } else { &format!("{} branches", purged.branches) };
        output.line(format!("Removed {what} for good: {} are free again.", bytes(purged.freed_bytes)));
    }
    Ok(super::OK)
}

fn agreed(names: &[String]) -> Result<bool> {
    let fault = |e: &std::io::Error| Failure::io("ask a question", e);
    let what = if names.is_empty() { "everything in the trash".to_owned() } else { names.join(", ") };
    write!(std::io::stderr(), "Remove {} for good? [y/N] ", plain(&what)).map_err(|e| fault(&e))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| fault(&e))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_an_owner_and_a_way_to_free_it() {
        let branch = |id: u64, name: &str, trashed_at, own_bytes, shared_bytes| BranchDiskUsage {
            id,
            name: name.into(),
            trashed_at,
            own_bytes,
            shared_bytes,
        };
        let usage = DiskUsage {
            total_bytes: 1_250_000,
            other_bytes: 50_000,
            trash_bytes: 30_000,
            free_bytes: 70_000_000_000,
            max_bytes: Some(1_300_000),
            past_wal_bytes: 40_000,
            past_snapshot_bytes: 2_000,
            standby_bytes: 0,
            seed_cache_bytes: 0,
            standby: None,
            min_free_bytes: 80_000_000_000,
            branches: vec![
                branch(1, "main", None, 100_000, 1_000_000),
                branch(2, "größe", None, 70_000, 1_000_000),
                branch(3, "old", Some(5), 30_000, 1_000_000),
            ],
            shares: vec![
                DiskShare { readers: vec![1, 2, 3], bytes: 1_000_000 },
                DiskShare { readers: vec![1], bytes: 100_000 },
            ],
        };
        insta::assert_snapshot!(report(&usage, Output::new(false)), @r"
        branch          its own     shared
        main             100 KB     1.0 MB
        größe             70 KB     1.0 MB

        in the trash    its own     shared
        old               30 KB     1.0 MB

        shared by
           1.0 MB  main, größe, old (trash)

        1.3 MB in all, 50 KB of it libraries, logs and metadata. 70 GB are free on this disk.
        42 KB of it are the past of branches: 40 KB WAL and 2.0 KB snapshots. `restore.window` and `restore.max_bytes` bound it.
        `storage.max_bytes` allows 1.3 MB; 96 % are used.
        80 GB are to be kept free there: nothing more is made.
        `offshoot branch purge --all` would free 30 KB.
        ");
    }
}
