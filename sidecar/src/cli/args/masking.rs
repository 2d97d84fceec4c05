//! Arguments of `offshoot masking`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum MaskingCommand {
    /// List columns that look personal and have no rule. Exits with 1 if there are any.
    #[command(after_help = "\
EXAMPLES:
    offshoot masking check
    offshoot masking check main --json | jq .findings")]
    Check {
        /// The branch whose schema is looked at; this worktree's otherwise.
        #[arg(value_name = "BRANCH")]
        branch: Option<String>,
    },
}
