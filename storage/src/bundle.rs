//! Bundles: a branch as one file, for a store on another machine.
//!
//! A bundle has the pages in which a branch differs from a **base**, a state that both stores have, with the branch's small files and
//! the WAL that its pages need. Pages mean something only over the very base that they were compared with: so the base is named by a hash
//! of every page of it, and each relation file in a bundle by the hash that it has when it is put together. A **full** bundle has all
//! pages and needs no base; making and applying one leaves a snapshot in both stores, which is the base of later ones.
//!
//! What must hold:
//!
//! - Nothing in a store is changed before the whole file has been read and its checksums fit.
//! - What is put together is a throwaway until Postgres has run on it and its schema is the one that was bundled: a kill at any moment
//!   leaves a store in which nothing has happened, once it is opened again.
//! - Only files that carry data are taken from a bundle. Settings are those of the store that takes it.

mod adopt;
mod apply;
mod base;
mod facts;
mod format;
mod own;
mod record;
mod unpack;
mod view;
mod write;

use std::io::Read;

use offshoot_postgres::Progress;

pub use apply::Unpacked;
pub use facts::{BundleBase, BundleFacts, SchemaProof};
pub use write::{Bundled, WriteBundle};

use crate::error::StorageError;
use format::{BundleReader, Hash, damaged, hex};
use record::{Found, Record, read_all};

/// Pages between two looks whether the work is still wanted.
const LOOK_PAGES: u64 = 128;

/// A bundle that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// What its header says, which is what is in it.
    pub facts: BundleFacts,
    /// The identity of the state that it carries, if all pages are in it; see [`BundleBase::id`].
    pub state: Option<String>,
}

/// Reads a bundle to its end and checks all of it that can be checked without a store.
///
/// # Errors
/// [`StorageError::Bundle`] for a file that is none, is damaged, of a newer format, or has something in it that no bundle has.
pub fn inspect_bundle(file: &mut dyn Read, progress: &dyn Progress) -> Result<Inspected, StorageError> {
    let (facts, found) = check(file, "Check the bundle", progress, &mut |_| Ok(()))?;
    Ok(Inspected { facts, state: found.state.map(|(id, _)| hex(&id)) })
}

/// Reads the header of a bundle. What it says of the rest is not checked.
///
/// # Errors
/// [`StorageError::Bundle`] for a file that is none, is of a newer format, or whose header is damaged.
pub fn read_bundle_facts(file: &mut dyn Read) -> Result<BundleFacts, StorageError> {
    BundleFacts::of(&BundleReader::begin(file)?.1)
}

/// Reads a bundle to its end, shows its records to `look` and checks that there is what its header says.
fn check(
    file: &mut dyn Read,
    what: &str,
    progress: &dyn Progress,
    look: &mut dyn FnMut(Record<'_>) -> Result<(), StorageError>,
) -> Result<(BundleFacts, Found), StorageError> {
    let (reader, fields) = BundleReader::begin(file)?;
    let facts = BundleFacts::of(&fields)?;
    let found = read_all(reader, facts.is_full(), facts.bytes, &mut |record, so_far| {
        if so_far.pages % LOOK_PAGES == 0 {
            if progress.is_cancelled() {
                return Err(StorageError::Cancelled);
            }
            progress.step(what, so_far.bytes, Some(facts.bytes));
        }
        look(record)
    })?;
    if (found.relations, found.pages, found.bytes) != (facts.relations, facts.pages, facts.bytes) {
        return Err(damaged("there is not in it what its header says"));
    }
    Ok((facts, found))
}
