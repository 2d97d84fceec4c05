//! Arguments of `offshoot migrations`.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand};

use super::Against;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum MigrationsCommand {
    /// Show which migrations are pending, applied, changed or missing on which branch.
    #[command(after_help = "\
EXAMPLES:
    offshoot migrations status
    offshoot migrations status --all                  on every branch; wakes those whose history is not known
    offshoot migrations status --branch main --tool dbmate
    offshoot migrations status --ref origin/feature   the files of another git branch
    offshoot migrations status --exit-code            1 if anything is not up to date")]
    Status(StatusArgs),
    /// Apply pending migrations with the tool's own command, after a snapshot.
    #[command(after_help = "\
EXAMPLES:
    offshoot migrations apply                         `offshoot migrations undo` takes it back
    offshoot migrations apply --throwaway --measure   on a copy that is gone afterwards; what it costs
    offshoot migrations apply --throwaway --to 20240301000000_tags.sql
    offshoot migrations apply --tool prisma")]
    Apply(ApplyArgs),
    /// Take the newest migration back with the tool's own command, after a snapshot.
    #[command(after_help = "\
EXAMPLES:
    offshoot migrations down
    offshoot migrations down --tool dbmate")]
    Down {
        /// Of this tool, or this project of `status`.
        #[arg(long, value_name = "T")]
        tool: Option<String>,
        /// Take no snapshot before.
        #[arg(long)]
        no_snapshot: bool,
        #[command(flatten)]
        against: Against,
    },
    /// Take a branch back to before its migrations were applied last, with all its data.
    #[command(after_help = "\
EXAMPLES:
    offshoot migrations undo
    offshoot migrations undo --branch feature --snapshot before-split
    offshoot undo feature                             brings back what was undone")]
    Undo {
        /// Branch B instead of the one of this worktree.
        #[arg(long, value_name = "B")]
        branch: Option<String>,
        /// To this snapshot of the branch.
        #[arg(long, value_name = "NAME")]
        snapshot: Option<String>,
        /// Do not ask. Without a terminal nothing is asked either.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        against: Against,
    },
    /// Try pending migrations on a throwaway: do they apply, twice, and back; what do they cost.
    #[command(after_help = "\
EXAMPLES:
    offshoot migrations check                         against the parent of this worktree's branch
    offshoot migrations check --against main --report migrations.md
    offshoot migrations check --json | jq .passed")]
    Check(CheckArgs),
    /// Show what a branch has that its migrations do not make, and the other way round.
    #[command(after_help = "\
EXAMPLES:
    offshoot migrations drift                         exits with 1 if there is any
    offshoot migrations drift --branch main --json")]
    Drift {
        /// Branch B instead of the one of this worktree.
        #[arg(long, value_name = "B")]
        branch: Option<String>,
        /// Of this tool, or this project of `status`.
        #[arg(long, value_name = "T")]
        tool: Option<String>,
        /// Take what the branch has now as given, as of a database that began from a dump: compare with that, and with files that run later.
        #[arg(long)]
        accept: bool,
    },
    /// Try merging this git branch and others, in both orders, before anybody does.
    #[command(after_help = "\
EXAMPLES:
    offshoot migrations rehearse                      with every git branch that is not merged; asks first
    offshoot migrations rehearse --yes --json         agrees to run what those branches have
    offshoot migrations rehearse --only feature/tags --base main")]
    Rehearse(RehearseArgs),
    /// Write a new migration from what this worktree's branch has and its parent with all migrations has not.
    #[command(after_help = "\
EXAMPLES:
    offshoot migrations new add_tags
    offshoot migrations new add_tags --reset          and make the branch anew from its parent and the files
    offshoot migrations new add_tags --from main      from what main and its pending migrations have not
    offshoot migrations new fill_tags --empty")]
    New(NewArgs),
}

#[derive(Debug, Group)]
#[group(skip)]
pub(in crate::cli) struct StatusArgs {
    /// On branch B instead of the one of this worktree; may be given several times.
    #[arg(long, value_name = "B", conflicts_with = "all")]
    pub(in crate::cli) branch: Vec<String>,
    /// On all branches.
    #[arg(long)]
    pub(in crate::cli) all: bool,
    /// Of this tool, or this project.
    #[arg(long, value_name = "T")]
    pub(in crate::cli) tool: Option<String>,
    /// The files of a commit or git branch instead of those of this worktree.
    #[arg(long = "ref", value_name = "COMMIT")]
    pub(in crate::cli) commit: Option<String>,
    /// Wake no branch: what a sleeping one has is told if it is known.
    #[arg(long)]
    pub(in crate::cli) known: bool,
    /// List what is applied, too.
    #[arg(long, short)]
    pub(in crate::cli) verbose: bool,
    /// Exit with 1 if anything is not up to date.
    #[arg(long)]
    pub(in crate::cli) exit_code: bool,
}

#[derive(Debug, Group)]
#[group(skip)]
pub(in crate::cli) struct ApplyArgs {
    /// Of this tool, or this project of `status`; all that have something pending otherwise.
    #[arg(long, value_name = "T")]
    pub(in crate::cli) tool: Option<String>,
    /// On a copy of the branch that is gone afterwards. SQL files are run by Offshoot itself, and nothing is recorded.
    #[arg(long)]
    pub(in crate::cli) throwaway: bool,
    /// Up to and with this file, key or version.
    #[arg(long, value_name = "X", requires = "throwaway")]
    pub(in crate::cli) to: Option<String>,
    /// A copy of branch B instead of the one of this worktree.
    #[arg(long, value_name = "B", requires = "throwaway")]
    pub(in crate::cli) branch: Option<String>,
    /// Show time, locks and rewrites.
    #[arg(long, requires = "throwaway")]
    pub(in crate::cli) measure: bool,
    /// Take no snapshot before.
    #[arg(long, conflicts_with = "throwaway")]
    pub(in crate::cli) no_snapshot: bool,
    #[command(flatten)]
    pub(in crate::cli) against: Against,
}

#[derive(Debug, Group)]
#[group(skip)]
pub(in crate::cli) struct CheckArgs {
    /// On a throwaway of branch B; of the parent of this worktree's otherwise.
    #[arg(long, value_name = "B")]
    pub(in crate::cli) against: Option<String>,
    /// Of this tool, or this project of `status`.
    #[arg(long, value_name = "T")]
    pub(in crate::cli) tool: Option<String>,
    /// Print the report as Markdown.
    #[arg(long, conflicts_with = "json")]
    pub(in crate::cli) markdown: bool,
    /// Write the report to FILE as well: JSON if it ends in .json, Markdown otherwise.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) report: Option<PathBuf>,
}

#[derive(Debug, Group)]
#[group(skip)]
pub(in crate::cli) struct RehearseArgs {
    /// With this git branch only; may be given several times. All that are not merged otherwise.
    #[arg(long, visible_alias = "only", value_name = "B")]
    pub(in crate::cli) with: Vec<String>,
    /// Agree to run the migrations of all other git branches, as they are now. It is remembered.
    #[arg(long)]
    pub(in crate::cli) yes: bool,
    /// The git branch that they are merged into; that of the root database branch otherwise.
    #[arg(long, value_name = "B")]
    pub(in crate::cli) base: Option<String>,
    /// Of this tool, or this project of `status`.
    #[arg(long, value_name = "T")]
    pub(in crate::cli) tool: Option<String>,
}

#[derive(Debug, Group)]
#[group(skip)]
pub(in crate::cli) struct NewArgs {
    /// What it is called.
    pub(in crate::cli) name: String,
    /// Of this tool, or this project of `status`.
    #[arg(long, value_name = "T")]
    pub(in crate::cli) tool: Option<String>,
    /// Start from branch B and what is pending there instead of the branch's parent.
    #[arg(long, value_name = "B", conflicts_with = "empty")]
    pub(in crate::cli) from: Option<String>,
    /// Write no statements.
    #[arg(long)]
    pub(in crate::cli) empty: bool,
    /// Reset the branch to its parent afterwards, and apply all files to it: `offshoot undo` brings back what it was.
    #[arg(long, conflicts_with = "empty")]
    pub(in crate::cli) reset: bool,
    /// With --reset: do not ask.
    #[arg(long, requires = "reset")]
    pub(in crate::cli) yes: bool,
}
