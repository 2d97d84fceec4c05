//! Arguments of `offshoot follow`.

use std::time::Duration;

use clap::{Args as Group, Subcommand};

use super::Against;
use super::data::max_rate;
use crate::config;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum FollowCommand {
    /// Copy a running server's files and fetch its changes from then on: the root branch is minutes behind it.
    ///
    /// Same major, a role with REPLICATION, no masking. A replication slot is made at the source; `offshoot follow stop` drops it. The
    /// address with its password is kept in the store, in a file that only you can read, and nowhere else. What the root branch
    /// had goes to the trash. Other branches keep what they have; those made later have what came meanwhile.
    #[command(after_help = "\
EXAMPLES:
    offshoot follow start --from postgres://backup:secret@db.example.com/shop
    offshoot follow start --from postgres://backup:secret@db.example.com/shop --every 2m --max-rate 20MB")]
    Start {
        /// The postgres:// URL of the server, with the database that is wanted.
        #[arg(long, value_name = "URL")]
        from: String,
        /// How often its changes are fetched, such as 30s or 1h.
        #[arg(long, value_name = "TIME", default_value = "10m", value_parser = every)]
        every: Duration,
        /// The most that it is to send a second while it is copied, such as 20MB.
        #[arg(long, value_name = "SIZE", value_parser = max_rate)]
        max_rate: Option<u32>,
        #[command(flatten)]
        against: Against,
    },
    /// Show what is followed, how fresh the root branch is, and what to do if it is not. Exits with 1 if following needs help.
    #[command(after_help = "\
EXAMPLES:
    offshoot follow status
    offshoot follow status --json | jq -r .following.state
    offshoot refresh                    fetches the changes now")]
    Status,
    /// Go on with another password or address of the same server, without copying anew.
    ///
    /// Without `--from` the password alone is another one: that of PGPASSWORD or `~/.pgpass`, else it is asked for. It is tried at the
    /// source before it takes the place of the old one.
    #[command(after_help = "\
EXAMPLES:
    offshoot follow resume                              asks for the new password
    PGPASSWORD=secret offshoot follow resume
    offshoot follow resume --from postgres://backup@db2.example.com/shop")]
    Resume {
        /// The postgres:// URL at which the server answers now, with the same database.
        #[arg(long, value_name = "URL")]
        from: Option<String>,
    },
    /// Stop following: drop the slot at the source, remove the standby and the address. The branches stay as they are.
    #[command(after_help = "\
EXAMPLES:
    offshoot follow stop")]
    Stop,
}

/// Whether what is copied is followed from then on.
#[derive(Debug, Group)]
#[group(skip)]
pub(in crate::cli) struct FollowingArgs {
    /// Follow the server from then on, as `offshoot follow start` does: the root branch is minutes behind it.
    #[arg(long, requires = "physical")]
    pub(in crate::cli) follow: bool,
    /// How often its changes are fetched, such as 30s or 1h, with --follow.
    #[arg(long, value_name = "TIME", default_value = "10m", requires = "follow", value_parser = every)]
    pub(in crate::cli) every: Duration,
}

fn every(text: &str) -> Result<Duration, String> {
    config::duration(text)
        .filter(|time| (1..=7 * 24 * 3600).contains(&time.as_secs()))
        .ok_or_else(|| "not a time such as 30s, 10m or 1h, of at least 1s and at most 7d".to_owned())
}
