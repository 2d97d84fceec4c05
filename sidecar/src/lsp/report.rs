//! The text that helps whoever reads a report of a problem. It has no password, no data and no name of a home folder.

use std::fmt::Write;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use offshoot_protocol::editor::{FolderState, SchemaStatus};
use offshoot_protocol::method::EngineGetStatus;
use offshoot_protocol::types::{EngineStatus, Nothing};

use super::actor::View;
use crate::address::hide_passwords;
use crate::engine::log;
use crate::log_line;
use crate::project::Project;
use crate::session::try_connect;

/// Lines of each engine's log.
const LOG_LINES: usize = 60;
const LOG_BYTES: u64 = 32 * 1024;
const ENGINE_PATIENCE: Duration = Duration::from_secs(5);

/// Writes Markdown. Asks engines that run; starts none.
pub(super) fn write(view: &View) -> String {
    let mut text = String::from("## Offshoot\n\n");
    let mut line = |what: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "- {what}: {value}");
    };
    line("version", crate::VERSION);
    line("platform", &format!("{} {}, {}", std::env::consts::OS, std::env::consts::ARCH, kernel()));
    line("git", &if view.trusted { git() } else { "not asked: the workspace is not trusted".to_owned() });
    line("trusted", if view.trusted { "yes" } else { "no" });
    text.push_str("\n## Folders\n");
    for folder in &view.status.folders {
        let _ = writeln!(text, "\n- {}: {}", folder.path, state(&folder.state));
    }
    for (project, postgres) in &view.projects {
        text.push_str(&of_project(project, postgres.as_deref()));
    }
    shorten_home(&hide_passwords(&text), std::env::var("HOME").ok().as_deref())
}

fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let wsl = if release.to_ascii_lowercase().contains("microsoft") { " (WSL)" } else { "" };
    format!("kernel {}{wsl}", release.trim())
}

fn git() -> String {
    let output = Command::new("git").arg("--version").output();
    output.map_or_else(
        |error| format!("cannot be run: {error}"),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn state(state: &FolderState) -> String {
    match state {
        FolderState::NoGit => "no git repository".to_owned(),
        FolderState::NotInitialised { lost: Some(store), .. } => format!("its store is gone: {store}"),
        FolderState::NotInitialised { dumps, .. } => format!("no database; {} dumps", dumps.len()),
        FolderState::Untrusted => "not trusted".to_owned(),
        FolderState::Starting => "starting".to_owned(),
        FolderState::Failed { error } => failed(error),
        FolderState::Ready(project) => {
            let branch = project.worktree.branch.as_ref().map_or("none", |branch| branch.state.as_str());
            let schema = match &project.schema {
                SchemaStatus::None => "none".to_owned(),
                SchemaStatus::Reading => "reading".to_owned(),
                SchemaStatus::Ready { changes, .. } => format!("{} changes", changes.len()),
                SchemaStatus::Failed { error } => failed(error),
            };
            let notes: Vec<_> =
                project.worktree.notes.iter().map(|note| format!("\n  - note {:?}", note.kind)).collect();
            format!(
                "ready; {} branches, the present one {branch}; schema {schema}; port {}listening; {} jobs{}",
                project.branches.len(),
                if project.worktree.endpoint.listening { "" } else { "not " },
                project.jobs.len(),
                notes.concat()
            )
        }
    }
}

fn failed(error: &offshoot_protocol::RpcError) -> String {
    format!("failed ({}): {}", error.kind.as_str(), error.message)
}

fn of_project(project: &Project, postgres: Option<&str>) -> String {
    let mut text =
        format!("\n## {}\n\n- store: {}\n", project.worktree.path.display(), project.store.display());
    let _ = writeln!(text, "- Postgres: {}", postgres.unwrap_or("not known"));
    let engine = match engine(&project.store) {
        Ok(Some(status)) => format!(
            "version {}, process {}, {} branches, {} awake, {} connections",
            status.version, status.pid, status.branches, status.awake, status.connections
        ),
        Ok(None) => "does not run".to_owned(),
        Err(error) => error.to_string(),
    };
    let _ = writeln!(text, "- engine: {engine}\n\nThe end of the engine's log:\n\n```text");
    // What would end the block early is no part of a log.
    text.push_str(&tail(&log::path(&project.store)).replace("```", "'''"));
    text.push_str("```\n");
    text
}

fn engine(store: &Path) -> crate::failure::Result<Option<EngineStatus>> {
    let Some(mut client) = try_connect(store)? else { return Ok(None) };
    Ok(Some(client.call::<EngineGetStatus>(&Nothing {}, ENGINE_PATIENCE)?))
}

fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(LOG_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
    last.iter().flat_map(|line| [log_line::human(line), "\n".to_owned()]).collect()
}

/// Home folders have people's names.
fn shorten_home(text: &str, home: Option<&str>) -> String {
    match home.map(|home| home.trim_end_matches('/')) {
        Some(home) if home.len() > 1 => text.replace(home, "~"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::shorten_home;

    #[test]
    fn the_home_folder_is_not_named() {
        assert_eq!(shorten_home("- /home/ann/shop: ready", Some("/home/ann/")), "- ~/shop: ready");
        assert_eq!(shorten_home("- /a/b", Some("/")), "- /a/b");
    }
}
