//! Waking a sleeping branch.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{Bench, Parent, ms, read_one_row, repeat};
use crate::figure::{Chart, Figure, Unit};
use crate::project::{self, Project, first};
use crate::sample::Sample;

/// Most milliseconds.
const TARGET_MS: f64 = 100.0;

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let project = bench.small("wake")?;
    let root = wake(&project, "main", bench.args.runs())?;
    // Children of children: the usual depth of a project in use.
    let mut parent = Parent::wake(&project)?;
    for index in 0..10 {
        parent.change()?;
        project.create(&format!("wake-{index}"), "main")?;
    }
    drop(parent);
    let child = wake(&project, "wake-9", bench.args.runs())?;
    project.remove()?;
    let name = |of: &str| format!("wake of {of}, from connect to first answer, `fsync=on`");
    Ok(vec![
        Figure::new(name("a sleeping root branch"), Unit::Ms, Some(root)).at_most(TARGET_MS).point(
            Chart::Wake,
            "a root branch",
            0.0,
        ),
        Figure::new(name("a sleeping child, 11 layers deep"), Unit::Ms, Some(child))
            .at_most(TARGET_MS)
            .point(Chart::Wake, "a child, 11 layers deep", 1.0),
    ])
}

fn wake(project: &Project<'_>, branch: &str, runs: usize) -> Result<Sample> {
    let url = project.url_of(branch)?;
    let mut client = project::connect(&url)?;
    for setting in ["fsync", "full_page_writes", "data_checksums"] {
        let value = first(&mut client, &format!("SHOW {setting}"))?;
        ensure!(value == "on", "{setting} is {value}");
    }
    // So that every sleep has something to write.
    drop(client);
    repeat(runs, |_| {
        project.sleep(branch)?;
        let start = Instant::now();
        read_one_row(&url)?;
        Ok(ms(start.elapsed()))
    })
}
