//! Arguments of the verbs that move data in and out.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args as Group, ValueEnum};

use super::{Against, FollowingArgs};
use crate::config;
use crate::init::subset::Asked;

#[derive(Debug, Group)]
#[group(skip)]
pub(in crate::cli) struct DumpArgs {
    /// The branch; this worktree's otherwise.
    #[arg(value_name = "BRANCH")]
    pub(in crate::cli) branch: Option<String>,
    /// A script of SQL, or an archive for `pg_restore`.
    #[arg(long, value_name = "FORMAT", default_value = "plain")]
    pub(in crate::cli) format: DumpFormat,
    /// The file; standard output otherwise.
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub(in crate::cli) file: Option<PathBuf>,
    /// Replace the file if there is one.
    #[arg(long, requires = "file")]
    pub(in crate::cli) force: bool,
    /// Leave the rows out.
    #[arg(long, conflicts_with = "data_only")]
    pub(in crate::cli) schema_only: bool,
    /// Leave everything but the rows out.
    #[arg(long)]
    pub(in crate::cli) data_only: bool,
}

/// What a dump is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum DumpFormat {
    /// A script of SQL.
    Plain,
    /// A compressed archive for `pg_restore`.
    Custom,
}

#[derive(Debug, Group)]
#[group(skip)]
#[command(group(ArgGroup::new("source").args(["empty", "from"])))]
pub(in crate::cli) struct RefreshArgs {
    /// Nothing but what [seed] in offshoot.toml names.
    #[arg(long)]
    pub(in crate::cli) empty: bool,
    /// A running Postgres (a URL), an SQL script (.sql, .sql.gz) or a `pg_dump` archive. Without one, the server that is followed.
    #[arg(long, value_name = "SOURCE")]
    pub(in crate::cli) from: Option<String>,
    /// Copy the files of the whole server instead of the rows of one database: faster for large ones. Same major, a role with
    /// REPLICATION, no masking.
    #[arg(long, requires = "from")]
    pub(in crate::cli) physical: bool,
    /// The most that the server is to send a second, such as 20MB, with --physical.
    #[arg(long, value_name = "SIZE", requires = "physical", value_parser = max_rate)]
    pub(in crate::cli) max_rate: Option<u32>,
    #[command(flatten)]
    pub(in crate::cli) following: FollowingArgs,
    #[command(flatten)]
    pub(in crate::cli) subset: SubsetArgs,
    /// Run `seed.command` of offshoot.toml without asking.
    #[arg(long)]
    pub(in crate::cli) run_seed: bool,
    /// Take the data also if columns that were masked at the last import have no rule now.
    #[arg(long, requires = "from")]
    pub(in crate::cli) drop_masking: bool,
    #[command(flatten)]
    pub(in crate::cli) against: Against,
}

/// Which rows of a server.
#[derive(Debug, Group)]
#[group(skip)]
pub(in crate::cli) struct SubsetArgs {
    /// Take rows of these tables only, and what they refer to; `*` is any part of a name. May be given several times.
    #[arg(long = "table", value_name = "TABLE", requires = "from", conflicts_with = "physical")]
    pub(in crate::cli) tables: Vec<String>,
    /// Leave these tables empty, but for rows that others refer to. May be given several times.
    #[arg(long = "exclude-table-data", value_name = "TABLE", requires = "from", conflicts_with = "physical")]
    pub(in crate::cli) without_rows: Vec<String>,
    /// Take those rows of a table that meet a condition in the source's SQL. May be given several times.
    #[arg(long = "where", value_name = "TABLE=CONDITION", requires = "from", conflicts_with = "physical")]
    pub(in crate::cli) conditions: Vec<String>,
    /// Take all rows, whatever [subset] in offshoot.toml says.
    #[arg(long, requires = "from", conflicts_with_all = ["tables", "without_rows", "conditions"])]
    pub(in crate::cli) all_rows: bool,
    /// How long a table of the source may be locked by others; 1m otherwise.
    #[arg(long, value_name = "TIME", requires = "from", conflicts_with = "physical", value_parser = limit)]
    pub(in crate::cli) lock_timeout: Option<Duration>,
    /// How long a query may take at the source; 1h otherwise. For a part of its rows and for expressions.
    #[arg(long, value_name = "TIME", requires = "from", conflicts_with = "physical", value_parser = limit)]
    pub(in crate::cli) statement_timeout: Option<Duration>,
}

impl SubsetArgs {
    /// What was asked for.
    pub(in crate::cli) fn asked(&self) -> Asked {
        Asked {
            tables: self.tables.clone(),
            without_rows: self.without_rows.clone(),
            conditions: self.conditions.clone(),
            all_rows: self.all_rows,
            lock_timeout: self.lock_timeout,
            statement_timeout: self.statement_timeout,
        }
    }
}

#[derive(Debug, Group)]
#[group(skip)]
pub(in crate::cli) struct PushArgs {
    /// The branch; this worktree's otherwise.
    #[arg(value_name = "BRANCH")]
    pub(in crate::cli) branch: Option<String>,
    /// The postgres:// URL of the server whose schema becomes that of the branch.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) to: String,
    /// Do not ask.
    #[arg(short, long)]
    pub(in crate::cli) yes: bool,
    /// Show the plan and do nothing.
    #[arg(long, conflicts_with = "yes")]
    pub(in crate::cli) dry_run: bool,
    /// Run the plan also if it deletes data, or removes what the branch has not.
    #[arg(long)]
    pub(in crate::cli) allow_hazards: bool,
    /// Plan so that others go on reading and writing, where Postgres has such a form.
    #[arg(long)]
    pub(in crate::cli) online: bool,
    /// How long a statement may wait for a lock.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = limit)]
    pub(in crate::cli) lock_timeout: Duration,
    /// How long a statement may take.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = limit)]
    pub(in crate::cli) statement_timeout: Duration,
}

/// Kilobytes a second, within what Postgres takes.
pub(in crate::cli) fn max_rate(text: &str) -> Result<u32, String> {
    crate::size::parse(text)
        .and_then(|bytes| u32::try_from(bytes / 1024).ok())
        .filter(|rate| (32..=1_048_576).contains(rate))
        .ok_or_else(|| "not a size such as 500kB or 20MB, from 32kB to 1GB".to_owned())
}

fn limit(text: &str) -> Result<Duration, String> {
    config::duration(text)
        .filter(|time| time.as_millis() > 0 && time.as_millis() <= i32::MAX as u128)
        .ok_or_else(|| "not a time such as 500ms, 5s or 10m, of at most 24 days".to_owned())
}
