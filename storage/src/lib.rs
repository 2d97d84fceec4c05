//! The branch engine: layers, branches and the Postgres servers that run on them.
//!
//! A [`Store`] holds a project's database branches. It knows files, pages, WAL and Postgres processes; it has
//! never heard of git, JSON, an editor or a schema. All calls block; all are safe from several threads.

mod boot;
mod branches;
mod compute;
mod create;
mod driver;
mod error;
mod files;
mod id;
mod image;
mod layers;
mod metadata;
mod open;
mod page_layers;
mod paths;
mod store;
mod trash;

pub use create::{CreateReport, CreateStore, Source, create_store};
pub use error::{ErrorKind, StorageError};
pub use id::{BranchId, LayerId};
pub use store::{Branch, BranchSize, ComputeState, OpenStore, Store, StoreInfo};
pub use trash::Undone;
