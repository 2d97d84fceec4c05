//! Arguments of `offshoot policy`, and the one that goes against its rules.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand};

/// What every verb takes that a rule may forbid.
#[derive(Clone, Copy, Debug, Group)]
#[group(skip)]
pub(in crate::cli) struct Against {
    /// Do it against the rules of `offshoot.toml`.
    #[arg(long)]
    pub(in crate::cli) r#override: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PolicyCommand {
    /// Show for each property of a branch what holds, and which line decided it. The branch need not exist.
    #[command(after_help = "\
EXAMPLES:
    offshoot policy explain                      this worktree's branch
    offshoot policy explain feature/login
    offshoot policy explain main --json | jq -r '.settings[] | select(.key == \"protected\").value'")]
    Explain {
        /// Its name; this worktree's branch otherwise.
        name: Option<String>,
    },
    /// Check a file: unknown keys, wrong values, rules that contradict each other. Needs neither a database nor an engine.
    ///
    /// Exits with 1 if there is anything to say, each as `file:line:column: message`.
    #[command(after_help = "\
EXAMPLES:
    offshoot policy check                        the `offshoot.toml` of this work tree
    offshoot policy check config/offshoot.toml --json")]
    Check {
        /// The file; `offshoot.toml` at the top of this work tree otherwise.
        file: Option<PathBuf>,
    },
    /// Show the commands of `[hooks]`, and trust them as they are. None runs before.
    ///
    /// A command that is changed has to be trusted again. What a command calls, such as a script of the repository, is not looked at.
    #[command(after_help = "\
EXAMPLES:
    offshoot policy trust               shows them and asks
    offshoot policy trust --yes
    offshoot policy trust --revoke      no command runs any more")]
    Trust {
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
        /// Trust none any more.
        #[arg(long, conflicts_with = "yes")]
        revoke: bool,
    },
    /// Show what rules that changed would change on branches that there are.
    ///
    /// Protection needs no plan: it holds as soon as the rule is there. What a person has set for a branch is left alone.
    #[command(after_help = "\
EXAMPLES:
    offshoot policy plan
    offshoot policy plan --json | jq .changes")]
    Plan,
    /// Change what `offshoot policy plan` shows.
    #[command(after_help = "\
EXAMPLES:
    offshoot policy apply
    offshoot policy apply --yes                  without a question")]
    Apply {
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}
