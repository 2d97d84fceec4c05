//! The file of a bundle: what surrounds its records. [`docs/bundle.md`](../../../docs/bundle.md) has the format.
//!
//! Nothing in it is looked at before its checksum was: each chunk's covers the ones before it and the header, so that a part that is
//! missing, changed or in another place is found. The file is the same for the same state of the same branch, byte for byte.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use sha2::{Digest as _, Sha256};

use crate::error::StorageError;

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// How every bundle begins.
const MAGIC: &[u8; 8] = b"OFFSBNDL";
/// The version of the format.
pub(crate) const VERSION: u32 = 1;
/// Bytes of records in a chunk.
const CHUNK: usize = 256 << 10;
/// Bytes that a chunk may take in the file: what cannot be made smaller grows a little.
const MOST_STORED: usize = CHUNK + (CHUNK >> 6) + 64;
/// Bytes of a header at the most.
const MOST_HEADER: usize = 1 << 20;
/// Fields of a header at the most.
const MOST_FIELDS: usize = 64;
/// Fast, and pages have much that repeats.
const LEVEL: u32 = 3;

/// An error that says what is wrong with a bundle, and what to do.
pub(crate) fn bad(what: impl Into<String>, hint: impl Into<String>) -> StorageError {
    StorageError::Bundle { what: what.into(), hint: hint.into() }
}

/// That the file is not what was written.
pub(crate) fn damaged(what: &str) -> StorageError {
    bad(
        format!("it is damaged: {what}"),
        "It may be cut short or changed on its way. Fetch it again, or have it made again; nothing was changed here.",
    )
}

/// That the file cannot be read.
fn unread(error: &io::Error) -> StorageError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return damaged("it ends too early");
    }
    bad(format!("it cannot be read: {error}"), "Look at the file and at the disk that it is on.")
}

/// That the file cannot be written.
fn unwritten(error: io::Error) -> StorageError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StorageError::DiskFull { context: "write the bundle".into() }
        }
        _ => StorageError::Io { context: "write the bundle".into(), source: error },
    }
}

/// The fields of a header, in their order.
pub(crate) type Fields = Vec<(String, String)>;

/// Writes a bundle: a header, chunks and an end.
pub(crate) struct BundleWriter<'a> {
    out: &'a mut dyn Write,
    chain: Hash,
    pending: Vec<u8>,
}

impl<'a> BundleWriter<'a> {
    /// Writes the header.
    pub(crate) fn begin(out: &'a mut dyn Write, fields: &Fields) -> Result<Self, StorageError> {
        let mut header = Vec::new();
        header.extend((fields.len() as u32).to_le_bytes());
        for text in fields.iter().flat_map(|(key, value)| [key, value]) {
            header.extend((text.len() as u32).to_le_bytes());
            header.extend(text.as_bytes());
        }
        let mut start = MAGIC.to_vec();
        start.extend(VERSION.to_le_bytes());
        start.extend((header.len() as u32).to_le_bytes());
        start.extend(header);
        let chain: Hash = Sha256::digest(&start).into();
        start.extend(chain);
        out.write_all(&start).map_err(unwritten)?;
        Ok(Self { out, chain, pending: Vec::with_capacity(CHUNK) })
    }

    /// Adds bytes of records.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<(), StorageError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.pending.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() == CHUNK {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(LEVEL));
        let stored = encoder.write_all(&self.pending).and_then(|()| encoder.finish()).map_err(unwritten)?;
        self.put(self.pending.len() as u32, &stored)?;
        self.pending.clear();
        Ok(())
    }

    fn put(&mut self, raw_len: u32, stored: &[u8]) -> Result<(), StorageError> {
        self.chain = link(&self.chain, raw_len, stored);
        let mut head = Vec::with_capacity(40);
        head.extend(raw_len.to_le_bytes());
        head.extend((stored.len() as u32).to_le_bytes());
        head.extend(self.chain);
        self.out.write_all(&head).and_then(|()| self.out.write_all(stored)).map_err(unwritten)
    }

    /// Ends the bundle. Returns the checksum of all of it.
    pub(crate) fn finish(mut self) -> Result<Hash, StorageError> {
        if !self.pending.is_empty() {
            self.flush()?;
        }
        self.put(0, &[])?;
        self.out.flush().map_err(unwritten)?;
        Ok(self.chain)
    }
}

/// The checksum of a chunk and all that comes before it.
fn link(before: &Hash, raw_len: u32, stored: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(raw_len.to_le_bytes());
    hash.update(stored);
    hash.finalize().into()
}

/// Reads a bundle that nobody has looked at.
pub(crate) struct BundleReader<'a> {
    source: &'a mut dyn Read,
    chain: Hash,
    chunk: Vec<u8>,
    position: usize,
    ended: bool,
}

impl<'a> BundleReader<'a> {
    /// Reads the header.
    pub(crate) fn begin(source: &'a mut dyn Read) -> Result<(Self, Fields), StorageError> {
        let mut start = [0u8; 16];
        source.read_exact(&mut start).map_err(|_| not_a_bundle())?;
        if &start[..8] != MAGIC {
            return Err(not_a_bundle());
        }
        let version = number(&start[8..12]);
        if version > VERSION {
            return Err(bad(
                format!("it has format {version}; this Offshoot knows formats up to {VERSION}"),
                "Update Offshoot.",
            ));
        }
        let length = number(&start[12..16]) as usize;
        if version == 0 || length > MOST_HEADER {
            return Err(damaged("its header is not one"));
        }
        let mut header = vec![0u8; length];
        let mut checksum = [0u8; 32];
        source.read_exact(&mut header).map_err(|error| unread(&error))?;
        source.read_exact(&mut checksum).map_err(|error| unread(&error))?;
        let mut hash = Sha256::new();
        hash.update(start);
        hash.update(&header);
        let chain: Hash = hash.finalize().into();
        if chain != checksum {
            return Err(damaged("the checksum of its header does not fit"));
        }
        let fields = fields(&header).ok_or_else(|| damaged("its header is not one"))?;
        Ok((Self { source, chain, chunk: Vec::new(), position: 0, ended: false }, fields))
    }

    /// Fills `bytes`.
    pub(crate) fn read(&mut self, mut bytes: &mut [u8]) -> Result<(), StorageError> {
        while !bytes.is_empty() {
            if self.position == self.chunk.len() && !self.next()? {
                return Err(damaged("its records end too early"));
            }
            let now = bytes.len().min(self.chunk.len() - self.position);
            bytes[..now].copy_from_slice(&self.chunk[self.position..self.position + now]);
            self.position += now;
            bytes = &mut bytes[now..];
        }
        Ok(())
    }

    /// Reads the next chunk; false at the end.
    fn next(&mut self) -> Result<bool, StorageError> {
        if self.ended {
            return Ok(false);
        }
        let mut head = [0u8; 40];
        self.source.read_exact(&mut head).map_err(|error| unread(&error))?;
        let (raw_len, stored_len) = (number(&head[..4]) as usize, number(&head[4..8]) as usize);
        if raw_len > CHUNK || stored_len > MOST_STORED || (raw_len == 0) != (stored_len == 0) {
            return Err(damaged("a part of it has an impossible size"));
        }
        let mut stored = vec![0u8; stored_len];
        self.source.read_exact(&mut stored).map_err(|error| unread(&error))?;
        self.chain = link(&self.chain, raw_len as u32, &stored);
        if self.chain != head[8..40] {
            return Err(damaged("a checksum does not fit"));
        }
        self.position = 0;
        self.chunk.clear();
        if raw_len == 0 {
            self.ended = true;
            return Ok(false);
        }
        let inflated = DeflateDecoder::new(&stored[..]).take(CHUNK as u64 + 1).read_to_end(&mut self.chunk);
        if inflated.is_err() || self.chunk.len() != raw_len {
            return Err(damaged("a part of it cannot be unpacked"));
        }
        Ok(true)
    }

    /// Checks that nothing follows. Returns the checksum of all of it.
    pub(crate) fn finish(mut self) -> Result<Hash, StorageError> {
        if self.position != self.chunk.len() || self.next()? {
            return Err(damaged("something follows its last record"));
        }
        match self.source.read(&mut [0u8; 1]) {
            Ok(0) => Ok(self.chain),
            Ok(_) => Err(damaged("something follows its end")),
            Err(error) => Err(unread(&error)),
        }
    }
}

fn not_a_bundle() -> StorageError {
    bad(
        "it is no bundle of Offshoot",
        "`offshoot bundle create` makes one; a dump goes in with `offshoot init --from`.",
    )
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn fields(header: &[u8]) -> Option<Fields> {
    fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
        let (now, later) = rest.split_at_checked(length)?;
        *rest = later;
        Some(now)
    }
    fn text(rest: &mut &[u8]) -> Option<String> {
        let length = number(take(rest, 4)?) as usize;
        String::from_utf8(take(rest, length)?.to_vec()).ok()
    }
    let mut rest = header;
    let count = number(take(&mut rest, 4)?) as usize;
    if count > MOST_FIELDS {
        return None;
    }
    let all = (0..count).map(|_| Some((text(&mut rest)?, text(&mut rest)?))).collect::<Option<Fields>>()?;
    rest.is_empty().then_some(all)
}

/// A hash in hexadecimal digits.
pub(crate) fn hex(hash: &Hash) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The hash that [`hex`] has written.
pub(crate) fn from_hex(text: &str) -> Option<Hash> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0u8; 32];
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let fields = vec![("branch".to_owned(), "a\nb 🌱".to_owned()), ("kind".to_owned(), String::new())];
        let mut writer = BundleWriter::begin(&mut file, &fields).unwrap();
        for part in bytes.chunks(1000) {
            writer.write(part).unwrap();
        }
        writer.finish().unwrap();
        file
    }

    fn read(file: &[u8], length: usize) -> Result<Vec<u8>, StorageError> {
        let mut source = file;
        let (mut reader, fields) = BundleReader::begin(&mut source)?;
        assert_eq!(fields[0].1, "a\nb 🌱");
        let mut bytes = vec![0u8; length];
        reader.read(&mut bytes)?;
        reader.finish()?;
        Ok(bytes)
    }

    fn content() -> Vec<u8> {
        let mut state = 7u32;
        let random = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        random.take(CHUNK + 5000).chain(std::iter::repeat_n(0, CHUNK)).collect()
    }

    #[test]
    fn what_is_written_is_read_and_is_the_same_each_time() {
        let bytes = content();
        let file = written(&bytes);
        assert_eq!(file, written(&bytes));
        assert_eq!(read(&file, bytes.len()).unwrap(), bytes);
        assert!(read(&file, bytes.len() - 1).is_err(), "a record less");
        assert!(read(&file, bytes.len() + 1).is_err(), "a record more");
    }

    #[test]
    fn whatever_is_cut_off_or_flipped_is_found() {
        let bytes = content();
        let file = written(&bytes);
        let places = (0..200).chain((200..file.len()).step_by(4999)).chain(file.len() - 60..file.len());
        for place in places {
            assert!(read(&file[..place], bytes.len()).is_err(), "cut at {place}");
            let mut flipped = file.clone();
            flipped[place] ^= 1 << (place % 8);
            let error = read(&flipped, bytes.len()).err().unwrap_or_else(|| panic!("flipped at {place}"));
            assert!(matches!(error, StorageError::Bundle { .. }), "{error}");
        }
        let mut longer = file.clone();
        longer.push(0);
        assert!(read(&longer, bytes.len()).is_err());
    }

    #[test]
    fn a_newer_format_is_named() {
        let mut file = written(b"x");
        file[8] = 2;
        let error = read(&file, 1).unwrap_err().to_string();
        assert!(error.contains("format 2") && error.contains("up to 1"), "{error}");
    }

    #[test]
    fn hexadecimal_digits_lead_back() {
        let hash: Hash = Sha256::digest(b"x").into();
        assert_eq!(from_hex(&hex(&hash)), Some(hash));
        assert_eq!((from_hex(""), from_hex(&"g".repeat(64)), from_hex(&"é".repeat(32))), (None, None, None));
    }
}
