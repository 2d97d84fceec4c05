//! Arguments of `offshoot promote`.

use clap::Args as Group;

use super::Against;

#[derive(Debug, Group)]
pub(in crate::cli) struct PromoteArgs {
    /// The git branch, as it is committed; otherwise the one that is checked out.
    pub(in crate::cli) branch: Option<String>,
    /// The branch of the tier; otherwise the next one. One that comes after it takes `--override`.
    #[arg(long, value_name = "TIER")]
    pub(in crate::cli) to: Option<String>,
    /// Only those of one tool, such as `dbmate`, or of one folder, such as `dbmate:services/shop`.
    #[arg(long)]
    pub(in crate::cli) tool: Option<String>,
    /// Only try them on a throwaway, and tell what holds.
    #[arg(long, short = 'n')]
    pub(in crate::cli) dry_run: bool,
    /// Ask nothing.
    #[arg(long)]
    pub(in crate::cli) yes: bool,
    #[command(flatten)]
    pub(in crate::cli) against: Against,
}
