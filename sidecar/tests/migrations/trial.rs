//! Throwaways: trials and checks.

use super::*;

#[test]
fn a_throwaway_shows_what_would_happen_and_where_it_fails() {
    let test = with_migrations();
    test.run(&["migrations", "status"]).ok();
    let folders = branch_folders(&test);
    let tried = test.run(&["migrations", "apply", "--throwaway", "--measure", "--json"]).json();
    assert_eq!((tried["passed"].as_bool(), tried["ran"].as_array().unwrap().len()), (Some(true), 2));
    assert_eq!(tried["measured"]["steps"].as_array().unwrap().len(), 2, "{tried:#}");
    assert!(tried["sql"].as_str().unwrap().contains("CREATE TABLE public.item"), "{tried:#}");
    assert_eq!(status(&test)["pending"], 2, "nothing is recorded");
    let one = test.run(&["migrations", "apply", "--throwaway", "--to", "001", "--json"]).json();
    assert_eq!(one["ran"].as_array().unwrap().len(), 1);

    write(
        &test,
        "db/migrations/003_é.sql",
        "-- migrate:up\nselect 'é';\nalter table item\n  add wrong nothing;\n-- migrate:down\n",
    );
    let failed = test.run(&["migrations", "apply", "--throwaway", "--json"]);
    let failure = serde_json::from_str::<Value>(&failed.out).unwrap()["steps"][0]["failure"].clone();
    assert_eq!(
        (failure["line"].as_u64(), failure["column"].as_u64(), failure["code"].as_str()),
        (Some(4), Some(13), Some("42704")),
        "{failure:#}"
    );
    failed.fails(1);
    assert_eq!(branch_folders(&test), folders, "throwaways are gone");
}

#[test]
fn a_check_tries_up_and_down_with_the_tool_and_without() {
    let test = with_migrations();
    test.git(&["checkout", "-q", "-b", "feature"]);
    let kinds = |report: &Value| -> Vec<String> {
        let steps = report["steps"].as_array().unwrap();
        steps
            .iter()
            .map(|step| format!("{} {}", step["kind"].as_str().unwrap(), step["outcome"].as_str().unwrap()))
            .collect()
    };
    let report = test.run(&["migrations", "check", "--json"]).json();
    assert_eq!(kinds(&report), ["apply passed", "again skipped", "down passed", "cost passed"], "{report:#}");

    install_tool(&test);
    write(
        &test,
        "offshoot.toml",
        "[migrations]\ncheck_command = 'test -n \"$DATABASE_URL\" && echo checked'\n[restore]\nwindow = 'off'\n",
    );
    let folders = branch_folders(&test);
    let file = test.root().join("report.md");
    let report = test.run(&["migrations", "check", "--json", "--report", file.to_str().unwrap()]).json();
    assert_eq!(
        kinds(&report),
        ["apply passed", "again passed", "command passed", "down passed", "cost passed"],
        "{report:#}"
    );
    assert_eq!(report["against"], "main");
    let told = fs::read_to_string(&file).unwrap();
    assert!(told.starts_with("### Migrations: passed") && told.contains("closed to readers"), "{told}");

    let both = "create table item (id int primary key, tag text);
         create table schema_migrations (version varchar primary key);
         insert into schema_migrations values ('001'), ('002')";
    test.run(&["sql", "--branch", "main", "-c", both]).ok();
    write(
        &test,
        "db/migrations/003_half.sql",
        "-- migrate:up\nalter table item add a int, add b int;\n-- migrate:down\nalter table item drop a;\n",
    );
    let failed = test.run(&["migrations", "check"]);
    assert!(failed.out.contains("the schema is not what it was before: table item"), "{}", failed.out);
    failed.fails(1);
    write(
        &test,
        "db/migrations/003_half.sql",
        "-- migrate:up\nalter table item add a nothing;\n-- migrate:down\n",
    );
    let failed = test.run(&["migrations", "check", "--markdown"]);
    assert!(failed.out.contains("db/migrations/003_half.sql:2:24"), "{}", failed.out);
    failed.fails(1);
    assert_eq!(branch_folders(&test), folders, "throwaways are gone");
    assert_eq!(status(&test)["pending"], 3, "the branch is as it was");

    write(&test, "db/migrations/003_half.sql", "-- migrate:up\nselect 1;\n-- migrate:down\n");
    write(&test, "db/migrations/001_item.sql", &ONE.replace("int", "bigint"));
    let failed = test.run(&["migrations", "check"]);
    assert!(
        failed.out.contains("db/migrations/001_item.sql was changed after main applied it")
            && failed.out.contains("git checkout main -- db/migrations/001_item.sql"),
        "{}",
        failed.out
    );
    failed.fails(1);
}

#[test]
fn the_way_back_is_not_tried_where_it_would_take_another_file() {
    let test = with_migrations();
    write(
        &test,
        "db/migrations/003_part.sql",
        "-- migrate:up\ncreate table part ();\n-- migrate:down\ndrop table part;\n",
    );
    test.run(&["sql", "-c", "create table item (id int primary key); create table part ()"]).ok();
    record(&test, "001,003");
    test.git(&["checkout", "-q", "-b", "feature"]);
    install_tool(&test);
    let report = test.run(&["migrations", "check", "--json"]).json();
    let steps = report["steps"].as_array().unwrap();
    let down = steps.iter().find(|step| step["kind"] == "down").unwrap();
    assert_eq!((&down["outcome"], &report["passed"]), (&"skipped".into(), &true.into()), "{report:#}");
    let why = down["message"].as_str().unwrap();
    assert!(why.contains("takes db/migrations/003_part.sql back first"), "{why}");

    let down = test.run(&["migrations", "down"]).ok();
    assert!(
        down.contains("taking db/migrations/003_part.sql back with dbmate")
            && down.contains("Took back 1 migration"),
        "{down}"
    );
    write(
        &test,
        "db/migrations/003_part.sql",
        "-- migrate:up\ncreate table part ();\n-- migrate:down\ndrop table nowhere;\n",
    );
    test.run(&["migrations", "apply"]).ok();
    let failed = test.run(&["migrations", "down"]);
    assert!(
        failed.out.contains("Correct the way back of the migration; or `offshoot migrations undo`"),
        "{failed:?}"
    );
    failed.fails(1);
}
