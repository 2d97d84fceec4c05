//! `[connection]`: what is written into env files, when, and how it is taken back.

use std::fs;
use std::path::Path;

use crate::support::{TestRepo, wait_until};
use crate::write;

const BEFORE: &str = "# mine\r\nexport DATABASE_URL='postgres://prod' # the real one\r\nKEY=1";
const ASKED: &str = "[connection]\nenv_file = '.env'\n";

/// A repository that ignores env files.
fn repository() -> TestRepo {
    let test = TestRepo::with_database();
    fs::write(test.repo.join(".gitignore"), ".env\n.env.local\n").unwrap();
    test.git(&["add", ".gitignore"]);
    test.commit("ignore");
    test
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[track_caller]
fn becomes(path: &Path, text: &str) {
    wait_until(&format!("{} is {text:?}, not {:?}", path.display(), read(path)), || read(path) == text);
}

fn state(test: &TestRepo) -> String {
    let shown = test.run(&["env", "show", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
    value["state"].as_str().unwrap().to_owned()
}

#[test]
fn the_line_is_kept_in_step_and_comes_back_as_it_was() {
    let test = repository();
    let file = test.repo.join(".env");
    fs::write(&file, BEFORE).unwrap();
    assert!(test.run(&["env", "show"]).ok().contains("names no file"));
    assert!(test.run(&["env", "write"]).fails(128).contains("names no file for the address"));

    // As soon as the key is there, nobody having asked for anything.
    write(&test, ASKED);
    let with = |url: &str| BEFORE.replace("postgres://prod", url);
    becomes(&file, &with(&test.url()));
    assert_eq!(state(&test), "inStep");
    // The work tree's address leads to whatever is checked out, so that a checkout changes nothing; another port does.
    let port_before = read(&file);
    test.git(&["checkout", "-q", "-b", "feature"]);
    test.run(&["status"]).ok();
    assert_eq!(read(&file), port_before);
    test.run(&["url", "--new-port"]).ok();
    becomes(&file, &with(&test.url()));
    assert_ne!(read(&file), port_before);

    // The branch's own address changes with each checkout.
    write(&test, &format!("{ASKED}address = 'branch'\n"));
    test.run(&["status"]).ok();
    becomes(&file, &with(&test.run(&["url", "--branch", "feature"]).ok()));
    test.git(&["checkout", "-q", "main"]);
    becomes(&file, &with(&test.run(&["url", "--branch", "main"]).ok()));

    // What a person changes is theirs, until they say otherwise.
    fs::write(&file, with("postgres://mine")).unwrap();
    test.git(&["checkout", "-q", "feature"]);
    let told = test.run(&["status"]).ok();
    assert!(told.contains("DATABASE_URL in .env: line 2 is another one than was written"), "{told}");
    assert_eq!(state(&test), "byHand");
    assert_eq!(read(&file), with("postgres://mine"));
    test.run(&["env", "show"]).fails(1);
    test.run(&["env", "write"]).ok();
    assert_eq!(read(&file), with(&test.run(&["url", "--branch", "feature"]).ok()));

    // Taken back by hand, then asked for again, then by the key; whatever came to the file since stays.
    test.run(&["env", "undo"]).ok();
    assert_eq!(read(&file), with("postgres://mine"), "what it was when it was written last by hand");
    test.git(&["checkout", "-q", "main"]);
    test.run(&["status"]).ok();
    assert_eq!((state(&test).as_str(), read(&file)), ("off", with("postgres://mine")));
    test.run(&["env", "write"]).ok();
    fs::write(&file, format!("{}\r\nLATER=1", read(&file))).unwrap();
    write(&test, "");
    test.run(&["status"]).ok();
    becomes(&file, &format!("{}\r\nLATER=1", with("postgres://mine")));
    assert_eq!(test.git(&["status", "--porcelain", "--", ".env"]), "");
}

#[test]
fn each_work_tree_has_a_file_and_frameworks_have_their_names() {
    let test = repository();
    write(&test, "[connection]\nenv_file = '.env.local'\npreset = 'laravel'\n");
    let url = test.url();
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
    let file = test.repo.join(".env.local");
    wait_until("it is made", || read(&file).contains(&format!("DB_PORT={port}\n")));
    assert!(
        read(&file).starts_with("DB_CONNECTION=pgsql\nDB_HOST=127.0.0.1\n")
            && read(&file).lines().count() == 6
    );
    // Another file and another framework: the first is gone, as it was made for this.
    write(&test, "[connection]\nenv_file = '.env'\npreset = 'prisma'\nvariable = 'DB'\n");
    test.run(&["status"]).ok();
    let long = format!("DB=postgresql{}?schema=public\n", url.strip_prefix("postgres").unwrap());
    becomes(&test.repo.join(".env"), &long);
    assert!(!file.exists());
    // A linked work tree has its own file, with its own address.
    test.git(&["add", "offshoot.toml"]);
    test.commit("connection");
    let other = test.root().join("other");
    test.git(&["worktree", "add", "-q", "-b", "elsewhere", other.to_str().unwrap()]);
    let theirs = test.run_in(&other, &["url"]).ok();
    becomes(
        &other.join(".env"),
        &long.replace(url.strip_prefix("postgres").unwrap(), theirs.strip_prefix("postgres").unwrap()),
    );
    // What is deleted with all that git ignores is made again.
    test.git(&["clean", "-qfdX"]);
    test.run(&["status"]).ok();
    assert_eq!(read(&test.repo.join(".env")), long);
}

#[test]
fn a_file_that_could_be_committed_is_left_alone_and_one_that_cannot_is_written() {
    let test = repository();
    let tracked = test.repo.join("dev.env");
    fs::write(&tracked, "DATABASE_URL=x\n").unwrap();
    write(&test, "[connection]\nenv_file = 'dev.env'\n");
    let open = test.run(&["env", "write"]).fails(128);
    assert!(open.contains("dev.env: git does not ignore it: the password could be committed"), "{open}");
    test.git(&["add", "dev.env"]);
    let refused = test.run(&["env", "write"]).fails(128);
    assert!(refused.contains("dev.env: git tracks it: the work tree would become dirty"), "{refused}");
    let told = test.run(&["status"]).ok();
    assert!(told.contains("DATABASE_URL in dev.env: git tracks it"), "{told}");
    assert_eq!(read(&tracked), "DATABASE_URL=x\n");
    test.git(&["rm", "-q", "--cached", "dev.env"]);
    fs::write(test.repo.join(".git/info/exclude"), "dev.env\n").unwrap();
    test.run(&["env", "write"]).ok();
    assert_eq!(read(&tracked), format!("DATABASE_URL={}\n", test.url()));
    // A file with a mistake changes nothing.
    write(&test, "[connection]\nenv_file = 'dev.env'\nvariabel = 'X'\n");
    assert!(test.run(&["env", "undo"]).fails(128).contains("Did you mean `connection.variable`?"));
    test.run(&["status"]).ok();
    assert!(read(&tracked).contains("127.0.0.1"));
}

#[test]
fn a_password_that_git_could_see_by_now_is_told_and_can_be_taken_out() {
    let test = repository();
    let file = test.repo.join(".env");
    fs::write(&file, "DATABASE_URL=mine\n").unwrap();
    write(&test, ASKED);
    let written = format!("DATABASE_URL={}\n", test.url());
    becomes(&file, &written);
    assert_eq!(state(&test), "inStep");
    // As a checkout of a branch that does not ignore it.
    fs::write(test.repo.join(".gitignore"), "").unwrap();
    wait_until("it is told", || {
        test.run(&["status"])
            .ok()
            .contains("DATABASE_URL in .env: git does not ignore it: the password could be committed")
    });
    assert_eq!(state(&test), "refused");
    test.git(&["add", ".env"]);
    wait_until("it is told", || test.run(&["status"]).ok().contains("DATABASE_URL in .env: git tracks it"));
    assert_eq!(read(&file), written, "it is not touched by itself");
    test.run(&["env", "undo"]).ok();
    assert_eq!(read(&file), "DATABASE_URL=mine\n");
}
