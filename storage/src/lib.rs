//! The branch engine: layers, branches and the Postgres servers that run on them.
//!
//! A [`Store`] holds a project's database branches. It knows files, pages, WAL and Postgres processes; it has
//! never heard of git, JSON, an editor or a schema. All calls block; all are safe from several threads.

#[macro_use]
mod crash;

mod boot;
mod branches;
mod bundle;
mod changed;
mod clones;
mod compute;
mod create;
mod driver;
mod error;
mod events;
mod files;
mod id;
mod image;
mod layers;
mod merge;
mod metadata;
mod open;
mod page_layers;
mod past;
mod paths;
mod purge;
mod refresh;
mod snapshots;
mod standby;
mod store;
mod stuck;
mod throwaway;
mod trash;
mod usage;

pub use bundle::{
    BundleBase, BundleFacts, Bundled, Inspected, SchemaProof, Unpacked, WriteBundle, inspect_bundle,
    read_bundle_facts,
};
pub use changed::{Blocks, ChangedBlocks};
pub use clones::{DriverChoice, choose_driver};
#[cfg(feature = "crash-points")]
pub use crash::{CrashPoint, Operation, act_at, die_at};
pub use create::{
    CreateReport, CreateStore, KeptSeed, KeptSeeds, Seed, SeedCache, SeedCommand, Source, create_store,
};
pub use driver::DriverKind;
pub use error::{ErrorKind, StorageError};
pub use events::{Event, EventKind};
pub use id::{BranchId, LayerId};
pub use merge::{MAX_DEPTH, Merged};
pub use open::driver_of;
pub use past::{KeptPast, Moment, RestoreWindow};
pub use purge::{Purged, Trashed};
pub use refresh::{NewRoot, REFRESHED, Refresh};
pub use snapshots::{Snapshot, SnapshotKind};
pub use standby::place::FreshRoot;
pub use standby::{Follow, FollowTrouble, Following, Turn, check_masking};
pub use store::{Branch, BranchSize, ComputeState, OpenStore, Store, StoreInfo};
pub use trash::{Former, Undoable, Undone};
pub use usage::{BranchUsage, Share, Usage};
