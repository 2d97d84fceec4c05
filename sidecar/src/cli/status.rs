//! `offshoot status`.

use std::time::Duration;

use offshoot_protocol::method::{WorktreeAnswer, WorktreeGetStatus};
use offshoot_protocol::types::{
    Answer, AnswerParams, Branch, ComputeState, GitHead, NoteKind, WorktreeParams, WorktreeStatus,
};

use super::connect::Session;
use super::follow;
use super::output::{Output, bytes};
use crate::address::hide_password;
use crate::failure::Result;
use crate::timestamp;

pub(super) fn run(show_password: bool, dismiss: bool, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    if dismiss {
        let (path, answer) = (session.path(), Answer::DismissAll);
        let status = session.call::<WorktreeAnswer>(&AnswerParams { path, answer })?;
        return show(status, show_password, output);
    }
    print(&mut session, show_password, output)
}

/// Prints the status of the session's worktree.
pub(super) fn print(session: &mut Session, show_password: bool, output: Output) -> Result<u8> {
    let path = session.path();
    let status = session.call::<WorktreeGetStatus>(&WorktreeParams { path })?;
    show(status, show_password, output)
}

/// The status of the session's worktree, for programs.
pub(super) fn value(session: &mut Session) -> Result<serde_json::Value> {
    let path = session.path();
    let mut status = session.call::<WorktreeGetStatus>(&WorktreeParams { path })?;
    status.endpoint.url = hide_password(&status.endpoint.url);
    serde_json::to_value(&status).map_err(|e| crate::failure::Failure::internal(e.to_string()))
}

/// Prints a status that was asked for.
pub(super) fn show(mut status: WorktreeStatus, show_password: bool, output: Output) -> Result<u8> {
    if !show_password {
        status.endpoint.url = hide_password(&status.endpoint.url);
    }
    if output.json {
        output.value(&status)?;
    } else {
        output.line(human(&status, output));
    }
    Ok(super::OK)
}

fn human(status: &WorktreeStatus, output: Output) -> String {
    let git = match &status.git {
        GitHead::Branch { name } => format!("On git branch {}", output.strong(name)),
        GitHead::Detached { commit } if commit.is_empty() => "The git HEAD cannot be read".to_owned(),
        GitHead::Detached { commit } => format!("HEAD detached at {}", &commit[..commit.len().min(10)]),
    };
    let url = &status.endpoint.url;
    let mut lines = vec![git];
    if let Some(branch) = &status.branch {
        let from = branch.parent.as_ref().map(|parent| format!(", from {parent}")).unwrap_or_default();
        lines.push(format!("Database branch {}{from}", output.strong(&branch.name)));
        lines.push(format!("  {url}"));
        lines.push(format!("  {}", facts(branch, status.endpoint.connections, output)));
        if let Some(follows) = &branch.follows {
            lines.push(follow::line(follows));
        }
        if let Some(since) = branch.stale_since {
            let day = timestamp::utc(Duration::from_secs(since));
            lines.push(format!(
                "{} the root branch got new data on {} that this one has not; `offshoot branch reset {}` takes them",
                output.warn("note:"),
                &day[..10],
                branch.name
            ));
        }
    } else {
        lines.push(output.bad("No database branch"));
        lines.push(format!("  {url}"));
    }
    for note in &status.notes {
        let word = match note.kind {
            NoteKind::Config | NoteKind::PortTaken | NoteKind::Binding | NoteKind::Compute => {
                output.bad("error:")
            }
            _ => output.warn("note:"),
        };
        lines.push(format!("{word} {}", note.text));
        lines.extend(note.hint.iter().flat_map(|hint| hint.lines()).map(|hint| format!("  {hint}")));
    }
    for offer in &status.offers {
        lines.push(format!("{} {}", output.warn("note:"), offer.text));
        lines.extend(offer.hint.lines().map(|hint| format!("  {hint}")));
    }
    lines.join("\n")
}

fn facts(branch: &Branch, connections: u64, output: Output) -> String {
    let own = format!("{} of its own", bytes(branch.own_bytes));
    let shared = match branch.shared_bytes {
        0 => String::new(),
        shared => format!(", {} shared", bytes(shared)),
    };
    let people = match connections {
        0 => String::new(),
        1 => ", 1 connection".to_owned(),
        many => format!(", {many} connections"),
    };
    let guard = if branch.protected { ", protected" } else { "" };
    format!("{}{people}, {own}{shared}{guard}", state(branch.state, output))
}

/// The state of a Postgres, coloured.
pub(super) fn state(state: ComputeState, output: Output) -> String {
    match state {
        ComputeState::Awake => output.good(state.as_str()),
        ComputeState::Asleep => output.faint(state.as_str()),
        ComputeState::Failed => output.bad(state.as_str()),
        ComputeState::Waking | ComputeState::Stopping => output.warn(state.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offshoot_protocol::types::{EndpointStatus, Note};

    #[test]
    fn status_reads_like_git() {
        let branch = Branch {
            id: 2,
            name: "feature".into(),
            parent: Some("main".into()),
            fork_lsn: None,
            created_at: 0,
            state: ComputeState::Awake,
            failure: None,
            root: false,
            own_bytes: 123_456,
            shared_bytes: 78_900_000,
            in_git: true,
            connections: 1,
            worktrees: vec![],
            protected: false,
            overridable: false,
            expires_at: None,
            max_bytes: None,
            stale_since: None,
            follows: None,
            promotes_to: None,
        };
        let status = WorktreeStatus {
            path: "/r".into(),
            git: GitHead::Branch { name: "feature".into() },
            branch: Some(branch),
            endpoint: EndpointStatus {
                port: 20_001,
                url: "postgres://postgres:****@127.0.0.1:20001/app".into(),
                listening: true,
                connections: 1,
            },
            notes: vec![Note {
                kind: NoteKind::Config,
                text: "offshoot.toml, line 3: unknown key `on_chekout`".into(),
                hint: Some("Did you mean `on_checkout`?".into()),
            }],
            ask: None,
            offers: vec![],
        };
        insta::assert_snapshot!(human(&status, Output::new(false)), @r"
        On git branch feature
        Database branch feature, from main
          postgres://postgres:****@127.0.0.1:20001/app
          awake, 1 connection, 123 KB of its own, 79 MB shared
        error: offshoot.toml, line 3: unknown key `on_chekout`
          Did you mean `on_checkout`?
        ");
    }
}
