//! The secret on which all replacements depend, and the keyed hash.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

const KEY_BYTES: usize = 32;
const BLOCK_BYTES: usize = 64;

/// A secret of 32 bytes.
#[derive(Clone)]
pub struct Key {
    bytes: [u8; KEY_BYTES],
    /// The hash's state behind the key, on both sides: half of the work of each hash.
    inner: Sha256,
    outer: Sha256,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Key {
    /// A key of these bytes, for tests.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        let mut block = [0_u8; BLOCK_BYTES];
        block[..KEY_BYTES].copy_from_slice(&bytes);
        let inner = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36));
        let outer = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5c));
        Self { bytes, inner, outer }
    }

    /// The key in the file, which is made if it is not there, for its owner alone.
    ///
    /// # Errors
    /// If the file can be neither read nor made, or if it holds something else.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => bytes.try_into().map(Self::from_bytes).map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no key", path.display()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(path),
            Err(error) => Err(error),
        }
    }

    fn make(path: &Path) -> io::Result<Self> {
        let mut bytes = [0; KEY_BYTES];
        fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        // There as a whole or not at all: a key of which a part is missing would end every import.
        let draft = path.with_extension("key.partial");
        let _ = fs::remove_file(&draft);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        Ok(Self::from_bytes(bytes))
    }

    /// HMAC with SHA-256 (RFC 2104) of `parts`, each with its length, under a name for the purpose.
    pub(super) fn hash(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut inner = self.inner.clone();
        for part in [purpose.as_bytes()].iter().chain(parts) {
            inner.update((part.len() as u64).to_le_bytes());
            inner.update(part);
        }
        let mut outer = self.outer.clone();
        outer.update(inner.finalize());
        outer.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let key = Key::of_file(&path).unwrap();
        assert!(key == Key::of_file(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(format!("{key:?}"), "Key(…)");
        fs::write(&path, "short").unwrap();
        assert!(Key::of_file(&path).is_err());
    }

    #[test]
    fn the_hash_depends_on_key_purpose_and_the_borders_of_its_parts() {
        let key = Key::from_bytes([7; 32]);
        let one = key.hash("p", &[b"ab", b"c"]);
        assert_eq!(one, key.hash("p", &[b"ab", b"c"]));
        assert_ne!(one, key.hash("p", &[b"a", b"bc"]));
        assert_ne!(one, key.hash("q", &[b"ab", b"c"]));
        assert_ne!(one, Key::from_bytes([8; 32]).hash("p", &[b"ab", b"c"]));
    }
}
