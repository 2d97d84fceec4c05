//! What git did that leaves something to decide: told once, and nothing is done by itself.

use std::fs;

use postgres::{Client, NoTls};
use serde_json::Value;

use crate::support::{TestRepo, wait_until};

impl TestRepo {
    /// A repository whose `main` has a migration of dbmate's, applied.
    fn with_migration() -> Self {
        let test = Self::with_database();
        test.migration("001_item", "create table item (n int)");
        test.run(&["sql", "-c", "create table schema_migrations (version varchar primary key)"]).ok();
        test.applied("001", "create table item (n int)");
        test
    }

    /// Commits a migration.
    fn migration(&self, name: &str, sql: &str) {
        let folder = self.repo.join("db/migrations");
        fs::create_dir_all(&folder).unwrap();
        let text = format!("-- migrate:up\n{sql};\n-- migrate:down\n");
        fs::write(folder.join(format!("{name}.sql")), text).unwrap();
        self.git(&["add", "db"]);
        self.git(&["commit", "-q", "-m", name]);
    }

    /// Does what the tool would do.
    fn applied(&self, version: &str, sql: &str) {
        let noted = format!("{sql}; insert into schema_migrations values ('{version}')");
        self.run(&["sql", "-c", &noted]).ok();
    }

    fn offers(&self) -> Vec<Value> {
        self.status()["offers"].as_array().cloned().unwrap_or_default()
    }

    /// The offers, once there are so many.
    #[track_caller]
    fn offered(&self, count: usize) -> Vec<Value> {
        let mut offers = Vec::new();
        wait_until("it is offered", || {
            offers = self.offers();
            offers.len() == count
        });
        offers
    }
}

fn text(offer: &Value) -> String {
    format!("{}\n{}", offer["text"].as_str().unwrap(), offer["hint"].as_str().unwrap())
}

#[test]
fn what_a_checkout_leaves_behind_is_told_once() {
    let test = TestRepo::with_migration();
    test.setting("switch_grace = \"50ms\"\n");
    test.git(&["checkout", "-q", "-b", "feature"]);
    test.run(&["diff"]).ok();
    test.run(&["sql", "-c", "alter table item add by_hand int"]).ok();
    test.git(&["checkout", "-q", "main"]);
    let left = &test.offered(1)[0];
    assert_eq!(
        (&left["kind"], &left["branch"], &left["changes"]),
        (&"left".into(), &"feature".into(), &true.into())
    );
    assert!(
        text(left).contains("`feature` was left with changes of its schema that are in no migration"),
        "{left}"
    );
    assert!(test.run(&["status"]).ok().contains("offshoot answer snapshot"));
    test.run(&["answer", "snapshot"]).ok();
    assert_eq!(test.offers(), [Value::Null; 0]);
    assert!(test.run(&["snapshot", "list", "feature"]).ok().contains("left-20"));

    // A migration more, and a transaction that is open.
    test.git(&["checkout", "-q", "feature"]);
    test.migration("002_tag", "create table tag ()");
    test.applied("002", "create table tag ()");
    test.run(&["migrations", "status"]).ok();
    let mut client = Client::connect(&test.url(), NoTls).unwrap();
    client.batch_execute("begin; insert into item values (1)").unwrap();
    test.git(&["checkout", "-q", "main"]);
    let left = &test.offered(1)[0];
    assert_eq!((&left["transactions"], &left["migrations"][0]), (&1.into(), &"002".into()), "{left}");
    assert!(text(left).contains("1 migration that `main` lacks"), "{left}");
    // Who comes back has left nothing.
    test.git(&["checkout", "-q", "feature"]);
    assert_eq!(test.offers(), [Value::Null; 0]);
    test.setting("on_leave = \"nothing\"\n");
    test.git(&["checkout", "-q", "main"]);
    assert_eq!(test.offers(), [Value::Null; 0]);
}

#[test]
fn a_merge_offers_its_migrations_and_the_deletion_of_its_database() {
    let test = TestRepo::with_migration().with_branches(&["one", "two", "three", "side"]);
    let change = |branch: &str, file: &str, content: &str| {
        test.git(&["checkout", "-q", branch]);
        fs::write(test.repo.join(file), content).unwrap();
        test.git(&["add", file]);
        test.git(&["commit", "-q", "-m", branch]);
        assert_eq!(test.place(), branch);
    };
    test.git(&["checkout", "-q", "one"]);
    test.migration("002_one", "create table one ()");
    change("two", "file", "two");
    change("three", "three", "three");
    change("side", "side", "side");
    test.setting("on_leave = \"nothing\"\n");
    test.git(&["checkout", "-q", "main"]);
    assert_eq!(test.place(), "main");
    test.git(&["merge", "-q", "--ff-only", "one"]);
    let merged = &test.offered(1)[0];
    assert_eq!(
        (&merged["kind"], &merged["branch"], &merged["into"]),
        (&"merged".into(), &"one".into(), &"main".into())
    );
    assert_eq!(merged["migrations"][0], "db/migrations/002_one.sql");
    assert!(text(merged).contains("on which 1 migration waits (002_one.sql)"), "{merged}");
    // Nothing ran, and nothing is gone.
    assert_eq!(test.value("select count(*) from pg_class where relname = 'one'"), "0");
    test.run(&["branch", "delete", "one"]).ok();
    assert_eq!(test.offers(), [Value::Null; 0]);

    // A conflict is none until it is committed.
    change("main", "file", "main");
    let merge = ["-c", "user.name=t", "-c", "user.email=t@example.com", "merge", "-q", "two"];
    let conflict = test.command("git").args(merge).output().unwrap();
    assert!(!conflict.status.success() && test.repo.join(".git/MERGE_HEAD").is_file());
    assert_eq!(test.offers(), [Value::Null; 0]);
    fs::write(test.repo.join("file"), "both").unwrap();
    test.git(&["commit", "-q", "-a", "-m", "both"]);
    assert_eq!(test.offered(1)[0]["branch"], "two");
    test.run(&["answer", "dismiss"]).ok();
    assert_eq!(test.offers(), [Value::Null; 0]);

    // Two at once.
    test.git(&["merge", "-q", "--no-edit", "three", "side"]);
    let mut octopus: Vec<_> = test.offered(2).iter().map(|offer| offer["branch"].to_string()).collect();
    octopus.sort();
    assert_eq!(octopus, ["\"side\"", "\"three\""]);
    assert_eq!(test.branches(), ["main", "side", "three", "two"]);
}

#[test]
fn a_rebase_and_a_revert_offer_ways_on() {
    let test = TestRepo::with_migration().with_branches(&["feature"]);
    test.setting("on_leave = \"nothing\"\n");
    test.migration("002_base", "create table base ()");
    test.git(&["checkout", "-q", "feature"]);
    test.commit("own");
    assert_eq!((test.place(), test.offers()), ("feature".into(), Vec::new()));
    test.git(&["rebase", "-q", "main"]);
    let rebased = &test.offered(1)[0];
    assert_eq!(
        (&rebased["kind"], &rebased["migrations"][0]),
        (&"rebased".into(), &"db/migrations/002_base.sql".into())
    );
    assert!(text(rebased).contains("`offshoot branch reset feature`"), "{rebased}");
    // What it had is kept.
    test.run(&["branch", "reset", "feature"]).ok();
    assert_eq!(test.offers(), [Value::Null; 0]);

    test.applied("002", "create table base ()");
    test.migration("003_wrong", "create table wrong ()");
    test.applied("003", "create table wrong ()");
    assert_eq!(test.place(), "feature");
    test.git(&["revert", "--no-edit", "HEAD"]);
    let reverted = &test.offered(1)[0];
    assert_eq!((&reverted["kind"], &reverted["migrations"][0]), (&"reverted".into(), &"003".into()));
    assert!(text(reverted).contains("`offshoot migrations undo`"), "{reverted}");
    assert_eq!(test.value("select count(*) from pg_class where relname = 'wrong'"), "1");
}

/// Where the engine has seen a git branch.
fn seen_at(test: &TestRepo, branch: &str) -> Option<String> {
    let store = rusqlite::Connection::open(test.store().join("meta.sqlite")).unwrap();
    store.busy_timeout(crate::support::PATIENCE).unwrap();
    let key = format!("tip.{branch}");
    store.query_row("SELECT value FROM settings WHERE key = ?1", [key], |row| row.get(0)).ok()
}

#[test]
fn a_merge_while_the_engine_was_away_is_offered_once() {
    let test = TestRepo::with_migration().with_branches(&["one", "two"]);
    test.setting("on_leave = \"nothing\"\n");
    for name in ["one", "two"] {
        test.git(&["checkout", "-q", name]);
        test.migration(&format!("002_{name}"), &format!("create table {name} ()"));
        assert_eq!(test.place(), name);
    }
    test.git(&["checkout", "-q", "main"]);
    let main = test.git(&["rev-parse", "main"]);
    wait_until("it is seen", || test.place() == "main" && seen_at(&test, "main").as_ref() == Some(&main));
    test.run(&["engine", "stop"]).ok();
    test.git(&["merge", "-q", "--ff-only", "one"]);
    let merged = &test.offered(1)[0];
    assert_eq!((&merged["kind"], &merged["branch"]), (&"merged".into(), &"one".into()));
    assert_eq!(merged["migrations"][0], "db/migrations/002_one.sql");
    let main = test.git(&["rev-parse", "main"]);
    wait_until("it is seen", || seen_at(&test, "main").as_ref() == Some(&main));
    test.kill_engine();
    test.git(&["merge", "-q", "--no-edit", "two"]);
    assert_eq!(test.offered(1)[0]["branch"], "two", "the first is not told again");
    // A branch that is gone is forgotten.
    test.git(&["branch", "-m", "one", "three"]);
    test.run(&["engine", "stop"]).ok();
    wait_until("it is forgotten", || test.run(&["status"]).code == 0 && seen_at(&test, "one").is_none());
}

#[test]
fn a_checkout_of_a_branch_without_any_migrations_tells_what_it_leaves() {
    let test = TestRepo::with_database();
    test.git(&["checkout", "-q", "-b", "feature"]);
    test.migration("001_item", "create table item (n int)");
    test.run(&["sql", "-c", "create table schema_migrations (version varchar primary key)"]).ok();
    test.applied("001", "create table item (n int)");
    test.git(&["checkout", "-q", "main"]);
    assert!(!test.repo.join("db").exists(), "no file here tells of the tool");
    let left = &test.offered(1)[0];
    assert_eq!(
        (&left["kind"], &left["branch"], &left["into"]),
        (&"left".into(), &"feature".into(), &"main".into())
    );
    assert!(text(left).contains("1 migration that `main` lacks (001_item.sql)"), "{left}");
}

#[test]
fn a_merged_branch_that_is_protected_or_a_tier_is_not_offered_to_be_deleted() {
    let test = TestRepo::with_migration().with_branches(&["release", "staging", "topic"]);
    let rules = "on_leave = \"nothing\"\n[[branches]]\npattern = \"release\"\nprotected = true\n\n[[tiers]]\nbranch = \"staging\"\n";
    test.setting(rules);
    for (name, file) in [("release", "002_release"), ("staging", "003_staging"), ("topic", "004_topic")] {
        test.git(&["checkout", "-q", name]);
        test.migration(file, &format!("create table {name} ()"));
        assert_eq!(test.place(), name);
    }
    test.git(&["checkout", "-q", "main"]);
    assert_eq!(test.place(), "main");
    for name in ["release", "staging", "topic"] {
        test.git(&["merge", "-q", "--no-edit", name]);
        wait_until("it is offered", || test.offers().iter().any(|offer| offer["branch"] == name));
    }
    for offer in test.offers() {
        let stays = offer["branch"] != "topic";
        assert_eq!(offer["keeps"].as_bool().unwrap_or(false), stays, "{offer}");
        assert_eq!(text(&offer).contains("offshoot branch delete"), !stays, "{offer}");
        assert!(text(&offer).contains("offshoot migrations apply"), "{offer}");
    }
    // With nothing to apply there is nothing left to decide about them.
    for version in ["002", "003", "004"] {
        test.run(&["sql", "-c", &format!("insert into schema_migrations values ('{version}')")]).ok();
    }
    test.run(&["status", "--dismiss"]).ok();
    assert_eq!(test.offers(), [Value::Null; 0]);
}
