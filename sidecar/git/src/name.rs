//! Branch names: git's bytes on one side, text on the other.

use std::fmt::Write as _;

pub(crate) const HEADS: &[u8] = b"refs/heads/";

/// The text for a short branch name in git's bytes; what is not UTF-8 becomes `\xNN`.
pub fn branch_name_from_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Git's bytes for a short branch name made by [`branch_name_from_bytes`].
pub fn branch_name_to_bytes(name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if let Some((byte, tail)) = escaped(rest) {
            bytes.push(byte);
            rest = tail;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    bytes
}

fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let digits = text.strip_prefix(b"\\x")?;
    let (digits, tail) = digits.split_at_checked(2)?;
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u8::from_str_radix(digits, 16).ok()?, tail))
}

/// The short name of a full reference name under `refs/heads/`.
pub(crate) fn short(full: &[u8]) -> Option<String> {
    full.strip_prefix(HEADS).map(branch_name_from_bytes)
}

/// The full reference name of a short branch name.
pub(crate) fn full(branch: &str) -> Vec<u8> {
    [HEADS, &branch_name_to_bytes(branch)].concat()
}

/// Whether git would accept one part of a reference name, between two slashes.
///
/// Rules: git-check-ref-format(1).
pub(crate) fn is_valid_part(part: &[u8]) -> bool {
    let forbidden = |b: &u8| *b < 0x20 || *b == 0x7f || b" ~^:?*[\\".contains(b);
    !part.is_empty()
        && !part.starts_with(b".")
        && !part.ends_with(b".")
        && !part.ends_with(b".lock")
        && !part.iter().any(forbidden)
        && !part.windows(2).any(|pair| pair == b".." || pair == b"@{")
}

/// Whether `text` is a whole object id of SHA-1 or SHA-256.
pub(crate) fn is_object_id(text: &[u8]) -> bool {
    matches!(text.len(), 40 | 64) && text.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_the_way_to_text_and_back() {
        for bytes in [&b"main"[..], b"f\xffoo", "\u{1f33f}/x".as_bytes(), b"\xc3", b"a\xe2\x82/b"] {
            assert_eq!(branch_name_to_bytes(&branch_name_from_bytes(bytes)), bytes);
        }
        assert_eq!(branch_name_from_bytes(b"f\xffoo"), "f\\xffoo");
    }

    #[test]
    fn what_git_forbids_in_a_part_is_no_part() {
        for part in ["", ".hidden", "x.lock", "a..b", "a b", "a~", "a@{b", "a\u{7f}"] {
            assert!(!is_valid_part(part.as_bytes()), "{part}");
        }
        for part in ["main", "@", "x.locked", "-", "été"] {
            assert!(is_valid_part(part.as_bytes()), "{part}");
        }
    }
}
