//! The manifest of a backup: what files it has, and what they sum up to.
//!
//! JSON, as "Backup Manifest Format" in the documentation of Postgres has it; the last line is the SHA-256 of all before it.

use std::collections::HashMap;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::PhysicalError;
use super::files::Received;

/// Of this folder only notes about segments are in a manifest.
const WAL: &str = "pg_wal/";
const ITS_OWN: &[u8] = b"\"Manifest-Checksum\"";

/// Compares what was received with what the source says that it sent. WAL is not in the manifest; each record of it has a sum of its own.
///
/// # Errors
/// [`PhysicalError::Damaged`] with the first file that differs.
pub(super) fn check(manifest: &[u8], received: &HashMap<String, Received>) -> Result<(), PhysicalError> {
    let damaged = |what: String| PhysicalError::Damaged { what };
    let end = manifest.windows(ITS_OWN.len()).rposition(|part| part == ITS_OWN);
    let end = end.ok_or_else(|| damaged("the manifest has no checksum".into()))?;
    let parsed: Value =
        serde_json::from_slice(manifest).map_err(|error| damaged(format!("the manifest: {error}")))?;
    let own = parsed.get("Manifest-Checksum").and_then(Value::as_str).unwrap_or_default();
    if own != hex(&Sha256::digest(&manifest[..end])) {
        return Err(damaged("the manifest has another checksum than it says".into()));
    }
    let files = parsed.get("Files").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut known = 0;
    for file in files {
        // Names that are not UTF-8 are of no file of Postgres.
        let Some(path) = file.get("Path").and_then(Value::as_str) else { continue };
        let found = received
            .get(path)
            .ok_or_else(|| damaged(format!("{path} is in the manifest and did not come")))?;
        known += usize::from(!path.starts_with(WAL));
        let sum = file.get("Checksum").and_then(Value::as_str).unwrap_or_default();
        if file.get("Size").and_then(Value::as_u64) != Some(found.bytes)
            || !sum.eq_ignore_ascii_case(&hex(&found.crc32c.to_le_bytes()))
        {
            return Err(damaged(format!("{path} has another content than the manifest says")));
        }
    }
    let listed = received.keys().filter(|path| !path.starts_with(WAL)).count();
    if listed != known {
        return Err(damaged(format!("{listed} files came, and {known} are in the manifest")));
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from_digit(digit.into(), 16).unwrap_or('?'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(sum: &str) -> Vec<u8> {
        let head = format!(
            "{{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n\
             {{ \"Path\": \"base/5/1259\", \"Size\": 5, \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"{sum}\" }}\n],\n"
        );
        let own = hex(&Sha256::digest(head.as_bytes()));
        format!("{head}\"Manifest-Checksum\": \"{own}\"}}\n").into_bytes()
    }

    fn files(content: &[u8]) -> HashMap<String, Received> {
        let received = Received { bytes: content.len() as u64, crc32c: crc32c::crc32c(content) };
        HashMap::from([("base/5/1259".to_owned(), received)])
    }

    fn sum_of(content: &[u8]) -> String {
        hex(&crc32c::crc32c(content).to_le_bytes())
    }

    #[test]
    fn what_differs_from_the_manifest_is_named() {
        let good = manifest(&sum_of(b"pages"));
        assert!(check(&good, &files(b"pages")).is_ok());
        let error = check(&good, &files(b"Pages")).unwrap_err().to_string();
        assert!(error.contains("base/5/1259"), "{error}");
        assert!(check(&good, &HashMap::new()).is_err());
        let mut more = files(b"pages");
        more.insert("pg_wal/000000010000000000000001".into(), more["base/5/1259"]);
        assert!(check(&good, &more).is_ok());
        more.insert("base/5/1".into(), more["base/5/1259"]);
        assert!(check(&good, &more).is_err());
    }

    #[test]
    fn a_manifest_that_was_changed_is_refused() {
        let mut bad = manifest(&sum_of(b"pages"));
        let at = bad.iter().position(|byte| *byte == b'5').unwrap();
        bad[at] = b'6';
        assert!(check(&bad, &files(b"pages")).is_err());
        assert!(check(b"{}", &files(b"pages")).is_err());
    }
}
