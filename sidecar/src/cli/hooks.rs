//! `offshoot hooks …`: git tells the engine, besides its files being watched.

use std::path::Path;
use std::thread;
use std::time::Duration;

use offshoot_git::{HOOKS, HookError, HookState, Hooks};
use offshoot_protocol::method::GitChanged;
use offshoot_protocol::types::Nothing;
use serde_json::json;

use super::args::HooksCommand;
use super::connect::try_connect;
use super::output::Output;
use crate::engine::binding::git_failure;
use crate::failure::{Failure, Result};
use crate::paths::Paths;
use crate::project::{self, Project};

/// How long telling may take.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn run(command: &HooksCommand, output: Output) -> Result<u8> {
    if let HooksCommand::Tell { .. } = command {
        tell();
        return Ok(super::OK);
    }
    let here = std::env::current_dir().map_err(|e| Failure::io("find the current folder", &e))?;
    let worktree = project::worktree(&here)?;
    let hooks = offshoot_git::hooks(&worktree).map_err(|e| git_failure(&e))?;
    // Another tool may have had git take its hooks from elsewhere since they were installed.
    let before = offshoot_git::hooks_left(&worktree, &hooks);
    let program = std::env::current_exe().map_err(|e| Failure::io("find the path of this program", &e))?;
    match command {
        HooksCommand::Install => {
            hooks.install(&program).map_err(failure)?;
            if !output.json {
                output.line(format!("Installed hooks in {}.", hooks.folder.display()));
            }
        }
        HooksCommand::Uninstall => {
            let mut left = hooks.uninstall().map_err(failure)?;
            if let Some(before) = &before {
                left.extend(before.uninstall().map_err(failure)?);
            }
            if !output.json {
                output.line(if left.is_empty() {
                    "No hook of Offshoot is left; what was there before is back.".to_owned()
                } else {
                    let left: Vec<String> = left.iter().map(|path| path.display().to_string()).collect();
                    format!("Others have changed these, so that they stay: {}.", left.join(", "))
                });
            }
        }
        HooksCommand::Status | HooksCommand::Tell { .. } => {}
    }
    if let (HooksCommand::Status, Some(before), false) = (command, &before, output.json) {
        output.line(format!(
            "Hooks of Offshoot are in {} too, from which git takes none now: `offshoot hooks uninstall` takes them away.",
            before.folder.display()
        ));
    }
    show(&hooks, &program, matches!(command, HooksCommand::Status), output)
}

/// Shows what is where, for `status` and in JSON. Says by the exit code whether somebody has changed ours.
fn show(hooks: &Hooks, program: &Path, in_words: bool, output: Output) -> Result<u8> {
    let states: Vec<(&str, HookState)> =
        HOOKS.iter().map(|name| (*name, hooks.state(name, program))).collect();
    // They are installed together, so that one that is not there was.
    let is_whole = |state| matches!(state, HookState::Installed { .. } | HookState::Elsewhere);
    let are_installed = states.iter().any(|(_, state)| is_whole(*state));
    if output.json {
        let list = states.iter().map(|(name, state)| {
            let chained = *state == HookState::Installed { chained: true };
            json!({ "name": name, "state": word(*state), "chained": chained })
        });
        output.value(&json!({
            "folder": hooks.folder, "refused": hooks.refused, "hooks": list.collect::<Vec<_>>(),
        }))?;
    } else if in_words {
        output.line(format!("Hooks are taken from {}.", hooks.folder.display()));
        if let Some(why) = &hooks.refused {
            output.line(format!("None of Offshoot's is put there: {why}."));
        }
        for (name, state) in &states {
            let lost = are_installed && *state == HookState::Foreign;
            let words = if lost { REPLACED } else { words(*state) };
            output.line(format!("  {name:<14} {words}"));
        }
    }
    let is_touched = are_installed && states.iter().any(|(_, state)| !is_whole(*state));
    let is_touched = is_touched
        || states.iter().any(|(_, state)| matches!(state, HookState::Overwritten | HookState::Edited));
    Ok(if is_touched && in_words { super::NEGATIVE } else { super::OK })
}

/// What is said of a hook of somebody else where ours was.
const REPLACED: &str = "another tool has put its own over ours; `offshoot hooks install` puts ours before it";

fn word(state: HookState) -> &'static str {
    match state {
        HookState::Absent => "absent",
        HookState::Foreign => "foreign",
        HookState::Installed { .. } => "installed",
        HookState::Elsewhere => "otherProgram",
        HookState::Edited => "edited",
        HookState::Overwritten => "overwritten",
    }
}

fn words(state: HookState) -> &'static str {
    match state {
        HookState::Absent => "not installed",
        HookState::Foreign => "not installed; there is one of somebody else",
        HookState::Installed { chained: false } => "installed",
        HookState::Installed { chained: true } => "installed, before the one that was there",
        HookState::Elsewhere => "installed for another program: `offshoot hooks install` makes it this one's",
        HookState::Edited => "installed, and changed by somebody since: it is not touched any more",
        HookState::Overwritten => {
            "another tool has put its own over ours; the one from before is kept beside it, with .before-offshoot behind its name"
        }
    }
}

fn failure(error: HookError) -> Failure {
    match error {
        HookError::Refused { what, hint } => Failure::user(what).hint(hint),
        HookError::Io { .. } => Failure::user(error.to_string())
            .hint("Look at the rights of the folder. The hooks are as they were: `offshoot hooks status`."),
    }
}

/// Tells the engine, if one runs. Whatever goes wrong is nothing that git should hear of: the engine finds it out by itself.
fn tell() {
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        std::process::exit(0);
    });
    let client = std::env::current_dir().ok().and_then(|here| {
        let project = Project::find(&here, &Paths::from_env().ok()?).ok()?;
        try_connect(&project.store).ok()?
    });
    if let Some(mut client) = client {
        let _ = client.call::<GitChanged>(&Nothing {}, PATIENCE);
    }
}
