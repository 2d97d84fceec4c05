//! `offshoot log`.

mod graph;

use std::time::SystemTime;

use offshoot_protocol::method::BranchGetLog;
use offshoot_protocol::past::{Log, LogEntry, LogKind, LogParams};

use super::args::LogArgs;
use super::connect::Session;
use super::output::Output;
use super::plain::plain;
use super::snapshot;
use crate::failure::Result;
use crate::timestamp;
use graph::Graph;

/// Letters of a commit that people are shown.
const COMMIT_LETTERS: usize = 10;

pub(super) fn run(args: LogArgs, output: Output) -> Result<u8> {
    let LogArgs { branch, number, all } = args;
    let mut session = Session::open(output)?;
    let branch = match branch {
        Some(branch) => Some(branch),
        None if all => None,
        None => Some(snapshot::current(&mut session, "offshoot log BRANCH")?),
    };
    let log = session.call::<BranchGetLog>(&LogParams { branch, limit: Some(number) })?;
    if output.json {
        output.value(&log)?;
    } else {
        output.line(text(&log, timestamp::seconds(SystemTime::now()), output));
    }
    Ok(super::OK)
}

fn text(log: &Log, now: u64, output: Output) -> String {
    let mut graph = Graph::default();
    let mut lines = Vec::new();
    for entry in &log.entries {
        let margin = graph.entry(entry.line);
        let (time, age) = (timestamp::local(entry.at_us / 1_000_000 * 1_000_000), age(entry, now));
        lines.push(format!(
            "{margin} {}  {}{}",
            output.faint(&time),
            said(entry, output),
            output.faint(&age)
        ));
        if let Some(way) = &entry.way_back {
            let to = if entry.kind == LogKind::SnapshotTaken { "back to it" } else { "back to before" };
            lines.push(format!("{} {}", graph.between(), output.faint(&format!("    {to}: {}", plain(way)))));
        }
        if entry.kind == LogKind::Created
            && let Some(joined) = graph.made(entry.line, entry.parent_line)
        {
            lines.push(joined);
        }
    }
    if log.entries.is_empty() {
        lines.push("Nothing is known of earlier times.".to_owned());
    }
    if log.older > 0 {
        lines.push(format!(
            "{} more; `-n {}` shows them.",
            log.older,
            log.entries.len() + log.older as usize
        ));
    }
    if let Some(oldest) = log.oldest_moment {
        let since = timestamp::local(oldest * 1_000_000);
        lines.push(output.faint(&format!(
            "Any moment since {since} can be had: `offshoot branch create NAME --at WHEN`."
        )));
    }
    lines.join("\n")
}

fn age(entry: &LogEntry, now: u64) -> String {
    format!("  ({})", timestamp::ago(now.saturating_sub(entry.at_us / 1_000_000)))
}

fn said(entry: &LogEntry, output: Output) -> String {
    let branch = output.strong(&plain(&entry.branch));
    let from = entry.from.as_deref().map(plain).unwrap_or_default();
    let detail = entry.detail.as_deref().map(plain).unwrap_or_default();
    match entry.kind {
        LogKind::Created if from.is_empty() => format!("{branch} made"),
        LogKind::Created => match detail.strip_prefix('@') {
            Some(snapshot) => format!("{branch} made from {from}@{snapshot}"),
            None if detail.is_empty() => format!("{branch} made from {from}"),
            None => format!("{branch} made from {from} as of {detail}"),
        },
        LogKind::Reset => format!("{branch} reset to what {from} held"),
        LogKind::Restored => match detail.strip_prefix('@') {
            Some(_) => format!("{branch} restored to {}{detail}", plain(&entry.branch)),
            None => format!("{branch} restored to {detail}"),
        },
        LogKind::Refreshed => format!("{branch} got new data"),
        LogKind::Renamed => format!("{branch} renamed; it was {from}"),
        LogKind::Deleted => format!("{branch} deleted"),
        LogKind::Undone => format!("{branch} brought back"),
        LogKind::SnapshotTaken => format!("{branch} snapshot @{detail}"),
        LogKind::SnapshotRemoved => format!("{branch} snapshot @{detail} removed"),
        LogKind::Migrated | LogKind::Other => {
            let at = entry
                .commit
                .as_deref()
                .map(|commit| format!(" at commit {}", commit.get(..COMMIT_LETTERS).unwrap_or(commit)));
            let detail = if entry.failed { output.bad(&detail) } else { detail.into_owned() };
            format!("{branch} {detail}{}", at.unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, kind: LogKind, branch: &str, line: u64) -> LogEntry {
        LogEntry {
            number,
            at_us: number * 1_000_000,
            kind,
            branch: branch.into(),
            line,
            parent_line: None,
            from: None,
            detail: None,
            commit: None,
            failed: false,
            way_back: None,
        }
    }

    #[test]
    fn lines_of_branches_stand_beside_each_other_and_meet_where_one_was_made() {
        let made = |number, branch: &str, line, parent: u64, from: &str| LogEntry {
            parent_line: Some(parent),
            from: Some(from.into()),
            ..entry(number, LogKind::Created, branch, line)
        };
        let mut log = Log {
            entries: vec![
                LogEntry {
                    from: Some("main".into()),
                    way_back: Some("offshoot undo a~before-reset-x".into()),
                    ..entry(9, LogKind::Reset, "a", 2)
                },
                LogEntry {
                    detail: Some("1.sql applied".into()),
                    commit: Some("0123456789abcdef".into()),
                    ..entry(8, LogKind::Migrated, "b", 3)
                },
                LogEntry { detail: Some("s".into()), ..entry(7, LogKind::SnapshotTaken, "main", 1) },
                LogEntry { detail: Some("@s".into()), ..made(6, "b", 3, 1, "main") },
                made(5, "c", 4, 2, "a"),
                entry(4, LogKind::Deleted, "d", 5),
                made(3, "a", 2, 1, "main"),
                entry(1, LogKind::Created, "main", 1),
            ],
            older: 2,
            oldest_moment: None,
        };
        let shown = |log: &Log| {
            let text = text(log, 60, Output::new(false));
            // Times are of this machine's zone.
            let cut = |line: &str| match line.find("19") {
                Some(at) if line[at..].starts_with("19") && line.contains(" seconds ago)") => {
                    format!("{}TIME{}", &line[..at], &line[at + 19..])
                }
                _ => line.to_owned(),
            };
            text.lines().map(cut).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(shown(&log), @r"
        * TIME  a reset to what main held  (51 seconds ago)
        |     back to before: offshoot undo a~before-reset-x
        | * TIME  b 1.sql applied at commit 0123456789  (52 seconds ago)
        | | * TIME  main snapshot @s  (53 seconds ago)
        | * | TIME  b made from main@s  (54 seconds ago)
        | |/
        | | * TIME  c made from a  (55 seconds ago)
        |_|/
        | | * TIME  d deleted  (56 seconds ago)
        * | | TIME  a made from main  (57 seconds ago)
        |/  |
        *   | TIME  main made  (59 seconds ago)
        2 more; `-n 10` shows them.
        ");
        log.entries.clear();
        assert_eq!(shown(&log).lines().next(), Some("Nothing is known of earlier times."));
    }
}
