//! Running a script's statements one after another.

use postgres::error::SqlState;

use super::error::excerpt;
use super::lexer::{Found, Lexer, Statement};
use super::lines::{Lines, MAX_BYTES};
use super::sizes::Sizes;
use super::target::{Refusal, ServerError, Target};
use super::{LoadError, LoadReport, Masking, copy, gate, outside};
use crate::progress::Progress;

/// How many notes are kept.
const MAX_NOTES: usize = 100;

/// How many roles one statement may have made for it.
const MAX_ROLES: usize = 64;

/// The line that `pg_dumpall` writes at the top of its scripts.
const CLUSTER_DUMP: &[u8] = b"-- PostgreSQL database cluster dump";

/// What a last statement without a semicolon means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum End {
    /// A person left it out: the statement runs.
    #[default]
    Lenient,
    /// A tool always writes it: the stream was cut off.
    Strict,
}

pub(super) struct Loader<'a> {
    lines: Lines<'a>,
    target: &'a mut dyn Target,
    progress: &'a dyn Progress,
    lexer: Lexer,
    in_transaction: bool,
    /// Extensions that this installation lacks are left out; otherwise they are errors.
    is_copy: bool,
    /// Settings of the whole server are left out: with those of another one, this one may not start.
    leaves_settings: bool,
    /// Those that were.
    left_out: Vec<String>,
    masking: Option<Masking<'a>>,
    report: LoadReport,
}

impl<'a> Loader<'a> {
    pub(super) fn new(
        reader: &'a mut dyn std::io::BufRead,
        target: &'a mut dyn Target,
        total_bytes: Option<u64>,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            lines: Lines::new(reader, total_bytes, progress),
            target,
            progress,
            lexer: Lexer::new(),
            in_transaction: false,
            is_copy: false,
            leaves_settings: false,
            left_out: Vec::new(),
            masking: None,
            report: LoadReport::default(),
        }
    }

    /// The script is a copy of a database elsewhere: what can work without an extension that is not installed here shall.
    ///
    /// Unless it is the database's own, the other server's settings are left out.
    pub(super) fn of_copy(mut self, is_own: bool) -> Self {
        self.is_copy = true;
        self.leaves_settings = !is_own;
        self
    }

    /// The sizes of the tables are known.
    pub(super) fn sized(mut self, sizes: Option<Sizes>) -> Self {
        self.lines.sizes = sizes;
        self
    }

    /// Personal data are masked, and what cannot be is refused.
    pub(super) fn masked(mut self, masking: Option<Masking<'a>>) -> Self {
        self.masking = masking;
        self
    }

    pub(super) fn run(mut self, end: End) -> Result<LoadReport, LoadError> {
        let done = self.all(end);
        if done.is_err() && self.in_transaction {
            // Leaves the connection usable; if it is broken, the first error says more.
            let _ = self.target.run("ROLLBACK");
        }
        self.report.bytes = self.lines.bytes;
        if let Some(Masking::Rows(plan)) = &self.masking {
            self.report.masked = plan.report().to_vec();
        }
        match done {
            // The server reports a cancelled statement as an error like any other.
            Err(_) if self.progress.is_cancelled() => Err(LoadError::Cancelled),
            other => other.map(|()| self.report),
        }
    }

    fn all(&mut self, end: End) -> Result<(), LoadError> {
        while self.lines.advance()? {
            if !self.lexer.is_inside() && self.lines.current().starts_with(CLUSTER_DUMP) {
                return Err(LoadError::ClusterDump { line: self.lines.number });
            }
            self.line()?;
            if self.lexer.length() > MAX_BYTES {
                let what = "a statement is longer than 1 GiB".to_owned();
                return Err(LoadError::NotText { line: self.lexer.start_line(), what });
            }
        }
        self.finish(end)
    }

    /// Runs every statement that ends in the current line.
    fn line(&mut self) -> Result<(), LoadError> {
        let mut from = 0;
        loop {
            match self.lexer.feed(self.lines.current(), from, self.lines.number) {
                Found::LineEnd => return Ok(()),
                Found::Backslash(at) => return self.meta_command(at),
                Found::Statement(end) => {
                    let statement = self.lexer.take();
                    let copies_in = statement.copies_in;
                    if copies_in && !self.lines.current()[end..].trim_ascii().is_empty() {
                        let what =
                            "text follows a COPY on its line; its rows must start on the next".to_owned();
                        return Err(LoadError::NotText { line: self.lines.number, what });
                    }
                    self.execute(&statement)?;
                    if copies_in {
                        return Ok(());
                    }
                    from = end;
                }
            }
        }
    }

    fn finish(&mut self, end: End) -> Result<(), LoadError> {
        let line = self.lexer.start_line();
        if let Some(what) = self.lexer.open_end() {
            return Err(LoadError::Unfinished { line, what });
        }
        if !self.lexer.is_inside() {
            return Ok(());
        }
        if end == End::Strict {
            return Err(LoadError::Unfinished { line, what: "a statement" });
        }
        let statement = self.lexer.take();
        self.execute(&statement)
    }

    /// `\restrict`, `\unrestrict` and `\connect` to the same database mean nothing here; the rest cannot be run.
    fn meta_command(&mut self, at: usize) -> Result<(), LoadError> {
        let text = String::from_utf8_lossy(&self.lines.current()[at..]).trim().to_owned();
        let mut words = text.split_whitespace();
        let command = words.next().unwrap_or("\\").to_owned();
        let line = self.lines.number;
        match command.as_str() {
            _ if self.lexer.is_inside() => Err(LoadError::MetaCommand { line, command }),
            "\\restrict" | "\\unrestrict" => Ok(()),
            "\\connect" | "\\c" => {
                let arguments: Vec<&str> =
                    words.filter(|word| !word.starts_with("-reuse-previous")).collect();
                match connect_target(&arguments) {
                    Some(other) if other != self.database()? => {
                        Err(LoadError::OtherDatabase { line, what: excerpt(&text) })
                    }
                    _ => Ok(()),
                }
            }
            _ => Err(LoadError::MetaCommand { line, command }),
        }
    }

    fn database(&mut self) -> Result<String, LoadError> {
        let line = self.lines.number;
        self.target.database().map_err(|refusal| LoadError::from_server(&refusal, line, "\\connect"))
    }

    fn execute(&mut self, statement: &Statement) -> Result<(), LoadError> {
        let line = statement.line;
        let text = std::str::from_utf8(&statement.text).map_err(|_| LoadError::Encoding {
            line,
            what: "a statement has bytes that are none".to_owned(),
        })?;
        if is_settled_without_running(statement, text)? {
            return Ok(());
        }
        if self.leaves_settings && statement.words.starts_with(&["ALTER".to_owned(), "SYSTEM".to_owned()]) {
            self.note(format!(
                "line {line}: left out `{}`: settings of another server may keep this one from starting; `[postgres] settings` in \
                 offshoot.toml has some, and ALTER SYSTEM on a branch makes others",
                excerpt(text).trim_end_matches(';')
            ));
            return Ok(());
        }
        if let Some(masking) = &self.masking {
            let plan = if let Masking::Rows(plan) = masking { Some(&**plan) } else { None };
            if gate::judge(statement, text, plan)? == gate::Verdict::PassOver {
                return Ok(());
            }
        }
        let is_own = self.is_copy && !self.leaves_settings;
        let first = statement.words.first().map(String::as_str);
        if is_own && self.report.outside.is_none() && outside::reads_outside(first, text) {
            self.report.outside = Some(excerpt(text));
        }
        if statement.copies_in {
            self.lines.begin_table(text);
            self.report.rows_copied +=
                copy::rows(self.target, &mut self.lines, text, line, self.masking.as_mut())?;
            self.lines.end_table();
        } else {
            self.run_statement(statement, text)?;
        }
        self.report.statements += 1;
        self.follow(statement, text);
        Ok(())
    }

    fn run_statement(&mut self, statement: &Statement, text: &str) -> Result<(), LoadError> {
        for _ in 0..MAX_ROLES {
            let ran = if self.masking.is_some() {
                // Nobody's rows may hide behind a statement that was judged.
                self.target.run_alone(text)
            } else {
                self.target.run(text)
            };
            let Err(refusal) = ran else { return Ok(()) };
            // Within a transaction the server takes nothing more, so nothing can be mended.
            let said = refusal.said().filter(|_| !self.in_transaction && !self.progress.is_cancelled());
            let Some(said) = said else { return Err(self.refused(&refusal, statement.line, text)) };
            if self.skips_setting(statement, said) || self.leaves_out_extension(statement, said) {
                return Ok(());
            }
            if self.masking.is_some()
                && makes_role(statement)
                && said.code == SqlState::DUPLICATE_OBJECT.code()
            {
                // The pass before made it.
                return Ok(());
            }
            match missing_role(said) {
                Some(role) if !self.report.created_roles.contains(&role) => {
                    self.create_role(role, statement.line)?;
                }
                _ => return Err(self.refused(&refusal, statement.line, text)),
            }
        }
        let what = "a statement names more roles than can be made for it".to_owned();
        Err(LoadError::NotText { line: statement.line, what })
    }

    /// A setting of a newer or an older server is no reason to stop.
    fn skips_setting(&mut self, statement: &Statement, refusal: &ServerError) -> bool {
        let unknown = [SqlState::UNDEFINED_OBJECT, SqlState::INVALID_PARAMETER_VALUE]
            .iter()
            .any(|state| state.code() == refusal.code);
        let is_set = statement.words.first().is_some_and(|word| word == "SET")
            && !matches!(statement.words.get(1).map(String::as_str), Some("ROLE" | "SESSION"));
        if unknown && is_set {
            self.note(format!("line {}: skipped a setting: {}", statement.line, refusal.message));
        }
        unknown && is_set
    }

    /// Whether the statement makes or describes an extension that this installation lacks.
    fn leaves_out_extension(&mut self, statement: &Statement, refusal: &ServerError) -> bool {
        let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
        let lacking = ["0A000", "58P01", "22023"].contains(&refusal.code.as_str());
        match words.as_slice() {
            _ if !self.is_copy => false,
            ["CREATE", "EXTENSION", ..] if lacking => {
                let Some(name) = quoted(&refusal.message).or_else(|| file_stem(&refusal.message)) else {
                    return false;
                };
                self.note(format!(
                    "line {}: left out extension {name}, which this Postgres does not have",
                    statement.line
                ));
                self.left_out.push(name);
                true
            }
            ["COMMENT", "ON", "EXTENSION", ..] | ["ALTER", "EXTENSION", ..] => {
                quoted(&refusal.message).is_some_and(|name| self.left_out.contains(&name))
            }
            _ => false,
        }
    }

    /// The error; what follows from an extension that was left out says so.
    fn refused(&self, refusal: &Refusal, line: u64, statement: &str) -> LoadError {
        let mut error = LoadError::from_server(refusal, line, statement);
        let follows = refusal.said().is_some_and(|said| {
            [
                SqlState::UNDEFINED_OBJECT,
                SqlState::UNDEFINED_FUNCTION,
                SqlState::UNDEFINED_TABLE,
                SqlState::INVALID_SCHEMA_NAME,
            ]
            .iter()
            .any(|state| state.code() == said.code)
        });
        if let LoadError::Statement { hint, .. } = &mut error
            && follows
            && !self.left_out.is_empty()
        {
            *hint = Some(format!(
                "It may need {}, which this Postgres does not have and which was therefore left out. Take an installation that has \
                 it (`--bin-dir`), or a dump without what needs it.",
                self.left_out.join(", ")
            ));
        }
        error
    }

    fn create_role(&mut self, role: String, line: u64) -> Result<(), LoadError> {
        let sql = format!("CREATE ROLE \"{}\" NOLOGIN", role.replace('"', "\"\""));
        self.target.run(&sql).map_err(|refusal| LoadError::from_server(&refusal, line, &sql))?;
        self.report.created_roles.push(role);
        Ok(())
    }

    fn note(&mut self, note: String) {
        if self.report.notes.len() < MAX_NOTES {
            self.report.notes.push(note);
        }
    }

    /// Keeps track of what the statement changed for the ones behind it.
    fn follow(&mut self, statement: &Statement, text: &str) {
        let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["BEGIN", ..] | ["START", "TRANSACTION", ..] => self.in_transaction = true,
            ["COMMIT" | "ROLLBACK", "PREPARED", ..]
            | ["ROLLBACK", "TO", ..]
            | ["ROLLBACK", "WORK" | "TRANSACTION", "TO", ..] => {}
            ["COMMIT" | "END" | "ROLLBACK" | "ABORT", rest @ ..] => {
                self.in_transaction = rest.ends_with(&["AND", "CHAIN"]) && !rest.ends_with(&["NO", "CHAIN"]);
            }
            ["PREPARE", "TRANSACTION", ..] => self.in_transaction = false,
            ["SET", "STANDARD_CONFORMING_STRINGS", ..]
            | ["SET", "SESSION", "STANDARD_CONFORMING_STRINGS", ..] => {
                let value = set_value(text).to_ascii_lowercase();
                self.lexer.standard_strings = !matches!(value.as_str(), "off" | "false" | "no" | "0");
            }
            _ => {}
        }
    }
}

/// Refuses what leads elsewhere, and passes over what is so already.
fn is_settled_without_running(statement: &Statement, text: &str) -> Result<bool, LoadError> {
    let line = statement.line;
    let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["CREATE" | "DROP", "DATABASE", ..] => Err(LoadError::OtherDatabase { line, what: excerpt(text) }),
        ["SET", "NAMES", ..] => {
            let value = text.split_whitespace().nth(2).unwrap_or_default().trim_matches(['\'', '"', ';']);
            settled_encoding(if value.is_empty() { "DEFAULT" } else { value }, line)
        }
        ["SET", "CLIENT_ENCODING", ..] => settled_encoding(&set_value(text), line),
        _ => Ok(false),
    }
}

/// Whether a script in this encoding can be sent as it is.
fn settled_encoding(value: &str, line: u64) -> Result<bool, LoadError> {
    let value = value.to_ascii_uppercase();
    // The connection speaks UTF-8 as it is; plain ASCII is a part of that.
    if matches!(value.as_str(), "UTF8" | "UTF-8" | "UNICODE" | "SQL_ASCII" | "DEFAULT") {
        return Ok(true);
    }
    Err(LoadError::Encoding { line, what: format!("the script says that it is in {value}") })
}

fn makes_role(statement: &Statement) -> bool {
    let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
    matches!(words.as_slice(), ["CREATE", "ROLE" | "USER" | "GROUP", ..])
}

/// The value of a `SET x = value` or `SET x TO value`, without quotes.
fn set_value(text: &str) -> String {
    let value = text.split_once('=').map(|(_, value)| value).or_else(|| text.split_whitespace().nth(3));
    let quotes = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | ';');
    value.unwrap_or_default().trim_matches(quotes).to_owned()
}

/// The database that `\connect` with these arguments leads to; `None` for the one it is in.
fn connect_target(arguments: &[&str]) -> Option<String> {
    let first = arguments.first().filter(|first| **first != "-")?;
    let bare = first.trim_matches(['\'', '"']);
    let named = arguments.iter().find_map(|word| word.split_once("dbname=").map(|(_, name)| name));
    Some(named.unwrap_or(bare).trim_matches(['\'', '"']).to_owned())
}

/// The role that a refusal says does not exist: `role "x" does not exist`.
fn missing_role(refusal: &ServerError) -> Option<String> {
    if refusal.code != SqlState::UNDEFINED_OBJECT.code() {
        return None;
    }
    let name = refusal.message.strip_prefix("role \"")?.strip_suffix("\" does not exist")?;
    Some(name.to_owned())
}

/// What stands in the first double quotes.
fn quoted(message: &str) -> Option<String> {
    message.split('"').nth(1).map(|name| file_stem(name).unwrap_or_else(|| name.to_owned()))
}

/// `x` of a path that ends in `x.control`, as servers before 15 name it.
fn file_stem(message: &str) -> Option<String> {
    let (path, _) = message.split_once(".control")?;
    path.rsplit('/').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_settings_are_read_in_each_spelling() {
        for text in
            ["SET client_encoding = 'UTF8';", "SET client_encoding TO 'UTF8';", "set client_encoding=UTF8 ;"]
        {
            assert_eq!(set_value(text), "UTF8", "{text}");
        }
    }

    #[test]
    fn target_of_connect_is_read_in_each_spelling() {
        assert_eq!(connect_target(&["app"]).as_deref(), Some("app"));
        assert_eq!(connect_target(&["\"app\"", "user"]).as_deref(), Some("app"));
        assert_eq!(connect_target(&["\"dbname='app'\""]).as_deref(), Some("app"));
        assert_eq!(connect_target(&["-", "user"]), None);
        assert_eq!(connect_target(&[]), None);
    }
}
