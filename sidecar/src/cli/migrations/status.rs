//! `offshoot migrations status`.

use offshoot_protocol::method::MigrationsGetStatus;
use offshoot_protocol::migrations::{
    MigrationBranch, MigrationDiagnostic, MigrationEntry, MigrationFilesOf, MigrationNext, MigrationProject,
    MigrationSeverity, MigrationStanding, MigrationState, MigrationsStatus, MigrationsStatusParams,
};

use super::text;
use crate::cli::args::StatusArgs;
use crate::cli::connect::Session;
use crate::cli::output::Output;
use crate::failure::Result;

/// Applied files that are listed without being asked for.
const LATEST: usize = 3;

pub(super) fn run(args: &StatusArgs, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    let params = MigrationsStatusParams {
        folder: session.path(),
        branches: args.branch.clone(),
        all: args.all,
        tool: args.tool.clone(),
        commit: args.commit.clone(),
        known_only: args.known,
        brief: args.all && !args.verbose,
        sizes: false,
    };
    let status = session.call::<MigrationsGetStatus>(&params)?;
    if output.json {
        output.value(&status)?;
    } else {
        print(&status, args.verbose, output);
    }
    let all = || status.projects.iter().flat_map(|project| &project.branches);
    let behind = all().any(|branch| branch.standing != MigrationStanding::UpToDate);
    Ok(if args.exit_code && behind { crate::cli::NEGATIVE } else { crate::cli::OK })
}

/// For people.
pub(super) fn print(status: &MigrationsStatus, verbose: bool, output: Output) {
    if status.projects.is_empty() {
        output.line("There are no migrations here: no tool's files or configuration were found.");
        output.line(output.faint("docs/migrations.md has how each of the 25 tools is recognised."));
    }
    for diagnostic in &status.diagnostics {
        output.line(text::diagnostic(diagnostic, output));
    }
    for (at, project) in status.projects.iter().enumerate() {
        if at > 0 {
            output.line("");
        }
        one(status, project, verbose, output);
    }
}

fn one(status: &MigrationsStatus, project: &MigrationProject, verbose: bool, output: Output) {
    let folders = project.folders.join(", ");
    let files = project.files.len();
    let of = status.commit.as_ref().map(|commit| format!(" of {commit}")).unwrap_or_default();
    output.line(format!(
        "{}  {}",
        output.strong(&format!("{}{of}", project.name)),
        output.faint(&format!("{folders}, {}", text::count(files, "migration")))
    ));
    for diagnostic in &project.diagnostics {
        output.line(text::diagnostic(diagnostic, output));
    }
    if files == 0 {
        output.line("  There is no migration yet.");
    }
    for branch in &project.branches {
        branch_lines(project, branch, verbose, output);
    }
    if project.branches.is_empty() {
        output.line("  This worktree has no database branch: `offshoot status` tells why.");
    }
}

fn path_of<'p>(project: &'p MigrationProject, entry: &'p MigrationEntry) -> Option<&'p str> {
    let file = entry.file.and_then(|at| project.files.get(at as usize));
    file.map(|file| file.path.as_str()).or(entry.path.as_deref())
}

fn branch_lines(project: &MigrationProject, branch: &MigrationBranch, verbose: bool, output: Output) {
    let name = output.strong(&branch.branch);
    if let Some(why) = &branch.unread {
        output.line(format!("  {name}: {} {why}", output.warn("unknown:")));
        return;
    }
    let standing = match branch.standing {
        MigrationStanding::UpToDate => output.good("up to date"),
        MigrationStanding::Behind => output.warn(&format!("behind by {}", branch.pending)),
        MigrationStanding::Diverged => output.bad("diverged"),
        MigrationStanding::Unknown => output.warn("unknown"),
    };
    let of = match branch.files_of {
        MigrationFilesOf::Asked => "",
        MigrationFilesOf::Worktree => "  by the files of its worktree",
        MigrationFilesOf::GitBranch => "  by the files of its git branch",
        MigrationFilesOf::NoGitBranch => "  by the files of this worktree, as no git branch has its name",
    };
    // They ran as well.
    let changed = branch.entries.iter().filter(|entry| entry.state == MigrationState::Changed).count();
    let changed = if changed > 0 { format!(", {changed} changed since") } else { String::new() };
    output.line(format!("  {name}: {standing}, {} applied{changed}{}", branch.applied, output.faint(of)));
    let is_plain = |state: MigrationState| matches!(state, MigrationState::Applied | MigrationState::Ignored);
    let (plain, open): (Vec<_>, Vec<_>) = branch.entries.iter().partition(|entry| is_plain(entry.state));
    for entry in open {
        let (state, painted) = text::state(entry.state, output);
        let what = match (path_of(project, entry), &entry.row) {
            (Some(path), _) => path.to_owned(),
            (None, Some(row)) => format!("{row} (no file)"),
            (None, None) => continue,
        };
        let next = match (entry.state, entry.next) {
            (MigrationState::OutOfOrder, MigrationNext::Runs) => ", runs next",
            (_, MigrationNext::Refuses) => ", the tool will refuse",
            (MigrationState::OutOfOrder | MigrationState::Pending, MigrationNext::Skips) => {
                ", the tool will pass it over in silence"
            }
            _ => "",
        };
        let pad = " ".repeat(13_usize.saturating_sub(state.len()));
        output.line(format!("    {painted}{pad}{what}{}", output.faint(next)));
        if let (Some(note), MigrationState::Pending | MigrationState::Unknown) = (&entry.note, entry.state) {
            output.line(output.faint(&format!("                 {note}")));
        }
    }
    let shown = if verbose { plain.len() } else { plain.len().min(LATEST) };
    for entry in plain.iter().rev().take(shown) {
        let Some(path) = path_of(project, entry) else { continue };
        let (state, _) = text::state(entry.state, output);
        let pad = " ".repeat(13_usize.saturating_sub(state.len()));
        let at = entry.at.as_deref().map(|at| format!("  {}", seconds(at))).unwrap_or_default();
        output.line(output.faint(&format!("    {state}{pad}{path}{at}")));
    }
    if plain.len() > shown {
        output.line(output.faint(&format!("    … and {} older (-v)", plain.len() - shown)));
    }
    for diagnostic in &branch.diagnostics {
        output.line(text::diagnostic(diagnostic, output));
    }
    let is_own = branch.files_of == MigrationFilesOf::Asked;
    if is_own
        && branch.pending > 0
        && project.commands.apply.is_some()
        && let Some(line) = next_step(project, branch)
    {
        output.line(output.faint(line));
    }
}

/// A time that a tool wrote, to the second and without its zone where that is UTC, as the other verbs show it.
fn seconds(at: &str) -> String {
    let is_utc = at.ends_with('Z') || at.ends_with("+00:00") || at.ends_with("+00");
    match at.get(..19) {
        Some(short) if is_utc && at.as_bytes()[10] == b'T' => format!("{} UTC", short.replace('T', " ")),
        _ => at.to_owned(),
    }
}

/// What to do about what is pending; nothing where a finding says it.
fn next_step(project: &MigrationProject, branch: &MigrationBranch) -> Option<&'static str> {
    if branch.diagnostics.iter().any(|found| found.code == "writtenHere") {
        return None;
    }
    let has_error =
        |found: &[MigrationDiagnostic]| found.iter().any(|found| found.severity == MigrationSeverity::Error);
    let refuses = branch.entries.iter().any(|entry| entry.next == MigrationNext::Refuses);
    Some(if refuses || has_error(&project.diagnostics) || has_error(&branch.diagnostics) {
        "    Mend what is told above first, then `offshoot migrations apply`: as it is, the tool may refuse."
    } else {
        "    `offshoot migrations apply` applies what is pending, after a snapshot."
    })
}
