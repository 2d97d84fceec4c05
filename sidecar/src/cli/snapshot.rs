//! `offshoot snapshot …`.

use offshoot_protocol::method::{SnapshotCreate, SnapshotDelete, SnapshotGetList, WorktreeGetStatus};
use offshoot_protocol::snapshot::{Snapshot, SnapshotListParams, SnapshotParams, StateKind};
use offshoot_protocol::types::WorktreeParams;
use serde_json::json;

use super::args::SnapshotCommand;
use super::connect::Session;
use super::output::Output;
use super::plain::plain;
use crate::failure::{Failure, Result};
use crate::timestamp;

pub(super) fn run(command: SnapshotCommand, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    match command {
        SnapshotCommand::Create { name } => {
            let params = place(&mut session, &name)?;
            let taken = session.call::<SnapshotCreate>(&params)?;
            if output.json {
                output.value(&taken)?;
            } else {
                let (branch, name) = (&taken.branch, &taken.name);
                output.line(format!(
                    "Took a snapshot: {branch}@{name}. `offshoot diff {branch}@{name}` compares with it."
                ));
            }
        }
        SnapshotCommand::List { branch, all } => {
            let list = session.call::<SnapshotGetList>(&SnapshotListParams { branch, all })?;
            if output.json {
                output.value(&list)?;
            } else if list.snapshots.is_empty() {
                output.line("There are no snapshots. `offshoot snapshot create NAME` takes one.");
            }
            for snapshot in list.snapshots.iter().filter(|_| !output.json) {
                let time = timestamp::utc(std::time::Duration::from_secs(snapshot.created_at));
                let time = time.replace('T', " ").replace(".000Z", " UTC");
                output.line(format!("{time}  {}", listed(snapshot, all)));
            }
        }
        SnapshotCommand::Delete { name } => {
            let params = place(&mut session, &name)?;
            session.call::<SnapshotDelete>(&params)?;
            let shown = format!("{}@{}", params.branch, params.name);
            if output.json {
                output.value(&json!({ "deleted": shown }))?;
            } else {
                output.line(format!("Removed the snapshot {shown} for good."));
            }
        }
    }
    Ok(super::OK)
}

/// A snapshot as it is listed. Among others than named ones, each says what it is and how it comes back.
fn listed(snapshot: &Snapshot, all: bool) -> String {
    let (branch, name) = (plain(&snapshot.branch), plain(&snapshot.name));
    let mut text = match snapshot.kind {
        StateKind::Named => format!("{branch}@{name}"),
        StateKind::Fork => format!("{branch}@fork  what it was when it was made"),
        StateKind::Automatic => format!("{branch}  automatic: moments from then on are near"),
        StateKind::Former => format!("{name}  in the trash"),
    };
    if let Some(commit) = &snapshot.commit {
        text.extend(["  commit ", &plain(commit)]);
    }
    if let Some(way) = snapshot.way_back.as_ref().filter(|_| all) {
        text.extend(["  (", &plain(way), ")"]);
    }
    text
}

/// `BRANCH@NAME`, or `NAME` of the worktree's branch.
pub(super) fn place(session: &mut Session, text: &str) -> Result<SnapshotParams> {
    if let Some((branch, name)) = text.rsplit_once('@')
        && !branch.is_empty()
    {
        return Ok(SnapshotParams { branch: branch.to_owned(), name: name.to_owned() });
    }
    let branch = current(session, "offshoot snapshot create BRANCH@NAME")?;
    Ok(SnapshotParams { branch, name: text.trim_start_matches('@').to_owned() })
}

/// The worktree's branch. `otherwise` is the command that names one.
pub(super) fn current(session: &mut Session, otherwise: &str) -> Result<String> {
    let path = session.path();
    let status = session.call::<WorktreeGetStatus>(&WorktreeParams { path })?;
    let branch = status.branch.ok_or_else(|| {
        Failure::user("this worktree has no database branch").hint(format!("Name one: `{otherwise}`."))
    })?;
    Ok(branch.name)
}
