//! What a stack of layers shows: which relation files there are, and their pages.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use offshoot_pages::map::{Map, UNLINKED, WHITEOUT};
use offshoot_pages::name::{PathKind, classify};
use offshoot_pages::{PAGE_SIZE, SEGMENT_PAGES};
use sha2::{Digest as _, Sha256};

use super::format::Hash;
use crate::LayerId;
use crate::error::{Context as _, StorageError};
use crate::layers::{maps, open_map};

/// Bytes of a page as an index.
pub(crate) const PAGE: usize = PAGE_SIZE as usize;
/// Pages that are read at once.
const RUN: u64 = 32;

/// Layers of one stack, top first, with their folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stack(pub(crate) Vec<(LayerId, PathBuf)>);

impl Stack {
    /// The layers at the bottom that both have.
    pub(crate) fn shared(&self, other: &Self) -> usize {
        self.0.iter().rev().zip(other.0.iter().rev()).take_while(|(a, b)| a.0 == b.0).count()
    }

    /// The relation files that the uppermost `layers` say something about, in order.
    pub(crate) fn touched(&self, layers: usize) -> Result<BTreeSet<String>, StorageError> {
        let mut all = BTreeSet::new();
        for (_, folder) in &self.0[..layers] {
            for map in maps(folder)? {
                let name = map.strip_prefix(folder).ok().and_then(Path::to_str);
                if let Some(name) = name.and_then(|name| name.strip_suffix(".m"))
                    && classify(name.as_bytes()) == PathKind::Relation
                {
                    all.insert(name.to_owned());
                }
            }
        }
        Ok(all)
    }

    /// A relation file as the stack shows it; `None` if it shows none.
    pub(crate) fn view(&self, relation: &str) -> Result<Option<View>, StorageError> {
        let mut view = View { parts: Vec::new(), length: 0 };
        for (layer, folder) in &self.0 {
            let file = folder.join(format!("{relation}.m"));
            let map = match open_map(&file, false) {
                Ok(map) => map,
                Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if map.flags() & (WHITEOUT | UNLINKED) != 0 {
                // SAFETY: the only copy.
                unsafe { map.unmap() };
                break;
            }
            if view.parts.is_empty() {
                view.length = map.length();
            }
            let part = Part { layer: *layer, map, data: None, path: folder.join(format!("{relation}.d")) };
            let is_last = part.map.base_limit() == 0;
            view.parts.push(part);
            if is_last {
                break;
            }
        }
        Ok((!view.parts.is_empty()).then_some(view))
    }
}

/// One relation file as a stack shows it.
pub(crate) struct View {
    /// Top first; those below one that hides them are left out.
    parts: Vec<Part>,
    length: u64,
}

struct Part {
    layer: LayerId,
    map: Map,
    data: Option<File>,
    path: PathBuf,
}

impl Drop for Part {
    fn drop(&mut self) {
        // SAFETY: no copy leaves this module.
        unsafe { self.map.unmap() };
    }
}

impl View {
    /// Bytes of the file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Pages of the file.
    pub(crate) fn pages(&self) -> u64 {
        self.length.div_ceil(PAGE_SIZE).min(SEGMENT_PAGES)
    }

    /// Which creation of the file it is.
    pub(crate) fn incarnation(&self) -> u64 {
        self.parts.first().map_or(0, |part| part.map.incarnation())
    }

    /// The place among the parts of the one that has a page; `None` if it reads as zeros.
    fn source(&self, page: u64) -> Option<usize> {
        if page >= self.pages() {
            return None;
        }
        for (index, part) in self.parts.iter().enumerate() {
            if part.map.owns(page) {
                return Some(index);
            }
            if page * PAGE_SIZE >= part.map.base_limit() {
                return None;
            }
        }
        None
    }

    /// The layer that has a page.
    pub(crate) fn layer_of(&self, page: u64) -> Option<LayerId> {
        self.source(page).map(|index| self.parts[index].layer)
    }

    /// Reads pages from `first` on that lie together, before `end`, into `buffer`, which it makes as long as they are. Returns how many.
    pub(crate) fn read(&mut self, first: u64, end: u64, buffer: &mut Vec<u8>) -> Result<u64, StorageError> {
        let source = self.source(first);
        let most = end.min(first + RUN);
        let run = (first + 1..most).find(|page| self.source(*page) != source).unwrap_or(most);
        buffer.clear();
        buffer.resize((run - first) as usize * PAGE, 0);
        if let Some(index) = source {
            let part = &mut self.parts[index];
            let file = match &part.data {
                Some(file) => file,
                None => part.data.insert(File::open(&part.path).context("open", &part.path)?),
            };
            read_or_zero(file, buffer, first * PAGE_SIZE).context("read", &part.path)?;
        }
        Ok(run - first)
    }

    /// The hash of all pages.
    pub(crate) fn hash(&mut self) -> Result<Hash, StorageError> {
        let (mut hash, mut page, mut buffer) = (Sha256::new(), 0, Vec::new());
        while page < self.pages() {
            page += self.read(page, self.pages(), &mut buffer)?;
            hash.update(&buffer);
        }
        Ok(hash.finalize().into())
    }
}

/// Reads pages; what lies beyond the end of the file is zeros, as in a hole.
fn read_or_zero(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => return Ok(()),
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The pages in which two views of a relation file differ, in order, as `mine` has them. What is zeros in `mine` beyond the end of
/// `theirs` is none: it reads so anyway.
pub(crate) fn differing(mine: &mut View, theirs: Option<&mut View>) -> Result<Vec<u32>, StorageError> {
    let mut pages = Vec::new();
    let (mut ours, mut base) = (Vec::new(), Vec::new());
    let mut theirs = theirs;
    for page in 0..mine.pages() {
        let below = match &theirs {
            Some(theirs) if page < theirs.pages() => theirs.layer_of(page),
            _ => None,
        };
        let own = mine.layer_of(page);
        if own == below {
            continue;
        }
        mine.read(page, page + 1, &mut ours)?;
        match &mut theirs {
            Some(theirs) if page < theirs.pages() => {
                theirs.read(page, page + 1, &mut base)?;
            }
            _ => {
                base.clear();
                base.resize(PAGE, 0);
            }
        }
        if ours != base {
            pages.push(page as u32);
        }
    }
    Ok(pages)
}

/// Adds up the identity of a state: which relation files there are, how long they are and what is in them.
pub(crate) struct Identity {
    shape: Sha256,
    content: Sha256,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let begin = |what: &str| Sha256::new_with_prefix(what);
        Self { shape: begin("offshoot shape 1\n"), content: begin("offshoot state 1\n") }
    }

    /// Adds a relation file; they come in the order of their names.
    pub(crate) fn add(&mut self, relation: &str, length: u64, content: Option<&Hash>) {
        for hash in [&mut self.shape, &mut self.content] {
            hash.update(relation);
            hash.update([0]);
            hash.update(length.to_le_bytes());
        }
        if let Some(content) = content {
            self.content.update(content);
        }
    }

    /// The hashes of the content and of the shape, which is the names and lengths alone.
    pub(crate) fn finish(self) -> (Hash, Hash) {
        (self.content.finalize().into(), self.shape.finalize().into())
    }
}
