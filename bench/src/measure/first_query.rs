//! From `branch create` to a row of the child.

use std::time::Instant;

use anyhow::Result;

use super::{Bench, Parent, ms, read_one_row, repeat};
use crate::figure::{Figure, Unit};
use crate::project::{self, Project};
use crate::sample::Sample;

/// Most milliseconds.
const TARGET_MS: f64 = 150.0;

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let name = |size: &str, how: &str| format!("create to first query on the child, {size}, {how}");
    let small = bench.small("first-query")?;
    let runs = bench.args.runs();
    let figure = |what: String, sample: Sample| Figure::new(what, Unit::Ms, Some(sample)).at_most(TARGET_MS);
    let mut figures = vec![
        figure(name("150 MB", "address from the engine's socket"), by_socket(&small, runs)?),
        figure(name("150 MB", "address from `offshoot url`"), by_command(&small, runs)?),
    ];
    small.remove()?;
    let big = bench.big()?;
    let sample = by_socket(big, runs)?;
    figures.push(figure(name(&bench.big_name(), "address from the engine's socket"), sample));
    Ok(figures)
}

fn by_socket(project: &Project<'_>, runs: usize) -> Result<Sample> {
    let mut parent = Parent::wake(project)?;
    let mut engine = project.engine()?;
    repeat(runs, |index| {
        parent.change()?;
        let name = format!("socket-{index}");
        let start = Instant::now();
        project.create(&name, "main")?;
        read_one_row(&project::url_of(&mut engine, &name)?)?;
        let took = ms(start.elapsed());
        project.sleep(&name)?;
        Ok(took)
    })
}

fn by_command(project: &Project<'_>, runs: usize) -> Result<Sample> {
    let mut parent = Parent::wake(project)?;
    repeat(runs, |index| {
        parent.change()?;
        let name = format!("command-{index}");
        let start = Instant::now();
        project.create(&name, "main")?;
        let (url, _) = project.offshoot(&["url", "--branch", &name])?;
        read_one_row(url.trim())?;
        let took = ms(start.elapsed());
        project.sleep(&name)?;
        Ok(took)
    })
}
