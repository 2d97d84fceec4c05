//! What each file has done to each branch.

use super::*;

#[test]
fn the_status_follows_the_files_and_the_history() {
    let test = TestRepo::with_database();
    let none = test.run(&["migrations", "status"]).ok();
    assert!(none.contains("There are no migrations here"), "{none}");
    assert!(
        test.run(&["migrations", "check"]).fails(128).contains("there are no migrations in this worktree")
    );

    write(&test, "db/migrations/001_item.sql", ONE);
    write(&test, "db/migrations/002_tag.sql", TWO);
    assert_eq!(states(&status(&test)), ["pending", "pending"]);
    test.run(&["migrations", "status", "--exit-code"]).fails(1);
    record(&test, "001");
    assert_eq!(states(&status(&test)), ["applied", "pending"]);
    let shown = test.run(&["migrations", "status"]).ok();
    let (pending, applied) = (shown.find("002_tag.sql").unwrap(), shown.find("001_item.sql").unwrap());
    assert!(shown.contains("main: behind by 1, 1 applied") && pending < applied, "{shown}");

    write(&test, "db/migrations/001_item.sql", &ONE.replace("int", "bigint"));
    assert_eq!(states(&status(&test)), ["changed", "pending"], "what ran was another file");
    fs::remove_file(test.repo.join("db/migrations/001_item.sql")).unwrap();
    assert_eq!(states(&status(&test)), ["pending", "missing"]);
    let of_main = test.run(&["migrations", "status", "--ref", "HEAD", "--json"]).json();
    assert_eq!(of_main["projects"].as_array().unwrap().len(), 0, "the commit has no migrations");

    test.git(&["add", "."]);
    test.commit("the second alone");
    test.git(&["checkout", "-q", "-b", "feature"]);
    test.run(&["sql", "-c", "insert into schema_migrations values ('002')"]).ok();
    let all = test.run(&["migrations", "status", "--all", "--json"]).json();
    let branches = all["projects"][0]["branches"].as_array().unwrap();
    let seen: Vec<_> = branches
        .iter()
        .map(|one| (one["branch"].as_str().unwrap(), one["pending"].as_u64().unwrap()))
        .collect();
    assert_eq!(seen, [("feature", 0), ("main", 1)]);
    each_branch_is_judged_by_the_files_of_its_own_git_branch(&test);
    of_two_files_with_one_version_the_one_that_ran_is_named(&test);
}

fn each_branch_is_judged_by_the_files_of_its_own_git_branch(test: &TestRepo) {
    test.git(&["checkout", "-q", "main"]);
    write(test, "db/migrations/004_on_main.sql", ONE);
    test.git(&["add", "."]);
    test.commit("the fourth");
    test.git(&["checkout", "-q", "feature"]);
    test.run(&["branch", "create", "loose"]).ok();
    let all = test.run(&["migrations", "status", "--all", "--json"]).json();
    let project = &all["projects"][0];
    assert_eq!(project["files"].as_array().unwrap().len(), 1, "those of the worktree");
    let of = |name: &str| {
        let branches = project["branches"].as_array().unwrap();
        branches.iter().find(|one| one["branch"] == name).unwrap().clone()
    };
    let by: Vec<_> = ["feature", "main", "loose"].map(|name| of(name)["filesOf"].clone()).into();
    assert_eq!(by, ["asked", "gitBranch", "noGitBranch"]);
    let waiting =
        of("main")["entries"].as_array().unwrap().iter().map(|one| one["path"].clone()).collect::<Vec<_>>();
    assert!(waiting.contains(&"db/migrations/004_on_main.sql".into()), "{waiting:?}");
    assert_eq!(of("main")["absent"], Value::Null, "the worktree's only file is one of main too");
    write(test, "db/migrations/009_here.sql", ONE);
    let brief = test.run(&["migrations", "status", "--all"]).ok();
    assert!(brief.contains("pending      db/migrations/009_here.sql"), "{brief}");
    let all = test.run(&["migrations", "status", "--all", "--json"]).json();
    let main = all["projects"][0]["branches"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["branch"] == "main")
        .unwrap();
    assert_eq!(main["absent"], serde_json::json!([1]), "no entry does not mean applied: {main:#}");
    fs::remove_file(test.repo.join("db/migrations/009_here.sql")).unwrap();
    assert_eq!((&of("main")["pending"], &of("loose")["pending"]), (&2.into(), &0.into()));
    let shown = test.run(&["migrations", "status", "--all"]).ok();
    assert!(
        shown.contains("db/migrations/004_on_main.sql") && shown.contains("as no git branch has its name"),
        "{shown}"
    );
}

fn of_two_files_with_one_version_the_one_that_ran_is_named(test: &TestRepo) {
    assert_eq!(states(&status(test))[0], "applied");
    let applied = test.run(&["migrations", "apply"]).ok();
    assert!(
        applied.contains("nothing is pending") && applied.contains("Files and history differ all the same"),
        "{applied}"
    );
    write(test, "db/migrations/002_second.sql", ONE);
    // The one that ran cannot be replayed alone, so that nothing is known.
    let drift = test.run(&["migrations", "drift", "--json"]);
    let told = drift.out.clone();
    drift.fails(1);
    let drift: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&drift["drifted"], &drift["replayed"]), (&Value::Null, &1.into()), "{drift:#}");
    assert!(drift["unknown"].as_str().unwrap().starts_with("db/migrations/002_tag.sql:2:"), "{drift:#}");
    let shown = test.run(&["migrations", "status"]).ok();
    assert!(
        shown.contains("db/migrations/002_tag.sql has the same version, and is the one that ran"),
        "{shown}"
    );
    assert_eq!(states(&status(test))[..2], ["pending", "applied"], "{shown}");
    write(test, "db/migrations/002_tag.sql", "-- migrate:up\nselect 1;\n-- migrate:down\n");
    assert_eq!(states(&status(test))[..2], ["unknown", "unknown"], "neither is what was seen to run");
}

#[test]
fn what_cannot_be_told_is_never_called_applied() {
    let test = with_migrations();
    record(&test, "001,002");
    write(&test, "db/migrations/002_tag.sql", "<<<<<<< HEAD\n-- migrate:up\n=======\n>>>>>>> other\n");
    let branch = test.run(&["migrations", "status", "--json"]).json();
    let project = &branch["projects"][0];
    assert_eq!(states(&project["branches"][0]), ["applied", "changed"]);
    let codes: Vec<_> =
        project["diagnostics"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"conflictMarkers"), "{codes:?}");

    test.run(&[
        "sql",
        "-c",
        "drop table schema_migrations; create view schema_migrations as select 1 / 0 as version",
    ])
    .ok();
    let branch = status(&test);
    assert_eq!(
        (branch["standing"].as_str(), states(&branch)),
        (Some("unknown"), vec!["unknown".to_owned(); 2])
    );
    let refused = test.run(&["migrations", "apply"]).fails(128);
    assert!(refused.contains("could not be read") && refused.contains("is no table"), "{refused}");

    write(&test, "offshoot.toml", "[migrations]\non_checkout = 'aply'\n");
    let notes = test.run(&["status"]).ok();
    assert!(notes.contains("Did you mean \"apply\"?"), "{notes}");
}

#[test]
fn a_status_runs_no_code_of_the_branch() {
    let test = with_migrations();
    record(&test, "001");
    let sql = |sql: &str| drop(test.run(&["sql", "-c", sql]).ok());
    sql("create type evil as enum ('b');
         create function e2j(evil) returns json language plpgsql as $$ begin raise exception 'called'; end $$;
         create cast (evil as json) with function e2j(evil);
         create domain tame as evil;
         create type pair as (left_one evil, other int);
         alter table schema_migrations add column e evil default 'b', add column es evil[] default '{b}',
             add column d tame default 'b', add column p pair default row('b', 1),
             add column history int default 1");
    assert!(
        test.run(&["sql", "-c", "select to_jsonb(s) from schema_migrations s"]).fails(1).contains("called")
    );
    assert_eq!(states(&status(&test)), ["applied", "pending"]);

    sql("create schema here;
         create function here.to_jsonb(anyelement) returns jsonb language plpgsql as $$ begin raise exception 'called'; end $$;
         create function here.same(oid, oid) returns boolean language plpgsql as $$ begin raise exception 'called'; end $$;
         create operator here.= (leftarg = oid, rightarg = oid, function = here.same);
         do $$ begin execute format('alter database %I set search_path = here, public, pg_catalog', current_database()); end $$;
         insert into schema_migrations values ('002')");
    assert_eq!(states(&status(&test)), ["applied", "applied"]);

    sql("drop table public.schema_migrations; create table public.schema_migrations (version evil);
         insert into public.schema_migrations values ('b')");
    let branch = status(&test);
    assert_eq!(states(&branch), ["unknown", "unknown"]);
    let said = branch["diagnostics"][0]["message"].as_str().unwrap();
    assert!(said.contains("has the column version") && said.contains("did not come with Postgres"), "{said}");

    sql("drop table public.schema_migrations;
         create foreign data wrapper anything;
         create server files foreign data wrapper anything;
         create table public.schema_migrations (version varchar) partition by list (version);
         create foreign table public.part partition of public.schema_migrations default server files");
    let branch = status(&test);
    assert_eq!(states(&branch), ["unknown", "unknown"]);
    let said = branch["diagnostics"][0]["message"].as_str().unwrap();
    assert!(said.contains("is a foreign table"), "{said}");
}

#[test]
fn links_to_elsewhere_are_told_of_a_worktree_and_of_a_commit() {
    let test = with_migrations();
    let folder = test.repo.join("db/migrations");
    std::os::unix::fs::symlink("/dev/zero", folder.join("003_zero.sql")).unwrap();
    std::os::unix::fs::symlink("../../two", folder.join("004_two.sql")).unwrap();
    write(&test, "two", TWO);
    test.git(&["add", "."]);
    test.commit("links");
    for of in [&["--json"][..], &["--json", "--ref", "HEAD"]] {
        let all = test.run(&[&["migrations", "status"], of].concat()).json();
        let found = all["diagnostics"].as_array().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0]["path"], "db/migrations/003_zero.sql");
        assert!(found[0]["message"].as_str().unwrap().contains("left out: it is a"), "{found:?}");
        assert_eq!(all["projects"][0]["files"].as_array().unwrap().len(), 3, "{all}");
    }
    let shown = test.run(&["migrations", "status"]).ok();
    assert!(shown.contains("003_zero.sql"), "{shown}");
}
