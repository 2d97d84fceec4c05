//! Bundles: a branch as a file, for another store. What is applied is what was there, page by page; what cannot be applied leaves nothing.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::fs::{self, File};
use std::io::{Seek as _, Write as _};

use offshoot_postgres::Silent;
use offshoot_storage::{
    Bundled, DriverKind, SchemaProof, SnapshotKind, StorageError, Unpacked, WriteBundle, inspect_bundle,
};
use support::layers::assert_tidy;
use support::{TestStore, check};

const MAJOR: u32 = 18;
/// Every row with its place on its page, and the definition of every table.
const PLACES: &str = "SELECT md5(string_agg(ctid::text || t::text, ',' ORDER BY ctid)) FROM t";
const FILL: &str =
    "CREATE TABLE t AS SELECT g AS id, repeat(md5(g::text), 8) AS v FROM generate_series(1, 5000) g;
    CREATE INDEX t_id ON t (id); CREATE TABLE dropped AS SELECT 1 AS n; CHECKPOINT";
const CHANGES: [&str; 3] = [
    "UPDATE t SET v = 'changed' WHERE id % 500 = 0; DELETE FROM t WHERE id > 4000; DROP TABLE dropped",
    "VACUUM t",
    "CREATE TABLE made AS SELECT g AS id FROM generate_series(1, 3000) g; CREATE SEQUENCE s; SELECT nextval('s')",
];

/// A bundle of a branch as a file, and what was said of it.
fn bundle(test: &TestStore, branch: &str, full: bool) -> Result<(File, Bundled), StorageError> {
    let branch = test.id(branch);
    let frozen_as = test.store().create_throwaway(branch).unwrap();
    let order = WriteBundle {
        branch,
        frozen_as,
        full,
        schema: SchemaProof { kind: "test".into(), hash: "1".into() },
        extensions: vec!["plpgsql".into()],
        roles: vec!["postgres".into()],
    };
    let mut file = tempfile::tempfile().unwrap();
    let made = test.store().write_bundle(&order, &mut file, &Silent);
    test.store().remove_throwaway(frozen_as).unwrap();
    file.rewind().unwrap();
    made.map(|made| (file, made))
}

fn unpack(test: &TestStore, file: &mut File, name: &str) -> Result<Unpacked, StorageError> {
    file.rewind().unwrap();
    test.store().unpack_bundle(file, Some(name), &Silent)
}

fn apply(test: &TestStore, file: &mut File, name: &str) {
    let unpacked = unpack(test, file, name).unwrap();
    assert_eq!(unpacked.notes, [] as [String; 0]);
    test.store().adopt_bundle(&unpacked, name).unwrap();
}

/// Branches and snapshots, and that there is nothing else.
fn state(test: &TestStore) -> Vec<String> {
    assert_tidy(&test.dir());
    assert_eq!(test.store().throwaways().unwrap(), []);
    let store = test.store();
    let named = |branch: &offshoot_storage::Branch| {
        let of =
            store.snapshots(branch.id).unwrap().into_iter().filter(|one| one.kind == SnapshotKind::Named);
        let snapshots: Vec<String> = of.map(|one| format!("{}@{}", branch.name, one.name)).collect();
        [vec![branch.name.clone()], snapshots].concat()
    };
    store.branches().unwrap().iter().flat_map(named).collect()
}

fn bytes(file: &mut File) -> Vec<u8> {
    let mut all = Vec::new();
    file.rewind().unwrap();
    std::io::Read::read_to_end(file, &mut all).unwrap();
    all
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn a_branch_of_a_copied_store_is_carried_page_by_page_and_leads_on() {
    if !support::has_layers() {
        return;
    }
    // Both are copies of one store.
    let Some(here) = TestStore::quick(MAJOR) else { return };
    let there = TestStore::quick(MAJOR).unwrap();
    here.create("feature", "main");
    here.run("feature", FILL);
    here.run("feature", "BEGIN; CREATE TABLE open_end (n int); ROLLBACK");
    let (mut file, made) = bundle(&here, "feature", false).unwrap();
    assert!(made.anchor.is_none() && made.facts.base.is_some() && !made.facts.is_full(), "{:?}", made.facts);
    let again = bytes(&mut bundle(&here, "feature", false).unwrap().0);
    if bytes(&mut file) != again {
        // Something was written in between: a running Postgres does that by itself.
        here.store().sleep(here.id("feature")).unwrap();
        let asleep = bytes(&mut bundle(&here, "feature", false).unwrap().0);
        assert_eq!(
            asleep,
            bytes(&mut bundle(&here, "feature", false).unwrap().0),
            "the same state, another file"
        );
    }
    apply(&there, &mut file, "theirs/feature");
    assert_eq!(there.text("theirs/feature", PLACES), here.text("feature", PLACES));
    assert_eq!(
        there.store().branch(there.id("theirs/feature")).unwrap().parent_name.as_deref(),
        Some("main")
    );
    check::assert_whole(&there, "theirs/feature", "app");
    assert_eq!(there.text("main", "SELECT count(*) FROM pg_class WHERE relname = 't'"), "0");
    there.create("onward", "theirs/feature");
    there.run("onward", "DELETE FROM t WHERE id > 10");
    assert_eq!(there.text("theirs/feature", PLACES), here.text("feature", PLACES));
    assert_eq!(state(&there), ["main", "theirs/feature", "onward"]);
    // It is there whatever becomes of the one that it was carried over.
    let taken = unpack(&there, &mut file, "onward").unwrap_err();
    assert!(matches!(taken, StorageError::BranchExists { .. }), "{taken}");
    // The other way: what was changed there comes back.
    let (mut back, _) = bundle(&there, "onward", false).unwrap();
    let refused = unpack(&here, &mut back, "back").unwrap_err();
    assert!(refused.to_string().contains("no state any more, or not yet"), "{refused}");
    assert_eq!(state(&here), ["main", "feature"]);
}

#[test]
fn a_full_bundle_is_the_base_of_small_ones_in_a_store_of_another_cluster() {
    if !support::has_layers() {
        return;
    }
    let Some(here) = TestStore::quick(MAJOR) else { return };
    let there = TestStore::made_with(DriverKind::Layers, MAJOR).unwrap();
    here.run("main", FILL);
    here.run("main", "CREATE ROLE app LOGIN PASSWORD 'of the app'; ALTER TABLE t OWNER TO app");
    here.create("feature", "main");
    for sql in CHANGES {
        here.run("feature", sql);
    }

    // Of another cluster, nothing small fits.
    let (mut small, _) = bundle(&here, "feature", false).unwrap();
    let error = unpack(&there, &mut small, "feature").unwrap_err();
    let hint = error.hint().unwrap();
    assert!(error.to_string().contains("another cluster") && hint.contains("--full"), "{error} {hint}");
    let error = bundle(&here, "main", false).err().unwrap();
    assert!(error.hint().unwrap().contains("--full"), "{error}");

    // The base once, as a whole.
    let (mut full, made) = bundle(&here, "main", true).unwrap();
    let anchor = made.anchor.unwrap();
    full.rewind().unwrap();
    let inspected = inspect_bundle(&mut full, &Silent).unwrap();
    assert_eq!(
        (inspected.facts.is_full(), &inspected.state.unwrap()[..8]),
        (true, &anchor["bundle-".len()..])
    );
    let all = bytes(&mut full);
    let password = here.store().password();
    assert!(!all.windows(password.len()).any(|window| window == password.as_bytes()), "the password");
    apply(&there, &mut full, "theirs");
    assert_eq!(there.text("theirs", PLACES), here.text("main", PLACES));
    assert_eq!(state(&there), ["main", "theirs", &format!("theirs@{anchor}")]);
    assert_eq!(state(&here), ["main", &format!("main@{anchor}"), "feature"]);

    // From then on it is small, also of what the parent became since.
    here.run("main", "INSERT INTO t SELECT g, 'later' FROM generate_series(9000, 9100) g");
    here.create("later", "main");
    for sql in CHANGES {
        here.run("later", sql);
    }
    for name in ["feature", "later"] {
        let (mut small, made) = bundle(&here, name, false).unwrap();
        let base = made.facts.base.unwrap();
        assert_eq!(base.label, format!("main@{anchor}"));
        assert!(bytes(&mut small).len() * 5 < all.len(), "{} of {}", bytes(&mut small).len(), all.len());
        apply(&there, &mut small, name);
        for query in [
            PLACES,
            "SELECT sum(id) FROM made",
            "SELECT last_value >= 1 FROM s",
            "SELECT count(*) FROM pg_class",
        ] {
            assert_eq!(there.text(name, query), here.text(name, query), "{name}: {query}");
        }
        let fork = there.store().fork_snapshot(there.id(name)).unwrap().expect("its fork point");
        let then = support::first(&mut there.connect_to_id(fork, "app"), "SELECT count(*) FROM t");
        assert_eq!(then, "5000", "{name}: what it was made of");
    }
    // And back: the snapshot is in both.
    there.create("reply", "feature");
    there.run("reply", "INSERT INTO made VALUES (-1)");
    let (mut back, _) = bundle(&there, "reply", false).unwrap();
    apply(&here, &mut back, "reply");
    assert_eq!(here.text("reply", "SELECT min(id) FROM made"), "-1");
    assert_eq!(here.text("reply", PLACES), here.text("feature", PLACES));

    check::assert_whole(&there, "later", "app");
    assert_tidy(&there.dir());
}

#[test]
fn a_bundle_that_is_damaged_or_does_not_fit_leaves_nothing() {
    if !support::has_layers() {
        return;
    }
    let Some(here) = TestStore::quick(MAJOR) else { return };
    let there = TestStore::quick(MAJOR).unwrap();
    here.create("feature", "main");
    here.run("feature", "CREATE TABLE t AS SELECT 1 AS n");
    here.store().sleep(here.id("feature")).unwrap();
    let good = bytes(&mut bundle(&here, "feature", false).unwrap().0);
    let before = state(&there);
    let refused = |bytes: &[u8], what: &str| {
        let error = unpack(&there, &mut file_of(bytes), "feature").unwrap_err();
        assert!(error.to_string().contains(what), "{what}: {error}");
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(state(&there), before, "{what}");
    };
    refused(b"", "no bundle");
    refused(b"PGDMP and so on, longer than a header", "no bundle");
    let flipped = |place: usize| {
        let mut bytes = good.clone();
        bytes[place] ^= 4;
        bytes
    };
    for share in [1, 5, 9] {
        refused(&good[..good.len() * share / 10], "damaged");
        refused(&flipped(good.len() * share / 10), "damaged");
    }
    refused(&[&good[..], b"more"].concat(), "damaged");
    let mut newer = good.clone();
    newer[8] = 9;
    refused(&newer, "format 9");
    if let Some(older) = TestStore::quick(17) {
        let error = unpack(&older, &mut file_of(&good), "feature").unwrap_err();
        assert!(error.to_string().contains("PostgreSQL 18"), "{error}");
        assert_eq!(state(&older), ["main"]);
    }
    // A base that somebody has changed by hand is found, although its name still fits.
    let layer = fs::read_dir(there.dir().join("layers")).unwrap().flatten().map(|it| it.path());
    let database = there.text("main", "SELECT oid FROM pg_database WHERE datname = 'app'");
    let catalog = there.text("main", "SELECT pg_relation_filenode('pg_class')");
    there.store().sleep(there.id("main")).unwrap();
    apply(&there, &mut file_of(&good), "known");
    let before = state(&there);
    let file = format!("base/{database}/{catalog}.d");
    let path = layer
        .map(|layer| layer.join(&file))
        .find(|path| path.metadata().is_ok_and(|it| it.len() > 8192))
        .unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len() - 1;
    bytes[end - 8192 * 2] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = unpack(&there, &mut file_of(&good), "feature").unwrap_err();
    assert!(matches!(error, StorageError::Bundle { .. }), "{error}");
    assert_eq!(state(&there), before);
}

#[test]
fn prepared_transactions_and_a_taken_name_of_a_database_are_refused() {
    if !support::has_layers() {
        return;
    }
    let Some(mut here) = TestStore::quick(MAJOR) else { return };
    let there = TestStore::quick(MAJOR).unwrap();
    here.close();
    here.settings = vec![("max_prepared_transactions".into(), "5".into())];
    here.open();
    here.create("feature", "main");
    here.run("feature", "BEGIN; CREATE TABLE t (n int); PREPARE TRANSACTION 'left'");
    let (mut file, _) = bundle(&here, "feature", false).unwrap();
    let error = unpack(&there, &mut file, "feature").unwrap_err().to_string();
    assert!(error.contains("prepared transactions"), "{error}");
    assert_eq!(state(&there), ["main"]);
}

#[test]
fn clones_refuse_bundles() {
    if support::driver() != DriverKind::Clone {
        return;
    }
    let Some(test) = TestStore::new(MAJOR) else { return };
    let error = bundle(&test, "main", true).err().unwrap();
    assert!(
        matches!(&error, StorageError::Refused { .. }) && error.to_string().contains("clones"),
        "{error}"
    );
}
