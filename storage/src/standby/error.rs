//! Why a source cannot be followed just now, or not any more.

use offshoot_postgres::Lsn;
use offshoot_postgres::physical::PhysicalError;

use crate::error::StorageError;

/// Why a turn of following brought nothing. The standby and the branches are what they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowTrouble {
    /// The source does not answer, or the connection broke. It passes by itself.
    #[error("{0}")]
    Disconnected(#[source] PhysicalError),
    /// The source answers, and refuses: the password, a privilege, a setting.
    #[error("{0}")]
    Refused(#[source] PhysicalError),
    /// The slot is gone or keeps nothing, and the source has removed WAL that the standby lacks.
    #[error("the source has removed WAL that is needed to go on: {message}")]
    SlotLost {
        /// What the server said.
        message: String,
    },
    /// The source was upgraded.
    #[error("the source runs Postgres {source_major} now, and what was copied from it is of major {local}")]
    OtherMajor {
        /// The source's major.
        source_major: u32,
        /// The standby's.
        local: u32,
    },
    /// Another cluster answers at the address.
    #[error(
        "another cluster answers at the source's address: its system identifier is {found}, and not {known}"
    )]
    OtherSystem {
        /// The identifier that answers.
        found: u64,
        /// The one that is followed.
        known: u64,
    },
    /// The source has a history that the standby is no part of.
    #[error(
        "the source is on timeline {timeline}, which left timeline {here} at {at}; the standby is beyond that, at {applied}"
    )]
    Diverged {
        /// The source's timeline.
        timeline: u32,
        /// The standby's.
        here: u32,
        /// Where the source's history left it, or where it ends.
        at: Lsn,
        /// Where the standby is.
        applied: Lsn,
    },
    /// The source went back to what it was, on the same timeline: its disk was restored, say.
    #[error(
        "the source was restored: on timeline {timeline} it is at {at} with other WAL than what was fetched from it up to {applied}"
    )]
    Restored {
        /// The timeline.
        timeline: u32,
        /// Where the source is.
        at: Lsn,
        /// Where the standby is.
        applied: Lsn,
    },
    /// The source has switched its timeline and has not written a checkpoint on the new one.
    #[error("the source has switched to timeline {timeline}, and has not written a checkpoint since")]
    TimelineSwitched {
        /// The new timeline.
        timeline: u32,
    },
    /// The file with the source's address is gone.
    #[error("the file with the address of the source is gone from the store")]
    AddressGone,
}

impl FollowTrouble {
    /// The state that it is, in one word.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Disconnected(_) => "disconnected",
            Self::Refused(_) => "refused",
            Self::SlotLost { .. } => "slotLost",
            Self::OtherMajor { .. } => "upgraded",
            Self::OtherSystem { .. } => "otherSystem",
            Self::Diverged { .. } => "diverged",
            Self::Restored { .. } => "restored",
            Self::TimelineSwitched { .. } => "timelineSwitched",
            Self::AddressGone => "addressGone",
        }
    }

    /// Whether it may pass without anybody's help, so that it is tried again.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Disconnected(_) | Self::Refused(_) | Self::TimelineSwitched { .. })
    }

    /// Whether trying again by itself is of no use, and costs.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::SlotLost { .. } | Self::AddressGone)
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        const ANEW: &str = "`offshoot follow stop`, then `offshoot follow start --from URL`, copies it anew";
        match self {
            Self::Disconnected(_) => {
                "It is tried again by itself; the source keeps what is missing, within its `max_slot_wal_keep_size`. \
                 The branches have the data that they had. If it has moved, `offshoot follow resume --from URL` goes on there."
                    .into()
            }
            Self::Refused(PhysicalError::Password { .. }) => {
                "`offshoot follow resume` asks for the password and goes on, without copying anew; it takes PGPASSWORD and \
                 `~/.pgpass` as well."
                    .into()
            }
            Self::Refused(error) => format!("{} It is tried again by itself.", error.hint()),
            Self::SlotLost { .. } => format!(
                "{ANEW}. A larger `max_slot_wal_keep_size` at the source lets one be away for longer."
            ),
            Self::OtherMajor { source_major, .. } => format!(
                "Files of another major cannot be replayed here. `offshoot follow stop`, and `offshoot refresh --from URL` for its \
                 rows; or a new store of that major: `offshoot init --postgres {source_major} --from URL --physical`."
            ),
            Self::OtherSystem { .. } => format!(
                "If that is the server that is meant now, {ANEW}. If the source has moved, `offshoot follow resume --from URL` goes on \
                 there. Otherwise correct what stands at the address."
            ),
            Self::Diverged { .. } => {
                format!("The source was restored, or another server took its place, at a time before what is here. {ANEW}.")
            }
            Self::Restored { .. } => format!(
                "What was written there since is in the branches here and not at the source. {ANEW}; the branches keep what they have \
                 until they are reset."
            ),
            Self::TimelineSwitched { .. } => {
                "It goes on after the next checkpoint of the source; `CHECKPOINT` there is one at once.".into()
            }
            Self::AddressGone => {
                "`offshoot follow resume --from URL` writes it anew and goes on, without copying.".into()
            }
        }
    }

    /// What a failure of the connection means for following.
    pub(super) fn of(error: PhysicalError) -> Self {
        match error {
            PhysicalError::WalRemoved { message } | PhysicalError::SlotLost { message } => {
                Self::SlotLost { message }
            }
            PhysicalError::Unreachable { .. }
            | PhysicalError::Cut { .. }
            | PhysicalError::SlotInUse { .. }
            | PhysicalError::Busy { .. }
            | PhysicalError::Damaged { .. } => Self::Disconnected(error),
            other => Self::Refused(other),
        }
    }
}

impl From<FollowTrouble> for StorageError {
    fn from(trouble: FollowTrouble) -> Self {
        Self::Follow(trouble)
    }
}
