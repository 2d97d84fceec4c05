//! Git's index without what depends on the moment and the place: times, inodes, owners. Format: gitformat-index(5).

/// Bytes of an entry before its name.
const FIXED: usize = 62;
/// The first byte of an entry's mode.
const MODE: usize = 24;
/// The first byte of its object id, and that of its flags.
const ID: usize = 40;
const FLAGS: usize = 60;
/// Of the flags: there are more of them. Of those: the file is left out of a sparse checkout.
const EXTENDED: u16 = 0x4000;
const LEFT_OUT: u16 = 0x4000;

/// The entries as text: mode, object id, flags and name of each.
///
/// Without the flag of sparse checkouts. Git takes it from files that lie there all the same as soon as it reads the index, and writes that
/// down when it has another reason to write it: whether times in it are too young to be trusted, which depends on the moment.
pub(crate) fn without_times(bytes: &[u8]) -> Vec<u8> {
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(&bytes[..4], b"DIRC");
    assert!(number(4) < 4, "names of version 4 are shortened");
    let mut text = Vec::new();
    let mut at = 12;
    for _ in 0..number(8) {
        let entry = &bytes[at..];
        let flags_at = |at: usize| u16::from_be_bytes([entry[at], entry[at + 1]]);
        let is_extended = flags_at(FLAGS) & EXTENDED != 0;
        let (name_at, more) = if is_extended { (FIXED + 2, flags_at(FIXED)) } else { (FIXED, 0) };
        let flags = [(flags_at(FLAGS) & !EXTENDED).to_be_bytes(), (more & !LEFT_OUT).to_be_bytes()].concat();
        let length = entry[name_at..].iter().position(|byte| *byte == 0).unwrap();
        let facts = entry[MODE..MODE + 4].iter().chain(&entry[ID..FLAGS]).chain(&flags);
        text.extend(facts.chain(&entry[name_at..name_at + length]).flat_map(|byte| {
            if byte.is_ascii_graphic() { vec![*byte] } else { format!("\\{byte:02x}").into_bytes() }
        }));
        text.push(b'\n');
        // Entries end with one to eight zeros, at a multiple of eight.
        at += (name_at + length + 8) & !7;
    }
    text
}
