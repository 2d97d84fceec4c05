//! Pairs of schemas from public projects: plans between them run, and leave nothing different.
//!
//! The pairs lie in `*.jsonl` files, one object a line with `name`, `from` and `to`, in the folder that
//! `OFFSHOOT_CONFORMANCE` names, else in `../shared/conformance` beside the repository. `OFFSHOOT_CONFORMANCE_ONLY` picks pairs by a
//! part of their name and prints plans; `OFFSHOOT_CONFORMANCE_ROWS=1` puts rows into the tables of every pair, not of every fourth;
//! `OFFSHOOT_CONFORMANCE_MODE` is `exact` (the order of columns counts, dumps are equal byte by byte), `usual` or `online`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

#[path = "support/seed.rs"]
mod seed;
mod support;
#[path = "support/travel.rs"]
mod travel;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::Postgres;
use travel::{Mode, Room, both_ways};

/// Pairs that are known to fail, each with the reason: `suite/name direction`.
const KNOWN_MISSES: &[(&str, &str)] = &[
    ("migra/inherit2 forth", "a column that becomes the child's own stays where it was"),
    (
        "migra/inherit2 back",
        "a column of its own does not become an inherited one; the plan says so under what it leaves",
    ),
    (
        "stripe/local_partition_index_cases_test.go:Delete columns and associated index back",
        "a new column belongs before the partition key, whose column cannot be made anew",
    ),
    (
        "stripe/partitioned_index_cases_test.go:Delete columns and associated index back",
        "a new column belongs before the partition key, whose column cannot be made anew",
    ),
    (
        "stripe/partitioned_index_cases_test.go:Local index and columns deleted (index dropped first) back",
        "a new column belongs before the partition key, whose column cannot be made anew",
    ),
    (
        "stripe/sequence_cases_test.go:Drop sequence via deleting column (partitioned table) back",
        "a new column belongs before the partition key, whose column cannot be made anew",
    ),
    (
        "stripe/partitioned_table_cases_test.go:Can handle scenario where partition is not attached forth",
        "of two like indexes Postgres attaches the other one",
    ),
];

/// Roles that pairs need. Roles belong to the whole server, so they are made once.
const ROLES: &[&str] = &[
    "admin_role",
    "admin_user",
    "api_role",
    "api_user",
    "app_role",
    "app_user",
    "appname_apiuser",
    "column_reader",
    "demouser",
    "manager_role",
    "old_role",
    "owner_role",
    "reader",
    "readonly_role",
    "readonly_user",
    "role_1",
    "role_2",
    "schemainspect_test_role",
    "test_admin",
    "testuser",
];

struct Pair {
    suite: String,
    name: String,
    from: String,
    to: String,
}

fn folder() -> PathBuf {
    std::env::var_os("OFFSHOOT_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    )
}

fn pairs(folder: &Path) -> Vec<Pair> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let only = std::env::var("OFFSHOOT_CONFORMANCE_ONLY").unwrap_or_default();
    let mut pairs = Vec::new();
    for file in files {
        let suite = file.file_stem().unwrap().to_string_lossy().into_owned();
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| without_roles(value[name].as_str().unwrap_or_default());
            let name = value["name"].as_str().unwrap_or_default().to_owned();
            if format!("{suite}/{name}").contains(&only) {
                pairs.push(Pair { suite: suite.clone(), name, from: text("from"), to: text("to") });
            }
        }
    }
    pairs
}

/// Roles are there already.
fn without_roles(sql: &str) -> String {
    let mut text = sql.to_owned();
    for role in ROLES {
        text = text.replace(&format!("CREATE ROLE {role};"), "");
    }
    text
}

#[test]
fn plans_between_public_schemas_leave_nothing_different() {
    let folder = folder();
    let pairs = pairs(&folder);
    if pairs.is_empty() {
        eprintln!(
            "SKIPPED: there are no conformance pairs in {}; set OFFSHOOT_CONFORMANCE",
            folder.display()
        );
        return;
    }
    let Some(server) = Postgres::start(15) else { return };
    for role in ROLES {
        server.connect("postgres").batch_execute(&format!("CREATE ROLE {role}")).unwrap();
    }
    if server.dump("postgres").is_none() {
        eprintln!("SKIPPED in part: there is no pg_dump of Postgres 15, so that dumps are not compared");
    }
    let mode = Mode::wanted_or(Mode::Exact);
    // Rows take a third of the time.
    let every_pair_gets_rows = std::env::var_os("OFFSHOOT_CONFORMANCE_ROWS").is_some();
    let next = AtomicUsize::new(0);
    let misses = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (server, next, pairs, misses) = (&server, &next, &pairs, &misses);
            scope.spawn(move || {
                let mut rooms = ["a", "b"].map(|side| Room::new(server, format!("{side}{worker}")));
                while let Some((at, pair)) = take(next, pairs) {
                    for room in &mut rooms {
                        room.seeded = every_pair_gets_rows || at % 4 == 0;
                    }
                    for (direction, why) in both_ways(&mut rooms, &pair.from, &pair.to, mode) {
                        let name = format!("{}/{} {direction}", pair.suite, pair.name);
                        eprintln!("MISS {name}: {why}");
                        misses.lock().unwrap().push((name, why));
                    }
                }
            });
        }
    });
    let mut misses = misses.into_inner().unwrap();
    misses.sort();
    let mut suites: BTreeMap<&str, usize> = BTreeMap::new();
    for pair in &pairs {
        *suites.entry(&pair.suite).or_default() += 2;
    }
    for (suite, count) in &suites {
        let failed = misses.iter().filter(|(name, _)| name.starts_with(&format!("{suite}/"))).count();
        eprintln!("conformance {suite}: {} of {count} directions pass", count - failed);
    }
    for (name, why) in KNOWN_MISSES {
        if misses.iter().any(|(miss, _)| miss == name) {
            eprintln!("KNOWN MISS {name}: {why}");
        }
    }
    let known = |name: &str| KNOWN_MISSES.iter().any(|(known, _)| *known == name);
    let new: Vec<&String> = misses.iter().map(|(name, _)| name).filter(|name| !known(name)).collect();
    assert!(new.is_empty(), "{} new misses: {new:#?}", new.len());
}

fn take<'a>(next: &AtomicUsize, pairs: &'a [Pair]) -> Option<(usize, &'a Pair)> {
    let at = next.fetch_add(1, Ordering::SeqCst);
    pairs.get(at).map(|pair| (at, pair))
}
