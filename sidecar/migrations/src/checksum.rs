//! The checksums of the tools, exactly as they store them.

use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};

use base64::Engine as _;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384};
use siphasher::sip::SipHasher13;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The id that git gives this content, in hexadecimal.
pub fn git_blob(content: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", content.len()));
    hash.update(content);
    hex(&hash.finalize())
}

pub(crate) fn sha1(content: &[u8]) -> String {
    hex(&Sha1::digest(content))
}

pub(crate) fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

pub(crate) fn sha384(content: &[u8]) -> String {
    hex(&Sha384::digest(content))
}

/// Flyway: CRC-32 over the lines without their ends, as a signed number, where a byte order mark does not count; and over all bytes, as
/// Flyway 3 counted it.
pub(crate) fn flyway(content: &[u8]) -> Vec<String> {
    let mut sums = vec![flyway_lines(content), crc32fast::hash(content).cast_signed().to_string()];
    sums.dedup();
    sums
}

fn flyway_lines(content: &[u8]) -> String {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut crc = crc32fast::Hasher::new();
    let mut rest = content;
    // Java ends a line at \n, \r or \r\n.
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        crc.update(&rest[..end]);
        let both = rest[end] == b'\r' && rest.get(end + 1) == Some(&b'\n');
        rest = &rest[end + 1 + usize::from(both)..];
    }
    crc.update(rest);
    crc.finalize().cast_signed().to_string()
}

/// Prisma: SHA-256 of the script, which matches in either form of line ends.
pub(crate) fn prisma(content: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(content);
    let unix = text.replace("\r\n", "\n");
    let mut sums =
        vec![sha256(content), sha256(unix.as_bytes()), sha256(unix.replace('\n', "\r\n").as_bytes())];
    sums.dedup();
    sums
}

/// Refinery: SipHash-1-3 with a zero key over name, version and script, each as Rust hashes it.
pub(crate) fn refinery(name: &str, version: i64, script: &str) -> Vec<String> {
    let sum = |wide: bool| {
        let mut hash = SipHasher13::new();
        name.hash(&mut hash);
        if wide {
            version.hash(&mut hash);
        } else {
            (version as i32).hash(&mut hash);
        }
        script.hash(&mut hash);
        hash.finish().to_string()
    };
    // The feature `int8-versions` makes the version wider, and nothing in the table says whether it is on.
    vec![sum(false), sum(true)]
}

/// Atlas: the running hashes of a folder's files, and the hash of the whole. All start with `h1:`.
pub(crate) fn atlas<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> (Vec<String>, String) {
    let encode =
        |hash: Sha256| format!("h1:{}", base64::engine::general_purpose::STANDARD.encode(hash.finalize()));
    let (mut running, mut whole, mut sums) = (Sha256::new(), Sha256::new(), Vec::new());
    for (name, content) in files {
        running.update(name);
        running.update(content);
        let sum = encode(running.clone());
        whole.update(name);
        whole.update(sum.trim_start_matches("h1:"));
        sums.push(sum);
    }
    (sums, encode(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_blob_is_what_git_says() {
        // printf 'hello\n' | git hash-object --stdin
        assert_eq!(git_blob(b"hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
    }

    #[test]
    fn flyway_takes_all_line_ends_as_one_and_drops_the_byte_order_mark() {
        let unix = flyway_lines(b"select 1;\nselect 2;\n");
        for same in ["select 1;\r\nselect 2;\r\n", "select 1;\rselect 2;", "\u{feff}select 1;\nselect 2;"] {
            assert_eq!(flyway_lines(same.as_bytes()), unix);
        }
        assert_ne!(flyway_lines(b"select 1; \nselect 2;\n"), unix);
    }

    #[test]
    fn flyway_counts_as_java_does() {
        // Made with java.util.zip.CRC32 over the lines of a java.io.BufferedReader, which is what Flyway uses.
        let cases = [
            ("create table t (id int);\n\n-- é\n", "-2111214656"),
            ("select 1;\r\nselect 2;", "-593479011"),
            ("", "0"),
        ];
        for (script, sum) in cases {
            assert_eq!(flyway_lines(script.as_bytes()), sum, "{script}");
        }
    }

    #[test]
    fn atlas_runs_over_the_files_before() {
        // The names, scripts and sums of a folder of Atlas's own tests: cmdapi/testdata/baseline2 of ariga/atlas.
        let scripts = [
            ("1_baseline.sql", "-- create \"baseline\" table\nCREATE TABLE baseline (`c` int NOT NULL);\n"),
            (
                "20220318104614_initial.sql",
                "-- create \"tbl\" table\nCREATE TABLE tbl (`col` int NOT NULL);\n",
            ),
            ("20220318104615_second.sql", "ALTER TABLE `tbl` ADD `col_2` bigint;\n"),
        ];
        let (sums, whole) = atlas(scripts.iter().map(|(name, script)| (*name, script.as_bytes())));
        assert_eq!(whole, "h1:sxNQqhuqhm1fLpr3WN9N/M/niaS81Y7k5RrSaKpmBZE=");
        assert_eq!(
            sums,
            [
                "h1:rZgkRmNcN2UEKgxru1nHCpBRVn/fjFavyQ4xxPxhrD4=",
                "h1:/B1/+IxzgrRc4tCm1tpcpMhocHgqkdWF+iffxuguYaQ=",
                "h1:nUc1cUvm8BzjTZdbavM1IRlNpfhtyY3YyZJ8v23K9j4="
            ]
        );
    }

    #[test]
    fn prisma_matches_in_both_forms_of_line_ends() {
        let (unix, dos) = (prisma(b"a\nb\n"), prisma(b"a\r\nb\r\n"));
        assert!(unix.contains(&dos[0]) && dos.contains(&unix[0]));
    }
}
