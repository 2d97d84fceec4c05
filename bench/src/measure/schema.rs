//! Comparing two schemas, beside two runs of `pg_dump` whose texts are compared.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use offshoot_postgres::{Locator, Silent};

use super::{Bench, ms};
use crate::figure::{Figure, Unit};
use crate::interrupt;
use crate::project::Project;
use crate::sample::Sample;
use crate::workshop::{clean, run};

/// Most milliseconds for the whole command.
const TARGET_MS: f64 = 1000.0;
/// Tables of ten columns each.
const TABLES: u32 = 1000;
const CHANGE: &str = "ALTER TABLE t7 ADD extra int; DROP INDEX t9_name; CREATE TABLE fresh (a int)";

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let project = Project::make(bench.workshop, "schema", Some(&script()), &[])?;
    project.create("other", "main")?;
    project.offshoot(&["sql", "--branch", "other", "-c", CHANGE])?;
    project.wake("main")?;
    let urls = [project.url_of("main")?, project.url_of("other")?];
    let tools = Locator { cache: bench.workshop.path().join("tools") }
        .client_tools(bench.args.postgres, &Silent)
        .ok();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first of each finds cold caches and does not count.
    for index in 0..=bench.args.runs() {
        let (text, took) = project.offshoot(&["diff", "main", "other", "--stat"])?;
        anyhow::ensure!(text.contains("1 added, 2 changed"), "the comparison says: {text}");
        let dumped = match &tools {
            Some(tools) => Some(dumps(tools, &urls)?),
            None => None,
        };
        if index > 0 {
            ours.push(ms(took));
            theirs.extend(dumped.map(ms));
        }
    }
    project.remove()?;
    let (ours, theirs) = (Sample::new(ours), Sample::new(theirs));
    let ratio = ours.as_ref().zip(theirs.as_ref()).and_then(|(ours, theirs)| ours.ratios_to(theirs));
    let without = if tools.is_some() { "" } else { "no pg_dump" };
    Ok(vec![
        Figure::new(
            format!("`diff --stat` of two awake branches of {TABLES} tables, whole command"),
            Unit::Ms,
            ours,
        )
        .at_most(TARGET_MS),
        Figure::new("`pg_dump --schema-only` of both at once, and which lines differ", Unit::Ms, theirs)
            .note(without),
        Figure::new("ratio of the two", Unit::Ratio, ratio).note(without),
    ])
}

/// How long two dumps take that run at once, with a comparison of their lines.
fn dumps(tools: &offshoot_postgres::ClientTools, urls: &[String; 2]) -> Result<Duration> {
    interrupt::check()?;
    let start = Instant::now();
    let dump = |url: &String| run(clean(&tools.pg_dump).args(["--schema-only", "--dbname", url]));
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| dump(&urls[0]));
        let other = dump(&urls[1]);
        (one.join(), other)
    });
    let one = one.map_err(|_| anyhow::anyhow!("a dump broke off"))?.context("dump a schema")?;
    let other = other.context("dump a schema")?;
    let lines: HashSet<&str> = one.lines().collect();
    anyhow::ensure!(other.lines().any(|line| !lines.contains(line)), "the dumps are alike");
    Ok(start.elapsed())
}

/// Tables of ten columns with a key, a reference, an index, a check, defaults and a comment each.
fn script() -> String {
    let mut text = String::new();
    for table in 1..=TABLES {
        let _ = writeln!(
            text,
            "CREATE TABLE t{table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent bigint REFERENCES t{table}, \
             name varchar(80) NOT NULL, state text DEFAULT 'new', price numeric(12, 2) CHECK (price > 0), \
             made timestamptz DEFAULT now(), seen date, data jsonb, flags int[], code char(3));\n\
             CREATE INDEX t{table}_name ON t{table} (name, made);\nCOMMENT ON TABLE t{table} IS 'table';"
        );
    }
    text
}
