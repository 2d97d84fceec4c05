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
        // A relation file of a few bytes in the bundle may be one of many zeros to be read.
        if so_far.pages % LOOK_PAGES == 0 || matches!(record, Record::Relation { .. }) {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use offshoot_postgres::Lsn;
    use sha2::{Digest as _, Sha256};

    use super::format::BundleWriter;
    use super::record::{put_end, put_relation};
    use super::view::Identity;
    use super::*;

    /// Somebody who has had enough after so many looks.
    struct Patience(AtomicU32);

    impl Progress for Patience {
        fn step(&self, _: &str, _: u64, _: Option<u64>) {}

        fn is_cancelled(&self) -> bool {
            self.0.fetch_sub(1, Ordering::AcqRel) <= 1
        }
    }

    /// A bundle with a page, and with relation files that are zeros and take no room in it.
    fn zeros(files: u64) -> Vec<u8> {
        let facts = BundleFacts {
            branch: "a".into(),
            database: "app".into(),
            user: "postgres".into(),
            major: 18,
            postgres: "18.1".into(),
            system_identifier: 7,
            timeline: 1,
            checkpoint: Lsn(1),
            base: None,
            schema: SchemaProof::default(),
            extensions: Vec::new(),
            roles: Vec::new(),
            relations: files + 1,
            pages: 1,
            bytes: view::PAGE as u64,
        };
        let (mut file, mut identity) = (Vec::new(), Identity::new());
        let mut bundle = BundleWriter::begin(&mut file, &facts.fields()).unwrap();
        let page = [7u8; view::PAGE];
        for n in 0..=files {
            let (name, is_first) = (format!("base/5/{}", 20_000 + n), n == 0);
            put_relation(&mut bundle, &name, Some(page.len() as u64), u32::from(is_first)).unwrap();
            if is_first {
                bundle.write(&0u32.to_le_bytes()).unwrap();
                bundle.write(&page).unwrap();
            }
            let hash: Hash = Sha256::digest(if is_first { page } else { [0; view::PAGE] }).into();
            bundle.write(&hash).unwrap();
            identity.add(&name, page.len() as u64, Some(&hash));
        }
        put_end(&mut bundle, &identity.finish().0).unwrap();
        bundle.finish().unwrap();
        file
    }

    #[test]
    fn files_that_take_no_room_in_a_bundle_can_be_given_up_between_them() {
        let file = zeros(50);
        let whole = inspect_bundle(&mut &file[..], &Patience(AtomicU32::new(1000))).unwrap();
        assert_eq!((whole.facts.relations, whole.facts.pages), (51, 1));
        let given_up = inspect_bundle(&mut &file[..], &Patience(AtomicU32::new(20)));
        assert!(matches!(given_up, Err(StorageError::Cancelled)), "{given_up:?}");
    }
}
