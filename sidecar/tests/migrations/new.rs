//! Drift, and new migrations of it.

use super::*;

#[test]
fn drift_becomes_a_new_migration() {
    let test = with_migrations();
    test.git(&["checkout", "-q", "-b", "feature"]);
    install_tool(&test);
    let pending = test.run(&["migrations", "new", "early"]).fails(128);
    assert!(
        pending.contains("db/migrations/001_item.sql is pending there"),
        "what is not there yet is nothing to drop: {pending}"
    );
    test.run(&["migrations", "apply"]).ok();
    test.run(&["sql", "-c", "create index item_tag on item (tag)"]).ok();
    let drift = test.run(&["migrations", "drift"]);
    assert!(drift.out.contains("~ table public.item"), "{}", drift.out);
    assert!(drift.out.contains("\n    + CREATE INDEX item_tag"), "it says what differs: {}", drift.out);
    assert!(drift.out.contains("`offshoot migrations new NAME`"), "{}", drift.out);
    drift.fails(1);
    let second = fs::read_to_string(test.repo.join("db/migrations/002_tag.sql")).unwrap();
    write(&test, "db/migrations/002_tag.sql", &second.replace("tag text", "tag varchar"));
    let edited = fs::read_to_string(test.repo.join("db/migrations/002_tag.sql")).unwrap();
    fs::remove_file(test.repo.join("db/migrations/002_tag.sql")).unwrap();
    assert!(test.run(&["migrations", "status"]).ok().contains("002 (no file)"));
    write(&test, "db/migrations/002_tag.sql", &edited);
    let shown = test.run(&["migrations", "status"]).ok();
    assert!(shown.contains("feature: diverged, 1 applied, 1 changed since"), "{shown}");
    let drift = test.run(&["migrations", "drift"]);
    assert!(
        drift.out.contains("db/migrations/002_tag.sql: ")
            && drift.out.contains("was changed after it was applied"),
        "{}",
        drift.out
    );
    assert!(
        !drift.out.contains("migrations new"),
        "an edited file is no reason for a new one: {}",
        drift.out
    );
    drift.fails(1);
    write(&test, "db/migrations/002_tag.sql", &second);

    let made = test.run(&["migrations", "new", "Index of tags", "--json"]).json();
    assert_eq!(made["files"][0], "db/migrations/003_index_of_tags.sql");
    let file = fs::read_to_string(test.repo.join("db/migrations/003_index_of_tags.sql")).unwrap();
    let (up, down) = file.split_once("-- migrate:down\n").unwrap();
    assert!(up.contains("\nCREATE INDEX item_tag") && down.starts_with("DROP INDEX"), "{file}");
    assert_eq!(made["proof"]["outcome"], "passed", "{made:#}");
    assert_eq!(
        made["inLine"],
        serde_json::json!(["offshoot branch reset feature", "offshoot migrations apply"])
    );
    let shown = test.run(&["migrations", "status"]).ok();
    assert!(
        shown.contains("it was written from feature") && !shown.contains("applies what is pending"),
        "{shown}"
    );
    let checked = test.run(&["migrations", "check", "--json"]).json();
    assert_eq!(checked["passed"], true, "{checked:#}");
    assert_eq!(checked["ran"].as_array().unwrap().len(), 3);
    let again = test.run(&["migrations", "new", "again"]).fails(128);
    assert!(again.contains("003_index_of_tags.sql is pending there"), "{again}");
    assert!(again.contains("delete db/migrations/003_index_of_tags.sql"), "{again}");

    let failed = test.run(&["migrations", "apply"]);
    assert!(
        failed.out.contains("feature seems to have what the migration makes")
            && failed.out.contains("`offshoot branch reset feature` and then `offshoot migrations apply`"),
        "{}",
        failed.out
    );
    failed.fails(1);

    fs::remove_file(test.repo.join("db/migrations/003_index_of_tags.sql")).unwrap();
    test.run(&["sql", "-c", "insert into item values (7)"]).ok();
    let made = test.run(&["migrations", "new", "index_of_tags", "--reset"]).ok();
    assert!(made.contains("feature was reset, and 3 migrations ran on it"), "{made}");
    let branch = status(&test);
    assert_eq!((&branch["standing"], &branch["applied"]), (&"upToDate".into(), &3.into()), "{branch:#}");
    assert_eq!(test.value("select count(*) from item"), "0");
    test.run(&["undo", "feature"]).ok();
    assert_eq!(test.value("select count(*) from item"), "1", "what it was is not lost");
}

#[test]
fn a_new_migration_has_what_the_branch_alone_has_though_no_file_makes_the_rest() {
    let test = TestRepo::with_database();
    write(&test, "db/migrations/002_tag.sql", TWO);
    test.git(&["add", "."]);
    test.commit("the first came with a dump");
    test.run(&["sql", "-c", "create table item (id int primary key); insert into item values (1)"]).ok();
    test.git(&["checkout", "-q", "-b", "feature"]);
    let all = "create table schema_migrations (version varchar primary key); insert into schema_migrations values ('002');
         alter table item add tag text; create table mine (id int); alter table item add must int not null default 1;
         alter table item alter must drop default";
    test.run(&["sql", "-c", all]).ok();
    test.run(&["sql", "--branch", "main", "-c", "create table came_later (id int)"]).ok();
    for from in [&[][..], &["--from", "main"]] {
        let made = test.run(&[&["migrations", "new", "mine", "--json"][..], from].concat());
        let new: Value = serde_json::from_str(&made.out).unwrap();
        let sql = new["sql"].as_str().unwrap();
        assert!(sql.contains("CREATE TABLE public.mine") && sql.contains("ADD COLUMN must"), "{sql}");
        assert!(!sql.contains("came_later") && !sql.contains("tag"), "{sql}");
        // The parent has a row, which the branch's way there did not mind.
        assert_eq!(new["proof"]["failure"]["code"], "23502", "{new:#}");
        assert!(new["notes"][0].as_str().unwrap().contains("main has changed since feature"), "{new:#}");
        made.fails(1);
        fs::remove_file(test.repo.join(new["files"][0].as_str().unwrap())).unwrap();
    }
    test.git(&["checkout", "-q", "main"]);
    test.run(&[
        "sql",
        "-c",
        "create table schema_migrations (version varchar); insert into schema_migrations values ('002')",
    ])
    .ok();
    let root = test.run(&["migrations", "new", "mine"]).fails(128);
    assert!(
        root.contains("do not run in an empty database") && root.contains("git checkout -b NAME"),
        "{root}"
    );
}

#[test]
fn of_files_without_a_history_nothing_is_taken_for_dropped() {
    let test = TestRepo::with_database();
    write(&test, "migrations/001_item.sql", "create table item (id int primary key);\n");
    test.git(&["add", "."]);
    test.commit("one");
    test.run(&["sql", "-f", "migrations/001_item.sql"]).ok();
    test.git(&["checkout", "-q", "-b", "feature"]);
    write(&test, "migrations/002_tag.sql", "alter table item add tag text;\n");
    let drift = test.run(&["migrations", "drift", "--json"]).json();
    assert_eq!((&drift["drifted"], &drift["sql"]), (&false.into(), &"".into()), "{drift:#}");
    let note = drift["notes"][0].as_str().unwrap();
    assert!(note.contains("nothing tells whether migrations/002_tag.sql ran on feature"), "{note}");

    test.run(&["sql", "-c", "create table mine (id int)"]).ok();
    let drift = test.run(&["migrations", "drift"]);
    assert!(drift.out.contains("+ table public.mine") && !drift.out.contains("item"), "{}", drift.out);
    drift.fails(1);
    let made = test.run(&["migrations", "new", "mine", "--json"]).json();
    let sql = made["sql"].as_str().unwrap();
    assert!(
        sql.starts_with("CREATE TABLE public.mine") && !sql.contains("DROP") && !sql.contains("OWNER"),
        "{sql}"
    );
    assert_eq!(made["proof"]["outcome"], "passed", "{made:#}");
    fs::remove_file(test.repo.join(made["files"][0].as_str().unwrap())).unwrap();

    test.run(&["sql", "-f", "migrations/002_tag.sql"]).ok();
    let made = test.run(&["migrations", "new", "mine", "--json"]).json();
    assert!(!made["sql"].as_str().unwrap().contains("tag"), "what ran is not made again: {made:#}");
    assert!(!made["notes"].to_string().contains("nothing tells"), "{made:#}");
}

#[test]
fn on_the_root_branch_a_new_migration_is_recorded_and_owners_are_left_out() {
    let test = with_migrations();
    install_tool(&test);
    let of_a_dump = "create role shopuser; alter role shopuser superuser; set role shopuser;
         create table item (id int primary key, tag text); revoke delete on item from shopuser;
         reset role; create table schema_migrations (version varchar primary key); insert into schema_migrations values ('001'), ('002')";
    test.run(&["sql", "-c", of_a_dump]).ok();
    let drift = test.run(&["migrations", "drift"]).ok();
    assert!(drift.contains("who owns what is not compared: objects here belong to shopuser"), "{drift}");

    test.run(&[
        "sql",
        "-c",
        "set role shopuser; create index item_tag on item (tag); create table mine (id serial)",
    ])
    .ok();
    let made = test.run(&["migrations", "new", "index", "--json"]).json();
    let file = fs::read_to_string(test.repo.join("db/migrations/003_index.sql")).unwrap();
    assert!(file.contains("CREATE TABLE public.mine") && !file.contains("OWNER"), "{file}");
    assert_eq!(made["proof"]["outcome"], "passed", "{made:#}");
    let again = test.run(&["migrations", "new", "again"]).fails(128);
    let mark = made["mark"].as_str().unwrap();
    assert!(again.contains(mark) && !again.contains("branch reset"), "{again}");
    let statement = mark.split('"').nth(1).unwrap();
    assert!(statement.ends_with("insert into schema_migrations (version) values ('003')"), "{statement}");
    test.run(&["sql", "-c", statement]).ok();
    let branch = status(&test);
    assert_eq!((&branch["standing"], &branch["applied"]), (&"upToDate".into(), &3.into()), "{branch:#}");
    test.run(&["migrations", "drift"]).ok();

    // Of a revision without a file nobody knows what was before it.
    write(&test, "alembic.ini", "[alembic]\nscript_location = py\n");
    write(&test, "py/versions/a_one.py", "revision = 'a'\ndown_revision = None\n");
    let lost =
        "create table alembic_version (version_num varchar); insert into alembic_version values ('gone')";
    test.run(&["sql", "-c", lost]).ok();
    let drift = test.run(&["migrations", "drift", "--tool", "alembic"]).fails(128);
    assert!(drift.contains("nothing tells which migrations ran: gone was applied"), "{drift}");

    // Nor does a tool that fails on an empty database say what to correct.
    write(&test, "knexfile.js", "module.exports = {};\n");
    write(&test, "migrations/1_a.js", "exports.up = () => {};\n");
    let program = "#!/bin/sh\nprintf 'migration file \"1_a.js\" failed\\nmigration failed with error: no item\\n    at x\\n' >&2\nexit 1\n";
    for name in ["knex", "npx"] {
        let path = format!("node_modules/.bin/{name}");
        write(&test, &path, program);
        fs::set_permissions(test.repo.join(&path), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let ran = "create table knex_migrations (id serial primary key, name text, batch int, migration_time timestamptz);
         insert into knex_migrations (name, batch, migration_time) values ('1_a.js', 1, now())";
    test.run(&["sql", "-c", ran]).ok();
    let drift = test.run(&["migrations", "drift", "--tool", "knex"]);
    assert!(drift.out.contains("migrations/1_a.js:1:1: migration failed with error: no item"), "{drift:?}");
    assert!(drift.out.contains("The files alone do not make a database"), "{}", drift.out);
    drift.fails(1);
}

#[test]
fn what_another_tool_of_the_repository_has_made_is_no_part_of_it() {
    let test = with_migrations();
    write(
        &test,
        "services/stock/migrations/00001_crates.sql",
        "-- +goose Up\ncreate table crate (id int);\n-- +goose Down\ndrop table crate;\n",
    );
    test.git(&["checkout", "-q", "-b", "feature"]);
    install_tool(&test);
    test.run(&["migrations", "apply", "--tool", "dbmate"]).ok();
    test.run(&["sql", "-c", "alter table item add note text"]).ok();
    let made = test.run(&["migrations", "new", "note", "--tool", "dbmate", "--json"]).json();
    let made = made["sql"].as_str().unwrap();
    assert!(made.contains("ADD COLUMN note") && !made.contains("crate"), "nobody has it: {made}");

    fs::remove_file(test.repo.join("db/migrations/003_note.sql")).unwrap();
    let goose = "create table crate (id int); create table goose_db_version (id serial primary key, version_id bigint not null, \
                 is_applied boolean not null, tstamp timestamp default now()); \
                 insert into goose_db_version (version_id, is_applied) values (0, true), (1, true)";
    test.run(&["sql", "-c", goose]).ok();
    let made = test.run(&["migrations", "new", "note", "--tool", "dbmate", "--json"]).json();
    let sql = made["sql"].as_str().unwrap();
    assert!(sql.contains("ADD COLUMN note") && !sql.contains("crate"), "it is the other tool's: {sql}");
    assert_eq!(made["proof"]["outcome"], "passed", "{made:#}");
}

#[test]
fn a_database_that_began_from_a_dump_is_compared_from_what_is_accepted_on() {
    let test = TestRepo::with_database().without_past();
    let dump = "create table item (id int primary key); create table schema_migrations (version varchar primary key)";
    test.run(&["sql", "-c", dump]).ok();
    write(
        &test,
        "db/migrations/001_tag.sql",
        "-- migrate:up\nalter table item add tag text;\n-- migrate:down\n",
    );
    test.git(&["add", "."]);
    test.commit("migrations");
    let ran = |version: &str, sql: &str| {
        test.run(&["sql", "-c", &format!("{sql}; insert into schema_migrations values ('{version}')")]).ok();
    };
    // Before any ran the tables are what no migration made; then the files do not run alone.
    for first in [true, false] {
        let drift = test.run(&["migrations", "drift"]);
        assert!(drift.out.contains("`offshoot migrations drift --branch main --accept`"), "{}", drift.out);
        drift.fails(1);
        if first {
            ran("001", "alter table item add tag text");
        }
    }
    let taken = test.run(&["migrations", "drift", "--accept"]).ok();
    assert!(taken.contains("The schema of main is taken as given."), "{taken}");
    test.run(&["migrations", "drift"]).ok();
    // What runs later is compared, and what is done by hand.
    write(
        &test,
        "db/migrations/002_note.sql",
        "-- migrate:up\nalter table item add note text;\n-- migrate:down\n",
    );
    ran("002", "alter table item add note text");
    let drift = test.run(&["migrations", "drift", "--json"]).json();
    assert_eq!((&drift["drifted"], &drift["replayed"]), (&false.into(), &1.into()), "{drift:#}");
    test.run(&["sql", "-c", "create index item_note on item (note)"]).ok();
    let drift = test.run(&["migrations", "drift"]);
    assert!(
        drift.out.contains("+ CREATE INDEX item_note") && !drift.out.contains("--accept"),
        "{}",
        drift.out
    );
    drift.fails(1);
    // Also on branches of it; and the root's own difference can be written.
    test.git(&["checkout", "-q", "-b", "feature"]);
    test.run(&["migrations", "drift"]).fails(1);
    test.git(&["checkout", "-q", "main"]);
    let made = test.run(&["migrations", "new", "index", "--json"]).json();
    assert_eq!(made["proof"]["outcome"], "passed", "{made:#}");
    assert!(made["sql"].as_str().unwrap().contains("CREATE INDEX item_note"), "{made:#}");
    test.run(&["sql", "-c", "drop index item_note"]).ok();
    test.run(&["migrations", "drift"]).ok();
}
