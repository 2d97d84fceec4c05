//! A sequential scan of a branch that was frozen fifty times, against a plain Postgres.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Bench, ms};
use crate::figure::{Figure, Unit};
use crate::plain::Cluster;
use crate::project::{DirectServer, Project, connect, first};
use crate::sample::Sample;
use crate::{cpu, data, disk, interrupt};

/// How many times the time of a plain Postgres.
const TARGET_RATIO: f64 = 1.1;
const BYTES: u64 = 200_000_000;
const FREEZES: u32 = 50;
/// Each round changes one row in so many, another one than the rounds before.
const STRIDE: u32 = 997;
const QUERY: &str = "SELECT sum(length(filler)) FROM item";
/// When to measure although there are many layers still.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Layers of a store whose only branch has been merged: the writable one, a frozen one or two.
const MERGED: usize = 4;
/// Both are started with these; `autovacuum` works when it likes, on one and not on the other.
const SETTINGS: [(&str, &str); 2] = [("autovacuum", "off"), ("max_parallel_workers_per_gather", "0")];

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let script = data::script(BYTES);
    let project = Project::make(bench.workshop, "scan", Some(&script), &SETTINGS)?;
    project.wake("main")?;
    let mut plain = Cluster::like(&project.server("main")?, bench.workshop.path(), "scan-plain")?;
    plain.load("app", &script)?;
    eprintln!("  {FREEZES} rounds of updates");
    live(&project, &plain)?;
    let layers = wait_for_merge(&project)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for pair in 0..=bench.args.pairs() {
        interrupt::check()?;
        let branch = scan_branch(&project)?;
        let twin = scan_plain(&plain)?;
        if pair > 0 {
            ours.push(branch);
            theirs.push(twin);
        }
    }
    project.remove()?;
    fs::remove_dir_all(plain.data_dir()).context("remove the plain cluster")?;
    let figure = |how: &str, value: fn(&Scan) -> f64| -> Result<Figure> {
        let sample = |scans: &[Scan]| Sample::new(scans.iter().map(value).collect()).context("no runs");
        let (ours, theirs) = (sample(&ours)?, sample(&theirs)?);
        let what = format!("sequential scan after {FREEZES} freezes, {how}, against plain Postgres");
        Ok(Figure::new(what, Unit::Ratio, ours.ratios_to(&theirs))
            .note(format!(
                "{:.0} against {:.0} ms; of the medians {:.3}; the store has {layers} layers",
                ours.median(),
                theirs.median(),
                ours.median() / theirs.median()
            ))
            .part("branch", &ours)
            .part("plain", &theirs))
    };
    Ok(vec![
        figure("not in memory", |scan| scan.cold)?.at_most(TARGET_RATIO),
        figure("not in memory, processor time", |scan| scan.cold_cpu)?,
        figure("in memory", |scan| scan.warm)?,
    ])
}

/// Milliseconds of the first scan, of the processor during it, and of the second scan.
#[derive(Clone, Copy, Debug)]
struct Scan {
    cold: f64,
    cold_cpu: f64,
    warm: f64,
}

/// The same updates on both; the branch is frozen after each, by a child that is deleted.
fn live(project: &Project<'_>, plain: &Cluster) -> Result<()> {
    let server = plain.start()?;
    let mut twin = server.address().connect()?;
    let mut branch = connect(&project.url_of("main")?)?;
    for round in 0..FREEZES {
        interrupt::check()?;
        let sql = format!("UPDATE item SET code = md5(code) WHERE id % {STRIDE} = {round}");
        for client in [&mut branch, &mut twin] {
            client.batch_execute(&sql).context("change rows")?;
            client.batch_execute("CHECKPOINT").context("write a checkpoint")?;
        }
        let name = format!("freeze-{round}");
        project.create(&name, "main")?;
        project.delete(&name)?;
    }
    drop(twin);
    server.stop()?;
    project.offshoot(&["branch", "purge", "--all", "--yes"]).map(drop)
}

/// Waits until the engine has merged, or does not seem to. Returns how many layers the store has.
fn wait_for_merge(project: &Project<'_>) -> Result<usize> {
    let layers = project.store()?.join("layers");
    let deadline = Instant::now() + PATIENCE;
    loop {
        interrupt::check()?;
        let count = fs::read_dir(&layers).context("list the layers")?.count();
        if count <= MERGED || Instant::now() >= deadline {
            return Ok(count);
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

fn scan_branch(project: &Project<'_>) -> Result<Scan> {
    project.sleep("main")?;
    disk::forget(&project.store()?)?;
    project.wake("main")?;
    scan(&project.server("main")?)
}

fn scan_plain(plain: &Cluster) -> Result<Scan> {
    disk::forget(plain.data_dir())?;
    let server = plain.start()?;
    let times = scan(&server.address())?;
    server.stop()?;
    Ok(times)
}

fn scan(server: &DirectServer) -> Result<Scan> {
    let mut client = server.connect()?;
    let mut time = || -> Result<f64> {
        let start = Instant::now();
        first(&mut client, QUERY)?;
        Ok(ms(start.elapsed()))
    };
    let before = cpu::used(server.postmaster)?;
    let cold = time()?;
    let after = cpu::used(server.postmaster)?;
    Ok(Scan { cold, cold_cpu: (after.seconds - before.seconds) * 1000.0, warm: time()? })
}
