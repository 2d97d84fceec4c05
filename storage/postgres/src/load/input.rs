//! Opening what is to be loaded, and telling its kind.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::LoadError;

const BUFFER_BYTES: usize = 256 * 1024;
const ARCHIVE_MAGIC: &[u8] = b"PGDMP";
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
/// Of a tar archive: where it is, what it is, and how long the first header is at the least.
const TAR_MAGIC: (usize, &[u8]) = (257, b"ustar");
const TAR_HEADER: u64 = 512;
/// The first member of a tar archive by `pg_dump`.
const TAR_CONTENTS: &[u8] = b"toc.dat\0";

/// Starts of files that look like something to load but are not, and what to call them.
const FOREIGN: &[(&[u8], &str)] = &[
    (ARCHIVE_MAGIC, "an archive of pg_dump's custom format"),
    (b"BZh", "a file compressed by bzip2; decompress it first"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "a file compressed by xz; decompress it first"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "a file compressed by zstd; decompress it first"),
    (&[0x04, 0x22, 0x4d, 0x18], "a file compressed by lz4; decompress it first"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (&[0xff, 0xfe], "text in UTF-16; convert it to UTF-8 first"),
    (&[0xfe, 0xff], "text in UTF-16; convert it to UTF-8 first"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x7fELF", "a program"),
];

/// Opens a plain or gzip-compressed SQL script.
///
/// # Errors
/// [`LoadError::NotAScript`] for archives, other compressions and other kinds of files.
pub fn open_script(path: &Path) -> Result<Box<dyn BufRead + Send>, LoadError> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    if !file.fill_buf()?.starts_with(GZIP_MAGIC) {
        refuse_foreign(file.fill_buf()?)?;
        return Ok(Box::new(file));
    }
    let mut inner = BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(file));
    let start = inner.fill_buf().map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => LoadError::Truncated { line: 1 },
        _ => error.into(),
    })?;
    refuse_foreign(start)?;
    Ok(Box::new(inner))
}

/// The size of a plain script, for the progress; `None` if it is compressed.
pub fn script_bytes(path: &Path) -> io::Result<Option<u64>> {
    let compressed = start_of(path, GZIP_MAGIC.len() as u64)? == GZIP_MAGIC;
    Ok(if compressed { None } else { Some(path.metadata()?.len()) })
}

/// Whether `path` is an archive for `pg_restore`: of the custom or the tar format, or a folder of the directory format.
pub fn is_archive(path: &Path) -> io::Result<bool> {
    if path.is_dir() {
        return Ok(path.join("toc.dat").is_file());
    }
    let start = start_of(path, TAR_HEADER)?;
    Ok(start.starts_with(ARCHIVE_MAGIC) || (is_tar(&start) && start.starts_with(TAR_CONTENTS)))
}

fn is_tar(start: &[u8]) -> bool {
    let (at, magic) = TAR_MAGIC;
    start.get(at..).is_some_and(|rest| rest.starts_with(magic))
}

fn start_of(path: &Path, length: u64) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path)?.take(length).read_to_end(&mut start)?;
    Ok(start)
}

fn refuse_foreign(start: &[u8]) -> Result<(), LoadError> {
    if is_tar(start) {
        let what = if start.starts_with(TAR_CONTENTS) {
            "an archive of pg_dump's tar format"
        } else {
            "a tar archive; unpack it first"
        };
        return Err(LoadError::NotAScript { what: what.to_owned() });
    }
    match FOREIGN.iter().find(|(magic, _)| start.starts_with(magic)) {
        Some((_, what)) => Err(LoadError::NotAScript { what: (*what).to_owned() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn compressed_script_reads_as_the_plain_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dump.sql.gz");
        let mut encoder =
            flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        encoder.write_all(b"SELECT 1;\n").unwrap();
        encoder.finish().unwrap();
        let mut text = String::new();
        open_script(&path).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "SELECT 1;\n");
        assert_eq!(script_bytes(&path).unwrap(), None);
    }

    #[test]
    fn other_kinds_of_files_are_called_by_their_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for (content, name) in
            [(b"PGDMP\x01".as_slice(), "custom format"), (b"\xff\xfeS\0", "UTF-16"), (b"BZh9", "bzip2")]
        {
            std::fs::write(&path, content).unwrap();
            let Err(LoadError::NotAScript { what }) = open_script(&path) else { panic!("{name} was opened") };
            assert!(what.contains(name), "{what}");
            assert_eq!(is_archive(&path).unwrap(), name == "custom format");
        }
    }

    #[test]
    fn archives_of_the_tar_format_are_archives_and_other_tars_are_called_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.tar");
        for (first, is_dump) in [("toc.dat", true), ("toc.data", false), ("photo.png", false)] {
            let mut header = vec![0; 512];
            header[..first.len()].copy_from_slice(first.as_bytes());
            header[257..262].copy_from_slice(b"ustar");
            std::fs::write(&path, &header).unwrap();
            assert_eq!(is_archive(&path).unwrap(), is_dump, "{first}");
            let Err(LoadError::NotAScript { what }) = open_script(&path) else {
                panic!("{first} was opened")
            };
            assert!(what.contains("tar") && what.contains("pg_dump") == is_dump, "{what}");
        }
    }

    #[test]
    fn a_compressed_script_that_is_cut_off_is_called_truncated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dump.sql.gz");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for number in 0..20_000 {
            writeln!(encoder, "SELECT {};", number * 7919 % 10_007).unwrap();
        }
        let whole = encoder.finish().unwrap();
        for length in [5, whole.len() / 2, whole.len() - 4] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let read = open_script(&path).and_then(|mut script| {
                let mut lines = crate::load::lines::Lines::new(&mut script, None, &crate::Silent);
                while lines.advance()? {}
                Ok(())
            });
            assert!(matches!(read, Err(LoadError::Truncated { .. })), "{length} bytes: {read:?}");
        }
    }

    #[test]
    fn empty_file_is_an_empty_script() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("empty.sql");
        std::fs::write(&path, "").unwrap();
        assert!(open_script(&path).is_ok());
        assert!(!is_archive(&path).unwrap());
        assert_eq!(script_bytes(&path).unwrap(), Some(0));
    }
}
