//! What a branch and its parent changed since the branch was made: at the terminal, and for an editor's window.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;
use std::time::Duration;

use offshoot_protocol::method::{
    BranchGetList, ChangedNotification, SchemaGetChanges, SchemaGetDefinition, SchemaGetFork, Subscribe,
};
use offshoot_protocol::types::{
    BranchParams, ChangeGroup, ChangeKind, ComputeState, DefinitionParams, ForkPoint, Nothing, SchemaChanges,
    SchemaChangesParams, SchemaObject, SchemaState, Subject,
};
use offshoot_protocol::{Client, Method};
use support::{PATIENCE, TestRepo};

const BASE: &str = "
    create table item (id bigint primary key, code text, price numeric(8,2), note text);
    create table other (id int);
    create table third (id int);";
const MINE: &str = "
    alter table item drop column note;
    alter table other add mine text;
    create table lot (id bigint);
    create table alike (id int);";
const THEIRS: &str = "
    create view notes as select id, note from item;
    alter table third add theirs text;
    create table alike (id int);";

/// `main` and `feature`, checked out, which both went on since they parted.
fn parted() -> TestRepo {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", BASE]).ok();
    test.run(&["branch", "create", "feature"]).ok();
    test.git(&["checkout", "-q", "-b", "feature"]);
    test.run(&["sql", "--branch", "feature", "-c", MINE]).ok();
    test.run(&["sql", "--branch", "main", "-c", THEIRS]).ok();
    test
}

/// The files of facts in the store.
fn facts_files(test: &TestRepo) -> Vec<std::path::PathBuf> {
    fs::read_dir(test.store().join("facts")).unwrap().flatten().map(|entry| entry.path()).collect()
}

#[test]
fn the_terminal_shows_mine_what_came_from_the_parent_and_what_collides() {
    let test = parted();
    let document = test.run(&["diff", "--three-way", "feature"]).ok();
    insta::assert_snapshot!("three_way", document);
    assert_eq!(test.run(&["diff", "--three-way", "feature", "--exit-code"]).code, 1);
    let json = test.run(&["diff", "--three-way", "feature", "--json"]).json();
    let rows = json["changes"].as_array().unwrap().iter();
    let rows: Vec<_> = rows.map(|it| format!("{} {}", it["group"], it["title"])).collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    "conflict" "view public.notes"
    "mine" "table public.item"
    "mine" "table public.lot"
    "mine" "table public.other"
    "theirs" "table public.third"
    "both" "table public.alike"
    "#);
    assert_eq!((&json["conflicting"], &json["fork"]["name"]), (&true.into(), &"feature@fork".into()));

    assert_eq!(json["parentChanged"], serde_json::Value::Null);
    let stat = test.run(&["diff", "--three-way", "feature", "--stat"]).ok();
    assert!(stat.starts_with("! view public.notes  | conflict\n"), "{stat}");
    assert!(stat.contains("~ table public.third | from main\n"), "{stat}");
    let comment = test.run(&["diff", "--three-way", "feature", "--markdown"]).ok();
    assert!(comment.starts_with("<!-- offshoot:three-way v1 sha256="), "{comment}");
    assert!(comment.contains("**Verdict: 1 conflict with `main`.**"), "{comment}");
    assert!(comment.contains("#### Conflicts\n\n- view `public.notes`: "), "{comment}");
    assert!(comment.contains("#### From `main` (1)\n\n- changed table `public.third`"), "{comment}");

    // Two-way, and after another engine has read what this one kept.
    let stat = test.run(&["diff", "--from-fork", "feature", "--stat"]).ok();
    insta::assert_snapshot!(stat, @r"
    + table public.alike | 5 +++++
    ~ table public.item  | 1 -
    + table public.lot   | 5 +++++
    ~ table public.other | 3 ++-
    2 added, 2 changed
    ");
    assert_eq!(facts_files(&test).len(), 1);
    test.run(&["engine", "stop"]).ok();
    assert_eq!(test.run(&["diff", "feature@fork", "feature", "--stat"]).ok(), stat);
    assert_eq!(test.run(&["diff", "--three-way", "feature"]).ok(), document);
    let names = test.run(&["branch", "list", "--json"]).json();
    assert_eq!(names["branches"].as_array().unwrap().len(), 2, "{names}");
    let root = test.run(&["diff", "--three-way", "main"]).fails(128);
    assert!(root.contains("main has no parent"), "{root}");
    let fork_of_root = test.run(&["diff", "main@fork", "feature"]).fails(128);
    assert!(fork_of_root.contains("it has no parent"), "{fork_of_root}");
}

#[test]
fn what_would_undo_the_parents_changes_is_said() {
    let test = parted();
    let warning = "main has changed since feature left it: this would undo that. --from-fork shows what feature did, --three-way both.";
    let shown = test.run(&["diff", "main", "feature"]).ok();
    assert!(shown.starts_with(&format!("# Database diff: feature ← main\n# {warning}\n")), "{shown}");
    assert!(test.run(&["diff", "main", "feature", "--sql"]).ok().starts_with(&format!("-- {warning}\n")));
    assert!(test.run(&["diff", "main", "feature", "--stat"]).ok().starts_with(&format!("# {warning}\n")));
    let comment = test.run(&["diff", "main", "feature", "--markdown"]).ok();
    assert!(comment.contains("**Verdict: 1 conflict with `main`, deletes data.**"), "{comment}");
    assert!(comment.contains("\n\n**Warning:** `main` has changed since `feature` left it"), "{comment}");
    assert!(comment.contains("#### Conflicts with `main`\n\n- view `public.notes`: "), "{comment}");
    let json = test.run(&["diff", "main", "feature", "--json"]).json();
    assert_eq!(
        (&json["parentChanged"], &json["conflicts"][0]["object"]["name"]),
        (&true.into(), &"notes".into())
    );

    // What the parent renamed is not asked of the branch.
    test.run(&["branch", "create", "other", "--from", "main"]).ok();
    test.run(&["sql", "--branch", "main", "-c", "alter table third rename to fourth"]).ok();
    test.run(&["sql", "--branch", "other", "-c", "alter table other rename to another"]).ok();
    let json = test.run(&["diff", "main", "other", "--json"]).json();
    let asked: Vec<_> =
        json["renameCandidates"].as_array().unwrap().iter().map(|it| it["line"].clone()).collect();
    assert_eq!(asked, ["-- offshoot:rename table public.other -> another"]);

    // Nothing is said where the parent has not gone on, nor the other way round.
    let quiet = |args: &[&str]| assert!(!test.run(args).ok().contains("would undo"), "{args:?}");
    quiet(&["diff", "feature", "main"]);
    quiet(&["diff", "--from-fork", "feature"]);
    test.run(&["branch", "reset", "feature"]).ok();
    test.run(&["sql", "--branch", "feature", "-c", "create table own ()"]).ok();
    quiet(&["diff", "main", "feature"]);
    assert_eq!(test.run(&["diff", "main", "feature", "--json"]).json()["parentChanged"], false);

    for (args, words) in [
        (&["diff", "--from-fork", "main"][..], &["main has no fork point, as it has no parent"][..]),
        (
            &["diff", "--three-way", "feature@fork"],
            &["the name of a branch is wanted here", "Write `feature`."],
        ),
        (&["diff", "faeture", "main"], &["Did you mean `feature`?"]),
        (&["diff", "--rows", "git:main"], &["rows can be compared only between a branch and another one"]),
        (&["diff", "--rows", "3"], &["`--rows=3`"]),
    ] {
        let said = test.run(args).fails(128);
        for word in words {
            assert!(said.contains(word), "{word} in {said}");
        }
    }
}

/// A window that is told of changes.
struct Window(Client);

impl Window {
    fn open(test: &TestRepo) -> Self {
        test.status();
        let mut window = Self(Client::connect(&test.socket()).unwrap());
        window.call::<Subscribe>(&Nothing {});
        window
    }

    fn call<M: Method>(&mut self, params: &M::Params) -> M::Result {
        self.0.call::<M>(params, Duration::from_mins(1)).unwrap()
    }

    fn changes(&mut self) -> SchemaChanges {
        let params =
            SchemaChangesParams { branch: "feature".into(), base: None, three_way: true, renames: vec![] };
        self.call::<SchemaGetChanges>(&params)
    }

    /// Waits for what is told until the changes are so.
    fn until(&mut self, expected: &[&str]) -> SchemaChanges {
        loop {
            let changes = self.changes();
            if summary(&changes) == expected {
                return changes;
            }
            loop {
                let told = self.0.next_notification::<ChangedNotification>(PATIENCE).unwrap();
                if told.unwrap_or_else(|| panic!("{:?}, and nothing more", summary(&changes))).what
                    == Subject::Schema
                {
                    break;
                }
            }
        }
    }

    fn definition(&mut self, name: &str, state: SchemaState) -> Option<String> {
        let object = SchemaObject { kind: "table".into(), schema: Some("public".into()), name: name.into() };
        self.call::<SchemaGetDefinition>(&DefinitionParams { branch: "feature".into(), object, state }).text
    }
}

fn summary(changes: &SchemaChanges) -> Vec<String> {
    let line = |change: &offshoot_protocol::types::SchemaChange| {
        format!("{:?} {:?} {}", change.group, change.change, change.object.name)
    };
    changes.changes.iter().map(line).collect()
}

#[test]
fn a_window_sees_both_sides_as_they_go_on() {
    let test = parted();
    let mut window = Window::open(&test);
    let first = window.changes();
    assert_eq!(first.fork, ForkPoint::Known);
    assert_eq!(
        summary(&first),
        [
            "Both Added alike",
            "Mine Changed item",
            "Mine Added lot",
            "Conflict Added notes",
            "Mine Changed other",
            "Theirs Changed third"
        ]
    );
    let conflict = first.changes.iter().find(|change| change.group == ChangeGroup::Conflict).unwrap();
    assert_eq!((conflict.mine, conflict.theirs), (None, Some(ChangeKind::Added)));
    assert!(conflict.reasons[0].contains("column note"), "{:?}", conflict.reasons);
    assert!(window.definition("item", SchemaState::Fork).unwrap().contains("note"));
    assert!(!window.definition("item", SchemaState::Present).unwrap().contains("note"));
    assert_eq!(window.definition("lot", SchemaState::Fork), None);

    test.run(&["sql", "--branch", "main", "-c", "drop view notes; alter table third drop column theirs"])
        .ok();
    window.until(&["Both Added alike", "Mine Changed item", "Mine Added lot", "Mine Changed other"]);
    test.run(&["sql", "--branch", "feature", "-c", "drop table lot; alter table item add note text"]).ok();
    let last = window.until(&["Both Added alike", "Mine Changed other"]);
    assert!(last.revision > first.revision);

    // A reset is a new fork point; an undo brings the old one back.
    test.run(&["branch", "reset", "feature"]).ok();
    assert_eq!(summary(&window.changes()), [""; 0]);
    assert!(window.definition("alike", SchemaState::Fork).is_some());
    test.run(&["undo"]).ok();
    assert_eq!(summary(&window.changes()), ["Both Added alike", "Mine Changed other"]);
    assert_eq!(window.definition("alike", SchemaState::Fork), None);
}

#[test]
fn a_branch_that_was_never_awake_stays_asleep() {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", BASE]).ok();
    let mut window = Window::open(&test);
    let params = SchemaChangesParams { branch: "main".into(), base: None, three_way: true, renames: vec![] };
    window.call::<SchemaGetChanges>(&params);
    let object = SchemaObject { kind: "table".into(), schema: Some("public".into()), name: "item".into() };
    window.call::<SchemaGetDefinition>(&DefinitionParams {
        branch: "main".into(),
        object,
        state: SchemaState::Present,
    });
    test.run(&["branch", "create", "feature"]).ok();
    assert_eq!((window.changes().fork, window.changes().changes), (ForkPoint::Known, vec![]));
    test.run(&["sql", "-c", "create table later ()"]).ok();
    window.until(&["Theirs Added later"]);
    let file = window.call::<SchemaGetFork>(&BranchParams { name: "feature".into() });
    assert!(fs::read_to_string(file.path).unwrap().contains("item"));
    let list = window.call::<BranchGetList>(&Nothing {}).branches;
    let feature = list.iter().find(|branch| branch.name == "feature").unwrap();
    assert_eq!(feature.state, ComputeState::Asleep);
}

/// The lines that a window has read, with `three_way` or without.
fn renamed(window: &mut Window, three_way: bool, lines: &[&str]) -> Vec<String> {
    let renames = lines.iter().map(|line| (*line).to_owned()).collect();
    let params = SchemaChangesParams { branch: "feature".into(), base: None, three_way, renames };
    let line = |change: offshoot_protocol::types::SchemaChange| {
        let former = change.renamed_from.map(|from| format!(" from {}", from.name)).unwrap_or_default();
        format!("{:?} {:?} {}{former}", change.group, change.change, change.object.name)
    };
    window.call::<SchemaGetChanges>(&params).changes.into_iter().map(line).collect()
}

#[test]
fn what_was_renamed_is_one_change_if_a_line_confirms_it() {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", BASE]).ok();
    test.run(&["branch", "create", "feature"]).ok();
    let mine = "alter table item rename to thing; alter table other rename to another; alter table another add mine text";
    test.run(&["sql", "--branch", "feature", "-c", mine]).ok();
    let mut window = Window::open(&test);
    let history = ["table public.long_gone -> item", "table public.third -> fourth", "nonsense"];
    let without = ["Mine Added another", "Mine Removed item", "Mine Removed other", "Mine Added thing"];
    assert_eq!(renamed(&mut window, true, &history), without);
    // The second one was renamed on the way.
    let lines = [
        history.as_slice(),
        &["table public.item -> stuff", "table public.other -> another", "table public.stuff -> thing"],
    ]
    .concat();
    let both = ["Mine Renamed another from other", "Mine Renamed thing from item"];
    assert_eq!(renamed(&mut window, true, &lines), both);
    assert_eq!(renamed(&mut window, false, &lines), both);

    // What the parent does to it meanwhile has the name that it has there, unless it drops it.
    test.run(&["sql", "--branch", "main", "-c", "alter table item add theirs text; drop table other"]).ok();
    let parted = renamed(&mut window, true, &lines);
    assert!(parted.contains(&"Mine Renamed thing from item".to_owned()), "{parted:?}");
    assert!(parted.contains(&"Theirs Changed item".to_owned()), "{parted:?}");
    assert!(!parted.iter().any(|line| line.contains("another from other")), "{parted:?}");

    test.run(&["sql", "--branch", "main", "-c", "alter table item drop column theirs, drop column note"])
        .ok();
    test.run(&["sql", "--branch", "feature", "-c", "alter table thing alter note type varchar"]).ok();
    let collide = renamed(&mut window, true, &lines);
    assert!(collide.contains(&"Conflict Renamed thing from item".to_owned()), "{collide:?}");

    // The parent's own rename, and the same on both sides.
    test.run(&["sql", "--branch", "main", "-c", "alter table third rename to fourth"]).ok();
    let theirs = renamed(&mut window, true, &lines);
    assert!(theirs.contains(&"Theirs Renamed fourth from third".to_owned()), "{theirs:?}");
    test.run(&["sql", "--branch", "feature", "-c", "alter table third rename to fourth"]).ok();
    let alike = renamed(&mut window, true, &lines);
    assert!(alike.contains(&"Both Renamed fourth from third".to_owned()), "{alike:?}");
}

#[test]
fn a_table_of_which_only_a_column_was_renamed_is_a_change() {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", BASE]).ok();
    test.run(&["branch", "create", "feature"]).ok();
    let mine = "alter table item rename note to remark; alter table item rename to thing; alter table other rename to another";
    test.run(&["sql", "--branch", "feature", "-c", mine]).ok();
    let mut window = Window::open(&test);
    let lines = ["column public.item.note -> remark", "table public.item -> thing"];
    let found = ["Mine Added another", "Mine Removed other", "Mine Renamed thing from item"];
    assert_eq!(renamed(&mut window, true, &lines), found);
    test.run(&["sql", "--branch", "feature", "-c", "alter table thing rename to item"]).ok();
    let found = ["Mine Added another", "Mine Changed item", "Mine Removed other"];
    assert_eq!(renamed(&mut window, true, &lines), found);
    assert_eq!(renamed(&mut window, false, &lines), found);
}
