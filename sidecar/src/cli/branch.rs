//! `offshoot branch …` and `offshoot undo`.

mod table;

use std::io::{BufRead, IsTerminal, Write};
use std::time::{Duration, SystemTime};

use offshoot_protocol::method::{
    BranchCreate, BranchDelete, BranchExpire, BranchGetList, BranchGetTable, BranchProtect, BranchRename,
    BranchReset, BranchUndo, PolicyExplain,
};
use offshoot_protocol::policy::{PolicyExplainParams, PolicyPlace};
use offshoot_protocol::types::{
    Branch, CreateParams, ExpireParams, GuardedParams, Nothing, ProtectParams, RenameParams, UndoParams,
    WorktreeParams,
};
use serde_json::json;

use super::args::BranchCommand;
use super::commit::{self, Wanted};
use super::connect::Session;
use super::diff::long;
use super::moment::When;
use super::output::Output;
use super::plain::plain;
use super::{du, snapshot};
use crate::failure::{Failure, Result};
use crate::{names, timestamp};

pub(super) fn run(command: BranchCommand, output: Output) -> Result<u8> {
    match command {
        BranchCommand::List => list(output),
        BranchCommand::Create { name, from, at, ttl, against } => {
            create(&name, from, at.as_deref(), ttl, against.r#override, output)
        }
        BranchCommand::Delete { name, yes, against } => delete(&name, yes, against.r#override, output),
        BranchCommand::Rename { old, new, against } => rename(&old, &new, against.r#override, output),
        BranchCommand::Expire { name, r#in, never: _ } => expire(&name, r#in, output),
        BranchCommand::Protect { name } => protect(&name, true, output),
        BranchCommand::Unprotect { name } => protect(&name, false, output),
        BranchCommand::Purge { names, all: _, yes } => du::purge(names, yes, output),
        BranchCommand::Reset { name, against } => reset(&name, against.r#override, output),
    }
}

fn list(output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    if output.json {
        let list = session.call::<BranchGetList>(&Nothing {})?;
        output.value(&list)?;
    } else {
        let table = session.call::<BranchGetTable>(&WorktreeParams { path: session.path() })?;
        output.lines(&table::show(&table.lines, timestamp::seconds(SystemTime::now()), output));
        // The process ends now: giving back thousands of strings one by one takes longer than to write them.
        std::mem::forget(table);
    }
    Ok(super::OK)
}

fn create(
    name: &str,
    from: Option<String>,
    at: Option<&str>,
    ttl: Option<Duration>,
    override_rules: bool,
    output: Output,
) -> Result<u8> {
    names::check(name)?;
    let wanted = at.map(commit::read).transpose()?;
    let mut session = Session::open(output)?;
    let path = Some(session.path());
    let (mut at_us, mut at_lsn, mut from) = (None, None, from);
    match wanted {
        Some(Wanted::Moment(When::Time(us))) => at_us = Some(us),
        Some(Wanted::Moment(When::Lsn(lsn))) => at_lsn = Some(lsn.to_string()),
        Some(Wanted::Moment(When::Snapshot(snapshot))) => {
            from = Some(of_snapshot(&mut session, from, &snapshot)?);
        }
        Some(Wanted::Commit(id)) => {
            let taken = commit::taken_at(&mut session, from.as_deref(), &id, false)?;
            from = Some(format!("{}@{}", taken.branch, taken.name));
        }
        None => {}
    }
    let asked = from.clone();
    let (name, expires_at) = (name.to_owned(), ttl.map(from_now));
    let params = CreateParams { name, from, path, expires_at, at_us, at_lsn, override_rules };
    let branch = match params {
        // There may be much to replay.
        CreateParams { at_us: Some(_), .. } | CreateParams { at_lsn: Some(_), .. } => {
            long::<BranchCreate>(&mut session, &params, output.json)?
        }
        _ => session.call::<BranchCreate>(&params)?,
    };
    let rule = if params.from.is_none() && !params.override_rules {
        ruled_parent(&mut session, &branch)?
    } else {
        None
    };
    if output.json {
        let mut value = serde_json::to_value(&branch).map_err(|e| Failure::internal(e.to_string()))?;
        if let Some(rule) = &rule {
            value["parentRule"] = json!(rule);
        }
        output.value(&value)?;
        return Ok(super::OK);
    }
    done(output, &branch, |branch| {
        // A snapshot is named as it was asked for: the parent is the branch that has it.
        let from = asked.as_deref().or(branch.parent.as_deref()).unwrap_or("nothing");
        let as_of = match (at_us, at) {
            (Some(us), _) => format!(" as of {}", timestamp::local(us)),
            _ if from.contains('@') => String::new(),
            (None, Some(lsn)) => format!(" as of {lsn}"),
            _ => String::new(),
        };
        let by = rule.iter().map(|rule| format!(" That is its parent by {}:{}.", rule.file, rule.line));
        let by: String = by.collect();
        let made = format!("Created branch {} from {from}{as_of}.{by}", branch.name);
        match branch.expires_at {
            Some(at) => {
                let time = until(at, timestamp::seconds(SystemTime::now()));
                format!("{made} It goes to the trash {time}, unless somebody uses it then.")
            }
            None => made,
        }
    })
}

/// The line of a rule that gave a branch its parent, where nobody said what it is made from.
fn ruled_parent(session: &mut Session, branch: &Branch) -> Result<Option<PolicyPlace>> {
    let params = PolicyExplainParams { name: branch.name.clone(), path: session.path() };
    let explained = session.call::<PolicyExplain>(&params)?;
    let parent = explained.settings.into_iter().find(|setting| setting.key == "parent");
    Ok(parent.filter(|parent| parent.value == branch.parent).and_then(|parent| parent.place))
}

/// `BRANCH@NAME` of a snapshot of `from`, or of this worktree's branch.
fn of_snapshot(session: &mut Session, from: Option<String>, snapshot: &str) -> Result<String> {
    let branch = match from {
        Some(from) => from,
        None => snapshot::place(session, snapshot)?.branch,
    };
    Ok(format!("{branch}@{snapshot}"))
}

fn delete(name: &str, yes: bool, override_rules: bool, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    if !yes && !output.json && std::io::stdin().is_terminal() && !agreed(name)? {
        return Ok(super::NEGATIVE);
    }
    session.call::<BranchDelete>(&GuardedParams { name: name.to_owned(), override_rules })?;
    if output.json {
        output.value(&json!({ "deleted": name }))?;
    } else {
        output.line(format!("Deleted branch {name}. `offshoot undo` brings it back."));
    }
    Ok(super::OK)
}

fn agreed(name: &str) -> Result<bool> {
    let fault = |e: &std::io::Error| Failure::io("ask a question", e);
    write!(std::io::stderr(), "Delete database branch {}? [y/N] ", plain(name)).map_err(|e| fault(&e))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| fault(&e))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn rename(old: &str, new: &str, override_rules: bool, output: Output) -> Result<u8> {
    names::check(new)?;
    let mut session = Session::open(output)?;
    let params = RenameParams { name: old.to_owned(), to: new.to_owned(), override_rules };
    let branch = session.call::<BranchRename>(&params)?;
    done(output, &branch, |branch| format!("Renamed branch {old} to {}.", branch.name))?;
    // Checked out now, the git branch would get another database.
    if session.project.worktree.repository().has_branch(old).unwrap_or(false) && !branch.in_git {
        output.aside(format!(
            "Git still has a branch {old}; `git branch -m {old} {new}` gives it the same name."
        ));
    }
    Ok(super::OK)
}

/// Seconds since 1970.
fn from_now(time: Duration) -> u64 {
    timestamp::seconds(SystemTime::now() + time)
}

fn expire(name: &str, after: Option<Duration>, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    let params = ExpireParams { name: name.to_owned(), at: after.map(from_now) };
    let branch = session.call::<BranchExpire>(&params)?;
    done(output, &branch, |branch| match branch.expires_at {
        Some(_) if branch.protected => {
            format!("Branch {} is protected, and stays as long as it is.", branch.name)
        }
        Some(at) => format!(
            "Branch {} goes to the trash {}, unless somebody uses it then.",
            branch.name,
            until(at, timestamp::seconds(SystemTime::now()))
        ),
        None => format!("Branch {} stays.", branch.name),
    })
}

/// How long until `at`, both in seconds since 1970: `in 3 h`.
pub(super) fn until(at: u64, now: u64) -> String {
    let left = at.saturating_sub(now);
    // Rounded to the nearest, so that what was set a moment ago reads as it was said.
    let parts = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let part = parts.into_iter().find(|(seconds, _)| left + seconds / 24 >= *seconds);
    part.map_or_else(
        || "now".to_owned(),
        |(seconds, unit)| format!("in {} {unit}", (left + seconds / 2) / seconds),
    )
}

fn protect(name: &str, on: bool, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    let branch = session.call::<BranchProtect>(&ProtectParams { name: name.to_owned(), on })?;
    done(output, &branch, |branch| {
        let state = if on {
            "is protected: it cannot be deleted, reset, restored or renamed"
        } else {
            "is no longer protected"
        };
        if branch.protected && !on {
            let name = &branch.name;
            return format!("Branch {name} is still protected, by a rule: `offshoot policy explain {name}`.");
        }
        format!("Branch {} {state}.", branch.name)
    })
}

fn reset(name: &str, override_rules: bool, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    let branch = session.call::<BranchReset>(&GuardedParams { name: name.to_owned(), override_rules })?;
    done(output, &branch, |branch| {
        let parent = branch.parent.as_deref().unwrap_or("its parent");
        format!(
            "Reset branch {} to what {parent} holds now. `offshoot undo` brings back what it had.",
            branch.name
        )
    })
}

/// `offshoot undo`.
pub(super) fn undo(name: Option<String>, override_rules: bool, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    let undone = session.call::<BranchUndo>(&UndoParams { name, id: None, override_rules })?;
    if output.json {
        output.value(&undone)?;
    } else {
        let name = &undone.branch.name;
        output.line(if undone.replaced {
            format!("Branch {name} has again what it had before. `offshoot undo {name}` swaps back.")
        } else {
            format!("Brought back branch {name}.")
        });
        if undone.had_expired {
            output.line(format!(
                "It had expired, and stays now; `offshoot branch expire {name} --in 7d` sets another time."
            ));
        }
    }
    Ok(super::OK)
}

fn done(output: Output, branch: &Branch, text: impl FnOnce(&Branch) -> String) -> Result<u8> {
    if output.json {
        output.value(branch)?;
    } else {
        output.line(text(branch));
    }
    Ok(super::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_reads_as_it_was_said() {
        let left =
            [0, 1, 59, 3600, 86_399, 86_400, 14 * 86_400 - 1, 36 * 3600].map(|left| until(1000 + left, 1000));
        assert_eq!(left, ["now", "in 1 s", "in 1 min", "in 1 h", "in 1 d", "in 1 d", "in 14 d", "in 2 d"]);
        assert_eq!(until(5, 10), "now");
    }
}
