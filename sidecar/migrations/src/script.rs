//! The SQL of a migration as its tool would run it, for tools whose migrations are SQL files.

use std::ops::Range;

use crate::model::{Down, Migration, Project};
use crate::sql::{Piece, StatementKind, classify, split};
use crate::text;
use crate::tool::Tool;

/// Which half of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// What applies it.
    Up,
    /// What takes it back.
    Down,
}

/// A part of a file that a tool would run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Where it stands in the file, in bytes.
    pub range: Range<usize>,
    /// Whether the tool holds it in one transaction; otherwise each statement is by itself, or in the transactions that the
    /// script begins.
    pub transactional: bool,
}

/// Why Offshoot cannot run a migration as its tool would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSql {
    /// It is a program, which only the tool can run.
    Code,
    /// The tool replaces parts of the text first; this is one of them.
    Placeholder(String),
    /// The tool refuses it: some of its statements cannot run in a transaction, such as this one, and others do.
    Mixed(String),
    /// There is no such half.
    Nothing,
}

/// The lines after which the way back follows in the same file: of dbmate, goose, node-pg-migrate and tern.
const WAYS_BACK: [&str; 4] =
    ["-- migrate:down", "-- +goose down", "-- down migration", "---- create above / drop below ----"];

/// A migration's text without its way back, whichever tool it is of.
pub fn forward(text: &str) -> &str {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        let begins = |mark: &&str| line.get(..mark.len()).is_some_and(|head| head.eq_ignore_ascii_case(mark));
        if WAYS_BACK.iter().any(begins) {
            return &text[..end];
        }
        end += line.len();
    }
    text
}

impl NotSql {
    /// One sentence for people, about the file `path`.
    pub fn message(&self, path: &str) -> String {
        match self {
            Self::Code => format!("{path} is a program, which only the tool can run"),
            Self::Placeholder(what) => format!("{path} holds `{what}`, which only the tool can replace"),
            Self::Mixed(statement) => format!(
                "{path} has `{statement}`, which cannot run in a transaction, beside statements that do: Flyway refuses such a \
                 file unless `mixed` is set"
            ),
            Self::Nothing => format!("{path} does not say how it is taken back"),
        }
    }
}

impl Project {
    /// The file that holds a half of a migration, and one beside it that says how it is run, if the tool has such.
    ///
    /// # Errors
    /// [`NotSql`] if it is no SQL, or there is no such half.
    pub fn script_files(
        &self,
        migration: &Migration,
        direction: Direction,
    ) -> Result<(String, Option<String>), NotSql> {
        let path = match (direction, &migration.down) {
            (Direction::Up, _) | (Direction::Down, Down::SameFile) => migration.path.clone(),
            (Direction::Down, Down::File(down)) => down.clone(),
            (Direction::Down, Down::None) => return Err(NotSql::Nothing),
        };
        if !is_sql(self.tool, &path) {
            return Err(NotSql::Code);
        }
        let beside = match self.tool {
            Tool::Diesel => Some(text::join(text::split_path(&path).0, "metadata.toml")),
            Tool::Flyway => Some(format!("{path}.conf")),
            _ => None,
        };
        Ok((path, beside))
    }

    /// The part of a file that the tool runs. `text` is the file of [`Project::script_files`], `beside` the other one if it is
    /// there.
    ///
    /// # Errors
    /// [`NotSql`] if only the tool can run it.
    pub fn script(
        &self,
        migration: &Migration,
        direction: Direction,
        text: &str,
        beside: Option<&str>,
    ) -> Result<Script, NotSql> {
        let whole = 0..text.len();
        let own_file = direction == Direction::Up || migration.down != Down::SameFile;
        let range = match self.tool {
            Tool::Dbmate => between(text, "-- migrate:up", "-- migrate:down", direction)?,
            Tool::Goose => between(text, "-- +goose Up", "-- +goose Down", direction)?,
            Tool::NodePgMigrate => between(text, "-- Up Migration", "-- Down Migration", direction)
                .or_else(|none| if own_file { Ok(whole) } else { Err(none) })?,
            Tool::Tern => match (text::line_with(text, "---- create above / drop below ----"), direction) {
                (Some((line, _)), Direction::Up) => 0..offset_of(text, line),
                (Some((line, _)), Direction::Down) => offset_of(text, line + 1)..text.len(),
                (None, Direction::Up) => whole,
                (None, Direction::Down) => return Err(NotSql::Nothing),
            },
            Tool::Liquibase => change_set(text, migration.line),
            _ => whole,
        };
        let part = &text[range.clone()];
        if matches!(self.tool, Tool::Flyway | Tool::Liquibase)
            && let Some(at) = part.find("${")
        {
            let end = part[at..].find('}').map_or(part.len(), |end| at + end + 1);
            return Err(NotSql::Placeholder(part[at..end].chars().take(40).collect()));
        }
        if self.tool == Tool::Flyway
            && !self.options.contains_key("mixed")
            && let Some(statement) = mixed(part)
        {
            return Err(NotSql::Mixed(statement));
        }
        let transactional = self.holds_in_transaction(direction, text, part, beside);
        Ok(Script { range, transactional })
    }

    /// The line that makes the tool run a file outside of a transaction, and where it goes in the file, in bytes; for tools
    /// that have such.
    pub fn without_transaction(&self, text: &str) -> Option<(usize, &'static str)> {
        // Some want it in the very first line.
        let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        match self.tool {
            Tool::Dbmate => {
                let (line, _) = text::line_with(text, "-- migrate:up")?;
                let start = offset_of(text, line);
                let line = text[start..].lines().next()?;
                Some((start + line.trim_end().len(), " transaction:false"))
            }
            Tool::Goose => Some((start, "-- +goose NO TRANSACTION\n")),
            Tool::Sqlx => Some((start, "-- no-transaction\n")),
            Tool::Tern => Some((start, "---- tern: disable-tx ----\n")),
            Tool::Atlas => Some((start, "-- atlas:txmode none\n\n")),
            _ => None,
        }
    }

    fn holds_in_transaction(
        &self,
        direction: Direction,
        text: &str,
        part: &str,
        beside: Option<&str>,
    ) -> bool {
        let beside = beside.unwrap_or_default();
        let says = |what: &str| squeezed(beside).contains(what);
        let head = |mark: &str| text::line_with(text, mark).map(|(_, rest)| rest.to_owned());
        // Several statements that arrive at once are one transaction to the server, whatever the tool was told.
        let at_once = || split(part).len() > 1 && !begins(part);
        match self.tool {
            Tool::Dbmate => {
                let mark = if direction == Direction::Up { "-- migrate:up" } else { "-- migrate:down" };
                !head(mark).is_some_and(|rest| squeezed(&rest).contains("transaction:false")) || at_once()
            }
            Tool::Goose => head("-- +goose NO TRANSACTION").is_none(),
            Tool::Sqlx => !text.trim_start_matches('\u{feff}').starts_with("-- no-transaction") || at_once(),
            Tool::Diesel => !says("run_in_transaction=false") || at_once(),
            Tool::Tern => head("---- tern: disable-tx ----").is_none(),
            Tool::Atlas => !head("-- atlas:txmode").is_some_and(|rest| rest.starts_with("none")),
            Tool::Liquibase => !squeezed(part).contains("runintransaction:false"),
            // They are sent as they are.
            Tool::Prisma | Tool::GolangMigrate | Tool::Supabase => at_once(),
            Tool::Sqitch => false,
            Tool::Flyway if says("executeintransaction=false") => false,
            Tool::Flyway | Tool::PlainSql => {
                !begins(part)
                    && !split(part).iter().any(|one| one.piece == Piece::Sql && is_loose(one.text(part)))
            }
            _ => true,
        }
    }

    /// Whether all migrations are SQL that Offshoot can run as the tool would, as far as their names tell.
    pub fn is_sql(&self) -> bool {
        !self.migrations.is_empty()
            && self.migrations.iter().all(|migration| is_sql(self.tool, &migration.path))
    }
}

/// Whether a tool takes a file for SQL.
pub(crate) fn is_sql(tool: Tool, path: &str) -> bool {
    let takes = !matches!(
        tool,
        Tool::Alembic
            | Tool::Django
            | Tool::Rails
            | Tool::Knex
            | Tool::TypeOrm
            | Tool::Sequelize
            | Tool::Kysely
            | Tool::EfCore
            | Tool::SeaOrm
    );
    takes && text::extension(path).eq_ignore_ascii_case("sql")
}

/// Whether a script begins transactions itself.
fn begins(part: &str) -> bool {
    split(part).iter().any(|one| {
        let head = squeezed(one.text(part).split_whitespace().next().unwrap_or_default());
        one.piece == Piece::Sql && matches!(head.as_str(), "begin" | "start")
    })
}

/// Whether a statement cannot run in a transaction.
fn is_loose(sql: &str) -> bool {
    classify(sql) == StatementKind::IndexConcurrently || is_barred(sql)
}

/// The beginning of a statement that cannot run in a transaction, if others of the script can.
fn mixed(part: &str) -> Option<String> {
    let pieces = split(part);
    let statements = || pieces.iter().filter(|one| one.piece == Piece::Sql).map(|one| one.text(part));
    let loose = statements().find(|sql| is_loose(sql))?;
    let words: Vec<&str> = loose.split_whitespace().take(4).collect();
    statements().any(|sql| !is_loose(sql)).then(|| words.join(" "))
}

fn is_barred(sql: &str) -> bool {
    let head: Vec<String> = sql.split_whitespace().take(3).map(str::to_ascii_lowercase).collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    matches!(
        head.as_slice(),
        ["vacuum", ..]
            | ["create" | "drop" | "alter", "database" | "tablespace" | "system", ..]
            | ["reindex", .., "concurrently"]
    )
}

/// A text in lower case without blanks.
fn squeezed(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>().to_ascii_lowercase()
}

/// Where a line, counted from 1, starts.
fn offset_of(text: &str, line: u32) -> usize {
    let mut starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    starts.nth(line.saturating_sub(1) as usize).unwrap_or(text.len())
}

/// What stands behind the line with one mark, up to that with the other.
fn between(text: &str, up: &str, down: &str, direction: Direction) -> Result<Range<usize>, NotSql> {
    let line = |mark: &str| text::line_with(text, mark).map(|(line, _)| line);
    let (up, down) = (line(up), line(down));
    let (start, other) = match direction {
        Direction::Up => (up, down),
        Direction::Down => (down, up),
    };
    let start = start.ok_or(NotSql::Nothing)?;
    let end = other.filter(|other| *other > start).map_or(text.len(), |other| offset_of(text, other));
    Ok(offset_of(text, start + 1).min(end)..end)
}

/// A change set of a formatted SQL file, which starts on `line`.
fn change_set(text: &str, line: u32) -> Range<usize> {
    let start = offset_of(text, line);
    let is_mark = |text: &str| squeezed(text).starts_with("--changeset");
    let mut end = start;
    for (at, content) in text[start..].split_inclusive('\n').enumerate() {
        if at > 0 && is_mark(content) {
            break;
        }
        end += content.len();
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_of_each_tool_is_left_out() {
        for mark in [
            "-- migrate:down transaction:false",
            "-- +goose Down",
            "-- Down Migration",
            "---- create above / drop below ----",
        ] {
            let up = "create table é ();\n";
            assert_eq!(forward(&format!("{up}{mark}\ndrop table é;\n")), up);
        }
        for whole in ["", "select 1", "-- +goose Up\nselect ' -- migrate:down ';\n", "-- é\n"] {
            assert_eq!(forward(whole), whole);
        }
    }

    use crate::{MemorySource, Scanner};

    fn project(path: &str, text: &str) -> Project {
        let source = MemorySource::new([(path, text)]);
        Scanner::default().scan(&source).unwrap().projects.remove(0)
    }

    fn part(path: &str, text: &str, direction: Direction) -> (String, bool) {
        let project = project(path, text);
        let script = project.script(&project.migrations[0], direction, text, None).unwrap();
        (text[script.range].trim().to_owned(), script.transactional)
    }

    #[test]
    fn halves_are_told_apart() {
        let text = "-- migrate:up transaction:false\nselect 1;\n-- migrate:down\nselect 2;\n";
        assert_eq!(part("db/migrations/1_a.sql", text, Direction::Up), ("select 1;".into(), false));
        assert_eq!(part("db/migrations/1_a.sql", text, Direction::Down), ("select 2;".into(), true));
        let text = "-- +goose Up\nselect 1;\n-- +goose Down\nselect 2;\n";
        assert_eq!(part("db/1_a.sql", text, Direction::Down), ("select 2;".into(), true));
    }

    #[test]
    fn several_statements_sent_at_once_are_one_transaction() {
        let text = "-- migrate:up transaction:false\nvacuum item;\nselect 1;\n-- migrate:down\n";
        assert!(part("db/migrations/1_a.sql", text, Direction::Up).1);
        let text = "-- +goose NO TRANSACTION\n-- +goose Up\nvacuum item;\nselect 1;\n";
        assert!(!part("db/1_a.sql", text, Direction::Up).1, "goose sends one after the other");
    }

    #[test]
    fn a_file_is_taken_out_of_its_transaction_by_a_word() {
        for (path, text) in [
            ("db/migrations/1_a.sql", "-- migrate:up\nselect 1;\n-- migrate:down\n"),
            ("db/1_a.sql", "-- +goose Up\nselect 1;\n-- +goose Down\n"),
        ] {
            let (at, word) = project(path, text).without_transaction(text).unwrap();
            let without = format!("{}{word}{}", &text[..at], &text[at..]);
            assert!(part(path, text, Direction::Up).1 && !part(path, &without, Direction::Up).1, "{without}");
            assert_eq!(part(path, &without, Direction::Up).0, "select 1;");
        }
        assert_eq!(project("migrations/V1__a.sql", "select 1;").without_transaction("select 1;"), None);
    }

    #[test]
    fn flyway_refuses_statements_of_both_kinds_in_one_file_unless_it_is_told_not_to() {
        let text = "create table t (a int);\ncreate index concurrently i on t (a);\n";
        let of = |config: &str, text: &str| {
            let source = MemorySource::new([("flyway.toml", config), ("sql/V1__a.sql", text)]);
            let project = Scanner::default().scan(&source).unwrap().projects.remove(0);
            project.script(&project.migrations[0], Direction::Up, text, None)
        };
        let config = "[flyway]\nlocations = [\"filesystem:sql\"]\n";
        let refused = of(config, text).unwrap_err();
        assert_eq!(refused, NotSql::Mixed("create index concurrently i".into()));
        assert!(!of(&format!("{config}mixed = true\n"), text).unwrap().transactional);
        assert!(!of(config, "vacuum;\nvacuum;\n").unwrap().transactional);
        assert!(of(config, "select 1;\n").unwrap().transactional);
    }

    #[test]
    fn plain_files_are_held_together_unless_a_statement_forbids_it() {
        assert!(part("migrations/001_a.sql", "select 1; select 2;", Direction::Up).1);
        let text = "create index concurrently i on t (a);";
        assert!(!part("migrations/001_a.sql", text, Direction::Up).1);
    }
}
