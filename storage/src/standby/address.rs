//! The address of the source, and another one in its place.

use std::fs;

use offshoot_postgres::physical;

use super::FollowTrouble;
use crate::error::{Context as _, StorageError};
use crate::files::write_private;
use crate::store::Store;

impl Store {
    /// The address of what is followed, with the password.
    ///
    /// # Errors
    /// [`StorageError::Follow`] if the file is not there.
    pub fn followed_url(&self) -> Result<String, StorageError> {
        let path = self.shared.paths.followed();
        fs::read_to_string(&path).map_err(|_| FollowTrouble::AddressGone.into())
    }

    /// Takes `url` for the address of the source from now on: with another password, say, or where the same cluster answers now. What was
    /// copied stays. `database` is the one that `url` names.
    ///
    /// # Errors
    /// [`StorageError::Refused`] if nothing is followed, or another database; [`StorageError::Follow`] if the source refuses it, or what
    /// answers there is not what is followed. The address stays what it was then.
    pub fn follow_at(&self, url: &str, database: &str) -> Result<(), StorageError> {
        let refused =
            |why: String| StorageError::Refused { what: "Another address of the source".into(), why };
        let Some((following, _)) = self.standby()? else {
            return Err(refused("nothing is followed".into()));
        };
        if database != following.database {
            return Err(refused(format!(
                "it names the database `{database}`, and `{}` is followed",
                following.database
            )));
        }
        let seen = physical::see(url).map_err(FollowTrouble::of)?;
        self.check_same(url, &following, &seen)?;
        let path = self.shared.paths.followed();
        write_private(&path, url.as_bytes()).context("write", &path)?;
        tracing::info!(slot = following.slot, "the source has another address");
        Ok(())
    }
}
