//! Links, pipes, devices and names that are no text in a folder of migrations: named, never read without end.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use offshoot_migrations::{Code, DiskSource, FILE_MAX, History, Observed, Scan, Scanner, Source as _, State};

const ONE: &str = "-- migrate:up\nselect 1;\n-- migrate:down\n";

struct Tree(tempfile::TempDir);

impl Tree {
    /// One migration of dbmate in `repository`, and a file `outside.sql` beside it.
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(tree.path("db/migrations")).unwrap();
        fs::write(tree.path("db/migrations/1_one.sql"), ONE).unwrap();
        fs::write(tree.path("../outside.sql"), ONE).unwrap();
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join("repository").join(path)
    }

    fn source(&self) -> DiskSource {
        DiskSource::new(self.path(""))
    }

    fn scan(&self) -> Scan {
        Scanner::default().scan(&self.source()).unwrap()
    }

    /// Paths and messages of what was left out.
    fn left_out(&self) -> Vec<(String, String)> {
        let scan = self.scan();
        assert_eq!(scan.projects[0].migrations.len(), 1, "the others are as they were");
        assert!(
            scan.diagnostics.iter().all(|found| found.code == Code::Unreadable && !found.hint.is_empty())
        );
        scan.diagnostics.into_iter().map(|found| (found.path, found.message)).collect()
    }
}

#[test]
fn what_is_no_file_is_named_and_never_opened() {
    let tree = Tree::new();
    let folder = |name: &str| tree.path("db/migrations").join(name);
    symlink("/dev/zero", folder("2_zero.sql")).unwrap();
    assert!(Command::new("mkfifo").arg(folder("3_pipe.sql")).status().unwrap().success());
    symlink(folder("3_pipe.sql"), folder("4_pipe.sql")).unwrap();
    symlink("../../../outside.sql", folder("5_outside.sql")).unwrap();
    symlink("nowhere.sql", folder("6_nowhere.sql")).unwrap();
    symlink("6_nowhere.sql", folder("7_nowhere.sql")).unwrap();
    symlink("..", folder("8_up.sql")).unwrap();
    let found = tree.left_out();
    let expected = [
        ("2_zero.sql", "a device"),
        ("3_pipe.sql", "a pipe"),
        ("4_pipe.sql", "a pipe"),
        ("5_outside.sql", "outside of the repository"),
        ("6_nowhere.sql", "to nothing"),
        ("7_nowhere.sql", "to nothing"),
        ("8_up.sql", "to a folder"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((path, message), (name, why)) in found.iter().zip(expected) {
        assert_eq!(*path, format!("db/migrations/{name}"));
        assert!(message.contains(why), "{message}");
    }
    for (name, _) in expected {
        assert!(tree.source().read(&format!("db/migrations/{name}")).is_err(), "{name}");
    }
}

#[test]
fn linked_folders_and_names_that_are_no_text_are_named() {
    let tree = Tree::new();
    symlink("db/migrations", tree.path("more-migrations")).unwrap();
    symlink("db", tree.path("documents")).unwrap();
    let name = OsStr::from_bytes(b"2_\xff.sql");
    fs::write(tree.path("db/migrations").join(name), ONE).unwrap();
    let found = tree.left_out();
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["db/migrations/2_\u{fffd}.sql", "more-migrations"], "other links are passed over");
    assert!(found[0].1.contains("not UTF-8"), "{found:?}");
    assert!(found[1].1.contains("link to a folder"), "{found:?}");
}

#[test]
fn a_link_to_a_file_of_the_tree_is_that_file() {
    let tree = Tree::new();
    fs::create_dir(tree.path("shared")).unwrap();
    fs::write(tree.path("shared/two"), ONE).unwrap();
    symlink("../../shared/two", tree.path("db/migrations/2_two.sql")).unwrap();
    let mut scanner = Scanner::default();
    let scan = scanner.scan(&tree.source()).unwrap();
    assert_eq!((scan.projects[0].migrations.len(), scan.diagnostics.len()), (2, 0));
    let before = scan.projects[0].migrations[1].blob.clone();
    fs::write(tree.path("shared/two"), format!("{ONE}select 2;\n")).unwrap();
    let scan = scanner.scan(&tree.source()).unwrap();
    assert_ne!(scan.projects[0].migrations[1].blob, before, "it is read again when its target changes");
}

#[test]
fn a_file_that_is_too_long_is_unknown_and_not_read() {
    let tree = Tree::new();
    let file = fs::File::create(tree.path("db/migrations/1_one.sql")).unwrap();
    file.set_len(FILE_MAX + 1).unwrap();
    fs::write(tree.path("dbmate.yml"), "").unwrap();
    fs::write(tree.path("db/migrations/2_two.sql"), ONE).unwrap();
    let scan = tree.scan();
    let project = &scan.projects[0];
    let long = project.diagnostics.iter().find(|found| found.code == Code::Unreadable).unwrap();
    assert!(long.message.contains("longer than 16 MiB") && long.hint.contains("Divide it"), "{long:?}");
    let status = project.status(&History::Missing, &Observed::default());
    assert_eq!(status.entries[0].state, State::Unknown);
}
