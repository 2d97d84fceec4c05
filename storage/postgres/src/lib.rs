//! Postgres programs: finding or fetching them, making clusters, running servers, reading the control file and
//! WAL names, and loading dumps.
//!
//! Blocking code over the standard library. It knows programs and their files; it has never heard of layers, git
//! or a wire protocol.

pub mod account;
mod child;
pub mod client;
pub mod cluster;
pub mod control;
pub mod elf;
pub mod install;
pub mod load;
pub mod mask;
pub mod physical;
pub mod program;
pub mod progress;
pub mod server;
pub mod subset;
mod sys;
pub mod tls;
pub mod wal;
mod watch;

/// What to do where a server did not take the login.
pub const CHECK_PASSWORD: &str = "Check user and password of the connection URL. Where it has no password, PGPASSWORD and `~/.pgpass` count, the latter if nobody else can read it (`chmod 600`).";

pub use account::Account;
pub use client::ClientTools;
pub use control::{ControlFile, Lsn};
pub use install::{InstallError, Installation, Locator, Request};
pub use progress::{Progress, Silent};
pub use server::{Server, ServerSpec};
