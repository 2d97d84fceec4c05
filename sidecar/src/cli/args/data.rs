//! Arguments of the verbs that move data in and out.

use std::path::PathBuf;

use clap::{ArgGroup, Args as Group, ValueEnum};

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
#[command(group(ArgGroup::new("source").required(true).args(["empty", "from"])))]
pub(in crate::cli) struct RefreshArgs {
    /// Nothing but what [seed] in offshoot.toml names.
    #[arg(long)]
    pub(in crate::cli) empty: bool,
    /// A running Postgres (a URL), an SQL script (.sql, .sql.gz) or a `pg_dump` archive.
    #[arg(long, value_name = "SOURCE")]
    pub(in crate::cli) from: Option<String>,
}
