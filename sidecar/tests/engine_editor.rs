//! What the editor lives on: schemas, questions and answers, protection, and being told of every change.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;
use std::time::Duration;

use offshoot_protocol::method::{
    BranchGetList, BranchSleep, BranchUndo, BranchWake, ChangedNotification, SchemaGetChanges,
    SchemaGetDefinition, Subscribe, WorktreeAnswer, WorktreeGetStatus,
};
use offshoot_protocol::types::{
    Answer, AnswerParams, Branch, BranchList, BranchParams, ChangeKind, ComputeState, DefinitionParams,
    NoteKind, Nothing, SchemaChanges, SchemaChangesParams, SchemaObject, Subject, UndoParams, WorktreeParams,
    WorktreeStatus,
};
use offshoot_protocol::{Client, ClientError, Method};
use postgres::NoTls;
use support::{PATIENCE, TestRepo, wait_until};

/// A client that is told of changes, as an editor's window is.
struct Window<'t> {
    test: &'t TestRepo,
    client: Client,
}

impl<'t> Window<'t> {
    fn open(test: &'t TestRepo) -> Self {
        test.status();
        let mut window = Self { test, client: Client::connect(&test.socket()).unwrap() };
        window.call::<Subscribe>(&Nothing {}).unwrap();
        window
    }

    fn call<M: Method>(&mut self, params: &M::Params) -> Result<M::Result, ClientError> {
        self.client.call::<M>(params, Duration::from_mins(1))
    }

    fn path(&self) -> String {
        self.test.repo.to_str().unwrap().to_owned()
    }

    fn status(&mut self) -> WorktreeStatus {
        let path = self.path();
        self.call::<WorktreeGetStatus>(&WorktreeParams { path }).unwrap()
    }

    fn list(&mut self) -> BranchList {
        self.call::<BranchGetList>(&Nothing {}).unwrap()
    }

    fn branch(&mut self, name: &str) -> Branch {
        let list = self.list();
        list.branches.into_iter().find(|branch| branch.name == name).unwrap()
    }

    fn answer(&mut self, answer: Answer) -> Result<WorktreeStatus, ClientError> {
        let path = self.path();
        self.call::<WorktreeAnswer>(&AnswerParams { path, answer })
    }

    fn changes(&mut self, branch: &str) -> SchemaChanges {
        let params =
            SchemaChangesParams { branch: branch.into(), base: None, three_way: false, renames: vec![] };
        self.call::<SchemaGetChanges>(&params).unwrap()
    }

    fn definition(&mut self, branch: &str, name: &str) -> Result<Option<String>, ClientError> {
        let object = SchemaObject { kind: "table".into(), schema: Some("public".into()), name: name.into() };
        let params = DefinitionParams {
            branch: branch.into(),
            object,
            state: offshoot_protocol::types::SchemaState::Present,
        };
        Ok(self.call::<SchemaGetDefinition>(&params)?.text)
    }

    fn sleep(&mut self, name: &str) {
        self.call::<BranchSleep>(&BranchParams { name: name.into() }).unwrap();
    }

    fn state(&mut self, name: &str) -> ComputeState {
        self.branch(name).state
    }

    /// Asks again only when it is told to, until the answer is the wanted one.
    fn told_until(&mut self, what: Subject, mut holds: impl FnMut(&mut Self) -> bool) {
        while !holds(self) {
            self.told(what);
        }
    }

    /// Waits until it is told of a change.
    fn told(&mut self, what: Subject) {
        loop {
            let told = self.client.next_notification::<ChangedNotification>(PATIENCE).unwrap();
            if told.expect("nothing was told").what == what {
                return;
            }
        }
    }
}

/// What `changes` tells, as text.
fn summary(changes: &SchemaChanges) -> Vec<String> {
    let sign = |change| match change {
        ChangeKind::Added => '+',
        ChangeKind::Removed => '-',
        ChangeKind::Changed => '~',
        ChangeKind::Renamed => '>',
    };
    let line = |change: &offshoot_protocol::types::SchemaChange| {
        format!("{}{} {}", sign(change.change), change.object.kind, change.object.name)
    };
    changes.changes.iter().map(line).collect()
}

fn refusal(error: ClientError) -> (String, String) {
    match error {
        ClientError::Rpc(error) => (error.message, error.hint.unwrap_or_default()),
        other => panic!("{other}"),
    }
}

#[test]
fn a_changed_schema_is_told_and_compared_with_the_parents() {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", "create table item (id int primary key); create table old ()"]).ok();
    test.git(&["checkout", "-q", "-b", "feature"]);
    let mut window = Window::open(&test);
    let before = window.changes("feature");
    assert_eq!((before.base.as_deref(), summary(&before)), (Some("main"), vec![]));

    let mut client = postgres::Client::connect(&test.url(), NoTls).unwrap();
    client.batch_execute("alter table item add price numeric; drop table old; create table new ()").unwrap();
    window.told_until(Subject::Schema, |window| window.changes("feature").revision > before.revision);
    let after = window.changes("feature");
    assert_eq!(
        summary(&after),
        ["+table new", "~table item", "-table old"].map(str::to_owned).to_vec().sorted()
    );
    assert_eq!(window.changes("feature").revision, after.revision, "the same state has the same number");
    assert!(window.definition("feature", "item").unwrap().unwrap().contains("price"));
    assert!(!window.definition("main", "item").unwrap().unwrap().contains("price"));
    assert_eq!(window.definition("main", "new").unwrap(), None);

    // Nothing is told before the end of the transaction, nor of what changes no schema.
    client.batch_execute("begin; create table later ()").unwrap();
    assert_eq!(window.changes("feature").revision, after.revision);
    client.batch_execute("commit; insert into item values (1)").unwrap();
    window.told_until(Subject::Schema, |window| window.changes("feature").revision > after.revision);
    drop(client);
    window.told_until(Subject::Compute, |window| window.branch("feature").connections == 0);
    let root = window.changes("main");
    assert_eq!((root.base, root.changes.len()), (None, 0));
}

trait Sorted {
    fn sorted(self) -> Self;
}

impl Sorted for Vec<String> {
    /// By name, as the wire has them.
    fn sorted(mut self) -> Self {
        self.sort_by(|a, b| a[1..].cmp(&b[1..]));
        self
    }
}

#[test]
fn a_sleeping_branch_keeps_its_known_schema_and_is_woken_only_for_an_unknown_one() {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", "create table item (id int)"]).ok();
    test.git(&["checkout", "-q", "-b", "feature"]);
    let migrations = test.repo.join("db/migrations");
    fs::create_dir_all(&migrations).unwrap();
    fs::write(migrations.join("1_mine.sql"), "-- migrate:up\ncreate table mine ();\n").unwrap();
    test.run(&["sql", "-c", "create table mine (); create table schema_migrations (version varchar)"]).ok();
    let mut window = Window::open(&test);
    window.sleep("feature");
    window.sleep("main");
    let first = window.changes("feature");
    assert_eq!(summary(&first), ["+table mine"], "and not the table of the tool");
    assert_eq!(window.state("feature"), ComputeState::Awake, "it was woken");
    window.sleep("feature");
    window.sleep("main");
    assert_eq!(window.changes("feature"), first);
    assert_eq!(
        (window.state("feature"), window.state("main")),
        (ComputeState::Asleep, ComputeState::Asleep),
        "what is known wakes none"
    );

    // A change that nobody looked at before the branch fell asleep.
    drop(window);
    test.run(&["sql", "-c", "drop table mine; create table other ()"]).ok();
    test.run(&["branch", "list"]).ok();
    let mut window = Window::open(&test);
    window.sleep("feature");
    assert_eq!(summary(&window.changes("feature")), ["+table other"]);
    test.run(&["branch", "reset", "feature"]).ok();
    assert_eq!(summary(&window.changes("feature")), [""; 0]);
    test.run(&["undo"]).ok();
    assert_eq!(summary(&window.changes("feature")), ["+table other"]);
}

#[test]
fn a_new_branch_has_its_parents_schema_without_waking() {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", "create table item (id int)"]).ok();
    let mut window = Window::open(&test);
    assert!(window.definition("main", "item").unwrap().is_some());
    test.run(&["branch", "create", "one"]).ok();
    assert_eq!(summary(&window.changes("one")), [""; 0]);
    assert_eq!((window.state("one"), window.state("main")), (ComputeState::Asleep, ComputeState::Awake));

    test.run(&["branch", "create", "two"]).ok();
    test.run(&["sql", "-c", "alter table item add more text"]).ok();
    // A statement's end may be heard of a little later than its answer; then nobody could be sure.
    wait_until("nobody is connected", || window.branch("main").connections == 0);
    assert_eq!(summary(&window.changes("two")), ["~table item"], "its parent went on");
    assert_eq!(summary(&window.changes("one")), ["~table item"]);
    assert_eq!(window.state("one"), ComputeState::Asleep, "its own is still known");
    window.sleep("main");
    test.run(&["branch", "create", "three"]).ok();
    assert_eq!(summary(&window.changes("three")), [""; 0]);
    assert_eq!((window.state("three"), window.state("main")), (ComputeState::Asleep, ComputeState::Asleep));
}

#[test]
fn a_schema_that_cannot_be_read_says_why() {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", "create table item (id int); create view v as select id from item"]).ok();
    let mut window = Window::open(&test);
    let params =
        SchemaChangesParams { branch: "nowhere".into(), base: None, three_way: false, renames: vec![] };
    let (message, hint) = refusal(window.call::<SchemaGetChanges>(&params).unwrap_err());
    assert!(message.contains("no database branch `nowhere`") && hint.contains("branch list"), "{message}");

    let other = test.url().replace("/app", "/postgres");
    postgres::Client::connect(&other, NoTls)
        .unwrap()
        .batch_execute("drop database app with (force)")
        .unwrap();
    let (message, hint) = refusal(window.definition("main", "item").unwrap_err());
    assert!(message.contains("no database `app`") && hint.contains("create `app`"), "{message}\n{hint}");
}

#[test]
fn a_question_is_asked_answered_and_asked_again() {
    let test = TestRepo::with_database();
    fs::write(test.repo.join("offshoot.toml"), "on_checkout = \"ask\"").unwrap();
    test.run(&["branch", "create", "base"]).ok();
    test.git(&["branch", "base"]);
    test.git(&["checkout", "-q", "-b", "feature", "base"]);
    let mut window = Window::open(&test);
    let at = |status: &WorktreeStatus| status.branch.as_ref().unwrap().name.clone();
    let asked = |status: &WorktreeStatus| status.ask.as_ref().map(|ask| ask.parent.clone());
    let status = window.status();
    assert_eq!((asked(&status).as_deref(), at(&status).as_str()), (Some("base"), "main"));

    let status = window.answer(Answer::UseParent).unwrap();
    assert_eq!((asked(&status), at(&status).as_str()), (None, "base"));
    assert_eq!(status.notes[0].kind, NoteKind::NoBranch);
    assert!(status.notes[0].hint.as_ref().unwrap().contains("offshoot answer ask"));
    test.git(&["checkout", "-q", "main"]);
    assert_eq!(at(&window.status()), "main");
    test.run(&["engine", "stop"]).ok();
    test.git(&["checkout", "-q", "feature"]);
    let mut window = Window::open(&test);
    assert_eq!(at(&window.status()), "base", "remembered across engines");
    test.run(&["branch", "reset", "base"]).ok();
    assert_eq!(at(&window.status()), "base", "and across a reset");

    let status = window.answer(Answer::AskAgain).unwrap();
    assert_eq!(asked(&status).as_deref(), Some("base"));
    let status = window.answer(Answer::Never).unwrap();
    assert_eq!(asked(&status), None);
    assert!(status.notes[0].hint.as_ref().unwrap().contains("offshoot answer ask"));
    test.git(&["checkout", "-q", "-b", "other", "main"]);
    assert_eq!(asked(&window.status()), None, "for this repository");
    fs::write(test.repo.join("offshoot.toml"), "on_checkout = \"create\"").unwrap();
    assert_eq!(test.branches(), ["main", "base"]);

    fs::write(test.repo.join("offshoot.toml"), "on_checkout = \"ask\"").unwrap();
    assert_eq!(asked(&window.answer(Answer::AskAgain).unwrap()).as_deref(), Some("main"));
    let status = window.answer(Answer::Create).unwrap();
    assert_eq!((asked(&status), at(&status).as_str()), (None, "other"));
    assert_eq!(status.branch.unwrap().parent.as_deref(), Some("main"));
    let (message, hint) = refusal(window.answer(Answer::UseParent).unwrap_err());
    assert!(message.contains("no question") && hint.contains("offshoot status"), "{message}");
}

#[test]
fn an_answer_is_forgotten_with_its_git_branch_and_when_there_is_a_database_branch() {
    let test = TestRepo::with_database();
    fs::write(test.repo.join("offshoot.toml"), "on_checkout = \"ask\"").unwrap();
    let mut window = Window::open(&test);
    test.git(&["checkout", "-q", "-b", "feature"]);
    window.told(Subject::Branches);
    assert!(window.answer(Answer::UseParent).unwrap().ask.is_none());
    test.git(&["checkout", "-q", "main"]);
    window.status();
    // One that has not been told of the answer yet, and so not of anything before the deletion.
    let mut window = Window::open(&test);
    test.git(&["branch", "-D", "feature"]);
    window.told(Subject::Branches);
    test.git(&["checkout", "-q", "-b", "feature"]);
    window.told_until(Subject::Worktrees, |window| window.status().ask.is_some());

    window.answer(Answer::UseParent).unwrap();
    test.run(&["branch", "create", "feature"]).ok();
    test.git(&["checkout", "-q", "main"]);
    test.run(&["branch", "delete", "feature"]).ok();
    test.git(&["checkout", "-q", "feature"]);
    assert!(window.status().ask.is_some());
}

#[test]
fn a_protected_branch_keeps_what_it_has() {
    let test = TestRepo::with_database();
    test.run(&["branch", "create", "keep"]).ok();
    test.run(&["branch", "reset", "keep"]).ok();
    let mut window = Window::open(&test);
    assert!(!window.branch("keep").protected);
    let said = test.run(&["branch", "protect", "keep"]).ok();
    assert!(said.contains("keep"), "{said}");
    window.told_until(Subject::Branches, |window| window.branch("keep").protected);
    for args in [
        &["branch", "delete", "keep"][..],
        &["branch", "reset", "keep"],
        &["branch", "rename", "keep", "x"],
        &["undo"],
    ] {
        let said = test.run(args).fails(128);
        assert!(said.contains("`keep` is protected"), "{args:?}: {said}");
        assert!(said.contains("offshoot branch unprotect keep"), "{args:?}: {said}");
    }
    assert!(test.run(&["branch", "list"]).ok().contains("(protected)"));
    test.run(&["engine", "stop"]).ok();
    let list = test.run(&["branch", "list", "--json"]).json();
    assert_eq!(list["branches"][1]["protected"], true, "remembered across engines");
    test.run(&["branch", "unprotect", "keep"]).ok();
    test.run(&["branch", "rename", "keep", "loose"]).ok();
    test.run(&["branch", "delete", "loose"]).ok();
    test.run(&["branch", "protect", "loose"]).fails(128);
}

#[test]
fn an_undo_that_comes_late_brings_back_the_branch_that_it_means() {
    let test = TestRepo::with_database();
    let mut window = Window::open(&test);
    for name in ["one", "two"] {
        test.run(&["branch", "create", name]).ok();
        test.run(&["branch", "delete", name]).ok();
    }
    let mut undo = |name: Option<&str>| {
        window
            .call::<BranchUndo>(&UndoParams { name: name.map(str::to_owned), ..UndoParams::default() })
            .map(|undone| undone.branch.name)
    };
    assert_eq!(undo(Some("one")).unwrap(), "one", "though `two` was deleted later");
    assert!(undo(Some("one")).is_err(), "it is there");
    assert_eq!(undo(None).unwrap(), "two");
}

#[test]
fn the_list_tells_what_undo_would_bring_back() {
    let test = TestRepo::with_database();
    let mut window = Window::open(&test);
    assert_eq!(window.list().undo, None);
    test.run(&["branch", "create", "a"]).ok();
    test.run(&["branch", "delete", "a"]).ok();
    assert_eq!(window.list().undo.as_deref(), Some("a"));
    test.run(&["undo"]).ok();
    assert_eq!(window.list().undo, None);
}

#[test]
fn a_window_is_told_of_connections_and_of_waking_and_sleeping() {
    let test = TestRepo::with_database();
    let mut window = Window::open(&test);
    window.sleep("main");
    let connections =
        |window: &mut Window<'_>| (window.branch("main").connections, window.status().endpoint.connections);
    let client = postgres::Client::connect(&test.url(), NoTls).unwrap();
    window.told_until(Subject::Compute, |window| connections(window) == (1, 1));
    assert_eq!(window.state("main"), ComputeState::Awake);
    drop(client);
    window.told_until(Subject::Compute, |window| connections(window) == (0, 0));
    let mut other = Window::open(&test);
    other.sleep("main");
    window.told_until(Subject::Compute, |window| window.state("main") == ComputeState::Asleep);
    std::thread::scope(|scope| {
        scope.spawn(|| other.call::<BranchWake>(&BranchParams { name: "main".into() }).unwrap());
        window.told_until(Subject::Compute, |window| window.state("main") != ComputeState::Asleep);
        window.told_until(Subject::Compute, |window| window.state("main") == ComputeState::Awake);
    });
}

#[test]
fn a_window_is_told_of_names_bindings_and_mistakes_in_the_configuration() {
    let test = TestRepo::with_database();
    let mut window = Window::open(&test);
    test.run(&["branch", "create", "a"]).ok();
    test.run(&["branch", "rename", "a", "b"]).ok();
    window.told_until(Subject::Branches, |window| window.list().branches.iter().any(|b| b.name == "b"));
    test.git(&["branch", "b"]);
    window.told_until(Subject::Branches, |window| window.branch("b").in_git);
    test.git(&["checkout", "-q", "b"]);
    let at_b = |window: &mut Window<'_>| window.status().branch.is_some_and(|branch| branch.name == "b");
    window.told_until(Subject::Worktrees, at_b);
    fs::write(test.repo.join("offshoot.toml"), "on_chekout = 1").unwrap();
    // Whoever looks first finds the mistake, and everybody else is told.
    test.status();
    let noted = |window: &mut Window<'_>| window.status().notes.iter().any(|n| n.kind == NoteKind::Config);
    window.told_until(Subject::Worktrees, noted);
}

#[test]
fn an_expired_branch_goes_to_the_trash_unless_somebody_needs_it() {
    let test = TestRepo::with_database();
    let mut window = Window::open(&test);
    for name in ["a-gone", "guarded", "parent", "here", "z-gone"] {
        test.run(&["branch", "create", name]).ok();
    }
    test.run(&["branch", "create", "child", "--from", "parent", "--ttl", "2d"]).ok();
    test.run(&["branch", "protect", "guarded"]).ok();
    test.git(&["checkout", "-q", "-b", "here"]);
    assert!(test.run(&["branch", "list"]).ok().contains("(expires in 2 d)"));
    assert!(window.branch("child").expires_at.is_some());
    let said = test.run(&["branch", "expire", "main", "--in", "1d"]).fails(128);
    assert!(said.contains("root branch"), "{said}");
    let said = test.run(&["branch", "expire", "nowhere", "--in", "1d"]).fails(128);
    assert!(said.contains("no database branch `nowhere`"), "{said}");
    let said = test.run(&["branch", "expire", "a-gone", "--in", "soon"]).fails(129);
    assert!(said.contains("not a time such as"), "{said}");

    // Those that are to stay are due first.
    for name in ["guarded", "parent", "here", "a-gone", "z-gone"] {
        let said = test.run(&["branch", "expire", name, "--in", "1s"]).ok();
        let wanted =
            if name == "guarded" { "is protected, and stays" } else { "unless somebody uses it then" };
        assert!(said.contains(wanted), "{said}");
    }
    let has =
        |window: &mut Window<'_>, name: &str| window.list().branches.iter().any(|branch| branch.name == name);
    window.told_until(Subject::Branches, |window| !has(window, "a-gone") && !has(window, "z-gone"));
    for name in ["guarded", "parent", "here", "child"] {
        assert!(has(&mut window, name), "{name}");
    }
    assert!(test.run(&["undo", "a-gone"]).ok().contains("It had expired, and stays now"));
    assert_eq!(window.branch("a-gone").expires_at, None, "who brings it back wants to keep it");
    assert!(test.run(&["branch", "expire", "child", "--never"]).ok().contains("stays"));
    assert_eq!(window.branch("child").expires_at, None);
}
