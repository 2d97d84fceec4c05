//! Arguments of `offshoot snapshot`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SnapshotCommand {
    /// Keep a branch as it is now, under a name.
    #[command(after_help = "\
EXAMPLES:
    offshoot snapshot create before-split           of this worktree's branch
    offshoot snapshot create main@release-7
    offshoot diff @before-split                     what changed in the schema since
    offshoot branch create again --from main@release-7")]
    Create {
        /// Its name, or BRANCH@NAME.
        name: String,
    },
    /// List the snapshots.
    #[command(after_help = "\
EXAMPLES:
    offshoot snapshot list
    offshoot snapshot list main
    offshoot snapshot list --all    also what was before resets, restores and deletions, and how to have it back")]
    List {
        /// Only those of this branch.
        branch: Option<String>,
        /// Also those that are taken without being asked for, and all states in the trash.
        #[arg(long)]
        all: bool,
    },
    /// Remove a snapshot for good. Branches made of it stay.
    #[command(after_help = "\
EXAMPLES:
    offshoot snapshot delete main@release-7")]
    Delete {
        /// Its name, or BRANCH@NAME.
        name: String,
    },
}
