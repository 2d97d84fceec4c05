//! Applying a bundle: unpacking it into a throwaway, and making a branch of that.

use std::fs::{self, File};
use std::io::{self, BufReader, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use offshoot_pages::PAGE_SIZE;
use offshoot_postgres::account::chown_all;
use offshoot_postgres::{ControlFile, Progress};

use super::base::{ANCHOR, Base, frozen, whole};
use super::facts::{BundleBase, BundleFacts};
use super::format::{bad, damaged};
use super::record::{CONTROL, Found, Record};
use super::unpack::{Relation, make_file};
use super::write::anchor_name;
use super::{LOOK_PAGES, check};
use crate::branches::{check_name, now_ms};
use crate::error::{Context as _, StorageError};
use crate::files::{free_bytes, make_branch_folder, make_private, sync_file_system};
use crate::image::Image;
use crate::metadata::{self, BranchRow, Past};
use crate::snapshots::{SnapshotKind, hidden_name};
use crate::store::{Store, locked};
use crate::throwaway::{is_throwaway, new_name};
use crate::{BranchId, LayerId};

/// Files with settings: those of this store's root branch are taken.
const SETTINGS: [&str; 4] = ["postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf"];
/// Room that is left on the disk, in bytes.
const SPARE_BYTES: u64 = 64 << 20;
/// How often a base is looked for again that was changed meanwhile.
const ATTEMPTS: usize = 5;

/// A bundle that was unpacked: a throwaway, asleep. It is the caller's to make a branch of, or to remove.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// The throwaway.
    pub throwaway: BranchId,
    /// What the bundle's header says.
    pub facts: BundleFacts,
    /// What somebody should know.
    pub notes: Vec<String>,
    /// The snapshot that the branch gets, on which smaller bundles stand, if the bundle was full.
    pub anchor: Option<String>,
    /// The snapshot whose state the base is, if it has never been awake.
    pub(super) fork_point: Option<BranchId>,
}

impl Store {
    /// Unpacks a bundle into a throwaway, lets its Postgres recover and makes it this store's own. `name` is what the branch is to be
    /// called; `None` if it is to take the root's place.
    ///
    /// # Errors
    /// [`StorageError::Bundle`] for a file that is damaged, or that this store has no base or no Postgres for; [`StorageError::BranchExists`];
    /// [`StorageError::DiskFull`]; [`StorageError::Cancelled`]. Nothing is left of it then.
    pub fn unpack_bundle(
        &self,
        file: &mut File,
        name: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<Unpacked, StorageError> {
        let shared = &self.shared;
        self.check_bundles()?;
        if let Some(name) = name {
            check_name(name)?;
            if shared.metadata.live_branch(name)?.is_some() {
                return Err(StorageError::BranchExists { name: name.to_owned() });
            }
        }
        let mut control = Vec::new();
        let mut major = Vec::new();
        let (facts, found) = check(
            &mut BufReader::new(&mut *file),
            "Check the bundle",
            progress,
            &mut |record| match record {
                Record::Small { path: CONTROL, length, offset, data } => {
                    put_piece(&mut control, length, offset, data)
                }
                Record::Small { path: "PG_VERSION", length, offset, data } => {
                    put_piece(&mut major, length, offset, data)
                }
                _ => Ok(()),
            },
        )?;
        self.check_fits(&facts, &control, &major)?;
        let (id, base) = self.begin_carried(&facts, progress)?;
        let unpacked = (|| {
            file.seek(SeekFrom::Start(0)).context("read the bundle of", Path::new(&facts.branch))?;
            let again = self.fill(id, file, &facts, &found, progress)?;
            let anchor = self.anchor_of(id, &again)?;
            let notes = self.make_own(id, &facts, &|| progress.is_cancelled())?;
            if let Some(name) = &anchor {
                let making = self.making();
                self.fork_as(&making, name, id, Some(SnapshotKind::Named), |_| Ok(()))?;
            }
            let fork_point = match base {
                Some(base) => self.fork_point_of(base, id)?,
                None => None,
            };
            crash_point!(CarryOwned);
            Ok(Unpacked { throwaway: id, facts: facts.clone(), notes, anchor, fork_point })
        })();
        if unpacked.is_err() {
            self.put_away(id);
        }
        unpacked
    }

    /// Refuses what this store's Postgres cannot run.
    fn check_fits(&self, facts: &BundleFacts, control: &[u8], major: &[u8]) -> Result<(), StorageError> {
        let info = &self.shared.info;
        if facts.major != info.postgres.version.major {
            return Err(bad(
                format!("it is of PostgreSQL {}, and this store has {}", facts.major, info.postgres.version),
                format!(
                    "Pages of one major are not those of another. A store with that major takes it: `offshoot init --postgres {}` in a clone of \
                     the repository; or carry the rows with `offshoot dump`.",
                    facts.major
                ),
            ));
        }
        if facts.user != info.user {
            return Err(bad(
                format!("its store belongs to the role `{}`, and this one to `{}`", facts.user, info.user),
                "Carry the rows with `offshoot dump`.",
            ));
        }
        let text = String::from_utf8_lossy(major);
        let parsed = ControlFile::parse(control).map_err(|error| damaged(&error.to_string()))?;
        let says = (parsed.system_identifier, parsed.timeline, parsed.checkpoint);
        if says != (facts.system_identifier, facts.timeline, facts.checkpoint)
            || text.trim() != facts.major.to_string()
            || u64::from(parsed.block_size) != PAGE_SIZE
        {
            return Err(damaged("its control file is not the one that its header names"));
        }
        let store = self.shared.paths.store();
        let free = free_bytes(store).context("look at the disk of", store)?;
        if free < facts.bytes.saturating_add(SPARE_BYTES) {
            return Err(StorageError::DiskFull {
                context: format!("unpack {} MB where {} MB are free", facts.bytes >> 20, free >> 20),
            });
        }
        Ok(())
    }

    /// Makes the throwaway that the bundle is unpacked into, over its base, with nothing in it.
    fn begin_carried(
        &self,
        facts: &BundleFacts,
        progress: &dyn Progress,
    ) -> Result<(BranchId, Option<Base>), StorageError> {
        for _ in 0..ATTEMPTS {
            let base = match &facts.base {
                None => None,
                Some(wanted) => Some((self.find_base(wanted, facts.system_identifier, progress)?, wanted)),
            };
            if let Some((found, wanted)) = base
                && found.with_top
            {
                // A throwaway of it freezes what is written to.
                let frozen_as = self.create_throwaway(found.of)?;
                let layers = frozen(&self.shared, frozen_as)?.0.len();
                let made = self.commit_carried(
                    facts,
                    Some((Base { of: frozen_as, layers, with_top: false }, wanted)),
                    progress,
                );
                self.put_away(frozen_as);
                if let Some(id) = made? {
                    return Ok((id, Some(found)));
                }
            } else if let Some(id) = self.commit_carried(facts, base, progress)? {
                return Ok((id, base.map(|(found, _)| found)));
            }
        }
        Err(bad(
            "its base changes again and again while it is looked at",
            "Try again when this store is quiet.",
        ))
    }

    /// Commits the throwaway; none if the base is not what it was.
    fn commit_carried(
        &self,
        facts: &BundleFacts,
        base: Option<(Base, &BundleBase)>,
        progress: &dyn Progress,
    ) -> Result<Option<BranchId>, StorageError> {
        let shared = &self.shared;
        // In this order everywhere. No layer is merged or removed meanwhile.
        let turn = locked(&shared.merging);
        let making = self.making();
        let below = match base {
            None => Vec::new(),
            Some((base, _)) => {
                let stack = shared.metadata.stack(base.of)?;
                stack[stack.len().saturating_sub(base.layers)..].to_vec()
            }
        };
        let id = shared.metadata.reserve_branch(&shared.next_branch)?;
        let number = LayerId::random().context("name a throwaway in", shared.paths.store())?;
        let top = LayerId::random().context("name a layer in", shared.paths.store())?;
        let paths = shared.paths.branch(id);
        make_branch_folder(&paths, shared.account.as_ref())?;
        make_private(&paths.data(), shared.account.as_ref())?;
        make_private(&shared.paths.layer(top), shared.account.as_ref())?;
        let parent = match base {
            Some((base, _)) => self.owner_of(base.of)?,
            None => self.root_branch(),
        };
        let row = BranchRow {
            id,
            name: new_name(number),
            parent: Some(parent),
            fork_lsn: Some(facts.checkpoint),
            created_ms: now_ms(),
            unsettled_boot: Some(shared.boot.clone()),
            trashed_ms: None,
            trashed_hours: None,
            trash_order: None,
            replaced_by: None,
            snapshot: None,
            fork_control: None,
            past: Past::default(),
        };
        shared.metadata.transaction(|transaction| {
            metadata::write_stack(transaction, id, top, &below, &shared.boot)?;
            metadata::insert_branch(transaction, &row)
        })?;
        drop((making, turn));
        crash_point!(CarryMade);
        let Some((_, wanted)) = base else { return Ok(Some(id)) };
        // Layers that were merged since the base was found show the same; another state has another shape.
        let shape = super::base::identify(shared, &|| frozen(shared, id), false, progress);
        match shape {
            Ok((_, shape)) if shape == wanted.hashes()?.1 => Ok(Some(id)),
            other => {
                self.put_away(id);
                other.map(|_| None)
            }
        }
    }

    /// The branch that a branch, a snapshot or a throwaway belongs to.
    fn owner_of(&self, id: BranchId) -> Result<BranchId, StorageError> {
        let row = self.shared.live_row(id)?;
        let owner = self.shared.branch_row(row.owner())?;
        // A fork point is what the parent was.
        let is_fork = matches!(row.snapshot, Some((_, SnapshotKind::Fork)));
        Ok(match owner.parent {
            Some(parent) if is_fork || is_throwaway(&owner.name) => parent,
            _ => owner.id,
        })
    }

    /// Unpacks pages and small files into the throwaway, and puts them on the disk.
    fn fill(
        &self,
        id: BranchId,
        file: &mut File,
        facts: &BundleFacts,
        first: &Found,
        progress: &dyn Progress,
    ) -> Result<Found, StorageError> {
        let shared = &self.shared;
        let paths = shared.paths.branch(id);
        let stack = whole(shared, id)?;
        let Some((_, layer)) = stack.0.first() else { return Err(damaged("its place is gone")) };
        let mut current: Option<Relation> = None;
        let mut small: Option<(PathBuf, File)> = None;
        let (again, found) =
            check(&mut BufReader::new(file), "Unpack the bundle", progress, &mut |record| match record {
                Record::Small { path, length, offset, data } => {
                    let target = if path == CONTROL { paths.control_file() } else { paths.data().join(path) };
                    if small.as_ref().is_none_or(|(open, _)| *open != target) {
                        let file = make_file(&paths.data(), &target)?;
                        file.set_len(length).context("write", &target)?;
                        small = Some((target.clone(), file));
                    }
                    let (path, file) =
                        small.as_ref().ok_or_else(|| damaged("a part of a file has no file"))?;
                    file.write_all_at(data, offset).context("write", path)
                }
                Record::Relation { path, length } => {
                    let _turn = locked(&shared.merging);
                    current = Some(Relation::begin(layer, path, length, &frozen(shared, id)?)?);
                    Ok(())
                }
                Record::Page { page, data } => match &mut current {
                    Some(relation) => relation.page(page, data),
                    None => Err(damaged("a page has no file")),
                },
                Record::RelationEnd { hash } => {
                    let Some(relation) = current.take() else {
                        return Err(damaged("a file ends that did not begin"));
                    };
                    relation.finish()?;
                    if facts.is_full() {
                        return Ok(());
                    }
                    let _turn = locked(&shared.merging);
                    relation.verify(&whole(shared, id)?, &hash)
                }
            })?;
        if again != *facts || found.state != first.state {
            return Err(damaged("it changes while it is read"));
        }
        crash_point!(CarryPagesWritten);
        let root = shared.paths.branch(self.root_branch()).data();
        for name in SETTINGS {
            match fs::copy(root.join(name), paths.data().join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StorageError::io("copy", &root.join(name), error));
                }
                _ => {}
            }
        }
        chown_all(layer, shared.account.as_ref()).context("give away", layer)?;
        Image::hand_over(&paths, shared.account.as_ref())?;
        progress.step("Write to disk", 0, None);
        sync_file_system(shared.paths.store())?;
        if found.pages / LOOK_PAGES > 0 && progress.is_cancelled() {
            return Err(StorageError::Cancelled);
        }
        Ok(found)
    }

    /// Keeps the very state that a full bundle carried as a snapshot of the throwaway that nobody sees, before a Postgres runs on it. Returns
    /// the name of the one that people are to see.
    fn anchor_of(&self, id: BranchId, found: &Found) -> Result<Option<String>, StorageError> {
        let Some(state) = found.state else { return Ok(None) };
        let name = anchor_name(&state.0);
        let making = self.making();
        let taken = self.fork_as(&making, &hidden_name(&name), id, Some(SnapshotKind::Named), |_| Ok(()))?;
        self.shared.metadata.set_note(taken, ANCHOR, &BundleBase::new(&state, String::new()).note())?;
        Ok(Some(name))
    }

    /// The snapshot that shows people what the base was: the one beside a hidden one; else the base itself, if it is all of a snapshot on
    /// which no Postgres has ever run and `id` was made over it.
    fn fork_point_of(&self, base: Base, id: BranchId) -> Result<Option<BranchId>, StorageError> {
        let shared = &self.shared;
        let row = shared.live_row(base.of)?;
        let beside = shared.metadata.snapshots(row.owner())?;
        if let Some(seen) = beside.iter().find(|other| hidden_name(&other.name) == row.name) {
            return Ok(Some(seen.id));
        }
        let is_all = frozen(shared, base.of)?.0.len() == base.layers && row.snapshot.is_some();
        let is_below = frozen(shared, base.of)?.shared(&frozen(shared, id)?) == base.layers;
        Ok((is_all && is_below && self.is_as_made(&row)?).then_some(base.of))
    }
}

/// Puts a piece of a small file where it belongs. Zeros are not in the bundle, also those at the end of what counts.
fn put_piece(file: &mut Vec<u8>, length: u64, offset: u64, data: &[u8]) -> Result<(), StorageError> {
    file.resize(length as usize, 0);
    let place = file.get_mut(offset as usize..).and_then(|rest| rest.get_mut(..data.len()));
    place.ok_or_else(|| damaged("a part of a file is beyond its end"))?.copy_from_slice(data);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_is_as_long_as_it_was_though_its_last_bytes_are_zeros() {
        let mut file = Vec::new();
        put_piece(&mut file, 8, 2, &[1, 2]).unwrap();
        assert_eq!(file, [0, 0, 1, 2, 0, 0, 0, 0]);
        put_piece(&mut file, 8, 5, &[3]).unwrap();
        assert_eq!(file, [0, 0, 1, 2, 0, 3, 0, 0]);
        assert!(put_piece(&mut file, 8, 7, &[4, 5]).is_err());
    }
}
