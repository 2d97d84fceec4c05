//! A branch as a running parent was at a moment, with as much WAL before it as there ever is since the last snapshot.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use postgres::Client;

use super::{Bench, Parent, ms};
use crate::figure::{Figure, Unit};
use crate::project::{self, Project, first};
use crate::sample::Sample;
use crate::{data, interrupt};

/// Most milliseconds.
const TARGET_MS: f64 = 1000.0;
/// By then the engine takes a snapshot.
const MOST_BYTES: u64 = 64 << 20;
/// So much lies between at least.
const LEAST_BYTES: u64 = 52 << 20;
/// Scattered updates, whose pages are in the WAL as a whole, and small records: together some 4 MB.
const WORK: &str = "UPDATE item SET code = md5(code || clock_timestamp()) WHERE id IN \
     (SELECT 5000 + (random() * 100000)::int FROM generate_series(1, 300)); \
     INSERT INTO marker (note) SELECT repeat('x', 500) FROM generate_series(1, 2500)";
const POSITION: &str = "SELECT pg_current_wal_insert_lsn()::text";
const MARKERS: &str = "SELECT count(*) FROM marker";

#[derive(Default)]
struct Times {
    made: Vec<f64>,
    answered: Vec<f64>,
    wal_mb: Vec<f64>,
}

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let project = bench.small("moment")?;
    let mut parent = Parent::wake(&project)?;
    let mut times = Times::default();
    for index in 0..bench.args.runs() {
        interrupt::check()?;
        once(&project, &mut parent, index, &mut times).with_context(|| format!("run {index}"))?;
    }
    drop(parent);
    project.remove()?;
    let wal = Sample::new(times.wal_mb).map(|sample| sample.median()).unwrap_or_default();
    let name = |what: &str| {
        format!(
            "`branch create --at` of a running parent of 150 MB, 52 to 64 MiB of WAL after the last snapshot, {what}"
        )
    };
    let note =
        format!("{wal:.0} MB of WAL were replayed; each branch had exactly what was committed by then");
    Ok(vec![
        Figure::new(name("whole command"), Unit::Ms, Sample::new(times.made)).at_most(TARGET_MS).note(note),
        Figure::new(name("to first query on it"), Unit::Ms, Sample::new(times.answered)).at_most(TARGET_MS),
    ])
}

fn once(project: &Project<'_>, parent: &mut Parent<'_>, index: usize, times: &mut Times) -> Result<()> {
    let (snapshot, branch) = (format!("moment-{index}"), format!("then-{index}"));
    project.offshoot(&["snapshot", "create", &snapshot])?;
    let begin = position(&mut parent.client)?;
    let (mut end, mut between) = (begin.clone(), 0);
    while between < LEAST_BYTES {
        parent.client.batch_execute(WORK).context("write WAL")?;
        end = position(&mut parent.client)?;
        between = distance(&mut parent.client, &begin, &end)?;
    }
    ensure!(between < MOST_BYTES, "{between} bytes of WAL lie between: a round of work is too much");
    let wanted = first(&mut parent.client, MARKERS)?;
    parent.change()?;

    let started = Instant::now();
    let (_, made) = project.offshoot(&["branch", "create", &branch, "--from", "main", "--at", &end])?;
    let url = project.url_of(&branch)?;
    let mut child = project::connect(&url)?;
    ensure!(first(&mut child, data::ONE_ROW)? == data::ONE_ROW_CODE, "the branch lacks a row");
    times.answered.push(ms(started.elapsed()));
    times.made.push(ms(made));
    times.wal_mb.push(between as f64 / 1e6);
    let found = first(&mut child, MARKERS)?;
    ensure!(found == wanted, "the branch has {found} rows, and {wanted} were there then");
    drop(child);
    project.delete(&branch)?;
    project.offshoot(&["snapshot", "delete", &format!("main@{snapshot}")])?;
    Ok(())
}

fn position(client: &mut Client) -> Result<String> {
    first(client, POSITION)
}

/// Bytes of WAL between two positions.
fn distance(client: &mut Client, from: &str, to: &str) -> Result<u64> {
    let text = first(client, &format!("SELECT pg_wal_lsn_diff('{to}', '{from}')::bigint"))?;
    text.parse().context("read a distance")
}
