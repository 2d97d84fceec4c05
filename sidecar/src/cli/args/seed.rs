//! Arguments of `offshoot seed …`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SeedCommand {
    /// List what is kept, the one that was used last first.
    #[command(after_help = "\
EXAMPLES:
    offshoot seed list
    offshoot seed list --json | jq .bytes")]
    List,
    /// Remove all that is kept, of all projects. Databases stay as they are.
    #[command(after_help = "\
EXAMPLES:
    offshoot seed clear")]
    Clear,
}
