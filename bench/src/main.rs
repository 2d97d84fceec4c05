//! `npm run bench`: measures what Offshoot has to reach, on the real program.

mod args;
mod chart;
mod cpu;
mod data;
mod disk;
mod figure;
mod how;
mod image;
mod interrupt;
mod language_server;
mod machine;
mod measure;
mod pgbench;
mod plain;
mod project;
mod report;
mod sample;
mod workshop;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use args::{Args, Measure};
use figure::Figure;
use machine::Machine;
use measure::Bench;
use pgbench::Pgbench;
use report::{Report, Run};
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
    if args.render {
        return Report::read(&args.json)?.write_document(&args.report);
    }
    interrupt::watch()?;
    let workshop = Workshop::open(args)?;
    let pgbench = Pgbench::find(&workshop);
    let mut report = empty(args, &workshop, pgbench.as_ref())?;
    let measured = measure_all(args, &workshop, pgbench, &mut report.figures);
    report.runs[0].postgres = format!("PostgreSQL {}", workshop.postgres_version());
    if args.keep {
        eprintln!("Everything is still in {}.", workshop.keep().display());
    } else {
        drop(workshop);
    }
    // Nobody is left to tell if standard output is closed.
    let _ = write!(std::io::stdout(), "{}", report.table());
    // What was measured before a failure is not measured again.
    if !report.figures.is_empty() {
        report.merge(&args.json)?;
        report.save(&args.json)?;
        report.write_document(&args.report)?;
        eprintln!("Wrote {} and {}.", args.report.display(), args.json.display());
    }
    measured
}

/// A report without figures.
fn empty(args: &Args, workshop: &Workshop, pgbench: Option<&Pgbench>) -> Result<Report> {
    let run = Run {
        date: machine::now()?,
        machine: Machine::here(workshop.path())?,
        postgres: String::new(),
        pgbench: pgbench.map_or_else(|| Ok("no pgbench".to_owned()), Pgbench::version)?,
        command: command_line(args),
    };
    Ok(Report { runs: vec![run], figures: Vec::new() })
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
        for figure in figures {
            let figure = Figure { measure: name.clone(), busy, ..figure };
            eprintln!("  {}", figure.line("now"));
            into.push(figure);
        }
    }
    Ok(())
}

/// What a person types to get the same; where files are does not matter to anybody else.
fn command_line(args: &Args) -> String {
    let Args { only, postgres, big_gb, runs, seconds, .. } = args;
    let mut text = String::from("npm run bench --");
    for measure in only {
        text.extend([" --only ", &measure.name()]);
    }
    let _ = write!(text, " --postgres {postgres} --runs {runs}");
    let has = |measure: Measure| args.measures().contains(&measure);
    if has(Measure::Create) || has(Measure::FirstQuery) {
        let _ = write!(text, " --big-gb {big_gb}");
    }
    if has(Measure::Stall) || has(Measure::Cpu) || has(Measure::Peers) {
        let _ = write!(text, " --seconds {seconds}");
    }
    if has(Measure::Import) {
        let _ = write!(text, " --import-mb {}", args.import_mb);
    }
    if has(Measure::Scale) {
        let _ = write!(text, " --branches {}", args.branches);
    }
    if has(Measure::Relations) {
        let _ = write!(text, " --relation-files {}", args.relation_files);
    }
    if has(Measure::Peers) {
        for size in &args.peer_mb {
            let _ = write!(text, " --peer-mb {size}");
        }
    }
    text
}
