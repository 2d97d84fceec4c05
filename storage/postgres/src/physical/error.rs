//! Why a cluster was not copied, and what to do about it.

use std::io;

use crate::tls::TlsError;

/// Why no cluster was copied from another server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhysicalError {
    /// The source does not answer.
    #[error("the source cannot be reached: {message}")]
    Unreachable {
        /// What the system said.
        message: String,
    },
    /// The source does not accept the user or the password.
    #[error("the source refused the user or the password: {message}")]
    Password {
        /// What the server said.
        message: String,
    },
    /// TLS with the source is not to be had as the URL demands it.
    #[error("{0}")]
    Tls(#[source] TlsError),
    /// The role may not copy a cluster.
    #[error("the role `{user}` of the source may not copy a cluster: {message}")]
    NoReplication {
        /// The role.
        user: String,
        /// What the server said.
        message: String,
    },
    /// `pg_hba.conf` of the source has no line for it.
    #[error("the source takes no replication connection of `{user}` from here: {message}")]
    NotAdmitted {
        /// The role.
        user: String,
        /// What the server said.
        message: String,
    },
    /// `max_wal_senders` is 0 or `wal_level` minimal.
    #[error("the source is set so that it cannot be copied physically: {message}")]
    NoSenders {
        /// What the server said.
        message: String,
    },
    /// All places for such connections are taken.
    #[error("the source has no replication connection free: {message}")]
    Busy {
        /// What the server said.
        message: String,
    },
    /// Files of one major are of no use to another.
    #[error("the source runs Postgres {source_major}, and the Postgres here is of major {local}")]
    OtherMajor {
        /// The source's.
        source_major: u32,
        /// The local one's.
        local: u32,
    },
    /// A property of the source that the Postgres here cannot do with.
    #[error("the source cannot be run here: {what}")]
    Unsuitable {
        /// What, and what is needed.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The source has tablespaces.
    #[error("the source has tablespaces, which branches cannot have: {places}")]
    Tablespaces {
        /// Where they lie there.
        places: String,
    },
    /// The source has no database of this name.
    #[error("the source has no database `{name}`")]
    NoDatabase {
        /// The name.
        name: String,
        /// Those that it has, if that is known.
        others: Vec<String>,
    },
    /// WAL that the copy needs was removed at the source meanwhile.
    #[error("the source has removed WAL that the copy needs: {message}")]
    WalRemoved {
        /// What the server said.
        message: String,
    },
    /// The slot that keeps the source's WAL is not there, or keeps nothing any more.
    #[error("the source has lost the replication slot: {message}")]
    SlotLost {
        /// What the server said.
        message: String,
    },
    /// Somebody else reads by the slot.
    #[error("the replication slot is in use: {message}")]
    SlotInUse {
        /// What the server said.
        message: String,
    },
    /// The source can have no further slot.
    #[error("the source has no replication slot free: {message}")]
    NoSlots {
        /// What the server said.
        message: String,
    },
    /// The connection broke, or the source was stopped.
    #[error("the connection to the source broke: {message}")]
    Cut {
        /// What the system or the server said.
        message: String,
    },
    /// The source refused for another reason.
    #[error("the source refused: {message}")]
    Refused {
        /// What the server said.
        message: String,
        /// The SQLSTATE.
        code: String,
    },
    /// What arrived is not what was sent.
    #[error("what arrived is not what the source has: {what}")]
    Damaged {
        /// What differs.
        what: String,
    },
    /// The copy could not be brought to a consistent state, or made ready.
    #[error("the copied cluster did not start: {log}")]
    Recovery {
        /// What Postgres wrote.
        log: String,
    },
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A file could not be written, or a program not be started.
    #[error("copy a cluster: {0}")]
    Io(#[source] io::Error),
}

impl PhysicalError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Unreachable { .. } => "Check host, port and network of the connection URL.".into(),
            Self::Password { .. } => crate::CHECK_PASSWORD.into(),
            Self::Tls(error) => error.hint(),
            Self::NoReplication { user, .. } => format!(
                "Run this at the source: ALTER ROLE {} REPLICATION; or copy without --physical, which only reads.",
                identifier(user)
            ),
            Self::NotAdmitted { user, .. } => format!(
                "Add this line to pg_hba.conf of the source, with the address of this machine: `host replication {} \
                 ADDRESS/32 scram-sha-256`, and run there: SELECT pg_reload_conf(); A line of `hostssl` is for TLS \
                 alone, which `sslmode=disable` in the URL rules out.",
                identifier(user)
            ),
            Self::NoSenders { .. } => {
                "Set `wal_level = replica` and `max_wal_senders = 4` at the source and restart it; or copy without \
                 --physical."
                    .into()
            }
            Self::Busy { .. } => {
                "Wait until another standby or backup has ended, or raise `max_wal_senders` at the source.".into()
            }
            Self::OtherMajor { source_major, .. } => format!(
                "Take the same major, `offshoot init … --postgres {source_major}`; or copy without --physical, from any \
                 version to any other."
            ),
            Self::Unsuitable { hint, .. } => hint.clone(),
            Self::Tablespaces { .. } => {
                "Copy without --physical: the tables then come without their tablespaces.".into()
            }
            Self::NoDatabase { others, .. } if !others.is_empty() => {
                format!("It has {}. Name one of them at the end of the URL.", others.join(", "))
            }
            Self::NoDatabase { .. } => "Correct the name at the end of the URL.".into(),
            Self::WalRemoved { .. } => {
                "Raise `max_slot_wal_keep_size` or `wal_keep_size` at the source, or copy when less is written there."
                    .into()
            }
            Self::SlotLost { .. } => {
                "Follow it anew: `offshoot follow stop`, then `offshoot follow start --from URL`; \
                 and raise `max_slot_wal_keep_size` at the source if less time than you are away is kept."
                    .into()
            }
            Self::SlotInUse { .. } => {
                "Wait: a connection that broke holds it until the source notices, by its `wal_sender_timeout`.".into()
            }
            Self::NoSlots { .. } => {
                "Raise `max_replication_slots` at the source and restart it, or drop a slot that nobody needs \
                 (`SELECT * FROM pg_replication_slots` shows them)."
                    .into()
            }
            Self::Cut { .. } => "Nothing is left here or there; try again.".into(),
            Self::Refused { .. } => {
                "What the server says is to be put right there; or copy without --physical.".into()
            }
            Self::Damaged { .. } => {
                "Try again. If it comes again, check the disk and the network of the source.".into()
            }
            Self::Recovery { .. } => {
                "What Postgres says names the reason; `--bin-dir` takes another Postgres of the same major, such as the \
                 source's own."
                    .into()
            }
            Self::Cancelled => "Start it again when you want it.".into(),
            Self::Io(_) => "Check the free space and the folder's permissions.".into(),
        }
    }

    /// What a refusal of the source means.
    pub(super) fn of_server(code: &str, message: String, user: &str) -> Self {
        let (user, says) = (user.to_owned(), |part: &str| message.contains(part));
        match code {
            "28000" if says("pg_hba.conf") => Self::NotAdmitted { user, message },
            "28000" if says("certificate") => Self::Tls(TlsError::Client { message }),
            "28P01" | "28000" => Self::Password { message },
            "42501"
                if says("WAL sender") || says("walsender") || says("replication") || says("REPLICATION") =>
            {
                Self::NoReplication { user, message }
            }
            "53300" if says("currently 0") => Self::NoSenders { message },
            "53300" => Self::Busy { message },
            "55000" if says("WAL level") || says("wal_level") => Self::NoSenders { message },
            "42704" if says("replication slot") => Self::SlotLost { message },
            "55000" | "58P01" if says("slot") && (says("invalidated") || says("no longer")) => {
                Self::SlotLost { message }
            }
            "55006" if says("replication slot") => Self::SlotInUse { message },
            "53400" if says("replication slots") => Self::NoSlots { message },
            "58P01" if says("WAL") => Self::WalRemoved { message },
            _ if says("could not find any WAL files") || says("has already been removed") => {
                Self::WalRemoved { message }
            }
            _ if code.starts_with("57P") || code.starts_with("08") => Self::Cut { message },
            _ => Self::Refused { message, code: code.into() },
        }
    }

    /// An error of reading the archive.
    pub(super) fn of_archive(error: &io::Error) -> Self {
        Self::Damaged { what: error.to_string() }
    }
}

/// An error of the system where something is written here.
impl From<io::Error> for PhysicalError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A name as SQL and `pg_hba.conf` take it.
fn identifier(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if plain && !name.is_empty() { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
