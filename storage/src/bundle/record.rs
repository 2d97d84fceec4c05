//! The records of a bundle: small files, relation files with their pages, and the end.

use offshoot_pages::name::{PathKind, classify};
use offshoot_pages::{PAGE_SIZE, SEGMENT_PAGES};
use sha2::{Digest as _, Sha256};

use super::format::{BundleReader, BundleWriter, Hash, bad, damaged};
use super::view::{Identity, PAGE};
use crate::error::StorageError;

/// Bytes of a small file that one record has at the most.
pub(crate) const PIECE: usize = 1 << 20;
/// Where the control file is, which lies beside the data directory.
pub(crate) const CONTROL: &str = "pg_control";
const MOST_PATH: usize = 64;

const SMALL: u8 = 1;
const RELATION: u8 = 2;
const END: u8 = 3;

/// The most that a small file with this name may have, in bytes; `None` for a name that no bundle has. Nothing else is written: no path
/// leads elsewhere, and no file that Postgres would take settings or orders from.
pub(crate) fn most_bytes(path: &str) -> Option<u64> {
    let digits =
        |text: &str| !text.is_empty() && text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit());
    let hex = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
    };
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        ["PG_VERSION"] => Some(64),
        [CONTROL] | ["global", "pg_filenode.map"] => Some(8192),
        ["base", database, "PG_VERSION"] if digits(database) => Some(64),
        ["base", database, "pg_filenode.map"] if digits(database) => Some(8192),
        ["pg_xact" | "pg_commit_ts", name] | ["pg_multixact", "members" | "offsets", name]
            if hex(name, 4..=15) =>
        {
            Some(1 << 20)
        }
        ["pg_wal", name] if hex(name, 24..=24) => Some(1 << 30),
        ["pg_wal", name] if name.strip_suffix(".history").is_some_and(|name| hex(name, 8..=8)) => {
            Some(1 << 20)
        }
        _ => None,
    }
}

/// What is read from a bundle, checked against everything that can be checked without a store.
pub(crate) enum Record<'a> {
    /// A part of a small file.
    Small { path: &'a str, length: u64, offset: u64, data: &'a [u8] },
    /// A relation file begins. `length` is none for one that is gone.
    Relation { path: &'a str, length: Option<u64> },
    /// One of its pages.
    Page { page: u32, data: &'a [u8] },
    /// It ends; this is the hash of all of its pages when those that are not in the bundle are the base's.
    RelationEnd { hash: Hash },
}

/// Puts a part of a small file.
pub(crate) fn put_small(
    out: &mut BundleWriter<'_>,
    path: &str,
    length: u64,
    (offset, data): (u64, &[u8]),
) -> Result<(), StorageError> {
    put_path(out, SMALL, path)?;
    out.write(&length.to_le_bytes())?;
    out.write(&offset.to_le_bytes())?;
    out.write(&(data.len() as u32).to_le_bytes())?;
    out.write(data)
}

/// Puts the beginning of a relation file, of which so many pages follow.
pub(crate) fn put_relation(
    out: &mut BundleWriter<'_>,
    path: &str,
    length: Option<u64>,
    pages: u32,
) -> Result<(), StorageError> {
    put_path(out, RELATION, path)?;
    out.write(&[u8::from(length.is_some())])?;
    out.write(&length.unwrap_or(0).to_le_bytes())?;
    out.write(&pages.to_le_bytes())
}

/// Puts the end, with the identity of the state if all of it is in the bundle.
pub(crate) fn put_end(out: &mut BundleWriter<'_>, id: &Hash) -> Result<(), StorageError> {
    out.write(&[END])?;
    out.write(id)
}

fn put_path(out: &mut BundleWriter<'_>, tag: u8, path: &str) -> Result<(), StorageError> {
    out.write(&[tag, path.len() as u8])?;
    out.write(path.as_bytes())
}

/// What a look through a bundle found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) relations: u64,
    pub(crate) pages: u64,
    /// Bytes of all that is in it, unpacked.
    pub(crate) bytes: u64,
    /// The identity and the shape of the state, if all of it is in the bundle.
    pub(crate) state: Option<(Hash, Hash)>,
}

/// Reads all records. Ends with an error at the first that is not as it must be, or once there are more than `most` bytes.
pub(crate) fn read_all(
    mut reader: BundleReader<'_>,
    is_full: bool,
    most: u64,
    take: &mut dyn FnMut(Record<'_>, &Found) -> Result<(), StorageError>,
) -> Result<Found, StorageError> {
    let mut found = Found::default();
    let mut identity = Identity::new();
    let (mut last_small, mut last_relation) = ((String::new(), 0u64), String::new());
    let mut buffer = Vec::new();
    loop {
        let tag = number::<1>(&mut reader)? as u8;
        if tag == END {
            break;
        }
        let path = path(&mut reader)?;
        match tag {
            SMALL => {
                let (length, offset) = (number::<8>(&mut reader)?, number::<8>(&mut reader)?);
                let size = number::<4>(&mut reader)? as usize;
                let Some(limit) = most_bytes(&path) else { return Err(stranger(&path)) };
                let is_next =
                    path.as_str() > last_small.0.as_str() || (path == last_small.0 && offset >= last_small.1);
                if length > limit || size > PIECE || offset.saturating_add(size as u64) > length || !is_next {
                    return Err(damaged("a small file in it has an impossible size"));
                }
                buffer.resize(size, 0);
                reader.read(&mut buffer)?;
                found.bytes += size as u64;
                check_bytes(&found, most)?;
                take(Record::Small { path: &path, length, offset, data: &buffer }, &found)?;
                last_small = (path, offset + size as u64);
            }
            RELATION => {
                if classify(path.as_bytes()) != PathKind::Relation {
                    return Err(stranger(&path));
                }
                let exists = number::<1>(&mut reader)?;
                let (length, pages) = (number::<8>(&mut reader)?, number::<4>(&mut reader)?);
                let most_pages = length.div_ceil(PAGE_SIZE);
                if exists > 1
                    || length > SEGMENT_PAGES * PAGE_SIZE
                    || pages > most_pages
                    || path <= last_relation
                {
                    return Err(damaged("a relation file in it is impossible"));
                }
                take(Record::Relation { path: &path, length: (exists == 1).then_some(length) }, &found)?;
                let mut content = Sha256::new();
                let mut next = 0;
                buffer.resize(PAGE, 0);
                for _ in 0..pages {
                    let page = number::<4>(&mut reader)?;
                    if page < next || page >= most_pages {
                        return Err(damaged("a page in it is not where it belongs"));
                    }
                    reader.read(&mut buffer)?;
                    if is_full {
                        zeros(&mut content, page - next);
                        content.update(&buffer);
                    }
                    found.pages += 1;
                    found.bytes += PAGE_SIZE;
                    check_bytes(&found, most)?;
                    take(Record::Page { page: page as u32, data: &buffer }, &found)?;
                    next = page + 1;
                }
                let mut hash = [0u8; 32];
                reader.read(&mut hash)?;
                if is_full {
                    zeros(&mut content, most_pages - next);
                    if exists == 0 || Hash::from(content.finalize()) != hash {
                        return Err(damaged("the hash of a relation file in it does not fit"));
                    }
                    identity.add(&path, length, Some(&hash));
                }
                take(Record::RelationEnd { hash }, &found)?;
                found.relations += 1;
                last_relation = path;
            }
            _ => return Err(damaged("a record in it is of no known kind")),
        }
    }
    let mut id = [0u8; 32];
    reader.read(&mut id)?;
    reader.finish()?;
    if is_full {
        let state = identity.finish();
        if state.0 != id {
            return Err(damaged("the hash of its state does not fit"));
        }
        found.state = Some(state);
    }
    Ok(found)
}

fn zeros(hash: &mut Sha256, pages: u64) {
    for _ in 0..pages {
        hash.update([0u8; PAGE]);
    }
}

fn check_bytes(found: &Found, most: u64) -> Result<(), StorageError> {
    if found.bytes > most {
        return Err(damaged("it has more in it than its header says"));
    }
    Ok(())
}

fn stranger(path: &str) -> StorageError {
    bad(
        format!("it has a file that no bundle has: {path:?}"),
        "Do not trust this file. Nothing of it was used.",
    )
}

fn number<const N: usize>(reader: &mut BundleReader<'_>) -> Result<u64, StorageError> {
    let mut bytes = [0u8; 8];
    reader.read(&mut bytes[..N])?;
    Ok(u64::from_le_bytes(bytes))
}

fn path(reader: &mut BundleReader<'_>) -> Result<String, StorageError> {
    let length = number::<1>(reader)? as usize;
    let mut bytes = vec![0u8; length];
    reader.read(&mut bytes)?;
    let path = String::from_utf8(bytes).map_err(|_| damaged("a name in it is no text"))?;
    if length == 0 || length > MOST_PATH {
        return Err(stranger(&path));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_carry_data_have_a_place() {
        for path in [
            "pg_control",
            "PG_VERSION",
            "base/5/pg_filenode.map",
            "pg_xact/0000",
            "pg_multixact/members/00A1",
            "pg_wal/0000000100000000000000AB",
            "pg_wal/00000002.history",
        ] {
            assert!(most_bytes(path).is_some(), "{path}");
        }
        for path in [
            "../pg_control",
            "/PG_VERSION",
            "base/../PG_VERSION",
            "base/5/../../postgresql.conf",
            "postgresql.conf",
            "postgresql.auto.conf",
            "pg_hba.conf",
            "recovery.signal",
            "standby.signal",
            "backup_label",
            "tablespace_map",
            "pg_tblspc/16384",
            "pg_wal/../../x",
            "pg_wal/archive_status/x",
            "pg_xact/000g",
            "pg_twophase/0000000000000001",
            "",
        ] {
            assert!(most_bytes(path).is_none(), "{path}");
        }
    }
}
