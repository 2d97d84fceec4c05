//! Promotion of migrations from tier to tier: what each check stops, and what it lets through.

use super::*;

const TIERS: &str = "\
[[branches]]
pattern = 'feature/**'
parent = 'staging'

[[branches]]
pattern = 'staging'
parent = 'main'

[[branches]]
pattern = 'main'
protected = true

[[tiers]]
branch = 'staging'

[[tiers]]
branch = 'main'
checks = ['idempotent', 'reversible', 'no-drift', 'lint', 'command']
max_lock = '5m'
max_rewrite = '1GB'

[migrations]
check_command = 'test ! -e fails'

[restore]
window = 'off'
";

/// All at once: the engine reads the file whenever it changes.
fn rules(test: &TestRepo, content: &str) {
    let beside = test.root().join("rules");
    fs::write(&beside, content).unwrap();
    fs::rename(beside, test.repo.join("offshoot.toml")).unwrap();
}

/// Two tiers, and the git branch `feature/x` with two migrations that neither has.
fn with_tiers() -> TestRepo {
    let test = TestRepo::with_database();
    rules(&test, TIERS);
    install_tool(&test);
    test.git(&["add", "."]);
    test.commit("rules");
    test.run(&["branch", "create", "staging"]).ok();
    test.git(&["branch", "staging"]);
    test.git(&["checkout", "-q", "-b", "feature/x"]);
    write(&test, "db/migrations/001_item.sql", ONE);
    write(&test, "db/migrations/002_tag.sql", TWO);
    test.git(&["add", "."]);
    test.commit("migrations");
    // The database branch is there before anything is counted.
    test.run(&["url"]).ok();
    test.git(&["checkout", "-q", "main"]);
    test.run(&["url"]).ok();
    test
}

fn tables(test: &TestRepo, branch: &str) -> String {
    let sql = "select coalesce(string_agg(relname, ' ' order by relname), '') from pg_class
               where relkind = 'r' and relnamespace = 'public'::regnamespace";
    let result = test.run(&["sql", "--branch", branch, "--json", "-c", sql]).json();
    result["results"][0]["rows"][0][0].as_str().unwrap().to_owned()
}

fn outcomes(promoted: &Value) -> Vec<String> {
    let checks = promoted["checks"].as_array().unwrap();
    let told =
        |check: &Value| format!("{} {}", check["name"].as_str().unwrap(), check["outcome"].as_str().unwrap());
    checks.iter().map(told).collect()
}

fn json(ran: &support::Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"))
}

#[test]
fn migrations_go_from_tier_to_tier_with_the_projects_tool_and_can_be_undone() {
    let test = with_tiers();
    let explained = test.run(&["policy", "explain", "main"]).ok();
    assert!(
        explained.contains("tier.checks") && explained.contains("applies; idempotent; reversible;"),
        "{explained}"
    );
    let explained = test.run(&["policy", "explain", "feature/x"]).ok();
    assert!(explained.contains("promoted to `staging`"), "{explained}");

    let early = test.run(&["promote", "--yes", "feature/x", "--to", "main"]).fails(128);
    assert!(
        early.contains("`feature/x` goes to `staging` before `main` (offshoot.toml, line 14)"),
        "{early}"
    );
    let wrong = test.run(&["promote", "--yes", "feature/x", "--to", "stagin"]).fails(128);
    assert!(wrong.contains("`stagin` is no tier") && wrong.contains("Did you mean `staging`?"), "{wrong}");

    // Nothing of a trial stays. The work tree, in which nothing of this is checked out, takes no part.
    let tried = test.run(&["promote", "--yes", "feature/x", "--dry-run"]).ok();
    assert!(
        tried.contains("staging lacks 2 migrations of feature/x") && tried.contains("They can be promoted."),
        "{tried}"
    );
    assert_eq!(tables(&test, "staging"), "");
    // Its first start is behind it; what a second trial makes is gone again.
    let folders = branch_folders(&test);
    test.run(&["promote", "--yes", "feature/x", "--dry-run", "--json"]).ok();
    assert_eq!((tables(&test, "staging"), branch_folders(&test)), (String::new(), folders));

    let promoted = test.run(&["promote", "--yes", "feature/x"]).ok();
    assert!(
        promoted.contains("staging has 2 migrations of feature/x now.")
            && promoted.contains("`offshoot migrations undo --branch staging` goes back to it"),
        "{promoted}"
    );
    assert_eq!(tables(&test, "staging"), "item schema_migrations");
    assert_eq!(tables(&test, "main"), "");
    assert!(
        test.run(&["promote", "--yes", "feature/x"])
            .ok()
            .contains("staging has all migrations that are committed on feature/x")
    );
    assert!(!test.repo.join("db").exists());
    let log = test.run(&["log", "staging"]).ok();
    assert!(log.contains("001_item.sql, 002_tag.sql applied"), "{log}");

    // The next tier wants more, all of which holds; that it is protected is no obstacle. What git's branch does not have is not promoted.
    assert!(
        test.run(&["promote", "--yes", "staging"])
            .ok()
            .contains("main has all migrations that are committed on staging")
    );
    test.git(&["branch", "-f", "staging", "feature/x"]);
    let promoted = json(&test.run(&["promote", "--yes", "staging", "--json"]));
    assert_eq!(
        outcomes(&promoted),
        [
            "applies passed",
            "idempotent passed",
            "reversible passed",
            "no-drift passed",
            "lint passed",
            "command passed",
            "max_lock passed",
            "max_rewrite passed"
        ],
        "{promoted:#}"
    );
    assert_eq!((promoted["passed"].as_bool(), promoted["lacked"].as_array().unwrap().len()), (Some(true), 2));
    assert_eq!(tables(&test, "main"), "item schema_migrations");
    assert!(test.run(&["promote", "--yes", "main"]).fails(128).contains("`main` is the last tier"));
    let undo = ["migrations", "undo", "--branch", "staging", "--yes"];
    test.run(&undo).ok();
    assert_eq!(tables(&test, "staging"), "");
}

#[test]
fn each_check_stops_what_does_not_hold_and_says_what() {
    let test = with_tiers();
    test.run(&["promote", "--yes", "feature/x"]).ok();
    test.git(&["branch", "-f", "staging", "feature/x"]);
    test.run(&["promote", "--yes", "staging"]).ok();
    let commit = |name: &str, text: &str| {
        test.git(&["checkout", "-q", "-B", "staging", "feature/x"]);
        write(&test, &format!("db/migrations/{name}"), text);
        test.git(&["add", "."]);
        test.commit(name);
        test.git(&["checkout", "-q", "main"]);
    };
    let refused = |check: &str, with: &[&str]| {
        let ran = test.run(&[&["promote", "--yes", "staging", "--json"] as &[&str], with].concat());
        let promoted = json(&ran);
        let found = promoted["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["outcome"] != "passed")
            .unwrap()
            .clone();
        assert_eq!(found["name"], check, "{promoted:#}");
        assert_eq!((ran.code, promoted["passed"].as_bool(), promoted.get("applied")), (1, Some(false), None));
        assert_eq!(tables(&test, "main"), "item schema_migrations");
        found["message"].as_str().unwrap().to_owned()
    };
    let up_only = |sql: &str| format!("-- migrate:up\n{sql};\n-- migrate:down\n");

    // It fails on a throwaway: no override goes past that.
    commit("003_wrong.sql", &up_only("alter table item add wrong nothing"));
    let said = refused("applies", &["--override"]);
    assert!(said.contains("db/migrations/003_wrong.sql:2:"), "{said}");
    // No way back; the schema is another one after it.
    commit(
        "003_half.sql",
        "-- migrate:up\nalter table item add a int, add b int;\n-- migrate:down\nalter table item drop a;\n",
    );
    let said = refused("reversible", &[]);
    assert!(said.contains("the schema is not what it was before: table item"), "{said}");
    // The repository's own command, and one file that is good.
    test.git(&["checkout", "-q", "-B", "staging", "feature/x"]);
    write(&test, "fails", "");
    write(
        &test,
        "db/migrations/003_part.sql",
        "-- migrate:up\ncreate table part ();\n-- migrate:down\ndrop table part;\n",
    );
    test.git(&["add", "."]);
    test.commit("fails");
    test.git(&["checkout", "-q", "main"]);
    refused("command", &[]);
    // A change of the tier by hand.
    test.run(&["sql", "--branch", "main", "-c", "create index by_hand on item (tag)"]).ok();
    commit("003_part.sql", "-- migrate:up\ncreate table part ();\n-- migrate:down\ndrop table part;\n");
    let said = refused("no-drift", &[]);
    assert!(said.contains("main differs from what its migrations make: ") && said.contains("item"), "{said}");
    test.run(&["sql", "--branch", "main", "-c", "drop index by_hand"]).ok();
    // What it costs.
    test.run(&["sql", "--branch", "main", "-c", "insert into item select n from generate_series(1, 2000) n"])
        .ok();
    commit(
        "003_big.sql",
        "-- migrate:up\nalter table item alter id type bigint;\n-- migrate:down\nalter table item alter id type int;\n",
    );
    let strict = TIERS.replace("1GB", "1KB");
    rules(&test, &strict);
    let said = refused("max_rewrite", &[]);
    assert!(
        said.contains("are written anew (table public.item") && said.contains("and may be 1.0 KB"),
        "{said}"
    );
    rules(&test, &TIERS.replace("'5m'", "'0s'"));
    let said = refused("max_lock", &[]);
    assert!(said.contains("public.item is closed to writers for "), "{said}");

    // A tier whose checks nobody goes past, and one where a person may.
    rules(&test, &strict.replace("max_rewrite", "override = false\nmax_rewrite"));
    refused("max_rewrite", &["--override"]);
    rules(&test, &strict);
    let told = test.run(&["promote", "--yes", "staging"]);
    assert!(told.out.contains("offshoot promote staging --to main --override"), "{}", told.out);
    told.fails(1);
    let over = test.run(&["promote", "--yes", "staging", "--override"]).ok();
    assert!(
        over.contains("main has 1 migration of staging now.") && over.contains("was gone past"),
        "{over}"
    );
}

#[test]
fn a_trial_without_the_tool_does_not_say_that_they_can_be_promoted() {
    let test = with_tiers();
    fs::remove_dir_all(test.repo.join("node_modules")).unwrap();
    for words in
        [&["promote", "--yes", "feature/x", "--dry-run"] as &[&str], &["promote", "--yes", "feature/x"]]
    {
        let ran = test.run(words);
        assert!(
            ran.out.contains("unknown  applies") && ran.out.contains("dbmate is not installed"),
            "{}",
            ran.out
        );
        assert!(!ran.out.contains("They can be promoted"), "{}", ran.out);
        ran.fails(1);
    }
    assert_eq!(tables(&test, "staging"), "");
    install_tool(&test);
    test.run(&["promote", "--yes", "feature/x", "--dry-run"]).ok();
}

#[test]
fn what_was_promoted_to_a_tier_and_is_not_merged_in_git_is_told_where_nothing_goes_on_from_it() {
    let test = with_tiers();
    test.git(&["checkout", "-q", "staging"]);
    write(
        &test,
        "db/migrations/000_first.sql",
        "-- migrate:up\ncreate table first ();\n-- migrate:down\ndrop table first;\n",
    );
    test.git(&["add", "."]);
    test.commit("first");
    test.git(&["checkout", "-q", "main"]);
    test.run(&["promote", "--yes", "staging"]).ok();
    // What git's own `staging` lacks.
    test.run(&["promote", "--yes", "feature/x"]).ok();
    let told = test.run(&["promote", "--yes", "staging"]).ok();
    assert!(
        told.contains("main has all migrations that are committed on staging; nothing was run.")
            && told.contains(
                "the database branch staging has 2 migrations that the git branch staging does not have"
            )
            && told.contains("commit or merge it there first"),
        "{told}"
    );
    assert_eq!(tables(&test, "main"), "first schema_migrations");
}

#[test]
fn a_tool_that_fails_on_the_tier_itself_leaves_nothing_half_done() {
    let test = with_tiers();
    test.run(&["sql", "--branch", "staging", "-c", "create table kept as select 1 n"]).ok();
    // The first file is applied, and then the tool fails, on the branch itself alone: there it runs for the second time.
    let real = fs::read_to_string(test.repo.join("node_modules/.bin/dbmate")).unwrap();
    let counter = test.root().join("runs");
    let script = format!(
        "echo x >> {0}\nif [ $(wc -l < {0}) = 2 ]; then rm db/migrations/002_tag.sql; (\n{1}\n); exit 3; fi\n{1}",
        counter.display(),
        real.trim_start_matches("#!/bin/sh\n").replace("exec ", "")
    );
    install_script(&test, &script);
    let ran = test.run(&["promote", "--yes", "feature/x"]);
    assert!(
        ran.out.contains("It failed on staging itself, which is again what it was before."),
        "{}{}",
        ran.out,
        ran.err
    );
    assert_eq!(ran.code, 1);
    assert_eq!(tables(&test, "staging"), "kept");
    fs::remove_file(&counter).unwrap();
    fs::write(&counter, "x\nx\n").unwrap();
    test.run(&["promote", "--yes", "feature/x"]).ok();
    assert_eq!(tables(&test, "staging"), "item kept schema_migrations");
}

/// Makes the tool stop for good at its `at`th run, behind `does`, and tell its pid in the file that is returned.
fn stopping_tool(test: &TestRepo, at: usize, does: &str) -> std::path::PathBuf {
    install_tool(test);
    let real = fs::read_to_string(test.repo.join("node_modules/.bin/dbmate")).unwrap();
    let real = real.trim_start_matches("#!/bin/sh\n").replace("exec ", "");
    let (counter, mark) = (test.root().join("runs"), test.root().join("stopped"));
    for old in [&counter, &mark] {
        let _ = fs::remove_file(old);
    }
    let does = does.replace("TOOL", &format!("(\n{real}\n)"));
    let script = format!(
        "echo x >> {0}\nif [ $(wc -l < {0}) = {at} ]; then {does}\necho $$ > {1}.new; mv {1}.new {1}; exec sleep 600; fi\n{real}",
        counter.display(),
        mark.display()
    );
    install_script(test, &script);
    mark
}

/// Where a promotion can be ended: in the trial, and on the tier itself before, between and behind the files. The first number
/// is that of the tool's run.
const POINTS: [(usize, &str); 4] =
    [(1, "true"), (2, "true"), (2, "rm db/migrations/002_tag.sql; TOOL"), (2, "TOOL")];

/// Begins a promotion of which the tool stops at a point; and the tool's pid.
fn promotion_at(test: &TestRepo, (at, does): (usize, &str)) -> (std::process::Child, String) {
    let mark = stopping_tool(test, at, does);
    let child = test
        .command(PROGRAM)
        .args(["promote", "--yes", "feature/x"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the tool is at the point", || mark.exists());
    (child, fs::read_to_string(mark).unwrap().trim().to_owned())
}

fn snapshots(test: &TestRepo) -> usize {
    test.run(&["snapshot", "list"]).ok().matches("before-migrations").count()
}

/// That the tier is as it was and can be promoted to.
fn is_as_before(test: &TestRepo, point: (usize, &str)) {
    assert_eq!(tables(test, "staging"), "kept", "{point:?}");
    let told = test.run(&["migrations", "status", "--branch", "staging"]).ok();
    assert!(!told.contains("cut short"), "{point:?}: {told}");
}

#[test]
fn a_promotion_that_is_cancelled_leaves_the_tier_as_it_was_with_a_snapshot_and_nothing_running() {
    let test = with_tiers();
    test.run(&["sql", "--branch", "staging", "-c", "create table kept as select 1 n"]).ok();
    for point in POINTS {
        let (folders, taken) = (branch_folders(&test), snapshots(&test));
        let (child, tool) = promotion_at(&test, point);
        signal("-INT", &child.id().to_string());
        let ran = child.wait_with_output().unwrap();
        assert!(!ran.status.success(), "{point:?}: {ran:?}");
        wait_until("the tool has ended", || !is_running(&tool));
        is_as_before(&test, point);
        if point.0 == 1 {
            wait_until("the throwaway is gone", || branch_folders(&test) == folders);
        } else {
            assert_eq!(snapshots(&test), taken + 1, "{point:?}");
        }
    }
    install_tool(&test);
    test.run(&["promote", "--yes", "feature/x"]).ok();
    assert_eq!(tables(&test, "staging"), "item kept schema_migrations");
}

#[test]
fn a_promotion_whose_engine_is_killed_leaves_the_tier_as_it_was_with_a_snapshot_and_nothing_running() {
    let test = with_tiers();
    test.run(&["sql", "--branch", "staging", "-c", "create table kept as select 1 n"]).ok();
    for point in POINTS {
        let taken = snapshots(&test);
        let (child, tool) = promotion_at(&test, point);
        test.kill_engine();
        let ran = child.wait_with_output().unwrap();
        assert!(!ran.status.success(), "{point:?}: {ran:?}");
        wait_until("the tool has ended", || !is_running(&tool));
        is_as_before(&test, point);
        if point.0 == 2 {
            assert_eq!(snapshots(&test), taken + 1, "{point:?}");
        }
    }
    // What was taken back is in the trash, and taken back but once.
    test.run(&["undo", "staging"]).ok();
    assert_eq!(tables(&test, "staging"), "item kept schema_migrations");
    test.kill_engine();
    assert_eq!(tables(&test, "staging"), "item kept schema_migrations");
    install_tool(&test);
    assert!(test.run(&["promote", "--yes", "feature/x"]).ok().contains("staging has all migrations"));
}

#[test]
fn a_promotion_that_nobody_can_be_asked_about_says_what_to_do() {
    let test = with_tiers();
    let before = tables(&test, "staging");
    for words in [&["promote", "feature/x"] as &[&str], &["promote", "feature/x", "--json"]] {
        let refused = test.run(words).fails(128);
        assert!(refused.contains("nobody is there to be asked"), "{refused}");
        assert!(refused.contains("`--yes`") && refused.contains("`--dry-run`"), "{refused}");
    }
    assert_eq!(tables(&test, "staging"), before);
    test.run(&["promote", "feature/x", "--dry-run"]).ok();
    test.run(&["promote", "feature/x", "--yes"]).ok();
}

#[test]
fn a_tier_that_has_what_no_migration_made_is_told_how_to_accept_that_and_is_promoted_to_then() {
    let test = with_tiers();
    let tiers = TIERS
        .replace("branch = 'staging'\n\n[[tiers]]", "branch = 'staging'\nchecks = ['no-drift']\n\n[[tiers]]");
    rules(&test, &tiers);
    test.run(&["sql", "--branch", "staging", "-c", "create table from_dump ()"]).ok();
    test.git(&["checkout", "-q", "feature/x"]);
    let refused = test.run(&["promote", "--yes"]);
    assert!(refused.out.contains("drift --branch staging --accept`"), "{}", refused.out);
    refused.fails(1);
    test.run(&["migrations", "drift", "--branch", "staging", "--accept"]).ok();
    let done = test.run(&["promote", "--yes"]).ok();
    assert!(done.contains("staging has 2 migrations of feature/x now."), "{done}");
}
