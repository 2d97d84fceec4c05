//! `offshoot diff --measure --script FILE`: what a person's own migration costs, statement by statement.

use std::io::BufReader;
use std::path::Path;

use offshoot_migrations::forward;
use offshoot_postgres::Silent;
use offshoot_postgres::load::{LoadError, Refusal, Rows, ServerError, Target, open_script, run_script};
use offshoot_schema::plan::{Action, Part, Step};
use offshoot_schema::{Kind, Object, Plan};
use serde_json::json;

use super::comparison::one_line;
use super::markdown::budget::listed;
use super::markdown::escape::{code, prose};
use super::markdown::sha256;
use super::side::Sides;
use super::{json, measure, measured_branch};
use crate::cli::args::DiffArgs;
use crate::cli::output::Output;
use crate::failure::{Failure, Result, chain};

/// Letters of a statement that people are shown.
const SHOWN_LETTERS: usize = 70;
/// Bytes of a list in a comment.
const LIST_BYTES: usize = 40_000;
/// A migration is no dump.
const MOST_BYTES: u64 = 64 << 20;

/// Measures `file` on the first side.
pub(super) fn run(args: &DiffArgs, file: &Path, output: Output) -> Result<u8> {
    let plan = plan_of(file)?;
    let from = Sides::new(output).first(args.from.as_deref())?;
    let Some(branch) = measured_branch(&from, true)? else {
        return Err(Failure::internal("a branch to measure on is missing"));
    };
    let measured = measure::script(&branch, &plan, output)?;
    let name = file.display().to_string();
    if output.json {
        output.value(&json!({
            "version": json::VERSION,
            "branch": branch,
            "script": name,
            "measured": measure::value(&measured),
        }))?;
    } else if args.markdown {
        let verdict = measure::verdict(&measured);
        let items = measure::items(&measured);
        let marked = sha256(&format!("{name} {} {}", measure::outcome(&measured), texts(&plan)));
        output.line(format!(
            "<!-- offshoot:measure v{} sha256={marked} -->\n### Migration {} on {}\n\n**Verdict: {verdict}.** {}.\n\n{}",
            json::VERSION,
            code(&name),
            code(&branch),
            prose(&measure::whole(&measured)),
            listed(&items, LIST_BYTES).trim_end()
        ));
    } else {
        let title = format!("# Migration measured: {} on {}", one_line(&name), one_line(&branch));
        let mut blocks = vec![output.strong(&title)];
        blocks.extend(measure::lines(&measured));
        blocks.push(measure::ending(&measured, &branch, output));
        output.line(blocks.join("\n\n"));
    }
    Ok(if measured.failure.is_some() { crate::cli::NEGATIVE } else { crate::cli::OK })
}

fn texts(plan: &Plan) -> String {
    plan.steps().flat_map(|step| &step.statements).cloned().collect::<Vec<_>>().join(";\n")
}

/// The statements of a file, in the transactions that it says. One that says none runs in one transaction, unless a statement
/// of it cannot.
fn plan_of(file: &Path) -> Result<Plan> {
    let name = file.display().to_string();
    let failed = |error: &LoadError| match error {
        LoadError::Statement { line, statement, message, .. } => {
            Failure::user(format!("{name}: line {line}: {message}"))
                .hint(format!("The statement: {statement}"))
        }
        other => Failure::user(format!("cannot measure {name}: {}", chain(other))).hint(other.hint()),
    };
    let mut script = open_script(file).map_err(|e| failed(&e))?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(&mut script, MOST_BYTES), &mut text)
        .map_err(|e| Failure::user(format!("cannot read {name}: {e}")))?;
    let text = forward(&text);
    let mut found = Statements { source: text, name: &name, ..Statements::default() };
    let mut reader = BufReader::new(text.as_bytes());
    run_script(&mut reader, &mut found, None, &Silent).map_err(|e| failed(&e))?;
    let plan = found.plan();
    if plan.is_empty() {
        return Err(Failure::user(format!("{name} has no statement to measure")));
    }
    Ok(plan)
}

/// Takes statements down in place of running them.
#[derive(Default)]
struct Statements<'s> {
    source: &'s str,
    name: &'s str,
    /// How much of the source has gone by, and its line breaks.
    at: usize,
    line: usize,
    /// Whether the script has begun a transaction and not ended it.
    is_open: bool,
    has_transactions: bool,
    parts: Vec<Part>,
}

impl Statements<'_> {
    fn plan(mut self) -> Plan {
        let is_barred = |step: &Step| step.statements.iter().any(|sql| is_barred(sql));
        let loose = self.parts.iter().filter(|part| !part.transactional);
        let is_whole = !self.has_transactions && !loose.flat_map(|part| &part.steps).any(is_barred);
        for part in &mut self.parts {
            part.transactional |= is_whole;
        }
        self.parts.retain(|part| !part.steps.is_empty());
        Plan { parts: self.parts, unplanned: Vec::new() }
    }

    /// The line on which a statement begins.
    fn line_of(&mut self, sql: &str) -> usize {
        if let Some(found) = self.source[self.at..].find(sql) {
            let skipped = sql.len() - bare(sql).len();
            let begins = self.at + found + skipped;
            self.line += self.source[self.at..begins].matches('\n').count();
            self.at = begins;
        }
        self.line + 1
    }

    fn add(&mut self, sql: &str, line: usize) {
        if self.parts.last().is_none_or(|part| part.transactional != self.is_open) {
            self.parts.push(Part { transactional: self.is_open, steps: Vec::new() });
        }
        let words =
            bare(sql).trim_end().trim_end_matches(';').split_whitespace().collect::<Vec<_>>().join(" ");
        let mut shown: String = words.chars().take(SHOWN_LETTERS).collect();
        if shown.len() < words.len() {
            shown.push('…');
        }
        let place = format!("{}: line {line}", self.name);
        let step = Step {
            object: Object { kind: Kind::Schema, schema: None, name: place.clone() },
            what: format!("{place}: {shown}"),
            action: Action::Alter,
            statements: vec![sql.trim().trim_end_matches(';').to_owned()],
            hazards: Vec::new(),
            lock: None,
            others: Vec::new(),
        };
        if let Some(part) = self.parts.last_mut() {
            part.steps.push(step);
        }
    }
}

impl Target for Statements<'_> {
    fn run(&mut self, sql: &str) -> std::result::Result<(), Refusal> {
        let line = self.line_of(sql);
        match first_words(sql).as_slice() {
            [] => (),
            [word, ..] if word == "BEGIN" => self.begin(),
            [start, what, ..] if start == "START" && what == "TRANSACTION" => self.begin(),
            [word, ..] if word == "COMMIT" || word == "END" => self.is_open = false,
            [rollback, ..] if rollback == "ABORT" => return Err(refused(TAKEN_BACK)),
            [rollback, to, ..] if rollback == "ROLLBACK" && to == "TO" => self.add(sql, line),
            [rollback, ..] if rollback == "ROLLBACK" => return Err(refused(TAKEN_BACK)),
            _ => self.add(sql, line),
        }
        Ok(())
    }

    fn copy_in(
        &mut self,
        _: &str,
        _: &mut dyn Rows,
    ) -> std::result::Result<std::result::Result<u64, Refusal>, LoadError> {
        Ok(Err(refused("a COPY with rows in the file cannot be measured; write INSERT")))
    }

    fn database(&mut self) -> std::result::Result<String, Refusal> {
        Ok(String::new())
    }
}

impl Statements<'_> {
    fn begin(&mut self) {
        self.parts.push(Part { transactional: true, steps: Vec::new() });
        (self.is_open, self.has_transactions) = (true, true);
    }
}

const TAKEN_BACK: &str = "a migration that takes itself back cannot be measured";

fn refused(message: &str) -> Refusal {
    Refusal::Said(Box::new(ServerError { message: message.to_owned(), ..ServerError::default() }))
}

/// Whether a statement runs only outside of transactions.
fn is_barred(sql: &str) -> bool {
    let words = first_words(sql);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["VACUUM", ..]
        | ["ALTER", "SYSTEM", ..]
        | ["CREATE" | "DROP" | "REINDEX", "DATABASE" | "TABLESPACE" | "SYSTEM", ..] => true,
        all => all.contains(&"CONCURRENTLY"),
    }
}

/// The first words in capitals.
fn first_words(sql: &str) -> Vec<String> {
    const MANY: usize = 12;
    let words = bare(sql).split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '"' && c != '.');
    words.filter(|word| !word.is_empty()).take(MANY).map(str::to_ascii_uppercase).collect()
}

/// The statement without the comments before it.
fn bare(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let after = if rest.starts_with("--") {
            rest.split_once('\n').map_or("", |(_, after)| after)
        } else if rest.starts_with("/*") {
            rest.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return rest;
        };
        rest = after.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<(bool, Vec<String>)> {
        let mut found = Statements { source: text, name: "m.sql", ..Statements::default() };
        run_script(&mut BufReader::new(text.as_bytes()), &mut found, None, &Silent).unwrap();
        let parts = found.plan().parts.into_iter();
        parts
            .map(|part| (part.transactional, part.steps.into_iter().map(|step| step.what).collect()))
            .collect()
    }

    #[test]
    fn a_script_without_transactions_is_one() {
        let text = "-- why\nalter table a\n  add b int;\n\nupdate a set b = 1; -- after\nselect 1;\n";
        let told =
            ["m.sql: line 2: alter table a add b int;", "m.sql: line 5: update a", "m.sql: line 6: select 1"];
        let found = parts(text);
        assert!(found.len() == 1 && found[0].0, "{found:?}");
        for (what, told) in found[0].1.iter().zip(told) {
            assert!(what.starts_with(told.trim_end_matches(';')), "{found:?}");
        }
        assert_eq!(found[0].1.len(), 3);
    }

    #[test]
    fn transactions_are_those_of_the_script() {
        let found = parts("begin;\nselect 1;\ncommit;\ncreate index concurrently i on a (b);\nselect 2;");
        let shape: Vec<_> = found.iter().map(|(whole, steps)| (*whole, steps.len())).collect();
        assert_eq!(shape, [(true, 1), (false, 2)]);
        let alone = parts("select 1; create index concurrently i on a (b)");
        assert!(!alone[0].0, "{alone:?}");
    }
}
