//! Disk of a change, against the pages that were changed.

use anyhow::{Context, Result};

use super::{Bench, SMALL_BYTES};
use crate::data;
use crate::disk::usage;
use crate::figure::{Chart, Figure, Unit};
use crate::project::{Project, connect, first};
use crate::report::MEGABYTES;
use crate::sample::Sample;

/// How many times the bytes of the changed pages.
const TARGET_RATIO: f64 = 2.5;
const PAGE: f64 = 8192.0;
/// One page in so many is changed. The target is for the one in the middle.
const EVERY: [u64; 3] = [1000, 100, 10];
const TARGET_EVERY: u64 = 100;

/// A table whose rows change.
#[derive(Clone, Copy)]
struct Kind {
    table: &'static str,
    how: &'static str,
}

const KINDS: [Kind; 2] = [Kind { table: "loose", how: "in place" }, Kind { table: "item", how: "moved" }];

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let script = format!("{}{}", data::script(SMALL_BYTES), data::loose(SMALL_BYTES));
    let project = Project::make(bench.workshop, "pages", Some(&script), &[("autovacuum", "off")])?;
    let mut figures = Vec::new();
    for kind in KINDS {
        for every in EVERY {
            let mut grown = Vec::new();
            let mut pages = 0.0;
            for index in 0..bench.args.repetitions() {
                let name = format!("{}-{every}-{index}", kind.table);
                let (bytes, changed) = change(&project, &name, kind.table, every)?;
                grown.push(bytes);
                pages = changed;
            }
            figures.push(describe(kind, every, &grown, pages)?);
        }
    }
    project.remove()?;
    Ok(figures)
}

/// Bytes by which the branch's layer grew, and how many pages were changed.
fn change(project: &Project<'_>, name: &str, table: &str, every: u64) -> Result<(f64, f64)> {
    project.create(name, "main")?;
    let mut client = connect(&project.url_of(name)?)?;
    let layers = project.store()?.join("layers");
    // What a first query costs anyway is no part of the change.
    first(&mut client, &format!("SELECT count(*) FROM {table}"))?;
    client.batch_execute("CHECKPOINT")?;
    let before = usage(&layers)?;
    let sql = format!(
        "UPDATE {table} SET code = md5(code) WHERE ctid IN (SELECT format('(%s,1)', page * {every})::tid \
         FROM generate_series(0, (pg_relation_size('{table}') / 8192 - 1) / {every}) page)"
    );
    let changed = client.execute(&sql, &[]).context("change pages")?;
    client.batch_execute("CHECKPOINT")?;
    let grown = usage(&layers)?.saturating_sub(before);
    drop(client);
    project.sleep(name)?;
    project.delete(name)?;
    Ok((grown as f64, changed as f64))
}

fn describe(kind: Kind, every: u64, grown: &[f64], pages: f64) -> Result<Figure> {
    let scaled = |by: f64| Sample::new(grown.iter().map(|bytes| bytes / by).collect());
    let megabytes = scaled(1e6).context("no runs")?;
    let changed = pages * PAGE / 1e6;
    let share = 100.0 / every as f64;
    let Kind { table, how } = kind;
    let what = format!("disk of a change of {share} % of the pages of a table, {how}, against those pages");
    let figure = Figure::new(what, Unit::Ratio, scaled(pages * PAGE))
        .note(format!("{pages} pages of `{table}`, {changed:.2} MB; {:.2} MB more", megabytes.median()))
        .part(MEGABYTES, &megabytes)
        .point(Chart::Changed, format!("Offshoot, rows {how}"), changed);
    Ok(if every == TARGET_EVERY { figure.at_most(TARGET_RATIO) } else { figure })
}
