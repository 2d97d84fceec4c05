//! Arguments of `offshoot hooks`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum HooksCommand {
    /// Put hooks before those that are there, which go on as they did.
    ///
    /// post-checkout, post-commit, post-merge and post-rewrite. Each starts `offshoot hooks tell` in the background and then the hook that was
    /// there, if any, with its arguments and its exit status. Git waits for nothing of it. Hooks of husky and others in the work tree are
    /// left alone: put `offshoot hooks tell post-checkout` into them as a line.
    #[command(after_help = "\
EXAMPLES:
    offshoot hooks install")]
    Install,
    /// Take them away: what was there before is back, byte for byte.
    #[command(after_help = "\
EXAMPLES:
    offshoot hooks uninstall")]
    Uninstall,
    /// Show what is where. Exits with 1 if another tool has put a hook over ours, or somebody has changed ours.
    #[command(after_help = "\
EXAMPLES:
    offshoot hooks status
    offshoot hooks status --json | jq .hooks")]
    Status,
    /// Tell the engine that something happened in git. Does nothing where none runs; never fails, and takes two seconds at the most.
    #[command(after_help = "\
EXAMPLES:
    offshoot hooks tell post-checkout       a line for a hook of your own")]
    Tell {
        /// The hook that runs.
        hook: Option<String>,
    },
}
