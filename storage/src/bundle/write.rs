//! Making a bundle.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use offshoot_postgres::Progress;

use super::base::{ANCHOR, Chosen, frozen};
use super::facts::{BundleBase, BundleFacts, SchemaProof};
use super::format::{BundleWriter, Hash, bad, hex};
use super::record::{CONTROL, PIECE, most_bytes, put_end, put_relation, put_small};
use super::view::{Identity, View, differing};
use crate::error::{Context as _, StorageError};
use crate::image::read_control;
use crate::metadata::{self, BranchRow};
use crate::snapshots::SnapshotKind;
use crate::store::{Store, locked};
use crate::{BranchId, DriverKind};

/// What to make a bundle of.
#[derive(Clone, Debug)]
pub struct WriteBundle {
    /// The branch.
    pub branch: BranchId,
    /// A throwaway of it that has never been awake: the state that is carried.
    pub frozen_as: BranchId,
    /// Whether all pages go in, not only those that differ from a base.
    pub full: bool,
    /// The schema of that state.
    pub schema: SchemaProof,
    /// Extensions of its database.
    pub extensions: Vec<String>,
    /// Its roles that have passwords.
    pub roles: Vec<String>,
}

/// A bundle that was made.
#[derive(Clone, Debug)]
pub struct Bundled {
    /// What its header says.
    pub facts: BundleFacts,
    /// The snapshot of the branch that is the base of later bundles, if this one was full.
    pub anchor: Option<String>,
}

/// A relation file that goes into the bundle.
struct Planned {
    name: String,
    /// None for one that is gone.
    length: Option<u64>,
    pages: Vec<u32>,
}

/// A small file that goes into the bundle, with the pieces of it that are not all zeros.
struct Small {
    name: String,
    path: PathBuf,
    length: u64,
    pieces: Vec<(u64, usize)>,
}

impl Store {
    /// Writes a bundle to `out`. If all of the branch is in it, the branch gets a snapshot of that state, which must stay for
    /// smaller bundles to be made against it.
    ///
    /// Takes time in the pages that differ and in the sizes of the relation files that they are in; in the size of the whole base when that
    /// is met for the first time.
    ///
    /// # Errors
    /// [`StorageError::Bundle`] if there is no state that it could be made against; [`StorageError::Refused`] with clones;
    /// [`StorageError::Cancelled`].
    pub fn write_bundle(
        &self,
        order: &WriteBundle,
        out: &mut dyn Write,
        progress: &dyn Progress,
    ) -> Result<Bundled, StorageError> {
        let shared = &self.shared;
        self.check_bundles()?;
        let row = shared.branch_row(order.branch)?;
        let chosen =
            if order.full { None } else { Some(self.choose_base(&row, order.frozen_as, progress)?) };
        let plan = self.plan(order.frozen_as, chosen.as_ref(), progress)?;
        let small = self.small_files(order.frozen_as)?;
        let (_, control) = read_control(&shared.paths.branch(order.frozen_as).control_file())?;
        let pages: u64 = plan.iter().map(|file| file.pages.len() as u64).sum();
        let small_bytes: usize = small.iter().flat_map(|file| &file.pieces).map(|(_, size)| size).sum();
        let version = &shared.info.postgres.version;
        let facts = BundleFacts {
            branch: row.name.clone(),
            database: shared.info.database.clone(),
            user: shared.info.user.clone(),
            major: version.major,
            postgres: version.to_string(),
            system_identifier: control.system_identifier,
            timeline: control.timeline,
            checkpoint: control.checkpoint,
            base: chosen.map(|chosen| chosen.base),
            schema: order.schema.clone(),
            extensions: order.extensions.clone(),
            roles: order.roles.clone(),
            relations: plan.len() as u64,
            pages,
            bytes: pages * super::view::PAGE as u64 + small_bytes as u64,
        };
        let mut bundle = BundleWriter::begin(out, &facts.fields())?;
        put_small_files(&mut bundle, &small)?;
        let state = self.put_relations(&mut bundle, order.frozen_as, &plan, &facts, progress)?;
        let id = if order.full { state.0 } else { [0u8; 32] };
        put_end(&mut bundle, &id)?;
        bundle.finish()?;
        let anchor = if order.full { Some(self.anchor(&row, order.frozen_as, &state)?) } else { None };
        Ok(Bundled { facts, anchor })
    }

    /// Refuses where there are no pages to be carried.
    pub(super) fn check_bundles(&self) -> Result<(), StorageError> {
        if self.shared.info.driver == DriverKind::Layers {
            return Ok(());
        }
        Err(StorageError::Refused {
            what: "A bundle".into(),
            why: "this store has clones, and bundles are made of page layers; `offshoot dump` and migrations work here".into(),
        })
    }

    /// What has to go in: the pages that differ from the base, or all.
    fn plan(
        &self,
        id: BranchId,
        base: Option<&Chosen>,
        progress: &dyn Progress,
    ) -> Result<Vec<Planned>, StorageError> {
        let shared = &self.shared;
        let names = {
            let _turn = locked(&shared.merging);
            let mine = frozen(shared, id)?;
            match base {
                None => mine.touched(mine.0.len())?,
                Some(base) => {
                    let theirs = frozen(shared, base.of)?;
                    let both = mine.shared(&theirs);
                    let mut names = mine.touched(mine.0.len() - both)?;
                    names.append(&mut theirs.touched(theirs.0.len() - both)?);
                    names
                }
            }
        };
        let total = names.len() as u64;
        let mut plan = Vec::new();
        for (done, name) in (0..).zip(names) {
            if progress.is_cancelled() {
                return Err(StorageError::Cancelled);
            }
            progress.step("Compare pages", done, Some(total));
            let _turn = locked(&shared.merging);
            let mine = frozen(shared, id)?.view(&name)?;
            let theirs = match base {
                Some(base) => frozen(shared, base.of)?.view(&name)?,
                None => None,
            };
            let planned = match (mine, theirs) {
                (None, None) => continue,
                (None, Some(_)) => Planned { name, length: None, pages: Vec::new() },
                (Some(mine), None) => {
                    let pages = (0..mine.pages()).filter(|page| mine.layer_of(*page).is_some());
                    Planned {
                        name,
                        length: Some(mine.length()),
                        pages: pages.map(|page| page as u32).collect(),
                    }
                }
                (Some(mut mine), Some(mut theirs)) => {
                    let pages = differing(&mut mine, Some(&mut theirs))?;
                    if pages.is_empty() && mine.length() == theirs.length() {
                        continue;
                    }
                    Planned { name, length: Some(mine.length()), pages }
                }
            };
            plan.push(planned);
        }
        Ok(plan)
    }

    /// Puts the relation files. Returns the identity of the state that they make if nothing is below them.
    fn put_relations(
        &self,
        bundle: &mut BundleWriter<'_>,
        id: BranchId,
        plan: &[Planned],
        facts: &BundleFacts,
        progress: &dyn Progress,
    ) -> Result<(Hash, Hash), StorageError> {
        let shared = &self.shared;
        let mut identity = Identity::new();
        let mut done = 0;
        for file in plan {
            put_relation(bundle, &file.name, file.length, file.pages.len() as u32)?;
            let _turn = locked(&shared.merging);
            let view = frozen(shared, id)?.view(&file.name)?;
            let content = match (view, file.length) {
                (Some(mut view), Some(length)) if view.length() == length => {
                    put_pages(bundle, &mut view, &file.pages, &mut |pages| {
                        done += pages;
                        progress.step("Write the bundle", done, Some(facts.pages));
                        progress.is_cancelled()
                    })?;
                    view.hash()?
                }
                (None, None) => [0u8; 32],
                _ => return Err(changed(&file.name)),
            };
            bundle.write(&content)?;
            identity.add(&file.name, file.length.unwrap_or(0), Some(&content));
        }
        Ok(identity.finish())
    }

    /// The small files of a throwaway that a bundle has, in the order of their names.
    fn small_files(&self, id: BranchId) -> Result<Vec<Small>, StorageError> {
        let paths = self.shared.paths.branch(id);
        let mut names = vec![(CONTROL.to_owned(), paths.control_file())];
        list(&paths.data(), Path::new(""), &mut names)?;
        names.sort();
        names
            .into_iter()
            .map(|(name, path)| {
                let (length, pieces) = pieces(&path)?;
                Ok(Small { name, path, length, pieces })
            })
            .collect()
    }

    /// Takes a snapshot of the state that a full bundle carries, unless there is one. Returns its name.
    fn anchor(
        &self,
        branch: &BranchRow,
        frozen_as: BranchId,
        state: &(Hash, Hash),
    ) -> Result<String, StorageError> {
        let shared = &self.shared;
        let name = anchor_name(&state.0);
        let taken = self.snapshots(branch.id)?;
        if let Some(there) = taken.iter().find(|one| one.kind == SnapshotKind::Named && one.name == name) {
            shared.metadata.set_note(there.id, ANCHOR, &BundleBase::new(state, String::new()).note())?;
            return Ok(name);
        }
        let id = {
            let making = self.making();
            self.fork_as(&making, &name, frozen_as, Some(SnapshotKind::Named), |_| Ok(()))?
        };
        shared
            .metadata
            .transaction(|transaction| metadata::adopt_snapshots(transaction, frozen_as, branch.id))?;
        shared.metadata.set_note(id, ANCHOR, &BundleBase::new(state, String::new()).note())?;
        Ok(name)
    }
}

/// What the snapshot of a state that a full bundle carries is called.
pub(super) fn anchor_name(id: &Hash) -> String {
    format!("bundle-{}", &hex(id)[..8])
}

fn changed(name: &str) -> StorageError {
    bad(
        format!("{name} is not what it was a moment ago"),
        "Something changes the store beside its engine. `offshoot doctor` may tell more.",
    )
}

/// Puts pages that a view has. `look` is told how many; it says whether the caller has had enough.
fn put_pages(
    bundle: &mut BundleWriter<'_>,
    view: &mut View,
    pages: &[u32],
    look: &mut dyn FnMut(u64) -> bool,
) -> Result<(), StorageError> {
    let mut buffer = Vec::new();
    for page in pages {
        view.read(u64::from(*page), u64::from(*page) + 1, &mut buffer)?;
        bundle.write(&page.to_le_bytes())?;
        bundle.write(&buffer)?;
        if page % 64 == 0 && look(0) {
            return Err(StorageError::Cancelled);
        }
    }
    if look(pages.len() as u64) {
        return Err(StorageError::Cancelled);
    }
    Ok(())
}

fn put_small_files(bundle: &mut BundleWriter<'_>, files: &[Small]) -> Result<(), StorageError> {
    let mut buffer = Vec::new();
    for file in files {
        if file.pieces.is_empty() {
            put_small(bundle, &file.name, file.length, (0, &[]))?;
            continue;
        }
        let source = File::open(&file.path).context("open", &file.path)?;
        for (offset, size) in &file.pieces {
            buffer.resize(*size, 0);
            std::os::unix::fs::FileExt::read_exact_at(&source, &mut buffer, *offset)
                .context("read", &file.path)?;
            put_small(bundle, &file.name, file.length, (*offset, &buffer))?;
        }
    }
    Ok(())
}

/// The parts of a file that are not zeros, each without the zeros at its end.
fn pieces(path: &Path) -> Result<(u64, Vec<(u64, usize)>), StorageError> {
    let mut file = File::open(path).context("open", path)?;
    let (mut pieces, mut offset, mut buffer) = (Vec::new(), 0u64, vec![0u8; PIECE]);
    loop {
        let mut size = 0;
        while size < PIECE {
            match file.read(&mut buffer[size..]).context("read", path)? {
                0 => break,
                read => size += read,
            }
        }
        if let Some(last) = buffer[..size].iter().rposition(|byte| *byte != 0) {
            pieces.push((offset, last + 1));
        }
        offset += size as u64;
        if size < PIECE {
            return Ok((offset, pieces));
        }
    }
}

/// Adds the files below `folder` of a data directory that a bundle has.
fn list(data: &Path, folder: &Path, names: &mut Vec<(String, PathBuf)>) -> Result<(), StorageError> {
    let place = data.join(folder);
    let entries = match fs::read_dir(&place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.context("list", &place)?,
    };
    for entry in entries {
        let entry = entry.context("list", &place)?;
        let path = folder.join(entry.file_name());
        let kind = entry.file_type().context("look at", &entry.path())?;
        if kind.is_dir() {
            list(data, &path, names)?;
        } else if kind.is_file()
            && let Some(name) = path.to_str().filter(|name| *name != CONTROL && most_bytes(name).is_some())
        {
            names.push((name.to_owned(), entry.path()));
        }
    }
    Ok(())
}
