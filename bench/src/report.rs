//! The document and the file of figures.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::args::Measure;
use crate::figure::Figure;
use crate::machine::Machine;

/// Everything that is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) postgres: String,
    pub(crate) pgbench: String,
    /// How the newest of the figures were asked for.
    pub(crate) command: String,
    pub(crate) figures: Vec<Figure>,
}

impl Report {
    /// Takes over the figures of `path` that were not measured this time. No file is no figures.
    pub(crate) fn merge(&mut self, path: &Path) -> Result<()> {
        let Ok(text) = fs::read_to_string(path) else { return Ok(()) };
        let earlier: Self =
            serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?;
        let kept = earlier.figures.into_iter().filter(|figure| !self.has(&figure.measure));
        let kept: Vec<Figure> = kept.collect();
        self.figures.extend(kept);
        let order: Vec<String> = Measure::value_variants().iter().map(|measure| measure.name()).collect();
        self.figures.sort_by_key(|figure| order.iter().position(|name| *name == figure.measure));
        Ok(())
    }

    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("write {}", path.display()))
    }

    /// Whether there is a figure for everything.
    pub(crate) fn is_whole(&self) -> bool {
        Measure::value_variants().iter().all(|measure| self.has(&measure.name()))
    }

    fn has(&self, measure: &str) -> bool {
        self.figures.iter().any(|figure| figure.measure == measure)
    }

    pub(crate) fn table(&self) -> String {
        let lines: Vec<String> = self.figures.iter().map(Figure::line).collect();
        format!("| what | target | measured | verdict |\n| --- | --- | --- | --- |\n{}\n", lines.join("\n"))
    }

    /// The document.
    pub(crate) fn document(&self) -> String {
        let Machine { processor, cores, memory_gb, kernel, file_system, user } = &self.machine;
        let mut dates: Vec<&str> = self.figures.iter().map(|figure| figure.date.as_str()).collect();
        dates.sort_unstable();
        dates.dedup();
        let table = self.table();
        let dates = dates.join(", ");
        let Self { postgres, pgbench, command, .. } = self;
        format!(
            "# Measurements

Written by `npm run bench`. Do not edit: run it again.

| | |
| --- | --- |
| machine | {processor}, {cores} cores, {memory_gb:.0} GB |
| kernel | Linux {kernel} |
| file system | {file_system} |
| user | {user} |
| Postgres | {postgres}, `fsync`, `full_page_writes` and checksums on |
| pgbench | {pgbench} |
| date | {dates} |
| command | `{command}` |

Times and bytes are medians, with the least and the most of n runs in brackets. A target is met when the median is within it.
A line is marked noisy when other programs used more than 15 % of the processors just before or just after: its times are too
long then, and its ratios scatter. A line without the mark may still have been disturbed in between.

{table}
{HOW}"
        )
    }
}

const HOW: &str = "## How each is measured

Everything runs the program in `target/release`, its engine and a real Postgres with the engine's own settings, in a temporary
folder on the file system above. Parents are awake, with connections, and have a small committed change since the last branch.

- **Branch create**: `offshoot branch create` from spawning the program to its end, on two repositories in turn. Their databases
  were loaded by `offshoot init --from` and consist of tables of 1 KB rows.
- **First query**: the same, then the address of the branch, then a new connection through the endpoint and one row by its primary
  key. The branch's Postgres starts in between. The address comes from the engine's socket, or from `offshoot url --branch`.
- **Wake**: the branch is put to sleep by a clean shutdown. Then from the TCP connect to the answer of the first query. `fsync` is
  asked of the server and has to be on.
- **Checkout**: from the end of `git checkout` to the answer of a query on a new connection to the worktree's endpoint that comes
  from the branch that was checked out. A connection that fails, or that still leads to the old branch, is followed by another.
- **Stall**: pgbench (TPC-B, scale 10, 4 clients) through the parent's endpoint, with a line for each transaction. Ten times during
  a run a branch is created, or a bare `CHECKPOINT` is made, or nothing happens; the three kinds of run in turn. The figure is the longest
  transaction of a run.
- **Disk**: right after a checkpoint of the parent. What `offshoot branch list` says, and independently of it the disk usage of the
  branch's folder and how much the folder of all layers grew.
- **CPU per transaction**: user and system time of the postmaster, its children and those that have ended, divided by pgbench's
  transactions (scale 20, 4 clients, 2 threads). One server is a branch of a branch that lived through ten freezes; the other is a plain
  Postgres with the same programs and the same settings, `wal_recycle=off` and `wal_init_zero=off` included, that went through the same
  transactions. Both have `shared_buffers=16MB` and `autovacuum=off`, are reached by unix socket, and start each run with a checkpoint. Runs
  alternate. The figure is the median of the ratios of the pairs, because what others do to the machine hits both of a pair.
- **Memory**: `Rss` and `Pss` of the engine's process while every branch sleeps.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Unit;
    use crate::sample::Sample;

    fn report(measures: &[Measure]) -> Report {
        let figure = |measure: &Measure| {
            let mut figure = Figure::new(measure.name(), Unit::Ms, Sample::new(vec![1.0]));
            figure.measure = measure.name();
            figure
        };
        let machine = Machine {
            processor: String::new(),
            cores: 1,
            memory_gb: 1.0,
            kernel: String::new(),
            file_system: String::new(),
            user: String::new(),
        };
        let figures = measures.iter().map(figure).collect();
        Report { machine, postgres: String::new(), pgbench: String::new(), command: String::new(), figures }
    }

    #[test]
    fn figures_of_another_run_are_kept_in_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bench.json");
        report(&[Measure::Wake, Measure::Disk]).save(&path).unwrap();
        let mut now = report(&[Measure::Disk, Measure::Create]);
        now.merge(&path).unwrap();
        let names: Vec<_> = now.figures.iter().map(|figure| figure.measure.as_str()).collect();
        assert_eq!(names, ["create", "wake", "disk"]);
        assert!(!now.is_whole());
        assert!(report(Measure::value_variants()).is_whole());
    }
}
