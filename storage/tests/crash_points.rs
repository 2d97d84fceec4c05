//! The engine, or a Postgres of the branches, is killed at every point of the registry in `src/crash.rs`. After that the store opens, is in the old state
//! or the new one, has everything that was acknowledged, and nothing is left over.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "crash_points/servers.rs"]
mod servers;
mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use offshoot_postgres::Silent;
use offshoot_storage::{
    CrashPoint, DriverKind, Former, Moment, OpenStore, Operation, Refresh, RestoreWindow, SchemaProof, Seed,
    SeedCache, Source, StorageError, Store, WriteBundle, die_at,
};
use support::layers::assert_tidy;
use support::{TestStore, first, processes};

const MAJOR: u32 = 18;
/// What the process to be killed is told: the folder of its store, and the point.
const FOLDER: &str = "OFFSHOOT_TEST_ENGINE";
const POINT: &str = "OFFSHOOT_TEST_POINT";
/// WAL that makes a fork write a checkpoint first.
const MUCH_WAL: &str =
    "CREATE TABLE bulk AS SELECT repeat(md5(g::text), 200) AS v FROM generate_series(1, 1000) g";
const CONTENT: &str = "SELECT count(*) FILTER (WHERE id <= 100) || ':' ||
    coalesce(string_agg(id::text, ',' ORDER BY id) FILTER (WHERE id > 100), '') FROM t";

/// What makes layers of the root branch to be merged: files with few new pages, with many, new ones, deleted ones.
const MAIN_BEFORE: [&str; 3] = [
    "CREATE TABLE few AS SELECT g AS id, repeat('x', 500) AS v FROM generate_series(1, 2000) g",
    "CREATE TABLE scratch AS SELECT g AS id FROM generate_series(1, 1000) g",
    "CHECKPOINT",
];
const MAIN_BETWEEN: [&str; 5] = [
    "UPDATE few SET v = repeat('y', 500) WHERE id % 300 = 0",
    "UPDATE scratch SET id = -id",
    "VACUUM FULL scratch",
    "CREATE TABLE IF NOT EXISTS fresh AS SELECT g AS id FROM generate_series(1, 1000) g",
    "CHECKPOINT",
];
const FEW: &str =
    "SELECT count(*) || ':' || count(*) FILTER (WHERE v LIKE 'y%') || ':' || count(DISTINCT id) FROM few";

/// What the root branch gets when it gets new data.
const NEW_DATA: [&str; 3] = [
    "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g; INSERT INTO t VALUES (999);",
    "CREATE TABLE few AS SELECT g AS id, repeat(CASE WHEN g % 300 = 0 THEN 'y' ELSE 'x' END, 500) AS v FROM generate_series(1, 2000) g;",
    "CREATE TABLE scratch AS SELECT g AS id FROM generate_series(1, 1000) g;",
];

/// Where what a seed makes is kept.
fn seed_cache(folder: &Path) -> SeedCache {
    SeedCache { dir: folder.join("seeds"), max_bytes: 1 << 30, min_free_bytes: 0, inputs: None }
}

/// Branches that keep layers of the root branch from being merged in pairs.
const PINS: [&str; 3] = ["pin-1", "pin-2", "pin-3"];

/// Branches, each with its parent and, where the operation may have touched it, its content.
type State = BTreeMap<String, (Option<String>, Option<String>)>;

/// One test an operation, so that they run side by side.
macro_rules! each_operation {
    ($($name:ident: $operation:ident,)+) => {
        $(#[test] fn $name() { kill_at_each_point_of(Operation::$operation); })+

        /// Does not compile when an operation has no test.
        const fn _is_tested(operation: Operation) {
            match operation {
                $(Operation::$operation => {})+
                // It needs a source: `tests/follow/points.rs`.
                Operation::Follow => {}
            }
        }
    };
}

each_operation! {
    an_engine_killed_in_create: Create,
    an_engine_killed_in_settle: Settle,
    an_engine_killed_in_wake: Wake,
    an_engine_killed_in_snapshot: Snapshot,
    an_engine_killed_in_reset: Reset,
    an_engine_killed_in_restore: Restore,
    an_engine_killed_in_rewind: Rewind,
    an_engine_killed_in_refresh: Refresh,
    an_engine_killed_in_rename: Rename,
    an_engine_killed_in_delete: Delete,
    an_engine_killed_in_undo: Undo,
    an_engine_killed_in_purge: Purge,
    an_engine_killed_in_merge: Merge,
    an_engine_killed_in_window: Window,
    an_engine_killed_in_past: Past,
    an_engine_killed_in_carry: Carry,
    an_engine_killed_in_open: Open,
}

/// A store with a line of branches and a full trash, asleep; made once for each build, and copied.
fn template() -> Option<PathBuf> {
    let program = fs::metadata(std::env::current_exe().unwrap()).unwrap().modified().unwrap();
    let key = program.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let near = support::templates();
    let folder = near.join(format!("crash-points-{key}"));
    fs::create_dir_all(&near).unwrap();
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if !folder.exists() {
        let mut test = match support::driver() {
            DriverKind::Layers => TestStore::quick(MAJOR)?,
            // In its place, so that its data directory is a subvolume where there are any.
            DriverKind::Clone => TestStore::made_with(DriverKind::Clone, MAJOR)?,
        };
        test.run("main", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g");
        for statement in MAIN_BEFORE {
            test.run("main", statement);
        }
        for (name, parent, row) in [
            ("feature", "main", 201),
            ("leaf", "feature", 301),
            ("gone", "main", 401),
            ("redone", "main", 501),
        ] {
            test.create(name, parent);
            test.run(name, &format!("INSERT INTO t VALUES ({row})"));
            for statement in MAIN_BETWEEN {
                test.run("main", statement);
            }
        }
        test.store().delete_branch(test.id("gone")).unwrap();
        test.store().reset_branch(test.id("redone")).unwrap();
        test.close();
        support::copy_store(&test.dir(), &folder);
    }
    Some(folder)
}

/// Whether a store like this one passes a point: drivers have steps of their own, and the one of clones has two ways.
fn is_passed(template: &Path, point: CrashPoint) -> bool {
    use CrashPoint as P;
    let by_files = [P::CloneWalHeld, P::CloneDataDone, P::CloneControlWritten];
    let only_layers = [
        P::FreezeLayerMade,
        P::FreezeLayerCommitted,
        P::FreezeGateClosed,
        P::FreezeImageFinished,
        P::FreezeStackSwapped,
        P::FreezeGateOpened,
        P::CreateImageGiven,
        P::CreateTopMade,
        P::CreateStackCommitted,
        P::SettleLayerSynced,
        P::SettleLayerMarked,
        P::WakeLayerSynced,
        P::WakeControlWritten,
        P::SnapshotTopMade,
    ];
    match support::driver() {
        DriverKind::Layers => !by_files.contains(&point) && point != P::CloneSnapshotTaken,
        DriverKind::Clone if support::is_subvolume(&template.join("branches/1/pgdata")) => {
            !only_layers.contains(&point) && !by_files.contains(&point)
        }
        DriverKind::Clone => !only_layers.contains(&point) && point != P::CloneSnapshotTaken,
    }
}

/// In the middle of a fork.
fn amid_a_fork(template: &Path) -> CrashPoint {
    use CrashPoint as P;
    let points = [P::FreezeStackSwapped, P::CloneDataDone, P::CloneSnapshotTaken];
    points.into_iter().find(|point| is_passed(template, *point)).unwrap()
}

/// Clones have no layers to merge, and keep no past.
fn is_of_layers(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Merge | Operation::Window | Operation::Past | Operation::Rewind | Operation::Carry
    )
}

fn kill_at_each_point_of(operation: Operation) {
    if is_of_layers(operation) && !support::has_layers() {
        return;
    }
    let Some(template) = template() else { return };
    let points = CrashPoint::ALL.iter().filter(|(of, _)| *of == operation);
    for (_, point) in points.filter(|(_, point)| is_passed(&template, *point)) {
        eprintln!("{point:?}");
        let mut test = TestStore::quick_unopened(MAJOR).unwrap();
        support::copy_store(&template, &test.dir());
        let acknowledged = if operation == Operation::Open {
            let acknowledged = die(&test, amid_a_fork(&template));
            die(&test, *point);
            acknowledged
        } else {
            die(&test, *point)
        };
        assert_healed(&mut test, operation, *point, &acknowledged);
    }
}

/// Opens the store after something was killed at `point`: it is in the old state or in the new one, whole, and works.
fn assert_healed(test: &mut TestStore, operation: Operation, point: CrashPoint, acknowledged: &str) {
    test.open();
    assert_eq!(processes::left_in(&test.dir()), [], "{point:?}: left running");
    assert_tidy(&test.dir());
    if matches!(operation, Operation::Past | Operation::Rewind | Operation::Carry) {
        // As the engine does when it starts.
        for left in test.store().throwaways().unwrap() {
            test.store().remove_throwaway(left).unwrap();
        }
        assert_tidy(&test.dir());
    }
    let (old, new) = expected(operation, acknowledged);
    let found = found(test, &old, &new);
    assert!(found == old || found == new, "{point:?}: found {found:#?}, not {old:#?} nor {new:#?}");
    if matches!(operation, Operation::Reset | Operation::Restore | Operation::Rewind) && found == new {
        test.store().undo(&Former::Last).unwrap();
        assert_eq!(test.text("feature", CONTENT), content("201", acknowledged), "{point:?}");
    }
    if operation == Operation::Refresh {
        let left = fs::read_dir(test.folder.path().join("run")).unwrap().flatten();
        let left: Vec<_> = left.filter(|it| it.file_name().to_string_lossy().starts_with("load-")).collect();
        assert!(left.is_empty() && !test.dir().join("refresh.partial").exists(), "{point:?}: {left:?}");
        // What is half made is not found, and goes with the next one.
        let kept = SeedCache::list(&seed_cache(test.folder.path()).dir).seeds.len();
        let is_kept = !matches!(point, CrashPoint::RefreshLoading | CrashPoint::RefreshSeedCopied);
        assert_eq!(kept, usize::from(is_kept), "{point:?}");
        if found == new {
            test.store().undo(&Former::Last).unwrap();
            assert_eq!(test.text("main", CONTENT), content("", acknowledged), "{point:?}");
        }
    }
    if operation == Operation::Snapshot {
        assert_fork_point(test, point, &content("201", acknowledged));
    }
    assert_eq!(test.text("main", FEW), "2000:6:2000", "{point:?}");
    assert_eq!(test.text("main", "SELECT sum(id) FROM scratch"), "500500", "{point:?}");
    test.create("after", "main");
    test.store().delete_branch(test.id("after")).unwrap();
    test.close();
    assert_tidy(&test.dir());
    assert_eq!(processes::left_in(&test.dir()), [], "{point:?}: left running");
}

/// The fork point of `new` is what the branch was when it was made. It may be unknown if the engine died while Postgres was
/// starting.
fn assert_fork_point(test: &TestStore, point: CrashPoint, expected: &str) {
    let kept = test.store().snapshots(test.id("new")).unwrap();
    if kept.is_empty() && matches!(point, CrashPoint::SnapshotTopMade | CrashPoint::SnapshotWritten) {
        return;
    }
    assert_eq!(kept.len(), 1, "{point:?}: fork points");
    let rows = first(&mut test.connect_to_id(kept[0].id, "app"), CONTENT);
    assert_eq!(rows, expected, "{point:?}: the fork point");
}

/// The engine that carries out the operation of `point`.
fn engine(test: &TestStore, point: CrashPoint) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "engine_process", "--ignored", "--nocapture"])
        .env(FOLDER, test.folder.path())
        .env(POINT, format!("{point:?}"));
    command
}

/// Lets an engine die at `point`. Returns what was acknowledged before, separated by commas.
fn die(test: &TestStore, point: CrashPoint) -> String {
    let output = engine(test, point).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.signal(), Some(libc::SIGKILL), "{point:?} was not passed: {said}{errors}");
    said.lines().find_map(|line| line.strip_prefix("@acknowledged ")).unwrap_or_default().to_owned()
}

/// Not a test: an engine that carries one operation out and is killed in it.
#[test]
#[ignore = "the process that other tests kill"]
fn engine_process() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let name = std::env::var(POINT).unwrap();
    let (operation, point) = *CrashPoint::ALL.iter().find(|(_, point)| format!("{point:?}") == name).unwrap();
    let arm = |point| match servers::victim() {
        Some(victim) => servers::kill_at(point, victim, &folder.join("store")),
        None => die_at(point),
    };
    if operation == Operation::Open {
        arm(point);
    }
    let store = Store::open(OpenStore {
        dir: folder.join("store"),
        runtime_dir: folder.join("run"),
        account: offshoot_postgres::account::unprivileged().unwrap(),
        interposer: support::interposer(),
        settings: Vec::new(),
    })
    .unwrap();
    let id = |name: &str| store.branch_named(name).unwrap().unwrap().id;
    match operation {
        Operation::Create | Operation::Settle => {
            acknowledge(&store, "main", &[MUCH_WAL]);
            arm(point);
            end(store.create_branch("new", id("main")));
        }
        Operation::Wake | Operation::Snapshot => {
            acknowledge(&store, "feature", &[]);
            store.create_branch("new", id("feature")).unwrap();
            store.sleep(id("feature")).unwrap();
            arm(point);
            end(store.wake(id("new")));
        }
        Operation::Reset => {
            acknowledge(&store, "feature", &[]);
            arm(point);
            end(store.reset_branch(id("feature")));
        }
        Operation::Restore => {
            let snapshot = store.create_snapshot(id("feature"), "kept").unwrap();
            acknowledge(&store, "feature", &[]);
            arm(point);
            end(store.restore_branch(id("feature"), snapshot.id));
        }
        Operation::Rewind => {
            store.set_restore_window(Some(RestoreWindow::default()));
            store.wake(id("feature")).unwrap();
            store.keep_past().unwrap();
            let before = Moment::Time(SystemTime::now());
            acknowledge(&store, "feature", &[]);
            let then = store.prepare_restore(id("feature"), before, &Silent).unwrap();
            arm(point);
            end(store.restore_branch_to(id("feature"), then, before));
        }
        Operation::Refresh => {
            acknowledge(&store, "main", &[]);
            let script = folder.join("new.sql");
            fs::write(&script, NEW_DATA.join("\n")).unwrap();
            let request = Refresh {
                source: Source::Empty,
                tools: None,
                masking: Vec::new(),
                seed: vec![Seed::Script(script)],
                seed_cache: Some(seed_cache(&folder)),
            };
            arm(point);
            end(store.prepare_refresh(&request, &Silent).and_then(|made| store.replace_root(made)));
        }
        Operation::Rename => {
            acknowledge(&store, "feature", &[]);
            arm(point);
            end(store.rename_branch(id("feature"), "renamed"));
        }
        Operation::Delete => {
            acknowledge(&store, "feature", &[]);
            arm(point);
            end(store.delete_branch(id("feature")));
        }
        Operation::Undo => {
            acknowledge(&store, "redone", &[]);
            arm(point);
            end(store.undo(&Former::Last));
        }
        Operation::Purge => {
            acknowledge(&store, "main", &[]);
            arm(point);
            let ahead = SystemTime::now() + Duration::from_hours(10 * 24);
            for _ in 0..30 {
                store.purge_trash(ahead).unwrap();
            }
        }
        Operation::Merge | Operation::Window => {
            // Nothing is pinned by the trash; what is awake is on the disk.
            store.purge_trash_now(None).unwrap();
            store.wake(id("leaf")).unwrap();
            acknowledge(&store, "main", &[]);
            let depth = if operation == Operation::Merge { 16 } else { 2 };
            for name in PINS.iter().filter(|_| operation == Operation::Window) {
                let pin = store.create_branch(name, id("main")).unwrap();
                // A layer that nothing was written to is not frozen.
                acknowledge(&store, "main", &["CHECKPOINT"]);
                // What is awake is on the disk.
                store.wake(pin.id).unwrap();
            }
            arm(point);
            while store.merge_quiet(1 << 20, depth).unwrap().more {}
            store.merge_quiet(0, depth).unwrap();
        }
        Operation::Past => {
            store.set_restore_window(Some(RestoreWindow::default()));
            store.wake(id("main")).unwrap();
            assert_eq!(store.keep_past().unwrap(), 1);
            acknowledge(&store, "main", &[]);
            arm(point);
            end(store.create_branch_at("new", id("main"), Moment::Time(SystemTime::now()), &Silent));
        }
        Operation::Carry => {
            acknowledge(&store, "feature", &[]);
            let frozen_as = store.create_throwaway(id("feature")).unwrap();
            let order = WriteBundle {
                branch: id("feature"),
                frozen_as,
                full: false,
                schema: SchemaProof::default(),
                extensions: Vec::new(),
                roles: Vec::new(),
            };
            let mut file = tempfile::tempfile().unwrap();
            store.write_bundle(&order, &mut file, &Silent).unwrap();
            store.remove_throwaway(frozen_as).unwrap();
            file.rewind().unwrap();
            arm(point);
            let unpacked = store.unpack_bundle(&mut file, Some("carried"), &Silent);
            end(unpacked.and_then(|unpacked| store.adopt_bundle(&unpacked, "carried")));
        }
        Operation::Open | Operation::Follow => {}
    }
    if servers::victim().is_some() {
        servers::assert_works(&store);
    }
    store.close().unwrap();
}

/// Tells the process that started this one, and at once: this one may be killed.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Takes the end of an operation: it must succeed, unless a Postgres was killed meanwhile.
fn end<T>(result: Result<T, StorageError>) {
    match result {
        Err(error) if servers::victim().is_some() => say(&format!("@failed {error}")),
        other => drop(other.unwrap()),
    }
}

/// Writes to a branch, and says which rows Postgres has acknowledged.
fn acknowledge(store: &Store, branch: &str, before: &[&str]) {
    let socket = store.wake(store.branch_named(branch).unwrap().unwrap().id).unwrap();
    let mut config = postgres::Config::new();
    config.host_path(socket.parent().unwrap()).user("postgres").password(store.password()).dbname("app");
    let mut client = config.connect(postgres::NoTls).unwrap();
    for statement in before {
        client.batch_execute(statement).unwrap();
    }
    for row in 901..=903 {
        client.batch_execute(&format!("INSERT INTO t VALUES ({row})")).unwrap();
    }
    say("@acknowledged 901,902,903");
    if servers::victim().is_some() {
        // Somebody is connected when the Postgres is killed.
        std::mem::forget(client);
    }
}

fn content(own: &str, acknowledged: &str) -> String {
    let rows = [own, acknowledged].into_iter().filter(|rows| !rows.is_empty()).collect::<Vec<_>>();
    format!("100:{}", rows.join(","))
}

/// The states before and after an operation.
fn expected(operation: Operation, acknowledged: &str) -> (State, State) {
    let parents =
        [("main", None), ("feature", Some("main")), ("leaf", Some("feature")), ("redone", Some("main"))];
    let mut old: State = parents
        .map(|(name, parent)| (name.to_owned(), (parent.map(str::to_owned), None)))
        .into_iter()
        .collect();
    let set = |state: &mut State, name: &str, parent: &str, rows: Option<String>| {
        let parent = (!parent.is_empty()).then(|| parent.to_owned());
        state.insert(name.to_owned(), (parent, rows));
    };
    let of_leaf = content("201,301", "");
    let of_feature = content("201", acknowledged);
    let mut new;
    match operation {
        Operation::Create | Operation::Settle | Operation::Past | Operation::Open | Operation::Follow => {
            set(&mut old, "main", "", Some(content("", acknowledged)));
            set(&mut old, "feature", "main", Some(content("201", "")));
            new = old.clone();
            set(&mut new, "new", "main", Some(content("", acknowledged)));
            if operation == Operation::Settle {
                // It was made before the point.
                old = new.clone();
            }
        }
        Operation::Wake | Operation::Snapshot => {
            set(&mut old, "feature", "main", Some(of_feature.clone()));
            set(&mut old, "new", "feature", Some(of_feature));
            new = old.clone();
        }
        Operation::Reset => {
            set(&mut old, "leaf", "feature", Some(of_leaf));
            new = old.clone();
            set(&mut old, "feature", "main", Some(of_feature));
            set(&mut new, "feature", "main", Some(content("", "")));
        }
        Operation::Restore | Operation::Rewind => {
            set(&mut old, "leaf", "feature", Some(of_leaf));
            new = old.clone();
            set(&mut old, "feature", "main", Some(of_feature));
            set(&mut new, "feature", "main", Some(content("201", "")));
        }
        Operation::Refresh => {
            set(&mut old, "feature", "main", Some(content("201", "")));
            set(&mut old, "leaf", "feature", Some(of_leaf));
            new = old.clone();
            set(&mut old, "main", "", Some(content("", acknowledged)));
            set(&mut new, "main", "", Some(content("999", "")));
        }
        Operation::Carry => {
            set(&mut old, "feature", "main", Some(of_feature.clone()));
            new = old.clone();
            set(&mut new, "carried", "main", Some(of_feature));
        }
        Operation::Rename => {
            set(&mut old, "feature", "main", Some(of_feature.clone()));
            new = old.clone();
            new.remove("feature");
            set(&mut new, "renamed", "main", Some(of_feature));
            set(&mut new, "leaf", "renamed", None);
        }
        Operation::Delete => {
            set(&mut old, "leaf", "feature", Some(of_leaf.clone()));
            new = old.clone();
            set(&mut old, "feature", "main", Some(of_feature));
            new.remove("feature");
            set(&mut new, "leaf", "main", Some(of_leaf));
        }
        Operation::Undo => {
            new = old.clone();
            set(&mut old, "redone", "main", Some(content("", acknowledged)));
            set(&mut new, "redone", "main", Some(content("501", "")));
        }
        Operation::Purge | Operation::Merge | Operation::Window => {
            let mut rows = acknowledged.to_owned();
            if operation == Operation::Window {
                "901,901,901,901,902,902,902,902,903,903,903,903".clone_into(&mut rows);
                for name in PINS {
                    set(&mut old, name, "main", None);
                }
            }
            set(&mut old, "main", "", Some(content("", &rows)));
            set(&mut old, "redone", "main", Some(content("", "")));
            set(&mut old, "leaf", "feature", Some(of_leaf));
            new = old.clone();
        }
    }
    (old, new)
}

/// What the store has, with the content of the branches whose content is expected to be something.
fn found(test: &TestStore, old: &State, new: &State) -> State {
    let matters = |name: &str| {
        [old, new].iter().any(|state| state.get(name).is_some_and(|(_, content)| content.is_some()))
    };
    let look = |branch: offshoot_storage::Branch| {
        let rows = matters(&branch.name).then(|| test.text(&branch.name, CONTENT));
        (branch.name, (branch.parent_name, rows))
    };
    test.store().branches().unwrap().into_iter().map(look).collect()
}
