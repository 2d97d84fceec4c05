//! Arguments of `offshoot env`.

use clap::Subcommand;

#[derive(Clone, Copy, Debug, Subcommand)]
pub(in crate::cli) enum EnvCommand {
    /// Show the file, its variables, and whether they have the address of this worktree's database.
    #[command(after_help = "\
EXAMPLES:
    offshoot env show
    offshoot env show --json | jq -r .state")]
    Show,
    /// Write the address now, also over a line that was changed by hand, and keep it in step from now on.
    ///
    /// Exits with an error, and leaves the file as it is, if git tracks or does not ignore it, or if it leads out of the worktree.
    #[command(after_help = "\
EXAMPLES:
    offshoot env write")]
    Write,
    /// Make the lines what they were before they were first written, and write nothing more in this worktree.
    #[command(after_help = "\
EXAMPLES:
    offshoot env undo
    offshoot env write      takes that back")]
    Undo,
}
