//! Projects and states as the wire has them.

use std::collections::{HashMap, HashSet};

use offshoot_migrations::{
    BranchStatus, Diagnostic, Down, Entry, Migration, MigrationKind, Next, Project, Severity, Standing,
    State, Subject,
};
use offshoot_protocol::migrations::{
    MigrationBranch, MigrationCommands, MigrationDiagnostic, MigrationEntry, MigrationFile, MigrationFilesOf,
    MigrationNext, MigrationProject, MigrationSeverity, MigrationStanding, MigrationState,
};

use super::files::id_of;

/// A project without its branches.
pub(super) fn project(from: &Project) -> MigrationProject {
    let shown = |words: &[String]| (!words.is_empty()).then(|| command(words));
    MigrationProject {
        id: id_of(from),
        tool: from.tool.id().to_owned(),
        name: from.tool.name().to_owned(),
        layout: from.layout.map(str::to_owned),
        root: from.root.clone(),
        config: from.config.clone(),
        folders: from.folders.clone(),
        history: from.history.as_ref().map(offshoot_migrations::Table::sql),
        files: from.migrations.iter().map(file).collect(),
        branches: Vec::new(),
        diagnostics: from.diagnostics.iter().map(diagnostic).collect(),
        commands: MigrationCommands {
            apply: shown(&from.commands.apply),
            status: shown(&from.commands.status),
            down: shown(&from.commands.down),
        },
        can_replay: from.is_sql(),
        can_new: from.can_write(),
    }
}

fn file(from: &Migration) -> MigrationFile {
    MigrationFile {
        key: from.key.clone(),
        version: from.version.clone(),
        name: from.name.clone(),
        path: from.path.clone(),
        line: from.line,
        repeatable: from.kind == MigrationKind::Repeatable,
        has_down: from.down != Down::None,
    }
}

/// A command as one types it; what depends on the branch are variables of `offshoot exec`.
fn command(words: &[String]) -> String {
    let words = words.iter().map(|word| {
        let word = [
            ("{bare_url}", "postgres://$PGUSER@$PGHOST:$PGPORT/$PGDATABASE"),
            ("{jdbc_url}", "jdbc:postgresql://$PGHOST:$PGPORT/$PGDATABASE"),
            ("{host}", "$PGHOST"),
            ("{port}", "$PGPORT"),
            ("{user}", "$PGUSER"),
            ("{database}", "$PGDATABASE"),
        ]
        .iter()
        .fold(word.clone(), |word, (name, with)| word.replace(name, with));
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@,+%^".contains(letter);
        if word.chars().all(plain) && !word.is_empty() { word } else { format!("\"{word}\"") }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Names the files of a status for a reader who has other files.
pub(super) struct Names<'n> {
    /// Whose status it is.
    pub(super) project: &'n Project,
    /// The places of the reader's files by path; none if they are the same.
    pub(super) places: Option<&'n HashMap<String, u32>>,
    pub(super) files_of: MigrationFilesOf,
}

impl Names<'_> {
    /// The places of the reader's files that the status is not about.
    fn absent(&self) -> Vec<u32> {
        let Some(places) = self.places else { return Vec::new() };
        let here: HashSet<String> = self.project.migrations.iter().map(key_of).collect();
        let mut absent: Vec<u32> =
            places.iter().filter(|(key, _)| !here.contains(*key)).map(|(_, at)| *at).collect();
        absent.sort_unstable();
        absent
    }
}

/// A project on a branch. With `brief`, plainly applied files are only counted.
pub(super) fn branch(name: &str, status: &BranchStatus, brief: bool, names: &Names<'_>) -> MigrationBranch {
    let is_plain = |entry: &Entry| {
        matches!((entry.state, &entry.subject), (State::Applied | State::Ignored, Subject::File(_)))
    };
    let shown = status.entries.iter().filter(|entry| !brief || !is_plain(entry));
    MigrationBranch {
        branch: name.to_owned(),
        standing: standing(status.standing),
        applied: status.count(State::Applied) as u32,
        pending: status.entries.iter().filter(|entry| entry.next == Next::Runs).count() as u32,
        files_of: names.files_of,
        absent: names.absent(),
        entries: shown.map(|one| entry(one, names)).collect(),
        diagnostics: status.diagnostics.iter().map(diagnostic).collect(),
        unread: None,
        undo: None,
    }
}

/// A project on a branch of which nothing is known.
pub(super) fn unread(name: &str, why: String, files_of: MigrationFilesOf) -> MigrationBranch {
    MigrationBranch {
        branch: name.to_owned(),
        standing: MigrationStanding::Unknown,
        applied: 0,
        pending: 0,
        files_of,
        absent: Vec::new(),
        entries: Vec::new(),
        diagnostics: Vec::new(),
        unread: Some(why),
        undo: None,
    }
}

/// What tells a migration from all others of a tree: several may be in one file.
pub(super) fn key_of(migration: &Migration) -> String {
    format!("{}#{}", migration.path, migration.key)
}

fn entry(from: &Entry, names: &Names<'_>) -> MigrationEntry {
    let (mut file, mut path, mut row) = (None, None, None);
    match &from.subject {
        Subject::File(place) => match names.places {
            None => file = Some(*place as u32),
            Some(places) => {
                let of = &names.project.migrations[*place];
                file = places.get(&key_of(of)).copied();
                path = file.is_none().then(|| of.path.clone());
            }
        },
        Subject::Row(name) => row = Some(name.clone()),
    }
    MigrationEntry {
        file,
        path,
        row,
        state: state(from.state),
        at: from.at.clone(),
        took_ms: from.took_ms.filter(|took| took.is_finite()),
        next: match from.next {
            Next::Nothing => MigrationNext::Nothing,
            Next::Runs => MigrationNext::Runs,
            Next::Refuses => MigrationNext::Refuses,
            Next::Skips => MigrationNext::Skips,
        },
        note: from.note.clone(),
    }
}

fn state(from: State) -> MigrationState {
    match from {
        State::Applied => MigrationState::Applied,
        State::Pending => MigrationState::Pending,
        State::Failed => MigrationState::Failed,
        State::OutOfOrder => MigrationState::OutOfOrder,
        State::Changed => MigrationState::Changed,
        State::Missing => MigrationState::Missing,
        State::UnknownRow => MigrationState::UnknownRow,
        State::Baseline => MigrationState::Baseline,
        State::Ignored => MigrationState::Ignored,
        State::Unknown => MigrationState::Unknown,
    }
}

fn standing(from: Standing) -> MigrationStanding {
    match from {
        Standing::UpToDate => MigrationStanding::UpToDate,
        Standing::Behind => MigrationStanding::Behind,
        Standing::Diverged => MigrationStanding::Diverged,
        Standing::Unknown => MigrationStanding::Unknown,
    }
}

/// A finding.
pub(super) fn diagnostic(from: &Diagnostic) -> MigrationDiagnostic {
    let code = format!("{:?}", from.code);
    let (first, rest) = code.split_at(1);
    MigrationDiagnostic {
        path: from.path.clone(),
        line: from.line,
        severity: match from.severity {
            Severity::Note => MigrationSeverity::Note,
            Severity::Warning => MigrationSeverity::Warning,
            Severity::Error => MigrationSeverity::Error,
        },
        code: format!("{}{rest}", first.to_ascii_lowercase()),
        message: from.message.clone(),
        hint: from.hint.clone(),
    }
}
