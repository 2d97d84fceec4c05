//! Where in a file a tool failed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use offshoot_migrations::{Direction, Project, Scan};
use offshoot_protocol::migrations::{MigrationsFailure, MigrationsStep};
use offshoot_storage::BranchId;

use super::stage::{self, Stage};
use super::{lost, trial};
use crate::engine::Engine;
use crate::engine::server::Call;
use crate::failure::Result;

/// How long is looked for the statement that failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Letters of a line that is shown.
const SHOWN_LETTERS: usize = 2000;

/// Says of a step in which a tool failed on `on` where it printed that it did, or that its connection was lost.
pub(super) fn tell(step: &mut MigrationsStep, root: &Path, project: &Project, on: &str) {
    match lost::line(&step.log).map(str::to_owned) {
        Some(line) => lost::tell(step, project, on, &line),
        None => step.failure = from_log(root, project, &step.log),
    }
}

/// The place at which a tool failed on a branch: of SQL files by running what is still pending on a throwaway, of others as
/// the tool printed it. What keeps this from being found is no failure of its own.
pub(super) async fn find(
    engine: &Arc<Engine>,
    id: BranchId,
    root: &Path,
    scan: &Arc<Scan>,
    at: usize,
    log: &str,
    call: &Call,
) -> Option<MigrationsFailure> {
    // A tool that is told to fail by something else than Postgres is not tried again.
    if log.to_lowercase().contains("err") {
        let again = tokio::time::timeout(PATIENCE, Box::pin(again(engine, id, root, scan, at, call)));
        match again.await {
            Ok(Ok(Some(failure))) => return Some(failure),
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err(failure)) => tracing::info!(error = %failure, "the statement that failed was not found"),
        }
    }
    from_log(root, &scan.projects[at], log)
}

/// Runs what is pending on a throwaway, up to the first file that is a program.
async fn again(
    engine: &Arc<Engine>,
    id: BranchId,
    root: &Path,
    scan: &Arc<Scan>,
    at: usize,
    call: &Call,
) -> Result<Option<MigrationsFailure>> {
    let project = &scan.projects[at];
    if !project.is_sql() {
        return Ok(None);
    }
    let stage = Stage::of(engine, id, "looking for the statement that failed", call).await?;
    let tried = async {
        let status = stage.status(engine, scan, at).await?;
        let waiting = stage::pending(project, &status, None)?;
        let one = |place: &usize| trial::items(root, project, &[*place], Direction::Up).ok();
        let items: Vec<_> = waiting.iter().map_while(one).flatten().collect();
        trial::try_items(engine, &stage, items, false, call).await
    };
    let tried = tried.await;
    stage.remove().await?;
    Ok(tried?.failure)
}

/// The place that a tool printed: `file:line`, `file:line:column`, or as Python has it, of one of the project's files; the
/// first line of a file that it only named.
pub(super) fn from_log(root: &Path, project: &Project, log: &str) -> Option<MigrationsFailure> {
    let mut files: HashMap<&str, Vec<&str>> = HashMap::new();
    for migration in &project.migrations {
        let path = migration.path.as_str();
        files.entry(path.rsplit('/').next().unwrap_or(path)).or_default().push(path);
    }
    let mut places = log.lines().flat_map(|line| places(line, &files));
    // Python prints the innermost call last, others first.
    let Some(first) = places.next() else {
        return Some(MigrationsFailure {
            path: named(project, log)?.to_owned(),
            line: 1,
            column: 1,
            statement: String::new(),
            message: message(log, false),
            code: sqlstate(log),
            hint: None,
        });
    };
    let (path, line, column) = if is_python(first.0) { places.last().unwrap_or(first) } else { first };
    let text = std::fs::read(root.join(path)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let statement = text.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default().trim();
    Some(MigrationsFailure {
        path: path.to_owned(),
        line,
        column,
        statement: statement.chars().take(SHOWN_LETTERS).collect(),
        message: message(log, is_python(path)),
        code: sqlstate(log),
        hint: None,
    })
}

fn is_python(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("py"))
}

type Found<'f> = (&'f str, u32, u32);

/// The places that a line names.
fn places<'f>(line: &str, files: &HashMap<&str, Vec<&'f str>>) -> Vec<Found<'f>> {
    let mut found = Vec::new();
    if let Some((path, rest)) = line.split_once("File \"").and_then(|(_, rest)| rest.split_once("\", line "))
        && let Some(path) = known(path, files)
        && let (Some(number), _) = number(rest)
    {
        found.push((path, number, 1));
    }
    for (colon, _) in line.match_indices(':') {
        let (Some(at), rest) = number(&line[colon + 1..]) else { continue };
        let Some(path) = known(&line[..colon], files) else { continue };
        let column = rest.strip_prefix(':').and_then(|rest| number(rest).0);
        found.push((path, at, column.unwrap_or(1)));
    }
    found
}

/// The digits that a text begins with, and what follows.
fn number(text: &str) -> (Option<u32>, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().ok().filter(|number| *number > 0), &text[end..])
}

/// The project's file that a text ends with; of several with one name that whose folders fit.
fn known<'f>(text: &str, files: &HashMap<&str, Vec<&'f str>>) -> Option<&'f str> {
    let name = text.rsplit('/').next().unwrap_or(text);
    // Without a folder the name stands behind a blank, a quote or the like.
    let plain = name.rsplit([' ', '(', '"', '\'', ':', '=', '\t']).next().unwrap_or(name);
    let paths = files.get(name).or_else(|| files.get(plain))?;
    let fits = |path: &&&str| text.ends_with(**path);
    paths.iter().find(fits).or(if paths.len() == 1 { paths.first() } else { None }).copied()
}

/// The file that a tool calls failed, by its name, its name without the ending, or as the history knows it.
fn named<'p>(project: &'p Project, log: &str) -> Option<&'p str> {
    let failed = log.lines().filter(|line| line.to_lowercase().contains("fail"));
    let mut quoted = failed.flat_map(|line| line.split(['"', '\'', '`']).skip(1).step_by(2));
    quoted.find_map(|text| {
        let is_it = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path);
            name == text || name.rsplit_once('.').is_some_and(|(stem, _)| stem == text)
        };
        let mut of_it = project.migrations.iter().filter(|one| one.key == text || is_it(&one.path));
        let first = of_it.next()?;
        of_it.next().is_none().then_some(first.path.as_str())
    })
}

/// The line of a log that says what is wrong.
pub(super) fn message(log: &str, is_python: bool) -> String {
    let is_error = |line: &&str| {
        ["ERROR", "Error", "error:", "errors."].iter().any(|word| line.contains(word))
            && !line.contains("File \"")
    };
    let plain = |line: &&str| !line.starts_with([' ', '\t']);
    let line =
        if is_python { log.lines().rev().filter(plain).find(is_error) } else { log.lines().find(is_error) };
    let line = line.or_else(|| log.lines().rev().find(|line| !line.trim().is_empty())).unwrap_or_default();
    let line = line.split_once("ERROR:").map_or(line, |(_, rest)| rest).trim();
    line.strip_prefix("Error: ").unwrap_or(line).chars().take(SHOWN_LETTERS).collect()
}

fn sqlstate(log: &str) -> String {
    let code = log.split_once("SQLSTATE ").map(|(_, rest)| rest.trim_start_matches(['[', '(']));
    let code: String = code.unwrap_or_default().chars().take(5).collect();
    let is_code = code.len() == 5 && code.chars().all(|letter| letter.is_ascii_alphanumeric());
    if is_code { code } else { String::new() }
}

#[cfg(test)]
mod tests {
    use offshoot_migrations::{MemorySource, Scanner};

    use super::*;

    fn place(files: &[(&str, &str)], log: &str) -> Option<(String, u32, u32, String)> {
        let scan = Scanner::default().scan(&MemorySource::new(files.iter().copied())).unwrap();
        let found = from_log(Path::new("/nowhere"), &scan.projects[0], log)?;
        Some((found.path, found.line, found.column, found.message))
    }

    const ALEMBIC: &[(&str, &str)] = &[
        ("alembic.ini", "[alembic]\nscript_location = db\n"),
        ("db/versions/a_one.py", "revision = 'a'\ndown_revision = None\n"),
    ];

    #[test]
    fn a_traceback_of_python_names_the_innermost_line() {
        let log = "Traceback (most recent call last):\n  File \"/venv/bin/alembic\", line 8, in <module>\n  \
                   File \"/r/db/versions/a_one.py\", line 12, in upgrade\n    helper()\n  \
                   File \"/r/db/versions/a_one.py\", line 7, in helper\n    op.drop_column('item', 'x')\n  \
                   File \"/venv/lib/x.py\", line 9, in y\n\
                   sqlalchemy.exc.ProgrammingError: (psycopg.errors.UndefinedColumn) column \"x\" does not exist\n\
                   [SQL: ALTER TABLE item DROP COLUMN x]\n(Background on this error at: https://sqlalche.me/e/20/f405)\n";
        let (path, line, _, message) = place(ALEMBIC, log).unwrap();
        assert_eq!((path.as_str(), line), ("db/versions/a_one.py", 7));
        assert!(
            message.starts_with("sqlalchemy.exc.ProgrammingError: (psycopg.errors.UndefinedColumn)"),
            "{message}"
        );
        let once = "  File \"/r/db/versions/a_one.py\", line 12, in upgrade\nNameError: x\n";
        assert_eq!(place(ALEMBIC, once).unwrap().1, 12);
    }

    #[test]
    fn a_stack_of_javascript_names_the_first_line() {
        let files = [("knexfile.js", "module.exports = {}"), ("migrations/1_a b.js", "//")];
        let log = "migration file \"1_a b.js\" failed\nmigration failed with error: x is not defined\n\
                   ReferenceError: x is not defined\n    at Object.exports.up (/r/migrations/1_a b.js:3:15)\n    \
                   at run (/r/migrations/1_a b.js:99:1)\n";
        let (path, line, column, message) = place(&files, log).unwrap();
        assert_eq!((path.as_str(), line, column), ("migrations/1_a b.js", 3, 15));
        assert_eq!(message, "migration failed with error: x is not defined");
    }

    #[test]
    fn a_file_that_is_only_named_is_told_with_the_error_and_not_the_end_of_a_stack() {
        let files = [
            ("knexfile.js", "module.exports = {}"),
            ("migrations/1_a.js", "//"),
            ("migrations/2_b.js", "//"),
        ];
        let log = "migration file \"2_b.js\" failed\nmigration failed with error: insert into nowhere - relation \"nowhere\" \
                   does not exist\nerror: insert into nowhere\n    at Socket.emit (node:events:524:28)\n    \
                   at TCP.onStreamRead (node:internal/stream_base_commons:191:23)\n";
        let (path, line, _, message) = place(&files, log).unwrap();
        assert_eq!((path.as_str(), line), ("migrations/2_b.js", 1));
        let said = "migration failed with error: insert into nowhere - relation \"nowhere\" does not exist";
        assert_eq!(message, said);
    }

    #[test]
    fn psql_names_file_and_line() {
        let files = [
            ("sqitch.conf", "[core]\nengine = pg\n"),
            (
                "sqitch.plan",
                "%syntax-version=1.0.0\n%project=shop\n\none 2024-01-01T00:00:00Z t <t@e.x> # one\n",
            ),
            ("deploy/one.sql", "select 1;"),
        ];
        let log = "  + one .. psql:deploy/one.sql:2: ERROR:  relation \"x\" does not exist\nnot ok\n";
        let (path, line, _, message) = place(&files, log).unwrap();
        assert_eq!(
            (path.as_str(), line, message.as_str()),
            ("deploy/one.sql", 2, "relation \"x\" does not exist")
        );
    }

    #[test]
    fn what_is_no_place_is_none() {
        for log in ["", "Error: connection refused at 127.0.0.1:5432", "other.py:3: Error", "a_one.py: bad"] {
            assert_eq!(place(ALEMBIC, log), None, "{log}");
        }
    }
}
