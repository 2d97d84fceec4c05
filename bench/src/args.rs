//! What can be typed.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Measures what Offshoot has to reach, on the real program, and writes docs/measurements.md.
#[derive(Debug, Parser)]
#[command(
    name = "npm run bench --",
    max_term_width = 100,
    after_help = "\
EXAMPLES:
    npm run bench                                        everything, about an hour, 45 GB of disk for a while
    npm run bench -- --only wake --only checkout         some of it; the document keeps the rest as it was
    npm run bench -- --only peers --peer-mb 150          beside other ways to copy a database, of 150 MB
    npm run bench -- --runs 3 --big-gb 1 --json look.json --report look.md     a quick look at all of it"
)]
pub(crate) struct Args {
    /// Measure only NAME; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<Measure>,
    /// Major of Postgres.
    #[arg(long, value_name = "N", default_value_t = 18, value_parser = clap::value_parser!(u32).range(14..=18))]
    pub(crate) postgres: u32,
    /// Folder with the programs of an installed Postgres.
    #[arg(long, value_name = "DIR")]
    pub(crate) bin_dir: Option<PathBuf>,
    /// Size of the large database in GB.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) big_gb: u64,
    /// Runs of each short measurement; of a long one, a third or a fifth of them.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) runs: u32,
    /// Length of one run of pgbench in seconds.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..=600))]
    pub(crate) seconds: u64,
    /// Size of a database beside which others are measured, in MB; may be given several times.
    #[arg(long, value_name = "N", default_values_t = [150, 1500], value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    pub(crate) peer_mb: Vec<u64>,
    /// Size of the server that is copied, in MB.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    pub(crate) import_mb: u64,
    /// Branches of the project that has many.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(60..=100_000))]
    pub(crate) branches: u32,
    /// Relation files of the database that has many.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(300..=10_000_000))]
    pub(crate) relation_files: u32,
    /// The program `mitosis` of the crate mitosis-db 1.1; the one on the PATH otherwise.
    #[arg(long, value_name = "FILE")]
    pub(crate) mitosis: Option<PathBuf>,
    /// Where the figures are kept. Those of measurements that are not made this time stay there.
    #[arg(long, value_name = "FILE", default_value = "docs/measurements.json")]
    pub(crate) json: PathBuf,
    /// Where the document goes. Its charts go to the folder `images` beside it.
    #[arg(long, value_name = "FILE", default_value = "docs/measurements.md")]
    pub(crate) report: PathBuf,
    /// Measure nothing; write the document and its charts anew from the figures that are there.
    #[arg(long, conflicts_with = "only")]
    pub(crate) render: bool,
    /// Folder for the data; it has to be on the file system that is measured.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The program to measure; the one beside this one otherwise.
    #[arg(long, value_name = "FILE")]
    pub(crate) offshoot: Option<PathBuf>,
    /// Leave the data in place and say where.
    #[arg(long)]
    pub(crate) keep: bool,
}

impl Args {
    /// Which measurements to make, in order.
    pub(crate) fn measures(&self) -> Vec<Measure> {
        let wanted = |measure: &Measure| self.only.is_empty() || self.only.contains(measure);
        Measure::value_variants().iter().copied().filter(wanted).collect()
    }

    /// Runs of a short measurement.
    pub(crate) fn runs(&self) -> usize {
        self.runs as usize
    }

    /// Pairs of runs of pgbench on two servers.
    pub(crate) fn pairs(&self) -> usize {
        self.runs.div_ceil(3) as usize
    }

    /// Repetitions of what has its own repetitions inside.
    pub(crate) fn repetitions(&self) -> usize {
        self.runs.div_ceil(5) as usize
    }
}

/// One measurement; it fills several lines of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Measure {
    /// `offshoot branch create`, as a whole.
    Create,
    /// From `branch create` to a row of the child.
    FirstQuery,
    /// Waking a sleeping branch.
    Wake,
    /// `offshoot branch create --at`, as much WAL before it as there can be.
    Moment,
    /// From `git checkout` to the other branch at the same address.
    Checkout,
    /// How long clients of the parent wait while it is branched.
    Stall,
    /// Bytes of a fresh branch.
    Disk,
    /// Processor time of a transaction, against a plain Postgres.
    Cpu,
    /// Memory of the idle engine.
    Memory,
    /// Comparing two schemas, against two runs of `pg_dump`.
    Schema,
    /// The state of two thousand migrations on twenty branches.
    Migrations,
    /// A thousand branches, fifty of them awake.
    Scale,
    /// A database of a hundred thousand relation files.
    Relations,
    /// Disk of a change, against the pages that were changed.
    Pages,
    /// A sequential scan of a branch that was frozen fifty times, against a plain Postgres.
    Scan,
    /// Other ways to copy a database, in turn with ours.
    Peers,
    /// Copying a running server, against `pg_basebackup`.
    Import,
}

impl Measure {
    /// Its name on the command line and in the file of figures.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
