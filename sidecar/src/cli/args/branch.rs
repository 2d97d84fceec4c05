//! Arguments of `offshoot branch`.

use std::time::Duration;

use clap::{ArgGroup, Subcommand};

use super::Against;
use crate::config;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum BranchCommand {
    /// List the branches.
    #[command(after_help = "\
EXAMPLES:
    offshoot branch list
    offshoot branch list --json | jq -r '.branches[].name'")]
    List,
    /// Make a branch.
    #[command(after_help = "\
EXAMPLES:
    offshoot branch create experiment
    offshoot branch create hotfix --from main
    offshoot branch create trial --ttl 14d      goes to the trash in two weeks
    offshoot branch create before --at \"10 minutes ago\"
    offshoot branch create before --from main --at 2026-11-20T14:03:07Z")]
    Create {
        /// Its name.
        name: String,
        /// Whose data it starts with; the branch of this worktree otherwise.
        #[arg(long, value_name = "PARENT")]
        from: Option<String>,
        /// The moment of PARENT that it begins with.
        ///
        /// A time (`2026-11-20T14:03:07Z`, `2026-11-20 14:03`, `yesterday 14:00`, `10 minutes ago`): all that was committed by then,
        /// to the microsecond. A position in the WAL (`0/16B3748`): all whose commit begins before it. `@NAME`: a snapshot. A git commit: the
        /// snapshot that was taken at it, with `on_commit` in offshoot.toml. Times
        /// without a zone are of this machine's.
        #[arg(long, value_name = "WHEN")]
        at: Option<String>,
        /// How long it is kept: a number and `s`, `m`, `h` or `d`. See `offshoot branch expire`.
        #[arg(long, value_name = "TIME", value_parser = ttl)]
        ttl: Option<Duration>,
        #[command(flatten)]
        against: Against,
    },
    /// Delete a branch. `offshoot undo` brings it back.
    #[command(after_help = "\
EXAMPLES:
    offshoot branch delete experiment
    offshoot branch delete experiment --yes      without a question")]
    Delete {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        against: Against,
    },
    /// Rename a branch.
    #[command(after_help = "\
EXAMPLES:
    offshoot branch rename experiment pricing")]
    Rename {
        /// Its present name.
        old: String,
        /// Its new name.
        new: String,
        #[command(flatten)]
        against: Against,
    },
    /// Say when a branch goes to the trash by itself.
    ///
    /// One that is checked out, connected to, protected or has children stays as long as it is. `offshoot undo NAME` brings an
    /// expired branch back.
    #[command(group(ArgGroup::new("when").required(true).args(["in", "never"])), after_help = "\
EXAMPLES:
    offshoot branch expire trial --in 14d
    offshoot branch expire trial --never")]
    Expire {
        /// Its name.
        name: String,
        /// After this time: a number and `s`, `m`, `h` or `d`.
        #[arg(long, value_name = "TIME", value_parser = ttl)]
        r#in: Option<Duration>,
        /// It stays.
        #[arg(long)]
        never: bool,
    },
    /// Guard a branch: it cannot be deleted, reset, restored or renamed.
    #[command(after_help = "\
EXAMPLES:
    offshoot branch protect demo")]
    Protect {
        /// Its name.
        name: String,
    },
    /// Take a branch's guard away.
    #[command(after_help = "\
EXAMPLES:
    offshoot branch unprotect demo")]
    Unprotect {
        /// Its name.
        name: String,
    },
    /// Take a branch back to the data that its parent has now. `offshoot undo` brings back what it had.
    #[command(after_help = "\
EXAMPLES:
    offshoot branch reset feature")]
    Reset {
        /// Its name.
        name: String,
        #[command(flatten)]
        against: Against,
    },
    /// Remove branches in the trash for good, and free what only they use. `offshoot undo` cannot bring them back.
    #[command(group(ArgGroup::new("what").required(true).args(["names", "all"])), after_help = "\
EXAMPLES:
    offshoot branch purge experiment
    offshoot branch purge --all --yes       without a question")]
    Purge {
        /// Their names; all states that are in the trash under a name go.
        names: Vec<String>,
        /// Everything that is in the trash.
        #[arg(long)]
        all: bool,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

fn ttl(text: &str) -> Result<Duration, String> {
    config::duration(text)
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "not a time such as 12h or 14d, of at most 366 days".to_owned())
}
