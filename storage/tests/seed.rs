//! What a seed makes of nothing is kept, and brought back for the same seed.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use offshoot_postgres::Silent;
use offshoot_storage::{Refresh, Seed, SeedCache, Source};
use support::TestStore;

/// What the seed makes at random stays where it did not run.
fn write_seed(script: &Path, name: &str) {
    let sql = format!("CREATE TABLE plan AS SELECT '{name}' AS name, md5(random()::text) AS mark;");
    fs::write(script, sql).unwrap();
}

/// The largest file that is kept.
fn largest(folder: &Path) -> PathBuf {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            let facts = entry.metadata().unwrap();
            if facts.is_dir() { folders.push(entry.path()) } else { files.push((facts.len(), entry.path())) }
        }
    }
    files.into_iter().max().unwrap().1
}

#[test]
fn the_same_seed_is_brought_back_and_a_changed_byte_or_a_damaged_copy_runs_it() {
    let Some(test) = TestStore::quick(18) else { return };
    let script = test.folder.path().join("seed.sql");
    let dir = test.folder.path().join("seeds");
    let refresh = || {
        let cache = SeedCache { dir: dir.clone(), max_bytes: 1 << 30, min_free_bytes: 0, inputs: None };
        let request = Refresh {
            source: Source::Empty,
            tools: None,
            masking: Vec::new(),
            seed: vec![Seed::Script(script.clone())],
            seed_cache: Some(cache),
        };
        let made = test.store().prepare_refresh(&request, &Silent).unwrap();
        let notes = made.notes.join(" ");
        test.store().replace_root(made).unwrap();
        (notes.contains("the seed did not run"), test.text("main", "SELECT name || mark FROM plan"))
    };
    write_seed(&script, "free");
    let (was_brought, first) = refresh();
    assert!(!was_brought);
    assert_eq!(refresh(), (true, first.clone()));
    write_seed(&script, "paid");
    let (was_brought, paid) = refresh();
    assert!(!was_brought && paid.starts_with("paid"), "{paid}");
    write_seed(&script, "free");
    assert_eq!(refresh(), (true, first.clone()));
    assert_eq!(SeedCache::list(&dir).seeds.len(), 2);

    // A branch that is written to, and goes on, changes nothing of what is kept.
    test.run("main", "UPDATE plan SET name = 'mine'; CHECKPOINT");
    assert_eq!(refresh(), (true, first.clone()));

    let path = largest(&dir);
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let results = [refresh(), {
        write_seed(&script, "paid");
        refresh()
    }];
    assert_eq!(results.iter().filter(|(was_brought, _)| *was_brought).count(), 1, "{results:?}");
    assert_eq!(SeedCache::clear(&dir, &Silent).unwrap().seeds.len(), 2);
}
