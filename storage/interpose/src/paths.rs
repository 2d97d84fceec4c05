//! From a path that Postgres passes to what it means for the layers.

use libc::c_char;
use offshoot_pages::control::path_hash;
use offshoot_pages::name::{self, MAX_RELATION_PATH, PathKind};

use crate::local::{bytes, local, setup};

/// The path of a relation file or folder below the data directory.
#[derive(Clone, Copy)]
pub(crate) struct RelationPath {
    bytes: [u8; MAX_RELATION_PATH],
    length: u8,
}

impl RelationPath {
    /// `path` must be at most [`MAX_RELATION_PATH`] bytes long, as all that `name::classify` finds are.
    pub(crate) fn new(path: &[u8]) -> Self {
        let mut bytes = [0; MAX_RELATION_PATH];
        bytes[..path.len()].copy_from_slice(path);
        Self { bytes, length: path.len() as u8 }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// `base/<db>` of `base/<db>/<n>`.
    pub(crate) fn folder(&self) -> &[u8] {
        let path = self.as_bytes();
        path.iter().rposition(|&byte| byte == b'/').map_or(&[][..], |end| &path[..end])
    }

    pub(crate) fn hash(&self) -> usize {
        path_hash(self.as_bytes())
    }
}

/// What a path is.
pub(crate) enum Place {
    Relation(RelationPath),
    RelationFolder(RelationPath),
    ControlFile,
    /// Another file of the data directory.
    Plain,
    /// Not in the data directory, or the interposer is off.
    Elsewhere,
}

/// Classifies a path, absolute or relative to the working directory.
pub(crate) unsafe fn classify(path: *const c_char) -> Place {
    let Some(setup) = setup() else { return Place::Elsewhere };
    if path.is_null() {
        return Place::Elsewhere;
    }
    let path = unsafe { bytes(path) };
    let mut rest = if path.first() == Some(&b'/') {
        match path.strip_prefix(&setup.data_dir[..]) {
            Some(rest) if rest.first() == Some(&b'/') => rest,
            _ => return Place::Elsewhere,
        }
    } else if local().in_data_dir.get() {
        path
    } else {
        return Place::Elsewhere;
    };
    while let Some(after) = rest.strip_prefix(b"/").or_else(|| rest.strip_prefix(b"./")) {
        rest = after;
    }
    while let Some(before) = rest.strip_suffix(b"/") {
        rest = before;
    }
    match name::classify(rest) {
        PathKind::Relation => Place::Relation(RelationPath::new(rest)),
        PathKind::RelationFolder => Place::RelationFolder(RelationPath::new(rest)),
        PathKind::ControlFile => Place::ControlFile,
        PathKind::Plain => Place::Plain,
    }
}
