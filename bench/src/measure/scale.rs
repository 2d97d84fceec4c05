//! A project with a thousand branches, fifty of them awake, beside one with ten.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};

use super::{Bench, Parent, memory, ms};
use crate::figure::{Figure, Unit};
use crate::project::{self, Project};
use crate::sample::Sample;
use crate::{cpu, data, disk, interrupt};

/// How much longer a command may take than with few branches.
const TARGET_RATIO: f64 = 1.2;
/// Most megabytes of a sleeping branch.
const TARGET_MB: f64 = 0.3;
const DATA_BYTES: u64 = 8_000_000;
/// Branches of the project that has few.
const FEW: u32 = 10;
/// How many of the many are awake.
const AWAKE: u32 = 50;
/// The parent changes before each branch of this number, and has so many fewer layers.
const CHANGE_EVERY: u32 = 25;

/// What is timed, in the order of [`Times`].
const COMMANDS: [&str; 3] = ["branch create", LIST, "branch delete"];
const LIST: &str = "branch list";

/// Milliseconds of each command.
type Times = [Vec<f64>; 3];

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let count = bench.args.branches;
    let make = |name| Project::make(bench.workshop, name, Some(&data::script(DATA_BYTES)), &[]);
    let (few, many) = (make("few")?, make("many")?);
    let mut parents = [Parent::wake(&few)?, Parent::wake(&many)?];
    fill(&mut parents[0], FEW)?;
    eprintln!("  making {count} branches");
    let before = bytes(&many)?;
    fill(&mut parents[1], count)?;
    let grown = bytes(&many)?.saturating_sub(before);
    eprintln!("  waking {AWAKE} of them");
    for index in 0..AWAKE {
        many.wake(&name(index * (count / AWAKE)))?;
    }
    let status = many.status()?;
    ensure!(status.awake == u64::from(AWAKE) + 1, "{} branches are awake", status.awake);
    let servers = cpu::children_of(status.pid)? as f64;
    let resident = memory::megabytes(status.pid, "Rss:")?;
    let [few_times, many_times] = take_turns(&mut parents, bench.args.runs())?;
    drop(parents);
    few.remove()?;
    many.remove()?;
    let asleep = count - AWAKE;
    let mut figures = Vec::new();
    for ((command, few), many) in COMMANDS.iter().zip(few_times).zip(many_times) {
        let (few, many) = (Sample::new(few).context("no runs")?, Sample::new(many).context("no runs")?);
        let what = format!("`{command}` with {count} branches, {AWAKE} awake, against {FEW} branches");
        let mut note = format!("{:.1} against {:.1} ms", many.median(), few.median());
        if *command == LIST {
            let _ = write!(note, "; it prints {} lines against {}", count + 1, FEW + 1);
        }
        figures.push(
            Figure::new(what, Unit::Ratio, many.ratios_to(&few))
                .at_most(TARGET_RATIO)
                .note(note)
                .part("many", &many)
                .part("few", &few),
        );
    }
    let each = grown as f64 / 1e6 / f64::from(count);
    let one = |value| Sample::new(vec![value]);
    figures.push(
        Figure::new(format!("disk of each of {count} sleeping branches"), Unit::Mb, one(each))
            .at_most(TARGET_MB)
            .note(format!("the parent's changes among it, one for each {CHANGE_EVERY} branches")),
    );
    let none = Figure::new(
        format!("processes of {asleep} sleeping branches"),
        Unit::Count,
        one(servers - f64::from(AWAKE) - 1.0),
    );
    figures.push(none.at_most(0.0).note(format!("{servers:.0} servers of {} awake branches", AWAKE + 1)));
    let what = format!("memory of the engine with {count} branches, {AWAKE} awake");
    figures.push(Figure::new(what, Unit::Mb, one(resident)));
    Ok(figures)
}

fn name(index: u32) -> String {
    format!("branch-{index:05}")
}

/// Makes `count` branches over one connection to the engine.
fn fill(parent: &mut Parent<'_>, count: u32) -> Result<()> {
    let mut engine = parent.project.engine()?;
    for index in 0..count {
        interrupt::check()?;
        if index % CHANGE_EVERY == 0 {
            parent.change()?;
        }
        project::create(&mut engine, &name(index), "main")?;
    }
    Ok(())
}

/// Bytes of all branches but the parent, and of all layers.
fn bytes(project: &Project<'_>) -> Result<u64> {
    let store = project.store()?;
    let parent = store.join("branches").join(project.branch("main")?.id.to_string());
    let all = disk::usage(&store.join("branches"))? + disk::usage(&store.join("layers"))?;
    Ok(all.saturating_sub(disk::usage(&parent)?))
}

/// Each command on the few, then on the many. The first round does not count: it finds cold caches.
fn take_turns(parents: &mut [Parent<'_>; 2], runs: usize) -> Result<[Times; 2]> {
    let mut times: [Times; 2] = Default::default();
    for index in 0..=runs {
        let name = format!("turn-{index}");
        for parent in parents.iter_mut() {
            parent.change()?;
        }
        for (which, _) in COMMANDS.iter().enumerate() {
            for (parent, times) in parents.iter().zip(&mut times) {
                let project = parent.project;
                let took = match which {
                    0 => project.create(&name, "main")?,
                    1 => project.offshoot(&["branch", "list"])?.1,
                    _ => project.delete(&name)?,
                };
                if index > 0 {
                    times[which].push(ms(took));
                }
            }
        }
    }
    Ok(times)
}
