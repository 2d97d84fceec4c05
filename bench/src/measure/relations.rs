//! A database of a hundred thousand relation files.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::{Bench, Parent, ms};
use crate::data;
use crate::figure::{Figure, Unit};
use crate::interrupt;
use crate::project::Project;
use crate::sample::Sample;

/// Most milliseconds for a branch.
const TARGET_MS: f64 = 100.0;
/// A table, its TOAST table, and that one's index.
const FILES_A_TABLE: u32 = 3;
/// Tables of one transaction: each needs locks.
const BATCH: u32 = 500;
const SMALL_BYTES: u64 = 8_000_000;
/// Of the files, one in so many is made in the running branch: a checkpoint syncs each by itself, in a plain Postgres too.
const MADE_SHARE: u32 = 30;

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let files = bench.args.relation_files;
    let tables = files / FILES_A_TABLE;
    eprintln!("  loading {tables} tables");
    let script = data::script(SMALL_BYTES);
    let loaded = format!("{script}{}", batches(0, tables).join("\n"));
    let many = Project::make(bench.workshop, "relations", Some(&loaded), &[])?;
    let few = Project::make(bench.workshop, "relations-few", Some(&script), &[])?;
    let mut parents = [Parent::wake(&few)?, Parent::wake(&many)?];
    let (mut few_times, mut many_times) = (Vec::new(), Vec::new());
    for index in 0..=bench.args.runs() {
        for (parent, times) in parents.iter_mut().zip([&mut few_times, &mut many_times]) {
            parent.change()?;
            let took = ms(parent.project.create(&format!("relations-{index}"), "main")?);
            if index > 0 {
                times.push(took);
            }
        }
    }
    let made_tables = (tables / MADE_SHARE).max(1);
    let made_files = made_tables * FILES_A_TABLE;
    eprintln!("  making {made_tables} tables in a running branch");
    drop(parents);
    many.remove()?;
    let mut parent = Parent::wake(&few)?;
    for batch in batches(0, made_tables) {
        interrupt::check()?;
        parent.client.batch_execute(&batch).context("make tables")?;
    }
    let first = ms(few.create("made-first", "main")?);
    let mut made = Vec::new();
    for index in 0..bench.args.runs() {
        parent.change()?;
        made.push(ms(few.create(&format!("made-{index}"), "main")?));
    }
    drop(parent);
    few.remove()?;
    let (few, many) =
        (Sample::new(few_times).context("no runs")?, Sample::new(many_times).context("no runs")?);
    let name = |files: u32, how: &str| {
        format!("`branch create` from a running parent with {files} relation files, {how}")
    };
    let ratio = many.ratios_to(&few).map(|ratios| ratios.median()).unwrap_or_default();
    Ok(vec![
        Figure::new(name(files, "loaded"), Unit::Ms, Some(many.clone()))
            .at_most(TARGET_MS)
            .note(format!("{ratio:.2} × a database with few, in turn, which took {:.1} ms", few.median())),
        Figure::new(name(made_files, "made in it right before"), Unit::Ms, Sample::new(vec![first]))
            .note("Postgres's checkpoint syncs each of them"),
        Figure::new(name(made_files, "made in it and frozen once"), Unit::Ms, Sample::new(made))
            .at_most(TARGET_MS),
    ])
}

/// Statements that make `count` tables, a line each.
fn batches(first: u32, count: u32) -> Vec<String> {
    let mut all = Vec::new();
    let mut from = first;
    while from < first + count {
        let to = (from + BATCH).min(first + count);
        let mut text = String::new();
        let _ = write!(
            text,
            "DO $$ BEGIN FOR i IN {from}..{} LOOP EXECUTE format('CREATE TABLE relation_%s (note text)', i); END LOOP; END $$;",
            to - 1
        );
        all.push(text);
        from = to;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_tables_are_in_some_batch() {
        let all = batches(0, 1001);
        assert_eq!(all.len(), 3);
        assert!(all[2].contains("1000..1000"), "{all:?}");
    }
}
