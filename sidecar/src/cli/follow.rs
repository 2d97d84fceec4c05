//! `offshoot follow …`, and `offshoot refresh` of a branch that follows.

mod resume;

use std::time::{Duration, SystemTime};

use offshoot_protocol::follow::{FollowStartParams, FollowTurn, Followed, Follows};
use offshoot_protocol::method::{FollowGetStatus, FollowNow, FollowStart, FollowStop};
use offshoot_protocol::types::Nothing;

use super::args::FollowCommand;
use super::connect::Session;
use super::diff::long;
use super::output::{Output, bytes};
use super::plain::plain;
use crate::address::{with_absolute_files, with_known_password};
use crate::config::duration_text;
use crate::failure::Result;
use crate::timestamp;

pub(super) fn run(command: FollowCommand, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    match command {
        FollowCommand::Start { from, every, max_rate, against } => {
            let done = start(&mut session, &from, (every, max_rate), against.r#override, output)?;
            tell(&done, output)
        }
        FollowCommand::Status => {
            let status = session.call::<FollowGetStatus>(&Nothing {})?;
            let is_well = status.following.as_ref().is_none_or(|following| following.state.is_well());
            if output.json {
                output.value(&status)?;
            } else if let Some(following) = &status.following {
                output.line(report(following, timestamp::seconds(SystemTime::now()), output));
            } else {
                output.line("Nothing is followed. `offshoot follow start --from URL` follows a server.");
            }
            Ok(if is_well { super::OK } else { super::NEGATIVE })
        }
        FollowCommand::Resume { from } => resume::run(&mut session, from, output),
        FollowCommand::Stop => {
            let stopped = session.call::<FollowStop>(&Nothing {})?;
            if output.json {
                output.value(&stopped)?;
            } else if !stopped.was_following {
                output.line("Nothing is followed.");
            } else if let (Some(slot), Some(why), Some(statement)) =
                (&stopped.left_slot, &stopped.why, &stopped.statement)
            {
                output.line(format!("Stopped. The slot {slot} is left at the source: {}.", plain(why)));
                output
                    .line(output.warn(&format!("It keeps WAL there. Run this at the source: {statement};")));
            } else {
                output.line("Stopped. The slot at the source is dropped; the branches stay as they are.");
            }
            Ok(super::OK)
        }
    }
}

/// Starts to follow the server at `from`, with a look every so often and at most so many kilobytes a second.
pub(super) fn start(
    session: &mut Session,
    from: &str,
    (every, max_rate_kb): (Duration, Option<u32>),
    override_rules: bool,
    output: Output,
) -> Result<FollowTurn> {
    let params = FollowStartParams {
        path: session.path(),
        from: with_known_password(&with_absolute_files(from)?),
        every_seconds: every.as_secs(),
        max_rate_kb,
        override_rules,
    };
    let done = long::<FollowStart>(session, &params, output.json)?;
    if !output.json {
        let (source, every) = (plain(&done.following.source), duration_text(every));
        output.line(format!("Branch {} follows {source}, every {every}.", plain(&done.branch)));
    }
    Ok(done)
}

/// `offshoot refresh` without a source.
pub(super) fn now(session: &mut Session, output: Output) -> Result<u8> {
    let done = long::<FollowNow>(session, &Nothing {}, output.json)?;
    tell(&done, output)
}

/// What a turn did.
fn tell(done: &FollowTurn, output: Output) -> Result<u8> {
    if output.json {
        output.value(done)?;
        return Ok(super::OK);
    }
    let (branch, at) = (plain(&done.branch), &done.following.replayed);
    output.line(if done.refreshed {
        format!("Branch {branch} has what the source has, up to {at}.")
    } else {
        format!("Branch {branch} has it all already, up to {at}.")
    });
    for note in &done.notes {
        output.line(format!("  note: {}", plain(note)));
    }
    if done.refreshed && !done.stale.is_empty() {
        output.line(format!("Still with the data from before: {}.", plain(&done.stale.join(", "))));
        output
            .line(format!("`offshoot branch reset {}` gives a branch the new ones.", plain(&done.stale[0])));
    }
    Ok(super::OK)
}

/// What is followed, for people. `now` in seconds since 1970.
fn report(following: &Followed, now: u64, output: Output) -> String {
    let state = following.state.as_str();
    let since = timestamp::ago(now.saturating_sub(following.since));
    let since = since.strip_suffix(" ago").map_or_else(|| since.clone(), |time| format!("for {time}"));
    let state = if following.state.is_well() { output.good(state) } else { output.bad(state) };
    let fresh = following.fresh_at.map_or_else(
        || "the root branch has none of it yet".to_owned(),
        |at| format!("the root branch has what the source had {}", timestamp::ago(now.saturating_sub(at))),
    );
    let mut lines = vec![
        format!("Follows {}", output.strong(&plain(&following.source))),
        format!("  {state}, {since}"),
        format!("  {fresh}"),
        format!("  replayed up to {}, timeline {}", following.replayed, following.timeline),
    ];
    lines.extend(
        following.trouble.iter().map(|trouble| format!("{} {}", output.bad("error:"), plain(trouble))),
    );
    lines.extend(following.hint.iter().map(|hint| format!("  {hint}")));
    let limit = match following.slot_limit.as_deref() {
        Some("-1") => ", without a limit (`max_slot_wal_keep_size` sets one)".to_owned(),
        Some(limit) => format!(", of {limit} at the most"),
        None => String::new(),
    };
    let held = bytes(following.held_bytes);
    lines.push(format!("  the slot {} at the source", following.slot));
    lines.push(format!("  it kept {held} of WAL there when it was looked at last{limit}"));
    let own = bytes(following.own_bytes);
    lines.push(format!("  the standby here has {own} of its own, {} shared", bytes(following.shared_bytes)));
    let every = duration_text(Duration::from_secs(following.every_seconds));
    lines.push(match following.next_at {
        Some(at) => {
            let left = duration_text(Duration::from_secs(at.saturating_sub(now)));
            format!("  every {every}; next in {left}, or now by `offshoot refresh`")
        }
        None => "  it is not tried again by itself; `offshoot refresh` tries".to_owned(),
    });
    lines.join("\n")
}

/// The same in short, for the status of the root branch.
pub(super) fn line(follows: &Follows) -> String {
    let now = timestamp::seconds(SystemTime::now());
    let fresh = follows.fresh_at.map_or_else(String::new, |at| {
        format!(": has what that had {}", timestamp::ago(now.saturating_sub(at)))
    });
    format!("  follows {}{fresh}", plain(&follows.source))
}

#[cfg(test)]
mod tests {
    use offshoot_protocol::follow::FollowState;

    use super::*;

    #[test]
    fn a_state_reads_with_its_way_on() {
        let mut following = Followed {
            source: "postgres://backup@db.example.com/shop".into(),
            slot: "offshoot_00ff".into(),
            state: FollowState::Current,
            since: 940,
            trouble: None,
            hint: None,
            fresh_at: Some(940),
            replayed: "0/16B3748".into(),
            timeline: 1,
            held_bytes: 0,
            slot_limit: Some("-1".into()),
            every_seconds: 600,
            next_at: Some(1540),
            own_bytes: 1_000_000,
            shared_bytes: 30_000_000,
        };
        insta::assert_snapshot!(report(&following, 1000, Output::new(false)), @r"
        Follows postgres://backup@db.example.com/shop
          current, for 60 seconds
          the root branch has what the source had 60 seconds ago
          replayed up to 0/16B3748, timeline 1
          the slot offshoot_00ff at the source
          it kept 0 B of WAL there when it was looked at last, without a limit (`max_slot_wal_keep_size` sets one)
          the standby here has 1.0 MB of its own, 30 MB shared
          every 10m; next in 9m, or now by `offshoot refresh`
        ");
        following.state = FollowState::SlotLost;
        following.trouble = Some("the source has removed WAL that is needed to go on: gone".into());
        following.hint = Some("`offshoot follow stop`, then …".into());
        (following.next_at, following.slot_limit) = (None, Some("1GB".into()));
        insta::assert_snapshot!(report(&following, 1000, Output::new(false)), @r"
        Follows postgres://backup@db.example.com/shop
          slot lost, for 60 seconds
          the root branch has what the source had 60 seconds ago
          replayed up to 0/16B3748, timeline 1
        error: the source has removed WAL that is needed to go on: gone
          `offshoot follow stop`, then …
          the slot offshoot_00ff at the source
          it kept 0 B of WAL there when it was looked at last, of 1GB at the most
          the standby here has 1.0 MB of its own, 30 MB shared
          it is not tried again by itself; `offshoot refresh` tries
        ");
    }
}
