//! Branching while the parent is under load, which none of the others can.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::super::{Bench, SMALL_BYTES, ms};
use crate::data;
use crate::figure::{Figure, Unit};
use crate::interrupt;
use crate::pgbench::{Address, Load, Script};
use crate::project::Project;
use crate::sample::Sample;

const SCALE: u32 = 5;
/// From the start of pgbench to the first branch, and between two.
const GAP: Duration = Duration::from_millis(500);

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let what = "Offshoot, 150 MB, the parent under pgbench (4 clients)";
    let Some(pgbench) = bench.pgbench() else {
        return Ok(vec![Figure::new(what, Unit::Ms, None).note("no pgbench")]);
    };
    let project = Project::make(bench.workshop, "peers-load", Some(&data::script(SMALL_BYTES)), &[])?;
    let address = Address::of_url(&project.url_of("main")?)?;
    pgbench.fill(&address, SCALE)?;
    let (mut idle, mut busy) = (Vec::new(), Vec::new());
    for index in 0..bench.args.pairs() {
        idle.push(ms(project.create(&format!("idle-{index}"), "main")?));
    }
    let load = Load { script: Script::TpcB, seconds: bench.args.seconds, log_dir: None };
    let outcome = std::thread::scope(|scope| {
        let running = scope.spawn(|| pgbench.run(&address, load));
        let begin = Instant::now();
        let length = Duration::from_secs(bench.args.seconds);
        let mut branched = Ok(());
        for index in 0.. {
            std::thread::sleep(GAP);
            if begin.elapsed() + GAP >= length || interrupt::check().is_err() {
                break;
            }
            match project.create(&format!("busy-{index}"), "main") {
                Ok(took) => busy.push(ms(took)),
                Err(error) => {
                    branched = Err(error);
                    break;
                }
            }
        }
        let outcome = running.join().map_err(|_| anyhow::anyhow!("the thread of pgbench failed"))??;
        branched.map(|()| outcome)
    })?;
    project.remove()?;
    let idle = Sample::new(idle).context("no runs")?;
    Ok(vec![Figure::new(what, Unit::Ms, Sample::new(busy)).note(format!(
        "{:.1} ms without load; {:.0} tps; the other ways need a parent that is stopped or without connections",
        idle.median(),
        outcome.tps
    ))])
}
