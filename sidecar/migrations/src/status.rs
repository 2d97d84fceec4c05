//! Files and history rows brought together: the state of each migration on a branch.

mod doubles;
mod findings;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::diagnostic::{Code, Diagnostic};
use crate::history::History;
use crate::model::{Late, Migration, MigrationKind, Project};
use crate::tools;
use doubles::Doubles;
use findings::finding;

/// What a migration has done to a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// It ran, and the file is still what ran.
    Applied,
    /// It will run next time.
    Pending,
    /// It ran and failed, or was left half done.
    Failed,
    /// It did not run although a newer one did.
    OutOfOrder,
    /// It ran, and the file is another one since.
    Changed,
    /// It ran, and there is no file.
    Missing,
    /// The history has a row that cannot be placed.
    UnknownRow,
    /// It did not run: the history was started at or after it.
    Baseline,
    /// The tool takes no notice of it.
    Ignored,
    /// It cannot be told.
    Unknown,
}

impl State {
    /// The name for JSON and tables.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::Failed => "failed",
            Self::OutOfOrder => "out of order",
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::UnknownRow => "unknown row",
            Self::Baseline => "baseline",
            Self::Ignored => "ignored",
            Self::Unknown => "unknown",
        }
    }
}

/// What the tool will do with it at the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    /// Nothing: it is done or does not count.
    Nothing,
    /// Run it.
    Runs,
    /// Stop with an error because of it.
    Refuses,
    /// Never run it, and say nothing.
    Skips,
}

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The migration at this place of [`Project::migrations`].
    File(usize),
    /// A row of the history without a file: what the tool calls it.
    Row(String),
}

/// One migration on a branch.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Which.
    pub subject: Subject,
    /// Its state.
    pub state: State,
    /// When it ran, as the history says it.
    pub at: Option<String>,
    /// How long it ran, in milliseconds.
    pub took_ms: Option<f64>,
    /// What comes next.
    pub next: Next,
    /// What else is known, such as the error of a failure.
    pub note: Option<String>,
}

/// Where a branch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Everything ran.
    UpToDate,
    /// Files wait, and the tool will run them all.
    Behind,
    /// Files and history do not fit: something failed, changed, is missing or would not run.
    Diverged,
    /// It cannot be told.
    Unknown,
}

/// The migrations of a project on one branch.
#[derive(Debug, Clone)]
pub struct BranchStatus {
    /// In a word.
    pub standing: Standing,
    /// All files in the project's order, then the rows without a file.
    pub entries: Vec<Entry>,
    /// The place of the file that ran last, as far as the history has an order.
    pub(crate) last: Option<usize>,
    /// What to show on lines.
    pub diagnostics: Vec<Diagnostic>,
}

impl BranchStatus {
    /// How many entries are in a state.
    pub fn count(&self, state: State) -> usize {
        self.entries.iter().filter(|entry| entry.state == state).count()
    }
}

/// What we saw ourselves when migrations ran: key and blob id of the file, for tools that keep no checksum.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    blobs: BTreeMap<String, String>,
}

impl Observed {
    /// Notes that the migration `key` ran with this content, given as [`crate::git_blob`].
    pub fn note(&mut self, key: impl Into<String>, blob: impl Into<String>) {
        self.blobs.insert(key.into(), blob.into());
    }
}

/// How a history row says that it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Applied,
    Failed,
    RolledBack,
    Baseline,
    /// Rows that are not this repository's: Django's own applications.
    Foreign,
}

/// A history row, in common terms.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) key: String,
    /// For rows without a file: what people call it.
    pub(crate) name: Option<String>,
    pub(crate) at: Option<String>,
    pub(crate) took_ms: Option<f64>,
    pub(crate) checksum: Option<String>,
    pub(crate) outcome: Outcome,
    pub(crate) note: Option<String>,
    /// Nothing says that it ran but that a newer one did.
    pub(crate) assumed: bool,
    /// The row is not of the form that the tool writes.
    pub(crate) strange: bool,
}

impl Record {
    pub(crate) fn applied(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            name: None,
            at: None,
            took_ms: None,
            checksum: None,
            outcome: Outcome::Applied,
            note: None,
            assumed: false,
            strange: false,
        }
    }
}

/// What a tool's module made of the history.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// In the order in which it happened: later ones replace earlier ones of the same key.
    pub(crate) records: Vec<Record>,
    /// States that the tool's module knows better, by place.
    pub(crate) overrides: HashMap<usize, (State, Next)>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// What has no record cannot be told.
    pub(crate) untold: bool,
}

impl Reading {
    pub(crate) fn untold(diagnostic: Option<Diagnostic>) -> Self {
        Self { untold: true, diagnostics: diagnostic.into_iter().collect(), ..Self::default() }
    }
}

impl Project {
    /// The state of each migration on a branch whose history is this.
    pub fn status(&self, history: &History, observed: &Observed) -> BranchStatus {
        let table = self.history.as_ref().map_or_else(String::new, crate::Table::sql);
        let reading = match history {
            History::Missing if self.history.is_some() => {
                tools::adapter(self.tool).read(self, &crate::Rows::default())
            }
            History::Missing => Reading::untold(None),
            History::Rows(rows) => tools::adapter(self.tool).read(self, rows),
            History::Denied { message } => Reading::untold(Some(Diagnostic::error(
                Code::NoPermission,
                "",
                1,
                format!("the history table {table} must not be read: {message}"),
                format!("Grant it: grant select on {table} to the role that Offshoot connects as."),
            ))),
            History::Failed { message } => Reading::untold(Some(Diagnostic::error(
                Code::HistoryFailed,
                "",
                1,
                format!("the history table {table} could not be read: {message}"),
                "The status is not known until it can be.",
            ))),
        };
        reconcile(self, reading, observed)
    }

    /// What the tool would do next on a branch to which the migrations with these keys were applied, whatever its history
    /// table looks like.
    pub fn outlook(&self, applied: &BTreeSet<String>) -> BranchStatus {
        let mut reading =
            Reading { records: applied.iter().map(Record::applied).collect(), ..Reading::default() };
        if self.late == Late::Skips {
            // Where times are compared, the newest one that ran counts, and not its place.
            let times = self.migrations.iter().filter(|migration| applied.contains(&migration.key));
            let newest = times.filter_map(|migration| migration.when_ms).max();
            for (place, migration) in self.migrations.iter().enumerate() {
                if let (Some(when), Some(newest)) = (migration.when_ms, newest)
                    && !applied.contains(&migration.key)
                {
                    let late = when <= newest;
                    let state =
                        if late { (State::OutOfOrder, Next::Skips) } else { (State::Pending, Next::Runs) };
                    reading.overrides.insert(place, state);
                }
            }
        }
        reconcile(self, reading, &Observed::default())
    }
}

fn reconcile(project: &Project, reading: Reading, observed: &Observed) -> BranchStatus {
    let mut by_key: HashMap<&str, &Record> = HashMap::with_capacity(reading.records.len());
    for record in &reading.records {
        by_key.insert(&record.key, record);
    }
    let done = |migration: &Migration| {
        let record = by_key.get(migration.key.as_str());
        record.is_some_and(|record| {
            matches!(record.outcome, Outcome::Applied | Outcome::Failed | Outcome::Baseline)
        })
    };
    let newest = project
        .migrations
        .iter()
        .rposition(|migration| migration.kind == MigrationKind::Versioned && done(migration))
        .unwrap_or(0);
    let needed: BTreeSet<&str> = match project.late {
        Late::Graph => {
            let applied = project.migrations.iter().filter(|migration| done(migration));
            applied.flat_map(|migration| &migration.parents).map(String::as_str).collect()
        }
        _ => BTreeSet::new(),
    };
    let late = match project.late {
        Late::Runs => Next::Runs,
        Late::Refuses | Late::Graph => Next::Refuses,
        Late::Skips => Next::Skips,
    };

    let doubles = Doubles::of(project);
    let mut entries = Vec::with_capacity(project.migrations.len());
    for (place, migration) in project.migrations.iter().enumerate() {
        let key = migration.key.as_str();
        let record = if doubles.has(key) { by_key.get(key).copied() } else { by_key.remove(key) };
        let (mut state, mut next) = match record {
            _ if migration.blob.is_empty() => (State::Unknown, Next::Refuses),
            Some(record) => of_record(migration, record, observed),
            None if reading.untold => (State::Unknown, Next::Nothing),
            None if migration.kind == MigrationKind::Baseline => (State::Ignored, Next::Nothing),
            None if migration.kind == MigrationKind::Repeatable => (State::Pending, Next::Runs),
            None if project.late == Late::Graph && needed.contains(migration.key.as_str()) => {
                (State::OutOfOrder, late)
            }
            None if project.late != Late::Graph && place < newest => (State::OutOfOrder, late),
            None => (State::Pending, Next::Runs),
        };
        if let Some((known_state, known_next)) = reading.overrides.get(&place) {
            (state, next) = (*known_state, *known_next);
        }
        entries.push(Entry {
            subject: Subject::File(place),
            state,
            at: record.and_then(|record| record.at.clone()),
            took_ms: record.and_then(|record| record.took_ms),
            next,
            note: record.and_then(|record| record.note.clone()),
        });
    }
    doubles.settle(project, &by_key, observed, &mut entries);
    by_key.retain(|key, _| !doubles.has(key));
    // In the order of the history, not of the map. A key that appears twice is told once.
    for record in &reading.records {
        if by_key.get(record.key.as_str()).is_some_and(|last| std::ptr::eq(*last, record)) {
            entries.extend(without_file(record));
        }
    }
    let mut diagnostics = reading.diagnostics;
    diagnostics.extend(entries.iter().filter_map(|entry| finding(project, entry)));
    let standing = if reading.untold { Standing::Unknown } else { standing(&entries) };
    let last = reading.records.iter().rfind(|record| record.outcome == Outcome::Applied);
    let last =
        last.and_then(|last| project.migrations.iter().position(|migration| migration.key == last.key));
    BranchStatus { standing, entries, last, diagnostics }
}

fn of_record(migration: &Migration, record: &Record, observed: &Observed) -> (State, Next) {
    match record.outcome {
        Outcome::Failed => return (State::Failed, Next::Refuses),
        Outcome::RolledBack => return (State::Pending, Next::Runs),
        Outcome::Baseline => return (State::Baseline, Next::Nothing),
        Outcome::Foreign => return (State::Ignored, Next::Nothing),
        Outcome::Applied => {}
    }
    let seen = observed.blobs.get(&migration.key);
    if record.assumed && seen.is_none() && !observed.blobs.is_empty() {
        return (State::OutOfOrder, Next::Skips);
    }
    let same = match (&record.checksum, migration.checksums.is_empty()) {
        (Some(sum), false) => migration.checksums.contains(sum),
        _ => match seen {
            Some(blob) => *blob == migration.blob,
            None => !migration.broken,
        },
    };
    match (same, migration.kind) {
        (true, _) => (State::Applied, Next::Nothing),
        (false, MigrationKind::Repeatable) => (State::Pending, Next::Runs),
        (false, _) => (State::Changed, Next::Nothing),
    }
}

fn without_file(record: &Record) -> Option<Entry> {
    let state = match record.outcome {
        Outcome::RolledBack | Outcome::Foreign => return None,
        Outcome::Baseline => State::Baseline,
        _ if record.strange => State::UnknownRow,
        _ => State::Missing,
    };
    Some(Entry {
        subject: Subject::Row(record.name.clone().unwrap_or_else(|| record.key.clone())),
        state,
        at: record.at.clone(),
        took_ms: record.took_ms,
        next: Next::Nothing,
        note: record.note.clone(),
    })
}

fn standing(entries: &[Entry]) -> Standing {
    let mut standing = Standing::UpToDate;
    for entry in entries {
        match entry.state {
            State::Changed | State::Missing | State::UnknownRow | State::Failed => return Standing::Diverged,
            State::OutOfOrder | State::Pending if entry.next != Next::Runs => return Standing::Diverged,
            State::Unknown => return Standing::Unknown,
            State::Pending | State::OutOfOrder => standing = Standing::Behind,
            State::Applied | State::Baseline | State::Ignored => {}
        }
    }
    standing
}
