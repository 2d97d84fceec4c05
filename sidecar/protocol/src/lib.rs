//! The wire protocol of Offshoot's engine: types, framing and a blocking client.
//!
//! JSON-RPC 2.0 over a unix socket, one JSON object a line, no line longer than [`frame::MAX_LINE`]. Requests carry
//! an id and are answered in any order. Notifications carry none: [`types::Progress`] and [`types::Changed`] from
//! the engine, [`types::CancelRequest`] from the client.
//!
//! [`editor`] has what crosses between the language server and the editor. [`method`] lists every method with the names of its types;
//! `typescript` (in the tests) writes the TypeScript types and client from it.

pub mod bundle;
pub mod client;
pub mod data;
pub mod disk;
pub mod editor;
pub mod env;
pub mod error;
pub mod explorer;
pub mod follow;
pub mod frame;
pub mod hooks;
pub mod measure;
pub mod method;
pub mod migrations;
pub mod offers;
pub mod past;
pub mod policy;
pub mod promote;
pub mod snapshot;
pub mod table;
pub mod types;
#[cfg(test)]
mod typescript;

pub use client::{Client, ClientError};
pub use error::{ErrorKind, RpcError};
pub use frame::{Id, Message};
pub use method::{Method, Notification};
