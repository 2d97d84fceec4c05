//! Running migrations that are SQL ourselves, as their tool would, where nothing of it is to stay.

use std::fmt::Write as _;
use std::path::Path;

use offshoot_migrations::sql::{Piece, Statement, StatementKind, classify, place_of_position, split};
use offshoot_migrations::{Direction, Migration, Project, Script, Source};
use offshoot_protocol::measure::Measured;
use offshoot_protocol::migrations::MigrationsFailure;
use offshoot_schema::plan::{Action, Part, Step};
use offshoot_schema::{Kind, Object, Plan};
use postgres::Client;
use postgres::error::{DbError, ErrorPosition, Severity, SqlState};

use crate::engine::{Engine, throwaway};
use crate::failure::{Failure, Result, chain};

/// Letters of a statement that people are shown.
const SHOWN_LETTERS: usize = 70;
/// Letters of a statement that failed.
const FAILED_LETTERS: usize = 2000;

/// A migration as SQL.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The file, relative to the worktree.
    pub(super) path: String,
    /// The whole file.
    text: String,
    script: Script,
}

/// What became of a run.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The files that ran to their end.
    pub(super) ran: Vec<String>,
    pub(super) failure: Option<MigrationsFailure>,
    /// What was run, for people.
    pub(super) log: String,
}

/// A half of a migration.
///
/// # Errors
/// Why only the tool can run it, in one sentence.
pub(super) fn item(
    source: &dyn Source,
    project: &Project,
    migration: &Migration,
    direction: Direction,
) -> Result<Item, String> {
    let path = &migration.path;
    let (file, beside) =
        project.script_files(migration, direction).map_err(|not_sql| not_sql.message(path))?;
    let read = |path: &str| source.read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = read(&file).map_err(|e| format!("{file} cannot be read: {e}"))?;
    let beside = beside.and_then(|path| read(&path).ok());
    let script = project.script(migration, direction, &text, beside.as_deref());
    let script = script.map_err(|not_sql| not_sql.message(&file))?;
    Ok(Item { path: file, text, script })
}

impl Item {
    /// Its statements, those of psql left out that change nothing.
    fn statements(&self) -> Result<Vec<Statement>, String> {
        let part = &self.text[self.script.range.clone()];
        let mut kept = Vec::new();
        for statement in split(part) {
            let text = statement.text(part);
            let harmless = ["\\set", "\\echo", "\\pset", "\\timing", "\\unset", "\\restrict", "\\unrestrict"];
            match statement.piece {
                Piece::Command if harmless.iter().any(|command| text.starts_with(command)) => {}
                Piece::Command => {
                    let command = text.split_whitespace().next().unwrap_or_default().to_owned();
                    return Err(format!(
                        "{} has the psql command {command}, which only psql can run",
                        self.path
                    ));
                }
                _ => kept.push(statement),
            }
        }
        Ok(kept)
    }

    fn part(&self) -> &str {
        &self.text[self.script.range.clone()]
    }

    fn failure(&self, statement: &Statement, said: &DbError) -> MigrationsFailure {
        let position = match said.position() {
            Some(ErrorPosition::Original(at)) => *at,
            _ => 1,
        };
        let message = said.message();
        let mut failure = self.failed_at(statement, position, message, said.code().code());
        failure.hint = said.hint().or(said.detail()).map(str::to_owned).or_else(|| usual_hint(&failure.code));
        failure
    }

    fn failed_at(
        &self,
        statement: &Statement,
        position: u32,
        message: &str,
        code: &str,
    ) -> MigrationsFailure {
        let start = self.script.range.start + statement.range.start;
        let place = place_of_position(&self.text, start, position.max(1));
        MigrationsFailure {
            path: self.path.clone(),
            line: place.line,
            column: place.column,
            statement: statement.text(self.part()).chars().take(FAILED_LETTERS).collect(),
            message: message.to_owned(),
            code: code.to_owned(),
            hint: None,
        }
    }
}

/// What to do where Postgres has no advice of its own.
fn usual_hint(code: &str) -> Option<String> {
    let text = "Put the statement into a file by itself, and mark that as the tool has it: to be run without a transaction. \
                Several statements that a tool sends at once are one transaction.";
    (code == SqlState::ACTIVE_SQL_TRANSACTION.code()).then(|| text.to_owned())
}

/// Runs migrations in a database of a throwaway, up to the first that fails, each in a session of its own. Blocks.
///
/// # Errors
/// If the connection is lost; a migration that fails is an [`Outcome`].
pub(super) fn run(engine: &Engine, socket: &Path, database: Option<&str>, items: &[Item]) -> Result<Outcome> {
    let major = engine.store.info().postgres.version.major;
    let mut outcome = Outcome::default();
    for item in items {
        let mut client = throwaway::connect(engine, socket, database, &throwaway::options(major))?;
        let begun = std::time::Instant::now();
        outcome.failure = run_one(&mut client, item)?;
        let how = if outcome.failure.is_some() { "failed" } else { "ran" };
        let _ = writeln!(outcome.log, "{} {how} in {} ms", item.path, begun.elapsed().as_millis());
        if let Some(failure) = &outcome.failure {
            outcome.log.push_str(&told(failure));
            break;
        }
        outcome.ran.push(item.path.clone());
    }
    Ok(outcome)
}

/// A failure in lines.
pub(super) fn told(failure: &MigrationsFailure) -> String {
    let MigrationsFailure { path, line, column, message, code, statement, .. } = failure;
    format!("{path}:{line}:{column}: {message} ({code})\n{statement}\n")
}

fn run_one(client: &mut Client, item: &Item) -> Result<Option<MigrationsFailure>> {
    let statements = match item.statements() {
        Ok(statements) => statements,
        Err(why) => {
            let nothing = Statement { piece: Piece::Sql, range: 0..0, line: 1 };
            return Ok(Some(item.failed_at(&nothing, 1, &why, "0A000")));
        }
    };
    let part = item.part();
    if item.script.transactional {
        client.batch_execute("BEGIN").map_err(|e| lost(item, &e))?;
    }
    let mut rows = statements.iter().peekable();
    while let Some(statement) = rows.next() {
        let text = statement.text(part);
        let copied = rows.next_if(|next| next.piece == Piece::CopyData);
        let done = match copied {
            Some(data) => copy_in(client, text, data.text(part)),
            None => client.batch_execute(text),
        };
        if let Err(error) = done {
            let said = refused(item, &error)?;
            return Ok(Some(item.failure(statement, said)));
        }
    }
    if item.script.transactional
        && let Err(error) = client.batch_execute("COMMIT")
    {
        let said = refused(item, &error)?;
        let last = Statement { piece: Piece::Sql, range: part.len()..part.len(), line: 1 };
        return Ok(Some(item.failure(statements.last().unwrap_or(&last), said)));
    }
    Ok(None)
}

fn copy_in(client: &mut Client, sql: &str, data: &str) -> Result<(), postgres::Error> {
    use std::io::Write;
    let rows = data.trim_end().strip_suffix("\\.").unwrap_or(data);
    let mut writer = client.copy_in(sql)?;
    // What cannot be written is told by the end of it.
    let _ = writer.write_all(rows.trim_start_matches(['\r', '\n']).as_bytes());
    writer.finish().map(drop)
}

/// What Postgres said of a statement.
///
/// # Errors
/// If it said that the session ends, or nothing: no statement is at fault then.
fn refused<'e>(item: &Item, error: &'e postgres::Error) -> Result<&'e DbError> {
    let is_over = |said: &&DbError| matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    error.as_db_error().filter(|said| !is_over(said)).ok_or_else(|| lost(item, error))
}

fn lost(item: &Item, error: &postgres::Error) -> Failure {
    let text = format!("the connection to the throwaway was lost while {} ran: {}", item.path, chain(error));
    Failure::engine(text)
        .hint("Its Postgres ended, or the file ends its own session. `offshoot engine logs` tells more.")
}

/// The migrations as a plan that can be measured, and where each step comes from.
///
/// # Errors
/// Why they cannot be, in one sentence.
pub(super) fn plan(items: &[Item]) -> Result<(Plan, Vec<(usize, Statement)>), String> {
    let mut parts = Vec::new();
    let mut places = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let mut part = Part { transactional: item.script.transactional, steps: Vec::new() };
        for statement in item.statements()? {
            let text = statement.text(item.part());
            if statement.piece == Piece::CopyData {
                return Err(format!("{} has rows behind a COPY, which are not measured", item.path));
            }
            if classify(text) == StatementKind::Transaction {
                let begins = ["begin", "start"]
                    .iter()
                    .any(|word| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)));
                let next = Part { transactional: begins, steps: Vec::new() };
                parts.push(std::mem::replace(&mut part, next));
                continue;
            }
            part.steps.push(step(item, &statement, text));
            places.push((at, statement));
        }
        parts.push(part);
    }
    parts.retain(|part| !part.steps.is_empty());
    Ok((Plan { parts, unplanned: Vec::new() }, places))
}

fn step(item: &Item, statement: &Statement, text: &str) -> Step {
    let before = item.text[..item.script.range.start].matches('\n').count();
    let place = format!("{}:{}", item.path, before + statement.line as usize);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = words.chars().take(SHOWN_LETTERS).collect();
    if shown.len() < words.len() {
        shown.push('…');
    }
    Step {
        object: Object { kind: Kind::Schema, schema: None, name: place.clone() },
        what: format!("{place}: {shown}"),
        action: Action::Alter,
        statements: vec![text.to_owned()],
        hazards: Vec::new(),
        lock: None,
        others: Vec::new(),
    }
}

/// What a measured run came to, as an outcome.
pub(super) fn outcome(items: &[Item], places: &[(usize, Statement)], measured: &Measured) -> Outcome {
    let mut outcome = Outcome::default();
    for step in &measured.steps {
        let _ = writeln!(outcome.log, "{} ({} ms)", step.what, step.elapsed_us / 1000);
    }
    let failed = measured.failure.as_ref().and_then(|failure| {
        let (at, statement) = places.get(failure.step as usize)?;
        let mut told =
            items[*at].failed_at(statement, failure.position.unwrap_or(1), &failure.message, &failure.code);
        told.hint = failure.hint.clone().or(failure.detail.clone());
        Some((*at, told))
    });
    let up_to = failed.as_ref().map_or(items.len(), |(at, _)| *at);
    outcome.ran = items[..up_to].iter().map(|item| item.path.clone()).collect();
    outcome.failure = failed.map(|(_, failure)| failure);
    if let Some(failure) = &outcome.failure {
        outcome.log.push_str(&told(failure));
    }
    outcome
}
