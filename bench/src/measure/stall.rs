//! How long clients of the parent wait while it is branched.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::{Bench, ms};
use crate::figure::{Chart, Figure, Unit};
use crate::pgbench::{Address, Load, Pgbench, Script, Transaction, read_log};
use crate::project::{self, Project};
use crate::sample::Sample;
use crate::{disk, interrupt};

const TARGET_MS: f64 = 50.0;
const SCALE: u32 = 10;
/// Branches, or checkpoints, of a run.
const EVENTS: u32 = 10;

/// What happens during a run of pgbench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Nothing,
    Checkpoint,
    Branch,
}

/// What a run showed, in milliseconds.
struct Run {
    longest: f64,
    /// Longest of the transactions that were under way during an event.
    longest_at_event: f64,
    /// Median time of the event itself.
    event: f64,
    tps: f64,
}

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let what = |how: &str| format!("parent under pgbench (4 clients), longest stall, {how}");
    let Some(pgbench) = bench.pgbench() else {
        let figure = Figure::new(what("branching 10 times"), Unit::Ms, None).at_most(TARGET_MS);
        return Ok(vec![figure.note("no pgbench")]);
    };
    let project = Project::make(bench.workshop, "stall", None, &[])?;
    let parent =
        UnderLoad { project: &project, pgbench, address: Address::of_url(&project.url_of("main")?)? };
    pgbench.fill(&parent.address, SCALE)?;
    let mut runs: [Vec<Run>; 3] = Default::default();
    for repetition in 0..bench.args.repetitions() {
        for (event, runs) in [Event::Nothing, Event::Checkpoint, Event::Branch].into_iter().zip(&mut runs) {
            eprintln!("  {event:?}, run {}", repetition + 1);
            let name = format!("{event:?}-{repetition}").to_lowercase();
            runs.push(parent.run(event, &name, bench)?);
        }
    }
    let grown = disk::usage(&project.store()?)? as f64 / 1e6;
    project.remove()?;
    let [nothing, checkpoint, branch] = runs;
    Ok(vec![
        figure(what("branching 10 times"), &branch)
            .at_most(TARGET_MS)
            .note(format!(
                "{}; a `branch create` took {:.0} ms then; the store had {grown:.0} MB in the end",
                at_event(&branch),
                median(&branch, |run| run.event)
            ))
            .point(Chart::Stall, "branching 10 times", 2.0),
        figure(what("10 bare checkpoints"), &checkpoint).note(at_event(&checkpoint)).point(
            Chart::Stall,
            "10 bare checkpoints",
            1.0,
        ),
        figure(what("nothing else"), &nothing)
            .note(format!("{:.0} tps", median(&nothing, |run| run.tps)))
            .point(Chart::Stall, "nothing else", 0.0),
    ])
}

fn figure(what: String, runs: &[Run]) -> Figure {
    Figure::new(what, Unit::Ms, Sample::new(runs.iter().map(|run| run.longest).collect()))
}

fn at_event(runs: &[Run]) -> String {
    let longest = median(runs, |run| run.longest_at_event);
    format!(
        "longest of the transactions that were under way then: {longest:.1} ms; {:.0} tps",
        median(runs, |run| run.tps)
    )
}

fn median(runs: &[Run], field: impl Fn(&Run) -> f64) -> f64 {
    Sample::new(runs.iter().map(field).collect()).map(|sample| sample.median()).unwrap_or_default()
}

struct UnderLoad<'a> {
    project: &'a Project<'a>,
    pgbench: &'a Pgbench,
    address: Address,
}

impl UnderLoad<'_> {
    fn run(&self, event: Event, name: &str, bench: &Bench<'_>) -> Result<Run> {
        let log_dir = bench.workshop.folder(&format!("log-{name}"))?;
        let seconds = bench.args.seconds;
        let load = Load { script: Script::TpcB, seconds, log_dir: Some(&log_dir) };
        let (outcome, windows) = std::thread::scope(|scope| {
            let events = scope.spawn(|| self.events(event, name, Duration::from_secs(seconds)));
            let outcome = self.pgbench.run(&self.address, load);
            let windows = events.join().map_err(|_| anyhow::anyhow!("the thread of events failed"))?;
            anyhow::Ok((outcome?, windows?))
        })?;
        judge(&log_dir, &windows, outcome.tps)
    }

    /// Makes the events, evenly over `length`; returns when each began and ended.
    fn events(&self, event: Event, name: &str, length: Duration) -> Result<Vec<(Duration, Duration)>> {
        let mut client = project::connect(&self.project.url_of("main")?)?;
        let gap = length / (EVENTS + 2);
        let mut windows = Vec::new();
        let start = Instant::now();
        for index in 1..=EVENTS {
            let due = gap * index;
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            interrupt::check()?;
            let began = now();
            match event {
                Event::Nothing => continue,
                Event::Checkpoint => client.batch_execute("CHECKPOINT").context("write a checkpoint")?,
                Event::Branch => drop(self.project.create(&format!("{name}-{index}"), "main")?),
            }
            windows.push((began, now()));
        }
        Ok(windows)
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn judge(log_dir: &Path, windows: &[(Duration, Duration)], tps: f64) -> Result<Run> {
    let all = read_log(log_dir)?;
    let longest = |which: &mut dyn Iterator<Item = &Transaction>| {
        which.map(|transaction| ms(transaction.took)).fold(0.0, f64::max)
    };
    let under_way = |transaction: &&Transaction| {
        let began = transaction.ended.saturating_sub(transaction.took);
        windows.iter().any(|(from, to)| began <= *to && transaction.ended >= *from)
    };
    anyhow::ensure!(!all.is_empty(), "pgbench logged no transaction in {}", log_dir.display());
    let events = windows.iter().map(|(from, to)| ms(to.saturating_sub(*from))).collect();
    Ok(Run {
        longest: longest(&mut all.iter()),
        longest_at_event: longest(&mut all.iter().filter(under_way)),
        event: Sample::new(events).map(|sample| sample.median()).unwrap_or_default(),
        tps,
    })
}
