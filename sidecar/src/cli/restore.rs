//! `offshoot restore`.

use offshoot_protocol::method::BranchRestore;
use offshoot_protocol::past::{Moment, RestoreParams};

use super::commit::{self, Wanted};
use super::connect::Session;
use super::diff::long;
use super::moment::When;
use super::output::Output;
use super::plain::plain;
use super::snapshot;
use crate::failure::Result;
use crate::timestamp;

pub(super) fn run(branch: Option<String>, at: &str, override_rules: bool, output: Output) -> Result<u8> {
    let wanted = commit::read(at)?;
    let mut session = Session::open(output)?;
    let name = match branch {
        Some(name) => name,
        None => snapshot::current(&mut session, "offshoot restore BRANCH --at WHEN")?,
    };
    let to = match wanted {
        Wanted::Moment(when) => on_the_wire(when),
        Wanted::Commit(id) => Moment::Snapshot(commit::taken_at(&mut session, Some(&name), &id, true)?.name),
    };
    let restored = long::<BranchRestore>(
        &mut session,
        &RestoreParams { name, to: to.clone(), override_rules },
        output.json,
    )?;
    if output.json {
        output.value(&restored)?;
    } else {
        let name = plain(&restored.branch.name);
        output.line(format!("Branch {name} is what it was {}.", at_words(&name, &to)));
        output.line(format!(
            "What it had is kept as {}: `offshoot undo {name}` brings it back.",
            restored.kept_as
        ));
    }
    Ok(super::OK)
}

/// A moment as the engine takes it.
pub(super) fn on_the_wire(when: When) -> Moment {
    match when {
        When::Time(us) => Moment::TimeUs(us),
        When::Lsn(lsn) => Moment::Lsn(lsn.to_string()),
        When::Snapshot(name) => Moment::Snapshot(name),
    }
}

fn at_words(branch: &str, to: &Moment) -> String {
    match to {
        Moment::TimeUs(us) => format!("at {}", timestamp::local(*us)),
        Moment::Lsn(lsn) => format!("at {lsn}"),
        Moment::Snapshot(name) if name == "fork" => "when it was made".to_owned(),
        Moment::Snapshot(name) => format!("at {branch}@{}", plain(name)),
    }
}
