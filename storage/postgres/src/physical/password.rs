//! Another password for a role of a cluster that nobody runs.

use std::path::Path;

use postgres_protocol::password::scram_sha_256;

use super::PhysicalError;
use super::adopt::{ended_well, quoted};
use super::single::Single;
use crate::account::Account;
use crate::install::Installation;
use crate::progress::Progress;

/// The order to set a password.
#[derive(Clone, Copy)]
pub struct SetPassword<'a> {
    /// The Postgres that runs the cluster.
    pub installation: &'a Installation,
    /// The cluster, which was shut down in good order.
    pub data_dir: &'a Path,
    /// Whose its files are.
    pub account: Option<&'a Account>,
    /// A database of it.
    pub database: &'a str,
    /// The role.
    pub role: &'a str,
    /// Its new password.
    pub password: &'a str,
}

/// Sets the password of a role. Nothing is durable yet.
///
/// # Errors
/// [`PhysicalError::Recovery`] if Postgres does not run the cluster, [`PhysicalError::Cancelled`].
pub fn set_password(order: &SetPassword<'_>, progress: &dyn Progress) -> Result<(), PhysicalError> {
    let single = Single {
        installation: order.installation,
        data_dir: order.data_dir,
        account: order.account,
        env: &[],
        durable: false,
    };
    // The verifier, so that the password itself is nowhere.
    let verifier = scram_sha_256(order.password.as_bytes());
    let statement = format!("ALTER ROLE {} PASSWORD '{verifier}'", quoted(order.role));
    ended_well(&single.run(order.database, &[statement], progress)?, &[])
}
