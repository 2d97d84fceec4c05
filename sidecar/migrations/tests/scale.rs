//! Re-reading only what changed, and how long it takes for many files and branches.
#![allow(missing_docs, clippy::unwrap_used, clippy::similar_names)]

use std::time::Instant;

use offshoot_migrations::{DiskSource, History, MemorySource, Observed, Rows, Scanner, Standing};

fn migration(number: usize) -> (String, String) {
    (
        format!("migrations/{number:05}_step.sql"),
        format!(
            "-- migrate:up\nalter table t add column c{number} int;\n-- migrate:down\nalter table t drop column c{number};\n"
        ),
    )
}

#[test]
fn a_saved_file_is_the_only_one_that_is_read_again() {
    let mut source = MemorySource::new((1..=2000).map(migration));
    let mut scanner = Scanner::default();
    assert!(scanner.scan(&source).unwrap().reads >= 2000);
    assert_eq!(scanner.scan(&source).unwrap().reads, 0);
    source.write("migrations/01000_step.sql", "-- migrate:up\nselect 2;\n");
    let scan = scanner.scan(&source).unwrap();
    // Once as a migration, and at most once more to see whose it is.
    assert!(scan.reads <= 2, "{} files were read", scan.reads);
    assert_eq!(scan.projects[0].migrations.len(), 2000);
}

#[test]
#[ignore = "a measurement"]
fn two_thousand_migrations_on_twenty_branches() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("migrations")).unwrap();
    for (path, text) in (1..=2000).map(migration) {
        std::fs::write(dir.path().join(path), text).unwrap();
    }
    let rows = |count: usize| {
        let rows = (1..=count).map(|number| format!("{{\"version\": \"{number:05}\"}}"));
        rows.collect::<Vec<_>>()
    };
    let branches: Vec<_> = (0..20).map(|branch| rows(2000 - branch)).collect();
    let source = DiskSource::new(dir.path());
    let mut scanner = Scanner::default();
    let whole = |scanner: &mut Scanner| {
        let start = Instant::now();
        let scan = scanner.scan(&source).unwrap();
        let scanned = start.elapsed();
        for (branch, rows) in branches.iter().enumerate() {
            let status =
                scan.projects[0].status(&History::Rows(Rows::parse(rows).unwrap()), &Observed::default());
            assert_eq!(status.standing, if branch == 0 { Standing::UpToDate } else { Standing::Behind });
        }
        (scanned, start.elapsed(), scan.reads)
    };
    let (scanned, all, reads) = whole(&mut scanner);
    eprintln!("cold: scan {scanned:?}, with the status of 20 branches {all:?}, {reads} files read");
    std::fs::write(dir.path().join("migrations/01000_step.sql"), "-- migrate:up\nselect 2;\n").unwrap();
    let (scanned, all, reads) = whole(&mut scanner);
    eprintln!("after a save: scan {scanned:?}, with the status of 20 branches {all:?}, {reads} files read");
}
