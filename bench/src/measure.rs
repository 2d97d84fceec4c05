//! The measurements.

mod checkout;
mod cpu;
mod create;
mod disk;
mod first_query;
mod import;
mod memory;
mod migrations;
mod moment;
mod pages;
mod peers;
mod relations;
mod scale;
mod scan;
mod schema;
mod stall;
mod wake;

use std::time::Duration;

use anyhow::{Context, Result};

use crate::args::{Args, Measure};
use crate::data;
use crate::figure::Figure;
use crate::pgbench::Pgbench;
use crate::project::{self, Project, first};
use crate::sample::Sample;
use crate::workshop::Workshop;
use crate::{interrupt, machine};

/// Size of the small database in bytes.
const SMALL_BYTES: u64 = 150_000_000;
/// What loading needs for a while, for each byte of the large database.
const ROOM_FACTOR: u64 = 5;

/// What measurements share.
pub(crate) struct Bench<'w> {
    pub(crate) workshop: &'w Workshop,
    pub(crate) args: &'w Args,
    pub(crate) pgbench: Option<Pgbench>,
    /// The large database, once one was needed.
    big: std::cell::OnceCell<Project<'w>>,
}

impl<'w> Bench<'w> {
    pub(crate) fn new(workshop: &'w Workshop, args: &'w Args, pgbench: Option<Pgbench>) -> Self {
        Self { workshop, args, pgbench, big: std::cell::OnceCell::new() }
    }

    /// Makes one measurement.
    pub(crate) fn run(&self, measure: Measure) -> Result<Vec<Figure>> {
        match measure {
            Measure::Create => create::measure(self),
            Measure::FirstQuery => first_query::measure(self),
            Measure::Wake => wake::measure(self),
            Measure::Moment => moment::measure(self),
            Measure::Checkout => checkout::measure(self),
            Measure::Stall => stall::measure(self),
            Measure::Disk => disk::measure(self),
            Measure::Cpu => cpu::measure(self),
            Measure::Memory => memory::measure(self),
            Measure::Schema => schema::measure(self),
            Measure::Migrations => migrations::measure(self),
            Measure::Scale => scale::measure(self),
            Measure::Relations => relations::measure(self),
            Measure::Pages => pages::measure(self),
            Measure::Scan => scan::measure(self),
            Measure::Peers => peers::measure(self),
            Measure::Import => import::measure(self),
        }
    }

    /// Each measurement has a small database of its own, so that none finds the layers of another.
    fn small(&self, name: &str) -> Result<Project<'w>> {
        eprintln!("  making a database of {} MB", SMALL_BYTES / 1_000_000);
        Project::make(self.workshop, name, Some(&data::script(SMALL_BYTES)), &[])
    }

    fn big(&self) -> Result<&Project<'w>> {
        if let Some(big) = self.big.get() {
            return Ok(big);
        }
        let bytes = self.args.big_gb * 1_000_000_000;
        let free = machine::free_bytes(self.workshop.path())?;
        anyhow::ensure!(
            free > bytes / 2 * ROOM_FACTOR,
            "a database of {} GB needs {} GB of free disk while it is made, and there are {}; --big-gb N takes a smaller one",
            self.args.big_gb,
            self.args.big_gb * ROOM_FACTOR / 2,
            free / 1_000_000_000
        );
        eprintln!("  making a database of {} GB", self.args.big_gb);
        let big = Project::make(self.workshop, "big", Some(&data::script(bytes)), &[])?;
        Ok(self.big.get_or_init(|| big))
    }

    fn big_name(&self) -> String {
        format!("{} GB", self.args.big_gb)
    }

    /// pgbench, for measurements that are not made without it.
    fn pgbench(&self) -> Option<&Pgbench> {
        self.pgbench.as_ref()
    }
}

/// An awake `main`, with a client that stays connected and writes.
struct Parent<'p> {
    project: &'p Project<'p>,
    client: postgres::Client,
}

impl<'p> Parent<'p> {
    fn wake(project: &'p Project<'_>) -> Result<Self> {
        let mut client = project::connect(&project.url_of("main")?)?;
        // The first freeze makes all that was loaded durable; that is no part of what a person waits for later.
        client.batch_execute("CHECKPOINT").context("write a checkpoint")?;
        Ok(Self { project, client })
    }

    /// Commits a small change, so that the branch that follows has something to freeze.
    fn change(&mut self) -> Result<()> {
        self.client.batch_execute(data::SMALL_CHANGE).context("change the parent")
    }
}

/// Connects to `url` and reads the one row by its key.
fn read_one_row(url: &str) -> Result<()> {
    let found = first(&mut project::connect(url)?, data::ONE_ROW)?;
    anyhow::ensure!(found == data::ONE_ROW_CODE, "the branch answers `{found}`");
    Ok(())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Runs `step` as often as asked, with its number, and collects what it returns.
fn repeat(times: usize, mut step: impl FnMut(usize) -> Result<f64>) -> Result<Sample> {
    let mut values = Vec::with_capacity(times);
    for index in 0..times {
        interrupt::check()?;
        values.push(step(index)?);
    }
    Sample::new(values).context("no runs")
}
