//! Branches on a real Postgres: what one sees of another, and what stays after each operation.

mod support;

use offshoot_storage::{ComputeState, Former, StorageError, Undoable};
use support::TestStore;

const MAJOR: u32 = 18;

#[test]
fn a_child_of_a_running_parent_has_its_data_and_neither_sees_the_others_changes() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 10000) g");
    test.create("feature", "main");
    test.run("feature", "DELETE FROM t WHERE id > 10; ALTER TABLE t ADD note text");
    test.run("main", "INSERT INTO t SELECT generate_series(10001, 10100)");
    assert_eq!(test.text("main", "SELECT count(*) FROM t"), "10100");
    assert_eq!(test.text("feature", "SELECT count(*) FROM t"), "10");
}

#[test]
fn a_child_keeps_rows_that_the_parent_deletes() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g");
    test.create("feature", "main");
    for statement in ["DELETE FROM t", "VACUUM t", "CHECKPOINT", "TRUNCATE t", "CHECKPOINT"] {
        test.run("main", statement);
    }
    assert_eq!(test.text("feature", "SELECT sum(id) FROM t"), "500500");
}

#[test]
fn a_branch_of_a_sleeping_parent_of_a_branch_has_everything() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t (id int)");
    test.create("a", "main");
    test.run("a", "INSERT INTO t VALUES (1)");
    test.store().sleep(test.id("a")).unwrap();
    test.create("b", "a");
    test.run("b", "INSERT INTO t VALUES (2)");
    test.create("c", "b");
    assert_eq!(test.text("c", "SELECT string_agg(id::text, ',' ORDER BY id) FROM t"), "1,2");
    assert_eq!(test.store().branch(test.id("c")).unwrap().parent_name.as_deref(), Some("b"));
}

#[test]
fn everything_is_there_again_after_the_store_was_closed_and_opened() {
    let Some(mut test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g");
    test.create("feature", "main");
    test.run("feature", "INSERT INTO t VALUES (0)");
    test.close();
    test.open();
    assert_eq!(test.text("main", "SELECT count(*) FROM t"), "1000");
    assert_eq!(test.text("feature", "SELECT count(*) FROM t"), "1001");
}

#[test]
fn a_reset_goes_to_the_parents_present_and_undo_brings_the_old_state_back() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t (id int)");
    test.create("feature", "main");
    test.run("feature", "INSERT INTO t VALUES (1)");
    test.run("main", "INSERT INTO t VALUES (7)");
    test.store().reset_branch(test.id("feature")).unwrap();
    assert_eq!(test.text("feature", "SELECT string_agg(id::text, ',') FROM t"), "7");
    let undone = test.store().undo(&Former::Last).unwrap();
    assert!(undone.replaced);
    assert_eq!(test.text("feature", "SELECT string_agg(id::text, ',') FROM t"), "1");
    assert!(matches!(test.store().undo(&Former::Last), Err(StorageError::NothingToUndo)));
    for has in ["7", "1", "7"] {
        assert!(test.store().undo(&Former::Named("feature".into())).unwrap().replaced);
        assert_eq!(test.text("feature", "SELECT string_agg(id::text, ',') FROM t"), has);
    }
}

#[test]
fn undo_goes_further_back_each_time_and_a_name_brings_back_any_branch() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    for name in ["one", "two", "three"] {
        test.create(name, "main");
    }
    test.store().delete_branch(test.id("one")).unwrap();
    test.store().delete_branch(test.id("two")).unwrap();
    test.store().reset_branch(test.id("three")).unwrap();
    let back = |name: Option<&str>| {
        let which = name.map_or(Former::Last, |name| Former::Named(name.into()));
        test.store().undo(&which).map(|undone| undone.branch.name)
    };
    assert_eq!(back(None).unwrap(), "three");
    assert_eq!(back(Some("one")).unwrap(), "one", "though it was not the last");
    assert_eq!(back(None).unwrap(), "two", "the reset that was undone hides nothing");
    assert!(matches!(back(None), Err(StorageError::NothingToUndo)));
    assert!(matches!(back(Some("two")), Err(StorageError::NothingToUndo)), "it is there");
    assert_eq!(back(Some("three")).unwrap(), "three", "what the undo displaced");
}

#[test]
fn children_of_a_deleted_branch_keep_working_and_undo_brings_it_back() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t (id int)");
    test.create("a", "main");
    test.run("a", "INSERT INTO t VALUES (1)");
    test.create("b", "a");
    test.store().delete_branch(test.id("a")).unwrap();
    assert!(test.store().branch_named("a").unwrap().is_none());
    assert_eq!(test.text("b", "SELECT count(*) FROM t"), "1");
    assert_eq!(test.store().branch(test.id("b")).unwrap().parent_name.as_deref(), Some("main"));
    test.store().undo(&Former::Last).unwrap();
    assert_eq!(test.text("a", "SELECT count(*) FROM t"), "1");
    assert!(matches!(test.store().undo(&Former::Last), Err(StorageError::NothingToUndo)));
}

#[test]
fn children_are_those_of_their_parent_again_when_it_is_back() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    let chain = ["main", "a", "b", "c"];
    for pair in chain.windows(2) {
        test.create(pair[1], pair[0]);
    }
    test.create("moved", "b");
    let parents = || {
        ["a", "b", "c", "moved"].map(|name| {
            test.store().branch_named(name).unwrap().map(|branch| branch.parent_name.unwrap_or_default())
        })
    };
    let before = parents();
    test.store().delete_branch(test.id("b")).unwrap();
    test.store().delete_branch(test.id("a")).unwrap();
    assert_eq!(test.store().branch(test.id("c")).unwrap().parent_name.as_deref(), Some("main"));
    // What was made anew from where it is now stays there.
    test.store().reset_branch(test.id("moved")).unwrap();
    for name in ["b", "a"] {
        test.store().undo(&Former::Named(name.to_owned())).unwrap();
    }
    let after = parents();
    assert_eq!(after[..3], before[..3]);
    assert_eq!(after[3].as_deref(), Some("main"));
}

#[test]
fn a_rename_keeps_data_and_connections() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.create("old", "main");
    let mut client = test.connect("old");
    client.batch_execute("CREATE TABLE t (id int)").unwrap();
    test.store().rename_branch(test.id("old"), "new").unwrap();
    client.batch_execute("INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(test.text("new", "SELECT count(*) FROM t"), "1");
}

#[test]
fn names_are_checked_and_unique_and_the_root_stays() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    let main = test.id("main");
    let store = test.store();
    assert!(matches!(store.create_branch("main", main), Err(StorageError::BranchExists { .. })));
    for name in ["../../etc", "", &"x".repeat(300)] {
        assert!(matches!(store.create_branch(name, main), Err(StorageError::InvalidName { .. })), "{name}");
    }
    assert!(matches!(store.delete_branch(main), Err(StorageError::IsRoot { .. })));
    assert!(matches!(store.reset_branch(main), Err(StorageError::HasNoParent { .. })));
    store.create_branch("🌱/weiß", main).unwrap();
    assert!(matches!(
        store.rename_branch(test.id("🌱/weiß"), "main"),
        Err(StorageError::BranchExists { .. })
    ));
    assert_eq!(store.branches().unwrap().len(), 2);
    // Names that differ by case alone are different, whatever the file system makes of them: folders are numbered.
    let cases = ["Feature", "feature", "FEATURE"].map(|name| (name, test.create(name, "main")));
    for (name, id) in cases {
        assert_eq!(test.id(name), id);
    }
}

#[test]
fn a_second_engine_is_kept_out() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    match offshoot_storage::Store::open(test.options()) {
        Err(StorageError::Locked { pid }) => assert_eq!(pid, std::process::id()),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("opened twice"),
    }
}

#[test]
fn a_postgres_without_the_interposer_does_not_start_on_a_branch() {
    if !support::has_layers() {
        return;
    }
    let Some(test) = TestStore::quick(MAJOR) else { return };
    let mut command = std::process::Command::new(test.installation.postgres());
    command.arg("-D").arg(test.data_dir("main")).args(["-c", "listen_addresses="]);
    offshoot_postgres::account::apply(&mut command, test.account.as_ref());
    let output = command.output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("pg_control"), "{said}");
    assert_eq!(test.text("main", "SELECT 1"), "1");
}

#[test]
fn a_server_that_ends_by_itself_is_noticed_and_the_next_wake_recovers() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 50000) g");
    let pid = std::fs::read_to_string(test.data_dir("main").join("postmaster.pid")).unwrap();
    let pid: i32 = pid.lines().next().unwrap().parse().unwrap();
    // SAFETY: the postmaster that this test started.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    while test.store().poll_exits().is_empty() {
        support::pause();
    }
    assert_eq!(test.store().branch(test.id("main")).unwrap().state, ComputeState::Asleep);
    assert_eq!(test.text("main", "SELECT count(*) FROM t"), "50000");
}

#[test]
fn no_relation_file_lies_in_a_data_directory() {
    if !support::has_layers() {
        return;
    }
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g");
    test.create("feature", "main");
    test.run("feature", "CREATE TABLE u AS TABLE t");
    for branch in ["main", "feature"] {
        for folder in [test.data_dir(branch).join("base"), test.data_dir(branch).join("global")] {
            let mut open = vec![folder];
            while let Some(folder) = open.pop() {
                for entry in std::fs::read_dir(&folder).unwrap().flatten() {
                    if entry.file_type().unwrap().is_dir() {
                        open.push(entry.path());
                    } else {
                        let name = entry.file_name();
                        let relation = offshoot_pages::name::is_relation_file(name.as_encoded_bytes());
                        assert!(!relation, "{}", entry.path().display());
                    }
                }
            }
        }
    }
}

#[test]
fn a_clock_that_jumps_ahead_empties_no_trash_and_a_week_of_work_does() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.create("a", "main");
    test.store().delete_branch(test.id("a")).unwrap();
    let ahead = std::time::SystemTime::now() + std::time::Duration::from_hours(10 * 24);
    for _ in 0..3 {
        test.store().purge_trash(ahead).unwrap();
    }
    test.store().undo(&Former::Last).unwrap();
    test.store().delete_branch(test.id("a")).unwrap();
    // As many calls as an engine makes in a day of running.
    for _ in 0..24 {
        test.store().purge_trash(ahead).unwrap();
    }
    assert!(matches!(test.store().undo(&Former::Last), Err(StorageError::NothingToUndo)));
    assert_eq!(std::fs::read_dir(test.dir().join("branches")).unwrap().count(), 1);
}

#[test]
fn what_undo_would_bring_back_is_told_without_doing_it() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    assert_eq!(test.store().undoable(&Former::Last).unwrap(), None);
    test.create("a", "main");
    test.store().delete_branch(test.id("a")).unwrap();
    let told = |replaces| Some(Undoable { name: "a".into(), replaces });
    assert_eq!(test.store().undoable(&Former::Last).unwrap(), told(None));
    assert_eq!(test.store().undoable(&Former::Last).unwrap(), told(None), "nothing was done");
    test.create("a", "main");
    assert_eq!(test.store().undoable(&Former::Last).unwrap(), None, "the name is taken");
    assert!(matches!(test.store().undo(&Former::Last), Err(StorageError::BranchExists { .. })));
    let new = test.store().reset_branch(test.id("a")).unwrap().id;
    assert_eq!(test.store().undoable(&Former::Last).unwrap(), told(Some(new)));
    assert!(test.store().undo(&Former::Last).unwrap().replaced);
}

#[test]
fn undo_by_id_brings_back_that_very_state_or_nothing() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.create("a", "main");
    let first = test.id("a");
    let second = test.store().reset_branch(first).unwrap().id;
    test.store().undo(&Former::Last).unwrap();
    let late = test.store().undo(&Former::Id(first));
    assert!(matches!(late, Err(StorageError::NothingToUndo)), "it is there, and nothing else is meant");
    assert_eq!(test.store().undo(&Former::Id(second)).unwrap().branch.id, second);
}
