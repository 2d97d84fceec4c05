//! Arguments of `offshoot bundle`.

use std::path::PathBuf;

use clap::Subcommand;

use super::Against;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum BundleCommand {
    /// Write a branch to a file: the pages that differ from a base that the other side has too.
    ///
    /// The base is the nearest state that a full bundle has carried; without one, what the branch was when it was made, which a copy of this
    /// store has. What goes in is the branch as it is now, whether it sleeps or not. No password is in the file, but the verifiers of
    /// those of the roles are, and all data of the pages: hand it to nobody who may not see them.
    #[command(after_help = "\
EXAMPLES:
    offshoot bundle create main --full -o main.bundle    once: all of it, as the base
    offshoot bundle create feature -o feature.bundle     from then on: what differs from it
    offshoot bundle create                               this worktree's branch, to BRANCH.bundle")]
    Create {
        /// The branch; this worktree's otherwise.
        branch: Option<String>,
        /// The file; the branch's name with `.bundle` in the current folder otherwise.
        #[arg(short = 'o', long = "output", value_name = "FILE")]
        file: Option<PathBuf>,
        /// All pages, so that no base is needed. It is the base of later bundles, in both stores: each keeps a snapshot of it.
        #[arg(long)]
        full: bool,
        /// Replace the file if there is one.
        #[arg(long)]
        force: bool,
    },
    /// Make a branch of a bundle.
    ///
    /// First all of the file is checked, then it is put together beside the branches and Postgres runs on it; the branch is made when its
    /// schema is the one that was bundled. Before that nothing changes. A bundle holds what a database holds, functions and triggers too:
    /// apply only what you would restore a dump of.
    #[command(after_help = "\
EXAMPLES:
    offshoot bundle apply feature.bundle
    offshoot bundle apply feature.bundle --name review/feature
    offshoot bundle apply main.bundle --root            in the place of the root branch; `offshoot undo` takes it back")]
    Apply {
        /// The bundle.
        file: PathBuf,
        /// What the branch is to be called; as it was called there otherwise.
        #[arg(long, conflicts_with = "root")]
        name: Option<String>,
        /// Put it in the place of the root branch, whose data go to the trash. Other branches keep theirs.
        #[arg(long)]
        root: bool,
        #[command(flatten)]
        against: Against,
    },
    /// Check a bundle and say what is in it. Needs no database.
    #[command(after_help = "\
EXAMPLES:
    offshoot bundle inspect feature.bundle
    offshoot bundle inspect feature.bundle --json | jq .base.id")]
    Inspect {
        /// The bundle.
        file: PathBuf,
    },
}
