//! `npm run bench`: measures what Offshoot has to reach, on the real program.

mod args;
mod cpu;
mod data;
mod disk;
mod figure;
mod interrupt;
mod machine;
mod measure;
mod pgbench;
mod plain;
mod project;
mod report;
mod sample;
mod workshop;

use std::fs;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use args::Args;
use figure::Figure;
use machine::Machine;
use measure::Bench;
use pgbench::Pgbench;
use report::Report;
use workshop::Workshop;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fatal: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    interrupt::watch()?;
    let workshop = Workshop::open(args)?;
    let pgbench = Pgbench::find(&workshop);
    let mut report = empty(args, &workshop, pgbench.as_ref())?;
    let measured = measure_all(args, &workshop, pgbench, &mut report.figures);
    report.postgres = format!("PostgreSQL {}", workshop.postgres_version());
    if args.keep {
        eprintln!("Everything is still in {}.", workshop.keep().display());
    } else {
        drop(workshop);
    }
    // What was measured before a failure is not measured again.
    if let Some(path) = &args.json {
        report.merge(path)?;
        report.save(path)?;
    }
    measured?;
    // Nobody is left to tell if standard output is closed.
    let _ = write!(std::io::stdout(), "{}", report.table());
    if report.is_whole() {
        fs::write(&args.report, report.document())
            .with_context(|| format!("write {}", args.report.display()))?;
        eprintln!("Wrote {}.", args.report.display());
    } else {
        eprintln!("{} is written when there is a figure for everything.", args.report.display());
    }
    Ok(())
}

/// A report without figures.
fn empty(args: &Args, workshop: &Workshop, pgbench: Option<&Pgbench>) -> Result<Report> {
    Ok(Report {
        machine: Machine::here(workshop.path())?,
        postgres: String::new(),
        pgbench: pgbench.map_or_else(|| Ok("none".to_owned()), Pgbench::version)?,
        command: command_line(args),
        figures: Vec::new(),
    })
}

fn measure_all(
    args: &Args,
    workshop: &Workshop,
    pgbench: Option<Pgbench>,
    into: &mut Vec<Figure>,
) -> Result<()> {
    let bench = Bench::new(workshop, args, pgbench);
    for measure in args.measures() {
        let name = measure.name();
        eprintln!("{name}");
        let before = machine::busy()?;
        let figures = bench.run(measure).with_context(|| format!("measure {name}"))?;
        let busy = machine::busy()?.max(before);
        let date = machine::today()?;
        for figure in figures {
            let figure = Figure { measure: name.clone(), date: date.clone(), busy, ..figure };
            eprintln!("  {}", figure.line());
            into.push(figure);
        }
    }
    Ok(())
}

/// What a person types to get the same; where files are does not matter to anybody else.
fn command_line(args: &Args) -> String {
    let Args { postgres, big_gb, runs, seconds, .. } = args;
    format!("npm run bench -- --postgres {postgres} --big-gb {big_gb} --runs {runs} --seconds {seconds}")
}
