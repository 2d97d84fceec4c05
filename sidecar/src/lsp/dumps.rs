//! Files of a worktree that look like dumps of a database.

use std::fs;
use std::io::Read;
use std::path::Path;

/// The most that are offered.
const MAX_DUMPS: usize = 20;
/// How deep below the root is looked.
const MAX_DEPTH: usize = 3;
/// How many entries are looked at in all.
const MAX_ENTRIES: usize = 4000;
/// Bytes at the start of a script in which `pg_dump` says its name.
const HEAD: u64 = 512;
/// Folders of dependencies and products; hidden ones are left out too.
const SKIPPED: [&str; 6] = ["node_modules", "target", "vendor", "dist", "build", "__pycache__"];

/// Paths relative to `root`, sorted, at most 20. Looks into few folders and, of scripts, at the first bytes.
pub(super) fn find(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = MAX_ENTRIES;
    let mut level = vec![root.to_owned()];
    for _ in 0..=MAX_DEPTH {
        let mut below = Vec::new();
        for folder in level {
            let mut entries: Vec<_> =
                fs::read_dir(&folder).into_iter().flatten().flatten().take(left).collect();
            left -= entries.len();
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let name = entry.file_name().to_string_lossy().into_owned();
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() && !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
                    below.push(entry.path());
                } else if kind.is_file()
                    && looks_like_dump(&entry.path(), &name)
                    && let Ok(relative) = entry.path().strip_prefix(root)
                {
                    found.push(relative.to_string_lossy().into_owned());
                }
                if found.len() == MAX_DUMPS {
                    return found;
                }
            }
        }
        level = below;
    }
    found
}

fn looks_like_dump(path: &Path, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let called_so =
        ["dump", "backup", "snapshot", "schema", "structure"].iter().any(|word| name.contains(word));
    if ends(&[".sql"]) {
        return called_so || head(path).windows(10).any(|window| window == b"PostgreSQL");
    }
    if ends(&[".sql.gz"]) {
        return true;
    }
    ends(&[".dump", ".pgdump", ".backup", ".bak", ".tar"]) && (head(path).starts_with(b"PGDMP") || called_so)
}

fn head(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        // What cannot be read is no dump to offer.
        let _ = file.take(HEAD).read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_are_told_from_other_files() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("db/shop.sql", "--\n-- PostgreSQL database dump\n--\n");
        write("db/migrations/001.sql", "create table a ();");
        write("db/shop.sql.gz", "");
        write("old.dump", "PGDMP\u{1}");
        write("core.dump", "\u{7f}ELF");
        write("dump.sql", "create table a ();");
        write("node_modules/x/dump.sql", "");
        write(".cache/dump.sql", "");
        assert_eq!(find(dir.path()), ["core.dump", "dump.sql", "old.dump", "db/shop.sql", "db/shop.sql.gz"]);
    }

    #[test]
    fn no_more_are_offered_than_a_person_reads() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..50 {
            fs::write(dir.path().join(format!("dump{number}.sql")), "").unwrap();
        }
        assert_eq!(find(dir.path()).len(), MAX_DUMPS);
    }
}
