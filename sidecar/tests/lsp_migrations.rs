//! What the language server says beside migration files.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

#[path = "support/editor.rs"]
mod editor;
mod support;

use std::fs;

use editor::{Editor, uri};
use serde_json::{Value, json};
use support::TestRepo;

const ONE: &str = "db/migrations/1_one.sql";
const TWO: &str = "db/migrations/2_two.sql";

/// A repository with migrations of dbmate, of which the first has run on `main`.
fn with_migrations(two: &str) -> TestRepo {
    let test = TestRepo::with_database();
    fs::create_dir_all(test.repo.join("db/migrations")).unwrap();
    let file = |up: &str| format!("-- migrate:up\n{up}\n\n-- migrate:down\nselect 1;\n");
    fs::write(test.repo.join(ONE), file("create table t (id bigint primary key);")).unwrap();
    fs::write(test.repo.join(TWO), file(two)).unwrap();
    test.commit("Migrations");
    let history = "create table schema_migrations (version varchar(128) primary key);
        insert into schema_migrations values ('1'); create table t (id bigint primary key)";
    test.run(&["sql", "-c", history]).ok();
    test
}

/// Waits until the migrations have been read.
fn read(editor: &mut Editor) {
    editor.ready_on("main");
    editor.state(0, "the migrations are known", |state| state["migrations"].is_u64());
}

fn titles(lenses: &Value) -> Vec<&str> {
    lenses.as_array().unwrap().iter().map(|lens| lens["command"]["title"].as_str().unwrap()).collect()
}

fn open(editor: &mut Editor, file: &str, script: &str) {
    let document = json!({ "uri": file, "languageId": "sql", "version": 1, "text": script });
    editor.notify("textDocument/didOpen", json!({ "textDocument": document }));
}

#[test]
fn a_migration_has_its_state_and_what_can_be_done_above_it_once_somebody_wants_to_know() {
    let test = with_migrations("select 2;");
    test.run(&["engine", "stop"]).ok();
    let mut editor = Editor::open(&test, &[&test.repo]);
    read(&mut editor);
    let lenses = |editor: &mut Editor, path: &str| {
        let file = json!({ "textDocument": { "uri": uri(&test.repo.join(path)) } });
        editor.ask("textDocument/codeLens", file)
    };
    // Nobody wakes a branch for it.
    assert_eq!(titles(&lenses(&mut editor, TWO)), ["$(question) Not known on main", "Read"]);
    let state = editor.ready_on("main");
    assert_eq!(state["worktree"]["branch"]["state"], "asleep");
    editor.ask("offshoot/migrations/status", json!({ "folder": uri(&test.repo) }));
    let revision = state["migrations"].as_u64();
    editor.state(0, "it is read", |state| state["migrations"].as_u64() > revision);

    assert_eq!(titles(&lenses(&mut editor, ONE)), ["$(check) Applied to main"]);
    let two = lenses(&mut editor, TWO);
    let wanted = [
        "$(circle-outline) Pending on main",
        "Apply Here",
        "Apply on a Throwaway",
        "Preview Diff",
        "Measure Locks",
    ];
    assert_eq!(titles(&two), wanted);
    let argument = json!([{ "worktree": test.repo.to_str().unwrap(), "project": "dbmate", "path": TWO }]);
    assert_eq!(two[1]["command"]["arguments"], argument);
    assert_eq!(lenses(&mut editor, "offshoot.toml"), json!([]), "no migration");

    let at = json!({ "textDocument": { "uri": uri(&test.repo.join(ONE)) }, "position": { "line": 0, "character": 3 } });
    let hover = editor.ask("textDocument/hover", at);
    let told = hover["contents"]["value"].as_str().unwrap();
    assert!(told.starts_with("**dbmate** migration `") && told.contains("- Applied to `main`"), "{told}");
    let below = json!({ "textDocument": { "uri": uri(&test.repo.join(ONE)) }, "position": { "line": 1, "character": 3 } });
    assert_eq!(editor.ask("textDocument/hover", below), Value::Null);

    // A statement of somebody's terminal.
    let revision = editor.status["folders"][0]["state"]["migrations"].as_u64().unwrap();
    test.run(&["sql", "-c", "insert into schema_migrations values ('2')"]).ok();
    editor.notify("workspace/didChangeWatchedFiles", json!({ "changes": [] }));
    editor.state(0, "the news", |state| state["migrations"].as_u64() > Some(revision));
    assert_eq!(titles(&lenses(&mut editor, TWO)), ["$(check) Applied to main"]);

    // What ran is known when the file is another one.
    let script = fs::read_to_string(test.repo.join(TWO)).unwrap();
    fs::write(test.repo.join(TWO), script.replace("select 2", "select 22")).unwrap();
    let ran = json!({ "folder": uri(&test.repo), "path": TWO });
    let known = editor.ask("offshoot/migrations/ran", ran);
    assert_eq!((&known["branch"], &known["text"]), (&json!("main"), &json!(script)), "{known:#}");
    let none = json!({ "folder": uri(&test.repo), "path": "offshoot.toml" });
    assert_eq!(
        editor.refused("offshoot/migrations/ran", none)["message"],
        "offshoot.toml is no migration of this worktree"
    );
}

#[test]
fn a_file_that_is_a_program_is_tried_with_all_that_its_tool_would_run() {
    let test = TestRepo::with_database();
    fs::create_dir_all(test.repo.join("alembic/versions")).unwrap();
    fs::write(test.repo.join("alembic.ini"), "[alembic]\nscript_location = alembic\n").unwrap();
    fs::write(test.repo.join("alembic/env.py"), "").unwrap();
    for (name, before) in [("a1", "None"), ("b2", "'a1'")] {
        let script = format!("revision = '{name}'\ndown_revision = {before}\n\ndef upgrade():\n    pass\n");
        fs::write(test.repo.join(format!("alembic/versions/{name}.py")), script).unwrap();
    }
    let mut editor = Editor::open(&test, &[&test.repo]);
    read(&mut editor);
    let revision = editor.ready_on("main")["migrations"].as_u64();
    editor.ask("offshoot/migrations/status", json!({ "folder": uri(&test.repo) }));
    editor.state(0, "it is read", |state| state["migrations"].as_u64() > revision);
    let file = json!({ "textDocument": { "uri": uri(&test.repo.join("alembic/versions/a1.py")) } });
    let lenses = editor.ask("textDocument/codeLens", file);
    let wanted = [
        "$(circle-outline) Pending on main",
        "Apply Here, with 1 Other",
        "Apply on a Throwaway, with 1 Other",
        "Preview Diff, with 1 Other",
    ];
    assert_eq!(titles(&lenses), wanted);
}

#[test]
fn files_are_known_by_whatever_link_the_editor_came_and_those_that_are_no_migrations_are_left_alone() {
    let test = with_migrations("select 2;");
    let link = test.repo.with_file_name("link");
    std::os::unix::fs::symlink(&test.repo, &link).unwrap();
    fs::write(test.repo.join("db/migrations/2_twin.sql"), "-- migrate:up\nselect 3;\n-- migrate:down\n")
        .unwrap();
    let mut editor = Editor::open(&test, &[&link]);
    read(&mut editor);
    editor.ask("offshoot/migrations/status", json!({ "folder": uri(&link) }));
    let twin = uri(&link.join("db/migrations/2_twin.sql"));
    editor.until("the two files of one version, by the link", |editor| {
        let all = editor
            .diagnostics
            .iter()
            .filter(|(_, found)| found.as_array().is_some_and(|all| !all.is_empty()));
        let names: Vec<&String> = all.map(|(name, _)| name).collect();
        names.contains(&&twin) && names.iter().all(|name| name.contains("/link/"))
    });
    let lens = json!({ "textDocument": { "uri": uri(&link.join(ONE)) } });
    assert_eq!(titles(&editor.ask("textDocument/codeLens", lens)), ["$(check) Applied to main"]);

    // What is no migration, or lies nowhere, has nothing beside it.
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("1_one.sql");
    let unfinished = "-- migrate:up\n<<<<<<< HEAD\ncreate index i on t (id);\n";
    fs::write(&file, unfinished).unwrap();
    for name in ["untitled:Untitled-1".to_owned(), uri(&file), uri(&link.join("db/migrations/none/3_x.sql"))]
    {
        open(&mut editor, &name, unfinished);
        let document = json!({ "uri": name });
        assert_eq!(
            editor.ask("textDocument/codeLens", json!({ "textDocument": document })),
            json!([]),
            "{name}"
        );
        let range = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 9, "character": 0 } });
        let actions = json!({ "textDocument": document, "range": range, "context": { "diagnostics": [] } });
        assert_eq!(editor.ask("textDocument/codeAction", actions), json!([]), "{name}");
        let at = json!({ "textDocument": document, "position": { "line": 0, "character": 0 } });
        assert_eq!(editor.ask("textDocument/hover", at), Value::Null, "{name}");
    }
    // The same in a migration of the worktree: told, and nothing more.
    let two = link.join(TWO);
    fs::write(&two, unfinished).unwrap();
    open(&mut editor, &uri(&two), unfinished);
    editor.notify("workspace/didChangeWatchedFiles", json!({ "changes": [] }));
    editor.until("the unfinished merge", |editor| {
        let found = editor.diagnostics.get(&uri(&two)).and_then(Value::as_array);
        found.is_some_and(|all| {
            all.iter().any(|one| one["code"] == "conflictMarkers" && one["range"]["start"]["line"] == 1)
        })
    });
    let lens = json!({ "textDocument": { "uri": uri(&two) } });
    assert_eq!(
        titles(&editor.ask("textDocument/codeLens", lens)).len(),
        1,
        "its state, and no way to run it"
    );
}

#[test]
fn what_is_wrong_with_a_file_is_told_on_its_line_and_can_be_silenced() {
    let two = "select 2;\nalter table t add column c int not null;";
    let test = with_migrations(two);
    let mut editor = Editor::open(&test, &[&test.repo]);
    read(&mut editor);
    let (path, file) = (test.repo.join(TWO), uri(&test.repo.join(TWO)));
    let script = fs::read_to_string(&path).unwrap();
    open(&mut editor, &file, &script);
    let rules = |editor: &Editor| -> Vec<(String, u64)> {
        let found = editor.diagnostics.get(&file).and_then(Value::as_array).cloned().unwrap_or_default();
        let one = |found: &Value| {
            (
                found["code"].as_str().unwrap_or_default().to_owned(),
                found["range"]["start"]["line"].as_u64().unwrap(),
            )
        };
        found.iter().map(one).collect()
    };
    let has = |editor: &Editor, rule: &str, line: u64| rules(editor).contains(&(rule.to_owned(), line));
    editor.until("the rule", |editor| has(editor, "adding-required-field", 2));

    let range = json!({ "start": { "line": 2, "character": 0 }, "end": { "line": 2, "character": 40 } });
    let actions =
        json!({ "textDocument": { "uri": file }, "range": range, "context": { "diagnostics": [] } });
    let actions = editor.ask("textDocument/codeAction", actions);
    let ignore = actions
        .as_array()
        .unwrap()
        .iter()
        .find(|action| action["title"] == "Ignore adding-required-field for This Statement");
    let edit = &ignore.unwrap()["edit"]["changes"][&file][0];
    assert_eq!(edit["newText"], "-- offshoot:ignore adding-required-field\n");
    assert_eq!(edit["range"]["start"], json!({ "line": 2, "character": 0 }));
    let silenced = script.replace("alter table", "-- offshoot:ignore adding-required-field\nalter table");
    let change =
        json!({ "textDocument": { "uri": file, "version": 2 }, "contentChanges": [{ "text": silenced }] });
    editor.notify("textDocument/didChange", change);
    editor.until("silence", |editor| !rules(editor).iter().any(|(rule, _)| rule == "adding-required-field"));

    // What the engine says comes with the file on the disk.
    let twin = test.repo.join("db/migrations/2_twin.sql");
    fs::write(&twin, "-- migrate:up\nselect 3;\n-- migrate:down\n").unwrap();
    editor.notify("workspace/didChangeWatchedFiles", json!({ "changes": [] }));
    let twins = [file.clone(), uri(&twin)];
    editor.until("the two files of one version", |editor| {
        let found = twins.iter().filter_map(|file| editor.diagnostics.get(file));
        found.flat_map(|found| found.as_array().unwrap()).any(|found| found["code"] == "duplicateVersion")
    });
}

#[test]
fn a_statement_that_fails_is_told_where_it_stands_until_the_file_is_changed() {
    let test = with_migrations("select 2;\nselect nowhere from t;");
    let mut editor = Editor::open(&test, &[&test.repo]);
    read(&mut editor);
    let file = uri(&test.repo.join(TWO));
    let script = fs::read_to_string(test.repo.join(TWO)).unwrap();
    open(&mut editor, &file, &script);
    let params = json!({ "folder": uri(&test.repo), "throwaway": true, "workDoneToken": "try" });
    let applied = editor.ask("offshoot/migrations/apply", params);
    assert_eq!((&applied["passed"], &applied["throwaway"]), (&json!(false), &json!(true)), "{applied:#}");
    let place = |editor: &Editor| {
        let found =
            editor.diagnostics.get(&file)?.as_array()?.iter().find(|found| found["source"] == "Postgres")?;
        Some(found["range"]["start"].clone())
    };
    editor.until("the place", |editor| place(editor) == Some(json!({ "line": 2, "character": 7 })));
    let change = json!({ "textDocument": { "uri": file, "version": 2 }, "contentChanges": [{ "text": format!("{script}\n") }] });
    editor.notify("textDocument/didChange", change);
    editor.until("it is gone", |editor| place(editor).is_none());
    editor.until("the end is told", |editor| {
        editor.progress.get("try").and_then(|steps| steps.last()).is_some_and(|last| last["kind"] == "end")
    });
}

#[test]
fn rules_weigh_statements_by_the_tables_of_the_branch_and_by_what_was_measured() {
    let test = with_migrations("create index i on big (id);");
    let rows = "create table big as select generate_series(1, 20000) id; analyze big; analyze t";
    test.run(&["sql", "-c", rows]).ok();
    let mut editor = Editor::open(&test, &[&test.repo]);
    read(&mut editor);
    let (two, three) = (test.repo.join(TWO), test.repo.join("db/migrations/3_three.sql"));
    fs::write(&three, "-- migrate:up\ncreate index j on t (id);\n-- migrate:down\n").unwrap();
    editor.ask("offshoot/migrations/status", json!({ "folder": uri(&test.repo) }));
    for path in [&two, &three] {
        open(&mut editor, &uri(path), &fs::read_to_string(path).unwrap());
    }
    let found = |editor: &Editor, path: &std::path::Path, rule: &str| -> Option<(u64, String)> {
        let all = editor.diagnostics.get(&uri(path))?.as_array()?;
        let one = all.iter().find(|found| found["code"] == rule)?;
        Some((one["severity"].as_u64()?, one["message"].as_str()?.to_owned()))
    };
    let general = "require-concurrent-index-creation";
    editor.until("the size of the large table", |editor| {
        found(editor, &two, "long-index-build")
            .is_some_and(|(severity, message)| severity == 2 && message.contains("`big` (20,000 rows, "))
            && found(editor, &two, general).is_none()
    });
    editor.until("a hint about the small one", |editor| {
        found(editor, &three, general)
            .is_some_and(|(severity, message)| severity == 4 && message.contains("(0 rows, 0 bytes)"))
    });
    let range = json!({ "start": { "line": 1, "character": 0 }, "end": { "line": 1, "character": 9 } });
    let wanted =
        json!({ "textDocument": { "uri": uri(&two) }, "range": range, "context": { "diagnostics": [] } });
    let actions = editor.ask("textDocument/codeAction", wanted);
    let title = "Build the Index CONCURRENTLY, Outside of a Transaction";
    let fix = actions.as_array().unwrap().iter().find(|action| action["title"] == title).unwrap();
    let edits = fix["edit"]["changes"][&uri(&two)].as_array().unwrap();
    let texts: Vec<_> = edits.iter().map(|edit| edit["newText"].as_str().unwrap()).collect();
    assert_eq!(texts, [" CONCURRENTLY", " transaction:false"]);

    let params = json!({ "folder": uri(&test.repo), "throwaway": true, "measure": true });
    let applied = editor.ask("offshoot/migrations/apply", params);
    assert_eq!(applied["passed"], json!(true), "{applied:#}");
    editor.until("what it cost", |editor| {
        [general, "long-index-build"].iter().any(|rule| {
            found(editor, &two, rule)
                .is_some_and(|(_, message)| message.contains("Measured on a throwaway: "))
        })
    });
    let other = fs::read_to_string(&two).unwrap().replace("(id)", "(id desc)");
    let change =
        json!({ "textDocument": { "uri": uri(&two), "version": 2 }, "contentChanges": [{ "text": other }] });
    editor.notify("textDocument/didChange", change);
    editor.until("sizes again, as nobody measured this", |editor| {
        found(editor, &two, "long-index-build").is_some_and(|(_, message)| !message.contains("Measured"))
    });
}

#[test]
fn two_repositories_of_a_window_have_each_their_tool() {
    let test = with_migrations("select 2;");
    let other = test.root().join("other");
    fs::create_dir_all(other.join("sql")).unwrap();
    fs::write(other.join("flyway.toml"), "[flyway]\nlocations = [\"filesystem:sql\"]\n").unwrap();
    fs::write(other.join("sql/V1__one.sql"), "create table other (id bigint primary key);\n").unwrap();
    test.git_in(&other, &["init", "-q", "-b", "main"]);
    test.git_in(&other, &["add", "."]);
    test.git_in(&other, &["-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "-q", "-m", "first"]);
    let bin_dir = support::postgres_bin_dir();
    test.run_in(&other, &["init", "--empty", "--bin-dir", bin_dir.to_str().unwrap()]).ok();
    let mut editor = Editor::open(&test, &[&test.repo, &other]);
    read(&mut editor);
    editor.state(1, "the other one is known", |state| state["migrations"].is_u64());
    for (folder, path, tool, icon) in [
        (&test.repo, ONE, "dbmate", "$(check) Applied to main"),
        (&other, "sql/V1__one.sql", "flyway", "$(circle-outline) Pending on main"),
    ] {
        let status = editor.ask("offshoot/migrations/status", json!({ "folder": uri(folder) }));
        let tools: Vec<_> = status["projects"].as_array().unwrap().iter().map(|one| &one["tool"]).collect();
        assert_eq!(tools, [&json!(tool)]);
        let document = json!({ "textDocument": { "uri": uri(&folder.join(path)) } });
        let mut lens = Value::Null;
        // What was asked for comes with the news of it.
        for _ in 0..100 {
            lens = editor.ask("textDocument/codeLens", document.clone());
            if titles(&lens)[0] == icon {
                break;
            }
            let seen = editor.statuses;
            editor.until("news", |editor| editor.statuses > seen);
        }
        assert_eq!(titles(&lens)[0], icon);
    }
}

#[test]
fn a_branch_says_where_its_migrations_go_and_that_can_be_tried() {
    let test = with_migrations("select 2;");
    fs::write(test.repo.join("offshoot.toml"), "[[tiers]]\nbranch = 'main'\nchecks = ['reversible']\n")
        .unwrap();
    test.git(&["add", "."]);
    test.commit("Files");
    test.git(&["checkout", "-q", "-b", "feature"]);
    let mut editor = Editor::open(&test, &[&test.repo]);
    let state = editor.ready_on("feature");
    let goes = |name: &str| {
        let branches = state["branches"].as_array().unwrap();
        branches.iter().find(|branch| branch["name"] == name).unwrap()["promotesTo"].clone()
    };
    assert_eq!((goes("feature"), goes("main")), (json!("main"), Value::Null));

    let folder = uri(&test.repo);
    let params = json!({ "folder": folder, "branch": "feature", "dryRun": true, "workDoneToken": "p" });
    let tried = editor.ask("offshoot/promote", params);
    assert_eq!((&tried["to"], &tried["lacked"]), (&json!("main"), &json!([TWO])), "{tried:#}");
    let names: Vec<_> = tried["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert_eq!(names, ["applies", "reversible"]);
    assert_eq!(editor.progress["p"][0]["title"], "Trying a promotion");
    let refused = editor.refused("offshoot/promote", json!({ "folder": folder, "branch": "main" }));
    assert!(refused["message"].as_str().unwrap().contains("`main` is the last tier"), "{refused}");
}

#[test]
fn what_was_agreed_to_is_promoted_or_nothing_is() {
    let test = with_migrations("select 2;");
    fs::write(test.repo.join("offshoot.toml"), "[[tiers]]\nbranch = 'main'\n").unwrap();
    test.git(&["add", "."]);
    test.commit("Files");
    test.git(&["checkout", "-q", "-b", "feature"]);
    let mut editor = Editor::open(&test, &[&test.repo]);
    editor.ready_on("feature");
    let params = json!({ "folder": uri(&test.repo), "branch": "feature", "dryRun": true });
    let tried = editor.ask("offshoot/promote", params);
    assert_eq!(tried["lacked"], json!([TWO]), "{tried:#}");
    test.commit("Later");
    let params = json!({ "folder": uri(&test.repo), "branch": "feature", "commit": tried["commit"] });
    let refused = editor.refused("offshoot/promote", params);
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("since its migrations were tried") && message.contains("nothing was promoted"),
        "{refused}"
    );
    let ran = test.run(&["sql", "--branch", "main", "-c", "select version from schema_migrations"]).ok();
    assert!(!ran.contains('2'), "{ran}");
}
