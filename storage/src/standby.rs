//! Following a running server: a standby of it lies beside the branches, and fresh roots are forked from it.
//!
//! The standby is a branch that is in no list. Its Postgres runs for a turn only: it fetches the WAL that the source has, replays it,
//! and shuts down. A fork of it, recovered to the end of that WAL and made one's own, takes the root's place. So a fresh root costs the
//! pages that changed since the last one, and a source that has nothing new starts no Postgres here.
//!
//! A replication slot at the source keeps its WAL between turns. Its name is written down before it is made, so that after a kill at any
//! moment it is known what may be there. The source's address lies in a file that only the engine's user can read; see
//! [`offshoot_postgres::physical::Relay`] for why Postgres does not need it.

mod address;
mod error;
pub(crate) mod place;
mod turn;

use std::fs;

use offshoot_postgres::mask::{Rule, Transformer};
use offshoot_postgres::{Lsn, Progress, physical};
use rusqlite::{Transaction, params};

pub use error::FollowTrouble;
pub use turn::Turn;

use crate::create::{Fill, Filled, Source};
use crate::error::{Context as _, StorageError};
use crate::files::{give, make_private, remove_tree, set_mode, sync_file_system, write_new, write_private};
use crate::image::read_control;
use crate::metadata::{self, Metadata};
use crate::paths::Paths;
use crate::refresh::{MADE_AS, begin, move_in};
use crate::store::{Shared, Store};
use crate::throwaway::STANDBY;
use crate::{BranchId, LayerId};

/// Properties of a store that follows a source.
mod key {
    /// The branch that is the standby; none while it is being made.
    pub(super) const BRANCH: &str = "follow.branch";
    /// The slot at the source, written down before it is made.
    pub(super) const SLOT: &str = "follow.slot";
    /// The database of the source that is wanted.
    pub(super) const DATABASE: &str = "follow.database";
    /// The source's system identifier.
    pub(super) const SYSTEM: &str = "follow.system";
    /// The timeline that the standby has come to.
    pub(super) const TIMELINE: &str = "follow.timeline";
    /// Up to where the standby has replayed.
    pub(super) const APPLIED: &str = "follow.applied";
    /// Up to where the present root has the source's changes.
    pub(super) const PLACED: &str = "follow.placed";
    pub(super) const ALL: [&str; 7] = [BRANCH, SLOT, DATABASE, SYSTEM, TIMELINE, APPLIED, PLACED];
}

/// What to follow.
#[derive(Clone)]
pub struct Follow {
    /// The source's address, with the password and the name of the database that is wanted.
    pub url: String,
    /// That name.
    pub database: String,
    /// The most kilobytes a second that the source is to send while it is copied.
    pub max_rate_kb: Option<u32>,
    /// The rules for masking, of which none may replace anything.
    pub masking: Vec<Rule>,
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its address has a password.
        f.debug_struct("Follow").field("database", &self.database).finish_non_exhaustive()
    }
}

/// What is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Following {
    /// The standby; `None` for one that was being made when its engine ended.
    pub standby: Option<BranchId>,
    /// The slot at the source.
    pub slot: String,
    /// The database of the source.
    pub database: String,
    /// The timeline that the standby has come to.
    pub timeline: u32,
    /// Up to where the standby has replayed.
    pub applied: Lsn,
    /// Up to where the present root has the source's changes.
    pub placed: Lsn,
}

/// Says why rules for masking and following exclude each other.
///
/// # Errors
/// [`StorageError::Refused`] if any of `masking` replaces something.
pub fn check_masking(masking: &[Rule]) -> Result<(), StorageError> {
    if masking.iter().all(|rule| rule.with == Transformer::Keep) {
        return Ok(());
    }
    Err(StorageError::Refused {
        what: "Following a source with rules for masking".into(),
        why: "a standby holds the source's pages as they are, so that personal data would lie in the store; \
              `offshoot refresh --from URL` masks on the way"
            .into(),
    })
}

impl Store {
    /// What is followed, if anything is.
    ///
    /// # Errors
    /// Only if the metadata cannot be read.
    pub fn following(&self) -> Result<Option<Following>, StorageError> {
        let metadata = &self.shared.metadata;
        let Some(slot) = metadata.property(key::SLOT)? else { return Ok(None) };
        let number = |key: &str| -> Result<u64, StorageError> {
            Ok(metadata.property(key)?.and_then(|text| text.parse().ok()).unwrap_or(0))
        };
        let standby = metadata.property(key::BRANCH)?.and_then(|text| text.parse().ok()).map(BranchId);
        Ok(Some(Following {
            standby,
            slot,
            database: metadata.property(key::DATABASE)?.unwrap_or_default(),
            timeline: u32::try_from(number(key::TIMELINE)?).unwrap_or(0),
            applied: Lsn(number(key::APPLIED)?),
            placed: Lsn(number(key::PLACED)?),
        }))
    }

    /// Copies the files of the source as its standby, beside the branches; they and the root stay what they are. A slot is made at the
    /// source, which keeps its WAL from now on until [`Store::stop_following`].
    ///
    /// # Errors
    /// [`StorageError::Refused`] if something is followed already, or with rules for masking; [`StorageError::Physical`];
    /// [`StorageError::Cancelled`]. Nothing is left then, here and, if it can be reached, at the source.
    pub fn start_following(
        &self,
        follow: &Follow,
        progress: &dyn Progress,
    ) -> Result<Vec<String>, StorageError> {
        let shared = &self.shared;
        check_masking(&follow.masking)?;
        if self.following()?.is_some_and(|following| following.standby.is_some()) {
            return Err(StorageError::Refused {
                what: "Following a second source".into(),
                why: "one is followed already; `offshoot follow stop` ends that".into(),
            });
        }
        self.clear_following()?;
        let seen = physical::see(&follow.url)?;
        let number = LayerId::random().context("name a slot in", shared.paths.store())?;
        let slot = format!("offshoot_{number}");
        let path = shared.paths.followed();
        write_private(&path, follow.url.as_bytes()).context("write", &path)?;
        shared.metadata.transaction(|transaction| {
            set(transaction, key::SLOT, &slot)?;
            set(transaction, key::DATABASE, &follow.database)?;
            set(transaction, key::SYSTEM, &seen.system.to_string())
        })?;
        crash_point!(FollowWritten);
        let made = self.copy_standby(follow, &slot, progress);
        if made.is_err() {
            // What cannot be removed now is known by its name, and removed before the next one is made.
            if let Err(error) = self.clear_following() {
                tracing::warn!(%error, slot, "a slot at the source may be left");
            }
        }
        made
    }

    /// Makes the standby's branch of a copy of the source.
    fn copy_standby(
        &self,
        follow: &Follow,
        slot: &str,
        progress: &dyn Progress,
    ) -> Result<Vec<String>, StorageError> {
        let shared = &self.shared;
        let building = begin(shared)?;
        let paths = Paths::new(&building.0, shared.paths.runtime()).with_driver(shared.info.driver);
        for folder in [paths.branches(), paths.layers()] {
            make_private(&folder, None)?;
            // What lies in it is private; Postgres, as another user, must be able to pass through.
            set_mode(&folder, 0o711)?;
        }
        let source = Source::Standby {
            url: follow.url.clone(),
            max_rate_kb: follow.max_rate_kb,
            slot: slot.to_owned(),
        };
        let branch = paths.branch(MADE_AS);
        let Filled { load, stack, .. } = self.standby_fill(&source, &[]).make(&paths, &branch, progress)?;
        let signal = branch.data().join("standby.signal");
        write_new(&signal, b"").context("create", &signal)?;
        give(&signal, shared.account.as_ref())?;
        let (_, control) = read_control(&branch.control_file())?;
        if progress.is_cancelled() {
            return Err(StorageError::Cancelled);
        }
        progress.step("Write to disk", 0, None);
        sync_file_system(&building.0)?;
        let _making = self.making();
        let new = shared.metadata.reserve_branch(&shared.next_branch)?;
        let moved = move_in(shared, &paths, new, stack).and_then(|()| {
            shared.metadata.transaction(|transaction| {
                metadata::insert_root(transaction, (new, STANDBY), stack, &shared.boot)?;
                set(transaction, key::BRANCH, &new.to_string())?;
                set(transaction, key::TIMELINE, &control.timeline.to_string())?;
                Ok(())
            })
        });
        if let Err(error) = moved {
            discard(shared, new, stack);
            return Err(error);
        }
        crash_point!(FollowCommitted);
        tracing::info!(slot, "a standby of the source was made");
        Ok(load.unwrap_or_default().notes)
    }

    pub(crate) fn standby_fill<'a>(&'a self, source: &'a Source, seed: &'a [crate::Seed]) -> Fill<'a> {
        let shared = &self.shared;
        Fill {
            installation: &shared.info.postgres,
            account: shared.account.as_ref(),
            runtime_dir: shared.paths.runtime(),
            branch: STANDBY,
            database: &shared.info.database,
            source,
            tools: None,
            masking: &[],
            masking_key: shared.paths.masking_key(),
            seed,
            seed_cache: None,
            driver: shared.info.driver,
            password: &shared.password,
        }
    }

    /// Ends following: the slot at the source goes, and the standby with the address. The root and the branches stay. Returns why
    /// the slot could not be dropped, if so, with its name: then it has to be dropped at the source.
    ///
    /// # Errors
    /// Failures of the disk and of stopping Postgres.
    pub fn stop_following(&self) -> Result<Option<(String, String)>, StorageError> {
        let Some(following) = self.following()? else { return Ok(None) };
        let left = self.drop_slot(&following.slot).err().map(|error| (following.slot.clone(), error));
        crash_point!(FollowSlotDropped);
        self.forget_standby(following.standby)?;
        tracing::info!(slot = following.slot, "following has ended");
        Ok(left)
    }

    /// Removes what a start that did not end has left: the slot, if the source can be reached.
    ///
    /// # Errors
    /// [`StorageError::Physical`] if it cannot: the name stays written down then.
    pub fn clear_following(&self) -> Result<(), StorageError> {
        let Some(following) = self.following()?.filter(|following| following.standby.is_none()) else {
            return Ok(());
        };
        if let Ok(url) = self.followed_url() {
            physical::drop_slot(&url, &following.slot)?;
        }
        self.forget_standby(None)
    }

    fn drop_slot(&self, slot: &str) -> Result<(), String> {
        let url = self.followed_url().map_err(|error| error.to_string())?;
        physical::drop_slot(&url, slot).map_err(|error| error.to_string())
    }

    /// Removes the standby and all that is written down about it.
    fn forget_standby(&self, standby: Option<BranchId>) -> Result<(), StorageError> {
        let shared = &self.shared;
        let forget = |transaction: &Transaction<'_>| {
            for key in key::ALL {
                transaction.execute("DELETE FROM properties WHERE key = ?1", params![key])?;
            }
            Ok(())
        };
        match standby {
            Some(id) => self.remove_hidden(id, &forget)?,
            None => shared.metadata.transaction(forget)?,
        }
        let path = shared.paths.followed();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StorageError::io("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// Bytes on the disk that ending to follow would free, and all bytes that the standby reads.
    ///
    /// # Errors
    /// Only if the metadata cannot be read.
    pub fn standby_size(&self) -> Result<crate::BranchSize, StorageError> {
        match self.following()?.and_then(|following| following.standby) {
            Some(id) => self.size(id),
            None => Ok(crate::BranchSize::default()),
        }
    }
}

/// Removes the address of a source that was about to be followed when the engine ended, before anything was made there.
pub(crate) fn clear(paths: &Paths, metadata: &Metadata) -> Result<(), StorageError> {
    let path = paths.followed();
    let temporary = path.with_extension("tmp");
    let is_followed = metadata.property(key::SLOT)?.is_some();
    for path in [Some(temporary), (!is_followed).then_some(path)].into_iter().flatten() {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StorageError::io("remove", &path, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes a property down.
fn set(transaction: &Transaction<'_>, key: &str, value: &str) -> Result<(), StorageError> {
    transaction.execute("INSERT OR REPLACE INTO properties VALUES (?1, ?2)", [key, value])?;
    Ok(())
}

/// Removes the files of a branch whose row was not committed.
fn discard(shared: &Shared, branch: BranchId, stack: Option<(LayerId, LayerId)>) {
    shared.driver.discard(branch);
    for layer in stack.into_iter().flat_map(|(base, top)| [base, top]) {
        let _ = remove_tree(&shared.paths.layer(layer));
    }
}
