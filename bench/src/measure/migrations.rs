//! The state of two thousand migrations on twenty branches.

use std::fmt::Write as _;
use std::fs;

use anyhow::Result;

use super::{Bench, ms, repeat};
use crate::figure::{Figure, Unit};
use crate::project::Project;
use crate::sample::Sample;

/// Most milliseconds for all of it, as a whole command.
const TARGET_MS: f64 = 500.0;
const FILES: usize = 2000;
const BRANCHES: usize = 20;

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let project = Project::make(bench.workshop, "migrations", Some(&history()), &[])?;
    let folder = project.repository().join("db/migrations");
    fs::create_dir_all(&folder)?;
    for number in 1..=FILES {
        fs::write(folder.join(format!("{number:05}_step.sql")), migration(number))?;
    }
    for branch in 1..BRANCHES {
        let name = format!("b{branch}");
        project.create(&name, "main")?;
        let sql = format!("DELETE FROM schema_migrations WHERE version > '{:05}'", FILES - branch);
        project.offshoot(&["sql", "--branch", &name, "-c", &sql])?;
    }
    project.wake("main")?;
    let status = || -> Result<f64> {
        let (text, took) = project.offshoot(&["migrations", "status", "--all", "--json"])?;
        let pending = text.matches("\"pending\"").count();
        anyhow::ensure!(pending >= BRANCHES - 1, "{pending} are pending");
        Ok(ms(took))
    };
    // The first finds cold caches and does not count.
    status()?;
    let again = repeat(bench.args.runs(), |_| status())?;
    let saved = repeat(bench.args.runs(), |run| {
        fs::write(folder.join("01000_step.sql"), format!("{}select {run};\n", migration(1000)))?;
        status()
    })?;
    let restarted = repeat(bench.args.repetitions(), |_| {
        project.stop_engine()?;
        project.start_engine()?;
        for branch in 1..BRANCHES {
            project.wake(&format!("b{branch}"))?;
        }
        project.wake("main")?;
        status()
    })?;
    project.remove()?;
    let figure = |what: &str, sample: Sample| {
        let title = format!(
            "`migrations status --all` of {FILES} migrations on {BRANCHES} branches that are awake, whole command, {what}"
        );
        Figure::new(title, Unit::Ms, Some(sample)).at_most(TARGET_MS)
    };
    Ok(vec![
        figure("nothing known yet", restarted),
        figure("nothing changed", again),
        figure("one file saved", saved),
    ])
}

fn migration(number: usize) -> String {
    format!(
        "-- migrate:up\nALTER TABLE t ADD COLUMN c{number} int;\n\n-- migrate:down\nALTER TABLE t DROP COLUMN c{number};\n"
    )
}

/// dbmate's table, with all files in it.
fn history() -> String {
    let mut text = "CREATE TABLE schema_migrations (version varchar PRIMARY KEY);\n".to_owned();
    let _ = writeln!(
        text,
        "INSERT INTO schema_migrations SELECT lpad(n::text, 5, '0') FROM generate_series(1, {FILES}) n;"
    );
    text
}
