//! Git's index without what depends on the moment and the place: times, inodes, owners. Format: gitformat-index(5).

/// Bytes of an entry before its name.
const FIXED: usize = 62;
/// The first byte of an entry's mode.
const MODE: usize = 24;
/// The first byte of its object id.
const ID: usize = 40;

/// The entries as text: mode, object id, flags and name of each.
pub(crate) fn without_times(bytes: &[u8]) -> Vec<u8> {
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(&bytes[..4], b"DIRC");
    assert!(number(4) < 4, "names of version 4 are shortened");
    let mut text = Vec::new();
    let mut at = 12;
    for _ in 0..number(8) {
        let entry = &bytes[at..];
        let flags = u16::from_be_bytes([entry[60], entry[61]]);
        let is_extended = flags & 0x4000 != 0;
        let name_at = if is_extended { FIXED + 2 } else { FIXED };
        let length = entry[name_at..].iter().position(|byte| *byte == 0).unwrap();
        text.extend(entry[MODE..MODE + 4].iter().chain(&entry[ID..name_at + length]).flat_map(|byte| {
            if byte.is_ascii_graphic() { vec![*byte] } else { format!("\\{byte:02x}").into_bytes() }
        }));
        text.push(b'\n');
        // Entries end with one to eight zeros, at a multiple of eight.
        at += (name_at + length + 8) & !7;
    }
    text
}
