//! Processor time of a transaction, against a plain Postgres on the same disk.

use anyhow::{Context, Result};

use super::Bench;
use crate::cpu;
use crate::figure::{Figure, Unit};
use crate::interrupt;
use crate::pgbench::{Address, Load, Pgbench, Script};
use crate::plain::Cluster;
use crate::project::{DirectServer, Project};
use crate::sample::Sample;

/// How many times the plain server's processor time.
const TARGET_RATIO: f64 = 1.05;
const SCALE: u32 = 20;
/// Freezes that the branch has lived through.
const FREEZES: usize = 10;
/// Seconds of transactions between two freezes.
const BETWEEN_SECONDS: u64 = 2;
/// `autovacuum` works when it likes, on one server and not on the other.
const SETTINGS: [(&str, &str); 2] = [("shared_buffers", "16MB"), ("autovacuum", "off")];

/// Of each server's runs: microseconds of processor time for a transaction, and transactions a second.
#[derive(Default)]
struct Runs {
    micros: Vec<f64>,
    tps: Vec<f64>,
}

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let Some(pgbench) = bench.pgbench() else {
        let none =
            |script| Figure::new(what(script), Unit::Ratio, None).at_most(TARGET_RATIO).note("no pgbench");
        return Ok(vec![none("TPC-B"), none("`-S`")]);
    };
    let project = Project::make(bench.workshop, "cpu", None, &SETTINGS)?;
    let branch = lived_through(&project, pgbench)?;
    let plain = Cluster::like(&branch, bench.workshop.path(), "plain")?.start()?;
    let twin = plain.address();
    eprintln!("  the plain server goes through the same");
    pgbench.fill(&Address::from(&twin), SCALE)?;
    for _ in 0..FREEZES {
        transactions(pgbench, &twin)?;
    }
    let mut figures = Vec::new();
    for (script, name) in [(Script::TpcB, "TPC-B"), (Script::Select, "`-S`")] {
        eprintln!("  {name}");
        let (ours, theirs) = take_turns(bench, pgbench, script, [&branch, &twin])?;
        figures.extend(compare(name, &ours, &theirs)?);
    }
    plain.stop()?;
    project.remove()?;
    Ok(figures)
}

fn what(script: &str) -> String {
    format!("CPU per transaction against plain Postgres, {script}, 16 MB buffers")
}

/// A branch of `main` that ran transactions between freezes. Returns its server; `main` is asleep.
fn lived_through(project: &Project<'_>, pgbench: &Pgbench) -> Result<DirectServer> {
    project.wake("main")?;
    pgbench.fill(&Address::from(&project.server("main")?), SCALE)?;
    project.create("lived", "main")?;
    project.sleep("main")?;
    project.wake("lived")?;
    let server = project.server("lived")?;
    for index in 0..FREEZES {
        transactions(pgbench, &server)?;
        project.create(&format!("lived-{index}"), "lived")?;
    }
    Ok(server)
}

fn transactions(pgbench: &Pgbench, server: &DirectServer) -> Result<()> {
    let load = Load { script: Script::TpcB, seconds: BETWEEN_SECONDS, log_dir: None };
    pgbench.run(&Address::from(server), load).map(drop)
}

/// Ours, theirs, ours, theirs …; the first pair does not count.
fn take_turns(
    bench: &Bench<'_>,
    pgbench: &Pgbench,
    script: Script,
    servers: [&DirectServer; 2],
) -> Result<(Runs, Runs)> {
    let mut runs = (Runs::default(), Runs::default());
    for pair in 0..=bench.args.pairs() {
        for (which, server) in servers.into_iter().enumerate() {
            interrupt::check()?;
            let seconds = if pair == 0 { BETWEEN_SECONDS } else { bench.args.seconds };
            let (micros, tps) = one_run(pgbench, server, Load { script, seconds, log_dir: None })?;
            if pair > 0 {
                let runs = if which == 0 { &mut runs.0 } else { &mut runs.1 };
                runs.micros.push(micros);
                runs.tps.push(tps);
            }
        }
    }
    Ok(runs)
}

fn one_run(pgbench: &Pgbench, server: &DirectServer, load: Load<'_>) -> Result<(f64, f64)> {
    server.connect()?.batch_execute("CHECKPOINT").context("write a checkpoint")?;
    let idle = cpu::used(server.postmaster)?;
    let before = cpu::settled(server.postmaster, idle.children.saturating_sub(1))?;
    let outcome = pgbench.run(&Address::from(server), load)?;
    let after = cpu::settled(server.postmaster, before.children)?;
    Ok(((after.seconds - before.seconds) * 1e6 / outcome.transactions, outcome.tps))
}

/// Processor time, which has a target, and speed, which depends on the disk of the moment.
fn compare(name: &str, ours: &Runs, theirs: &Runs) -> Result<[Figure; 2]> {
    let (micros, tps) = (Pair::of(&ours.micros, &theirs.micros)?, Pair::of(&ours.tps, &theirs.tps)?);
    let note =
        format!("{}; {:.0} against {:.0} µs", micros.note(), micros.ours.median(), micros.theirs.median());
    let cpu = micros.figure(what(name)).at_most(TARGET_RATIO).note(note);
    let note = format!("{}; {:.0} against {:.0}", tps.note(), tps.ours.median(), tps.theirs.median());
    let speed = tps.figure(format!("transactions a second against plain Postgres, {name}")).note(note);
    Ok([cpu, speed])
}

struct Pair {
    ours: Sample,
    theirs: Sample,
}

impl Pair {
    fn of(ours: &[f64], theirs: &[f64]) -> Result<Self> {
        let sample = |values: &[f64]| Sample::new(values.to_vec()).context("no runs");
        Ok(Self { ours: sample(ours)?, theirs: sample(theirs)? })
    }

    fn note(&self) -> String {
        format!("of the medians {:.3}", self.ours.median() / self.theirs.median())
    }

    fn figure(&self, what: String) -> Figure {
        let figure = Figure::new(what, Unit::Ratio, self.ours.ratios_to(&self.theirs));
        figure.part("branch", &self.ours).part("plain", &self.theirs)
    }
}
