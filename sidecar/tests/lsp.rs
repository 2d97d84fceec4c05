//! The language server with a real engine, a real git and a client over pipes.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

#[path = "support/editor.rs"]
mod editor;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use editor::{Editor, uri};
use serde_json::{Value, json};
use support::{PROGRAM, TestRepo, is_running, signal, wait_until};

fn branch_names(state: &Value) -> Vec<&str> {
    state["branches"].as_array().unwrap().iter().map(|branch| branch["name"].as_str().unwrap()).collect()
}

fn is_kind(kind: &'static str) -> impl Fn(&Value) -> bool {
    move |state| state["kind"] == kind
}

#[test]
fn the_status_follows_a_checkout_in_every_window() {
    let test = TestRepo::with_database();
    let mut one = Editor::open(&test, &[&test.repo]);
    let mut other = Editor::open(&test, &[&test.repo]);
    for editor in [&mut one, &mut other] {
        let state = editor.ready_on("main");
        assert_eq!(state["worktree"]["git"], json!({ "kind": "branch", "name": "main" }));
        assert_eq!(state["schema"]["kind"], "none");
        assert!(state["worktree"]["endpoint"]["url"].as_str().unwrap().starts_with("postgres://"));
    }
    test.git(&["checkout", "-q", "-b", "feature"]);
    for editor in [&mut one, &mut other] {
        assert_eq!(branch_names(&editor.ready_on("feature")), ["main", "feature"]);
    }
    test.git(&["checkout", "-q", "main"]);
    for editor in [&mut one, &mut other] {
        assert_eq!(branch_names(&editor.ready_on("main")), ["main", "feature"]);
    }
}

#[test]
fn branches_are_made_reset_brought_back_renamed_and_deleted() {
    let test = TestRepo::with_database();
    let folder = uri(&test.repo);
    let mut editor = Editor::open(&test, &[&test.repo]);
    editor.ready_on("main");
    let made = editor.ask("offshoot/branch/create", json!({ "folder": folder, "name": "a" }));
    assert_eq!((&made["name"], &made["parent"]), (&json!("a"), &json!("main")));
    editor.state(0, "the branch is shown", |state| branch_names(state) == ["main", "a"]);

    let url = editor.ask("offshoot/url", json!({ "folder": folder, "branch": "a" }));
    assert_eq!(url["branch"], "a");
    let mut client = postgres::Client::connect(url["url"].as_str().unwrap(), postgres::NoTls).unwrap();
    client.batch_execute("create table t (n int)").unwrap();
    drop(client);
    let params = json!({ "folder": folder, "name": "a", "workDoneToken": "reset" });
    assert_eq!(editor.ask("offshoot/branch/reset", params)["name"], "a");
    editor.until("the end of the reset", |editor| {
        editor.progress.get("reset").and_then(|steps| steps.last()).is_some_and(|last| last["kind"] == "end")
    });
    let first = &editor.progress["reset"][0];
    assert_eq!((&first["kind"], &first["title"]), (&json!("begin"), &json!("Resetting a")));
    editor.state(0, "it can be undone, and no job is left", |state| {
        state["undo"] == "a" && state["jobs"] == json!([])
    });
    assert_eq!(editor.ask("offshoot/branch/undo", json!({ "folder": folder }))["replaced"], true);

    editor.ask("offshoot/branch/rename", json!({ "folder": folder, "name": "a", "to": "b" }));
    editor.state(0, "the new name is shown", |state| branch_names(state) == ["main", "b"]);
    editor.ask("offshoot/branch/delete", json!({ "folder": folder, "name": "b" }));
    editor.state(0, "the branch is gone", |state| branch_names(state) == ["main"]);

    let error = editor.refused("offshoot/branch/delete", json!({ "folder": folder, "name": "main" }));
    assert_eq!((&error["data"]["kind"], &error["data"]["message"]), (&json!("user"), &error["message"]));
    let error =
        editor.refused("offshoot/branch/delete", json!({ "folder": "file:///elsewhere", "name": "x" }));
    assert!(error["message"].as_str().unwrap().contains("no folder"), "{error}");
}

#[test]
fn branches_wake_and_sleep_and_their_logs_are_found() {
    let test = TestRepo::with_database();
    let folder = uri(&test.repo);
    let mut editor = Editor::open(&test, &[&test.repo]);
    editor.ready_on("main");
    let main = json!({ "folder": folder, "name": "main" });
    assert_eq!(editor.ask("offshoot/branch/wake", main.clone())["state"], "awake");
    editor.state(0, "awake", |state| state["branches"][0]["state"] == "awake");
    let files = editor.ask("offshoot/logFiles", json!({ "folder": folder, "branch": "main" }));
    for file in ["engine", "postgres"] {
        assert!(Path::new(files[file].as_str().unwrap()).is_file(), "{files}");
    }
    editor.ask("offshoot/branch/sleep", main);
    editor.state(0, "asleep", |state| state["branches"][0]["state"] == "asleep");
    let url = editor.ask("offshoot/url", json!({ "folder": folder }));
    assert_eq!(url["url"], test.url());
}

#[test]
fn a_killed_engine_is_back_by_itself() {
    let test = TestRepo::with_database();
    let mut editor = Editor::open(&test, &[&test.repo]);
    editor.ready_on("main");
    let before = test.engine_pid().unwrap();
    test.kill_engine();
    editor.state(0, "the loss is told", |state| state["kind"] != "ready");
    editor.ready_on("main");
    let after = test.engine_pid().unwrap();
    assert_ne!(before, after);
    test.git(&["checkout", "-q", "-b", "feature"]);
    editor.ready_on("feature");
}

#[test]
fn a_stopped_engine_stays_stopped_until_somebody_wants_it() {
    let test = TestRepo::with_database();
    let mut editor = Editor::open(&test, &[&test.repo]);
    editor.ready_on("main");
    test.run(&["engine", "stop"]).ok();
    let state = editor.state(0, "it is told", is_kind("failed"));
    assert!(state["error"]["hint"].as_str().unwrap().contains("Start the engine"), "{state}");
    assert_eq!(state["error"]["reason"], "stopped");
    assert_eq!(test.engine_pid(), None);
    // Somebody else starts it.
    test.run(&["status"]).ok();
    editor.ready_on("main");

    test.run(&["engine", "stop"]).ok();
    editor.state(0, "it is told again", is_kind("failed"));
    // Something is asked of it.
    editor.ask("offshoot/branch/create", json!({ "folder": uri(&test.repo), "name": "a" }));
    editor.state(0, "it is back", |state| state["kind"] == "ready" && branch_names(state) == ["main", "a"]);

    let pid = test.engine_pid().unwrap();
    editor.ask("offshoot/engine/restart", json!({ "folder": uri(&test.repo) }));
    editor.ready_on("main");
    assert_ne!(test.engine_pid().unwrap(), pid);
}

#[test]
fn worktrees_and_folders_of_one_repository_are_shown_each_with_its_branch() {
    let test = TestRepo::with_database();
    let second = test.root().join("second");
    test.git(&["worktree", "add", "-q", "-b", "feature", second.to_str().unwrap()]);
    let inner = test.repo.join("inner");
    fs::create_dir(&inner).unwrap();
    let mut editor = Editor::open(&test, &[&test.repo, &second]);
    editor.ready_on("main");
    let state =
        editor.state(1, "the worktree is ready", |state| state["worktree"]["branch"]["name"] == "feature");
    assert_eq!(state["id"], editor.status["folders"][0]["state"]["id"]);

    let folder = |path: &Path| json!({ "uri": uri(path), "name": "x" });
    let event = json!({ "event": { "added": [folder(&inner)], "removed": [folder(&test.repo)] } });
    editor.notify("workspace/didChangeWorkspaceFolders", event);
    editor.until("the folders changed", |editor| {
        editor.status["folders"][0]["path"] == second.to_str().unwrap()
    });
    let state = editor.state(1, "the inner folder is ready", is_kind("ready"));
    assert_eq!(state["worktree"]["path"], test.repo.to_str().unwrap());
}

#[test]
fn a_folder_becomes_a_repository_and_gets_a_database_elsewhere() {
    let test = TestRepo::with_database();
    let folder = test.root().join("new");
    fs::create_dir(&folder).unwrap();
    let mut editor = Editor::open(&test, &[&folder]);
    editor.state(0, "no repository", is_kind("noGit"));
    test.git_in(&folder, &["init", "-q", "-b", "main"]);
    editor.state(0, "no database", is_kind("notInitialised"));
    test.git_in(&folder, &["commit", "-q", "--allow-empty", "-m", "first"]);
    let bin_dir = support::postgres_bin_dir();
    test.run_in(&folder, &["init", "--empty", "--bin-dir", bin_dir.to_str().unwrap()]).ok();
    editor.ready_on("main");
    test.run_in(&folder, &["engine", "stop"]).ok();
}

/// Half a million rows: long enough to be cancelled, quick enough to be loaded.
fn write_dump(path: &Path) {
    let mut text =
        String::from("-- PostgreSQL database dump\ncreate table item (n int);\ncopy item from stdin;\n");
    for n in 0..500_000 {
        text.extend([n.to_string().as_str(), "\n"]);
    }
    text.push_str("\\.\n");
    fs::write(path, text).unwrap();
}

/// With the Postgres of the tests on the path, as a person has it.
fn editor_with_postgres(test: &TestRepo) -> Editor {
    let mut command = test.command(PROGRAM);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let bin_dir = support::postgres_bin_dir();
    let path = std::env::join_paths(std::iter::once(bin_dir).chain(std::env::split_paths(&path))).unwrap();
    command.env("PATH", path).current_dir("/").args(["lsp"]);
    Editor::run(command, &[&test.repo], true)
}

#[test]
fn a_dump_becomes_a_database_with_progress() {
    let test = TestRepo::new();
    write_dump(&test.repo.join("dump.sql"));
    let mut editor = editor_with_postgres(&test);
    let state = editor.state(0, "no database", is_kind("notInitialised"));
    assert_eq!((&state["root"], &state["dumps"]), (&json!(test.repo), &json!(["dump.sql"])));
    let params = json!({
        "folder": uri(&test.repo), "source": { "kind": "dump", "path": "dump.sql" }, "workDoneToken": "t",
    });
    let made = editor.ask("offshoot/init", params.clone());
    assert_eq!(made["rows"], 500_000, "{made}");
    editor.until("the end", |editor| editor.progress["t"].last().unwrap()["kind"] == "end");
    let kinds: Vec<_> = editor.progress["t"].iter().map(|step| step["kind"].as_str().unwrap()).collect();
    assert!(kinds[0] == "begin" && kinds.contains(&"report"), "{kinds:?}");
    editor.ready_on("main");
    assert_eq!(test.value("select count(*) from item"), "500000");
    let error = editor.refused("offshoot/init", params);
    assert!(error["message"].as_str().unwrap().contains("has a database already"), "{error}");
}

#[track_caller]
fn nothing_is_left(test: &TestRepo) {
    let stores = test.root().join("home/stores");
    let left = || -> Vec<_> {
        stores.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    wait_until("nothing is left", || left().is_empty() && !test.repo.join(".git/offshoot/project").exists());
    assert!(!test.repo.join("offshoot.toml").exists());
}

#[test]
fn an_init_that_is_cancelled_or_left_leaves_nothing() {
    let test = TestRepo::new();
    write_dump(&test.repo.join("dump.sql"));
    let mut editor = editor_with_postgres(&test);
    editor.state(0, "no database", is_kind("notInitialised"));
    let params = |token: &str| {
        let source = json!({ "kind": "dump", "path": "dump.sql" });
        json!({ "folder": uri(&test.repo), "source": source, "workDoneToken": token })
    };
    let stores = test.root().join("home/stores");
    let is_at_work = || stores.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let id = editor.request("offshoot/init", params("a"));
    wait_until("it is at work", is_at_work);
    editor.notify("$/cancelRequest", json!({ "id": id }));
    assert_eq!(editor.answer(id)["error"]["code"], -32800);
    nothing_is_left(&test);
    editor.state(0, "still no database", is_kind("notInitialised"));

    editor.request("offshoot/init", params("b"));
    wait_until("it is at work again", is_at_work);
    editor.close();
    nothing_is_left(&test);
}

#[test]
fn a_store_that_is_gone_is_told_and_a_new_database_can_be_made_in_its_place() {
    let test = TestRepo::new();
    let mark = test.repo.join(".git/offshoot/project");
    fs::create_dir(mark.parent().unwrap()).unwrap();
    fs::write(&mark, "0123456789abcdef\n").unwrap();
    // A newer mark is that of an `init` at work.
    let an_hour_ago = SystemTime::now() - Duration::from_hours(1);
    fs::File::options().write(true).open(&mark).unwrap().set_modified(an_hour_ago).unwrap();
    let mut editor = editor_with_postgres(&test);
    let folder = uri(&test.repo);
    let state = editor.state(0, "no database", is_kind("notInitialised"));
    let lost = state["lost"].as_str().unwrap();
    assert!(lost.ends_with("0123456789abcdef"), "{lost}");
    let error = editor.refused("offshoot/branch/create", json!({ "folder": folder, "name": "x" }));
    assert!(error["message"].as_str().unwrap().contains(lost), "{error}");

    let versions = editor.ask("offshoot/postgres", json!({ "folder": folder }));
    assert_eq!(versions["majors"].as_array().unwrap().len(), 5, "{versions}");
    assert!(
        versions["majors"].as_array().unwrap().iter().any(|major| major["version"].is_string()),
        "{versions}"
    );

    editor.ask("offshoot/init", json!({ "folder": folder, "source": { "kind": "empty" } }));
    editor.ready_on("main");
}

#[test]
fn in_an_untrusted_workspace_nothing_is_run() {
    let test = TestRepo::with_database();
    test.run(&["engine", "stop"]).ok();
    // Whoever runs git writes here.
    let (bin, trace) = (test.root().join("bin"), test.root().join("trace"));
    fs::create_dir(&bin).unwrap();
    let git = bin.join("git");
    fs::write(
        &git,
        format!("#!/bin/sh\necho \"$@\" >> {}\nPATH=${{PATH#*:}}\nexec git \"$@\"\n", trace.display()),
    )
    .unwrap();
    fs::set_permissions(&git, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = test.command(PROGRAM);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    command.env("PATH", path).args(["lsp"]);
    let mut editor = Editor::run(command, &[&test.repo], false);
    editor.state(0, "untrusted", is_kind("untrusted"));
    let error = editor.refused("offshoot/branch/create", json!({ "folder": uri(&test.repo), "name": "a" }));
    assert!(error["message"].as_str().unwrap().contains("not trusted"), "{error}");
    editor.ask("offshoot/refresh", json!({}));
    let report = editor.ask("offshoot/diagnostics", json!({}));
    assert!(report["text"].as_str().unwrap().contains("trusted: no"), "{report}");
    assert!(!trace.exists() && test.engine_pid().is_none(), "a program was run");

    editor.notify("offshoot/trust", json!({ "trusted": true }));
    editor.ready_on("main");
    assert!(trace.exists() && test.engine_pid().is_some());
}

#[test]
fn a_mistake_in_the_settings_is_shown_on_its_line() {
    let test = TestRepo::with_database();
    let path = test.repo.join("offshoot.toml");
    let document = uri(&path);
    fs::write(&path, "# settings\non_chekout = \"ask\"\n").unwrap();
    let mut editor = Editor::open(&test, &[&test.repo]);
    let is_shown = |editor: &Editor, count: usize| {
        editor.diagnostics.get(&document).is_some_and(|found| found.as_array().unwrap().len() == count)
    };
    editor.until("the mistake on the disk is shown", |editor| is_shown(editor, 1));
    let found = &editor.diagnostics[&document][0];
    let range = json!({ "start": { "line": 1, "character": 0 }, "end": { "line": 1, "character": 10 } });
    assert_eq!((&found["range"], &found["severity"]), (&range, &json!(1)));
    assert!(found["message"].as_str().unwrap().contains("Did you mean `on_checkout`?"), "{found}");
    fs::write(&path, "on_checkout = \"ask\"\n").unwrap();
    editor.until("it is put right on the disk", |editor| is_shown(editor, 0));

    // An open document counts as it is in the editor.
    let item = json!({ "uri": document, "languageId": "toml", "version": 1, "text": "idle_timeout = 5\n" });
    editor.notify("textDocument/didOpen", json!({ "textDocument": item }));
    editor.until("the mistake in the editor is shown", |editor| is_shown(editor, 1));
    let position = json!({ "textDocument": { "uri": document }, "position": { "line": 0, "character": 3 } });
    let hover = editor.ask("textDocument/hover", position.clone());
    assert!(hover["contents"]["value"].as_str().unwrap().contains("falls asleep"), "{hover}");
    let offered = editor.ask("textDocument/completion", position);
    assert!(offered.to_string().contains("on_checkout"), "{offered}");
    let change = json!({ "textDocument": { "uri": document, "version": 2 }, "contentChanges": [{ "text": "idle_timeout = '5m'" }] });
    editor.notify("textDocument/didChange", change);
    editor.until("it is put right in the editor", |editor| is_shown(editor, 0));

    // Rules about branches: all that contradicts itself, with its line.
    let rules = "[[branches]]\npattern = '**'\nparent = 'main'\n[[branches]]\npattern = 'x'\n";
    let change =
        json!({ "textDocument": { "uri": document, "version": 3 }, "contentChanges": [{ "text": rules }] });
    editor.notify("textDocument/didChange", change);
    editor.until("both are shown", |editor| is_shown(editor, 2));
    let found = editor.diagnostics[&document].clone();
    assert_eq!(
        (&found[0]["range"]["start"]["line"], &found[1]["range"]["start"]["line"]),
        (&json!(2), &json!(4))
    );
    assert!(found[1]["message"].as_str().unwrap().contains("never decides"), "{found}");
    let position = json!({ "textDocument": { "uri": document }, "position": { "line": 1, "character": 2 } });
    let hover = editor.ask("textDocument/hover", position.clone());
    assert!(hover["contents"]["value"].as_str().unwrap().contains("`branches.pattern`"), "{hover}");
    let offered = editor.ask("textDocument/completion", position);
    assert!(offered.to_string().contains("on_checkout = \\\"create"), "{offered}");
    editor.notify("textDocument/didClose", json!({ "textDocument": { "uri": document } }));
}

#[test]
fn a_refresh_is_always_answered_with_a_status() {
    let test = TestRepo::with_database();
    let mut editor = Editor::open(&test, &[&test.repo]);
    editor.ready_on("main");
    editor.ask("offshoot/refresh", json!({}));
    editor.drain();
    let before = editor.statuses;
    editor.ask("offshoot/refresh", json!({}));
    editor.until("a status", |editor| editor.statuses > before);
}

#[test]
fn a_report_has_versions_and_no_password() {
    let test = TestRepo::with_database();
    let mut editor = Editor::open(&test, &[&test.repo]);
    editor.ready_on("main");
    let report = editor.ask("offshoot/diagnostics", json!({}));
    let shown = report["text"].as_str().unwrap();
    for part in [env!("CARGO_PKG_VERSION"), "git version", "ready; 1 branches", "the engine serves"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let url = test.url();
    let password = url.split(':').nth(2).unwrap().split('@').next().unwrap();
    assert!(password.len() > 5 && !shown.contains(password), "{shown}");
}

#[test]
fn the_server_ends_with_its_input_and_the_engine_does_not() {
    let test = TestRepo::with_database();
    let mut editor = Editor::open(&test, &[&test.repo]);
    editor.ready_on("main");
    let server = editor.pid().to_string();
    editor.close();
    assert!(!is_running(&server) && is_running(&test.engine_pid().unwrap().to_string()));

    let mut polite = Editor::open(&test, &[&test.repo]);
    polite.ready_on("main");
    polite.ask("shutdown", Value::Null);
    polite.notify("exit", Value::Null);
    assert!(polite.ended().success());

    let mut asked = Editor::open(&test, &[&test.repo]);
    asked.ready_on("main");
    signal("-TERM", &asked.pid().to_string());
    asked.ended();
    assert!(is_running(&test.engine_pid().unwrap().to_string()));
}

#[test]
fn a_change_of_the_schema_shows_up_by_itself() {
    let test = TestRepo::with_database();
    let mut editor = Editor::open(&test, &[&test.repo]);
    editor.ready_on("main");
    test.git(&["checkout", "-q", "-b", "feature"]);
    editor.state(0, "compared", |state| state["schema"]["kind"] == "ready");
    test.run(&["sql", "-c", "create table added (n int primary key)"]).ok();
    let state = editor.state(0, "the table is shown", |state| {
        state["schema"]["changes"].as_array().is_some_and(|changes| !changes.is_empty())
    });
    let schema = &state["schema"];
    assert_eq!((&schema["branch"], &schema["base"]), (&json!("feature"), &json!("main")));
    let change = &schema["changes"][0];
    assert_eq!((&change["change"], &change["object"]["name"]), (&json!("added"), &json!("added")));
    let params = json!({ "folder": uri(&test.repo), "branch": "feature", "object": change["object"] });
    let definition = editor.ask("offshoot/schema/definition", params);
    assert!(definition["text"].as_str().unwrap().to_lowercase().contains("create table"), "{definition}");
}

#[test]
fn a_line_in_a_file_of_the_work_tree_makes_one_change_of_a_rename() {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", "create table old (n int primary key)"]).ok();
    test.git(&["checkout", "-q", "-b", "feature"]);
    fs::create_dir(test.repo.join("db")).unwrap();
    fs::write(test.repo.join("offshoot.toml"), "[schema]\nrenames = \"db\"\n").unwrap();
    let migration = "-- offshoot:rename table public.old -> fresh\nalter table old rename to fresh;\n";
    fs::write(test.repo.join("db/1.sql"), migration).unwrap();
    let mut editor = Editor::open(&test, &[&test.repo]);
    editor.state(0, "compared", |state| state["schema"]["kind"] == "ready");
    test.run(&["sql", "-c", "alter table old rename to fresh"]).ok();
    let state = editor.state(0, "the rename is shown", |state| {
        state["schema"]["changes"].as_array().is_some_and(|changes| !changes.is_empty())
    });
    let changes = &state["schema"]["changes"];
    let object = |name: &str| json!({ "kind": "table", "schema": "public", "name": name });
    let change = json!({ "change": "renamed", "group": "mine", "object": object("fresh"), "renamedFrom": object("old") });
    assert_eq!(*changes, json!([change]));

    // The terminal takes the same lines, unless others are given.
    let found = test.run(&["diff", "--json"]).json();
    assert_eq!((&found["renamed"], &found["changes"]), (&json!(["table public.old -> fresh"]), &json!([])));
    let reverse = test.run(&["diff", "feature", "main", "--json"]).json();
    assert_eq!(reverse["renamed"], json!([]), "it does not fit");
    fs::write(test.repo.join("db/2.sql"), "select 1;\n-- offshoot:rename table old\n").unwrap();
    let failure = test.run(&["diff"]).fails(128);
    assert!(failure.contains("db/2.sql:2: "), "{failure}");
}

#[test]
fn a_branch_goes_into_a_bundle_and_another_one_comes_of_it() {
    let test = TestRepo::with_database();
    test.git(&["checkout", "-q", "-b", "feature"]);
    test.run(&["sql", "-c", "create table carried (n int primary key)"]).ok();
    let mut editor = Editor::open(&test, &[&test.repo]);
    editor.ready_on("feature");
    let folder = uri(&test.repo);
    let file = test.root().join("a.bundle");
    // The dialog has asked about a file that is there.
    fs::write(&file, "something else").unwrap();
    let params = json!({ "folder": folder, "branch": "feature", "file": file, "workDoneToken": "b" });
    let made = editor.ask("offshoot/bundle/create", params);
    assert!(made["bundle"]["pages"].as_u64().unwrap() > 0, "{made}");
    assert_eq!(made["bytes"].as_u64().unwrap(), fs::metadata(&file).unwrap().len());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(editor.progress["b"][0]["title"], "Writing a bundle of feature");

    let read = editor.ask("offshoot/bundle/read", json!({ "folder": folder, "file": file }));
    assert_eq!((&read["branch"], &read["base"]), (&json!("feature"), &made["bundle"]["base"]));
    let params = json!({ "folder": folder, "file": file, "name": "again" });
    let applied = editor.ask("offshoot/bundle/apply", params.clone());
    assert_eq!((&applied["branch"]["name"], &applied["branch"]["parent"]), (&json!("again"), &json!("main")));
    let refused = editor.refused("offshoot/bundle/apply", params);
    assert!(refused["message"].as_str().unwrap().contains("named `again` exists already"), "{refused}");
    let no_bundle = json!({ "folder": folder, "file": test.repo.join("offshoot.toml") });
    let refused = editor.refused("offshoot/bundle/read", no_bundle);
    assert!(refused["data"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{refused}");
    let gone = json!({ "folder": folder, "branch": "nowhere", "file": test.root().join("b.bundle") });
    editor.refused("offshoot/bundle/create", gone);
    assert!(!test.root().join("b.bundle").exists());
}
