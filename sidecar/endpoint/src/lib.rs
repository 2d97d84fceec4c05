//! The TCP endpoint of a worktree: one loopback port that leads to the database branch checked out there.
//!
//! An [`Endpoint`] asks its [`Upstream`] where a new connection goes, which wakes the branch's Postgres if need be.
//! Then it relays bytes and follows the message boundaries of the Postgres protocol, version 3, in both directions. So it knows
//! when a connection is idle, and can end it with SQLSTATE 57P01 between two messages when the worktree
//! switches branches. Connection pools reconnect by themselves and reach the new branch.
//!
//! Passwords are checked by Postgres; the endpoint only passes them on and never logs what clients send.
//! The protocol is described in the Postgres manual, chapter "Frontend/Backend Protocol".

mod cancel;
mod endpoint;
mod error;
mod relay;
mod roster;
mod session;
mod startup;
mod tracker;
mod upstream;

pub use cancel::CancelKeys;
pub use endpoint::{BindError, Endpoint, EndpointOptions};
pub use error::SqlState;
pub use roster::Drained;
pub use upstream::{Connecting, Pulse, Session, Target, Upstream, UpstreamError};
