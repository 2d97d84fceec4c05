//! Memory of the idle engine.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Bench, Parent, read_one_row, repeat};
use crate::figure::{Figure, Unit};
use crate::project::Project;
use crate::sample::Sample;

const TARGET_MB: f64 = 30.0;
/// Looks at the engine, a second apart.
const LOOKS: usize = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// Branches that the engine has made and woken before it idles again.
const BRANCHES: usize = 10;

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let project = bench.small("memory")?;
    project.stop_engine()?;
    project.start_engine()?;
    let fresh = look(&project)?;
    work(&project)?;
    let used = look(&project)?;
    project.remove()?;
    let name = |when: &str| format!("memory of the idle engine, no branch awake, {when}");
    let note = |both: &Both| format!("its share of shared pages counted, {:.1} MB", both.pss.median());
    let figure = |when: &str, both: Both| {
        let note = note(&both);
        Figure::new(name(when), Unit::Mb, Some(both.rss)).at_most(TARGET_MB).note(note)
    };
    Ok(vec![figure("just started", fresh), figure("after work on 10 branches", used)])
}

/// Makes branches, wakes them, and puts everything to sleep.
fn work(project: &Project<'_>) -> Result<()> {
    let mut parent = Parent::wake(project)?;
    for index in 0..BRANCHES {
        parent.change()?;
        let name = format!("memory-{index}");
        project.create(&name, "main")?;
        read_one_row(&project.url_of(&name)?)?;
        project.sleep(&name)?;
    }
    drop(parent);
    project.sleep("main")
}

struct Both {
    rss: Sample,
    pss: Sample,
}

fn look(project: &Project<'_>) -> Result<Both> {
    let status = project.status()?;
    ensure!(status.awake == 0, "{} branches are awake", status.awake);
    let mut pss = Vec::new();
    let rss = repeat(LOOKS, |_| {
        // Whatever the last call made the engine do is over then.
        std::thread::sleep(PAUSE);
        pss.push(megabytes(status.pid, "Pss:")?);
        megabytes(status.pid, "Rss:")
    })?;
    Ok(Both { rss, pss: Sample::new(pss).context("no looks")? })
}

pub(super) fn megabytes(pid: u32, field: &str) -> Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line =
        text.lines().find_map(|line| line.strip_prefix(field)).with_context(|| format!("no {field}"))?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}
