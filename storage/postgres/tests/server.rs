//! Clusters and servers with a real Postgres.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use offshoot_postgres::cluster::{ClusterError, init_cluster};
use offshoot_postgres::control::ClusterState;
use offshoot_postgres::server::{ServerError, StopMode, stop_orphan};
use offshoot_postgres::wal::{page_is_live, segments_from};
use offshoot_postgres::{ControlFile, Lsn, Progress, Server, Silent};
use support::{Cluster, PASSWORD, Running};

const PATIENCE: Duration = Duration::from_secs(90);

fn control(cluster: &Cluster) -> ControlFile {
    ControlFile::parse(&std::fs::read(cluster.data_dir().join("global/pg_control")).unwrap()).unwrap()
}

/// The Postgres processes whose working folder is `data_dir`.
fn processes_in(data_dir: &Path) -> Vec<u32> {
    let pids = Path::new("/proc").read_dir().unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data_dir))
        .collect()
}

#[test]
fn server_starts_answers_and_stops_clean() {
    let Some(cluster) = Cluster::new() else { return };
    assert_eq!(control(&cluster).state, ClusterState::ShutDown);
    let mut server = cluster.start();
    assert!(server.socket_path().exists());
    let mut client = support::connect(&cluster.dir.path().join("s"), "postgres");
    let row =
        client.query_one("SELECT current_setting('data_checksums'), current_setting('server_encoding')", &[]);
    let row = row.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("on", "UTF8"));
    assert_eq!(control(&cluster).state, ClusterState::InProduction);
    assert!(server.stop(StopMode::Fast, PATIENCE).unwrap().success());
    assert!(control(&cluster).state.is_clean());
    assert!(processes_in(&cluster.data_dir()).is_empty());
}

#[test]
fn control_file_and_wal_agree_with_the_server() {
    let Some(running) = Running::new() else { return };
    let mut client = running.client();
    client.batch_execute("CHECKPOINT").unwrap();
    let row = client.query_one(
        "SELECT system_identifier, catalog_version_no, redo_lsn::text, timeline_id, pg_walfile_name(redo_lsn) \
         FROM pg_control_system(), pg_control_checkpoint()",
        &[],
    );
    let row = row.unwrap();
    let control = control(&running.cluster);
    assert_eq!(control.system_identifier, row.get::<_, i64>(0) as u64);
    assert_eq!(control.catalog_version, row.get::<_, i32>(1) as u32);
    assert_eq!(control.redo, row.get::<_, String>(2).parse::<Lsn>().unwrap());
    assert_eq!(control.timeline, row.get::<_, i32>(3) as u32);
    let wal = running.cluster.data_dir().join("pg_wal");
    let segments = segments_from(&wal, control.redo, control.timeline, control.wal_segment_size).unwrap();
    let name = segments[0].file_name(control.wal_segment_size);
    assert_eq!(name, row.get::<_, String>(4));
    let page = control.redo.0 / 8192 * 8192;
    let bytes = std::fs::read(wal.join(name)).unwrap();
    let at = (page - segments[0].start(control.wal_segment_size).0) as usize;
    assert!(page_is_live(&bytes[at..at + 24], Lsn(page)));
}

#[test]
fn server_that_cannot_start_says_why() {
    let Some(cluster) = Cluster::new() else { return };
    let mut spec = cluster.spec();
    spec.settings.push(("shared_preload_libraries".to_owned(), "no_such_library".to_owned()));
    let mut server = Server::spawn(&spec).unwrap();
    match server.wait_ready(Instant::now() + PATIENCE, &|| false) {
        Err(ServerError::Exited { log, status }) => {
            assert!(log.contains("no_such_library"), "{log}");
            assert!(!status.success());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn waiting_for_readiness_can_be_cancelled_and_ends_at_its_deadline() {
    let Some(cluster) = Cluster::new() else { return };
    let mut server = Server::spawn(&cluster.spec()).unwrap();
    assert!(matches!(server.wait_ready(Instant::now() + PATIENCE, &|| true), Err(ServerError::Cancelled)));
    server.wait_ready(Instant::now() + PATIENCE, &|| false).unwrap();
    drop(server);
    assert!(processes_in(&cluster.data_dir()).is_empty(), "dropping leaks processes");
    // The pid file of the crashed run names another process; a start is not misled by it.
    let mut server = Server::spawn(&cluster.spec()).unwrap();
    assert!(matches!(server.wait_ready(Instant::now(), &|| false), Err(ServerError::NotReady { .. })));
}

#[test]
fn kill_leaves_no_process_behind() {
    let Some(cluster) = Cluster::new() else { return };
    let mut server = cluster.start();
    let _client = support::connect(&cluster.dir.path().join("s"), "postgres");
    assert!(processes_in(&cluster.data_dir()).len() > 3);
    assert!(!server.stop(StopMode::Kill, PATIENCE).unwrap().success());
    assert!(processes_in(&cluster.data_dir()).is_empty());
    cluster.start().stop(StopMode::Fast, PATIENCE).unwrap();
}

#[test]
fn orphan_is_stopped_and_its_cluster_starts_again() {
    let Some(cluster) = Cluster::new() else { return };
    let server = cluster.start();
    let pid = server.pid();
    // As if the engine had been killed: nobody holds the server any more.
    let waiter = std::thread::spawn(move || {
        let mut server = server;
        loop {
            if let Some(status) = server.try_wait().unwrap() {
                return status;
            }
            std::thread::yield_now();
        }
    });
    assert!(stop_orphan(&cluster.data_dir(), cluster.account.as_ref()).unwrap(), "{pid} was not found");
    assert!(waiter.join().unwrap().success(), "the orphan was not stopped in good order");
    assert!(!stop_orphan(&cluster.data_dir(), cluster.account.as_ref()).unwrap());
    assert!(processes_in(&cluster.data_dir()).is_empty());
    cluster.start().stop(StopMode::Fast, PATIENCE).unwrap();
}

#[test]
fn workers_that_outlive_their_postmaster_are_ended() {
    let Some(cluster) = Cluster::new() else { return };
    let mut server = cluster.start();
    let mut client = support::connect(&cluster.dir.path().join("s"), "postgres");
    let backend = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get::<_, i32>(0) as u32;
    let signal = |name: &str, pid: u32| {
        assert!(
            std::process::Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success()
        );
    };
    // A halted backend does not notice that its postmaster has died.
    signal("-STOP", backend);
    signal("-KILL", server.pid());
    while server.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    assert!(processes_in(&cluster.data_dir()).contains(&backend));
    stop_orphan(&cluster.data_dir(), cluster.account.as_ref()).unwrap();
    assert!(processes_in(&cluster.data_dir()).is_empty());
    cluster.start().stop(StopMode::Fast, PATIENCE).unwrap();
}

#[test]
fn too_long_socket_path_is_refused_by_name() {
    let Some(cluster) = Cluster::new() else { return };
    let mut spec = cluster.spec();
    spec.socket_dir = cluster.dir.path().join("x".repeat(100));
    assert!(matches!(Server::spawn(&spec), Err(ServerError::SocketPathTooLong(_))));
}

#[test]
fn folder_in_use_is_not_touched_by_a_second_init() {
    let Some(cluster) = Cluster::new() else { return };
    assert!(matches!(init_cluster(&cluster.order(), &Silent), Err(ClusterError::NotEmpty(_))));
    assert!(cluster.data_dir().join("PG_VERSION").exists());
    let mut order = cluster.order();
    order.password = "two\nlines";
    assert!(matches!(init_cluster(&order, &Silent), Err(ClusterError::Password)));
}

struct CancelOnce(AtomicBool, std::path::PathBuf);

impl Progress for CancelOnce {
    fn step(&self, _what: &str, _done: u64, _total: Option<u64>) {}

    /// Cancels as soon as `initdb` has written its first file.
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst) || {
            let begun = self.1.join("PG_VERSION").exists();
            self.0.store(begun, Ordering::SeqCst);
            begun
        }
    }
}

#[test]
fn cancelled_init_leaves_nothing() {
    let Some(cluster) = Cluster::new() else { return };
    let other = cluster.dir.path().join("other");
    let mut order = cluster.order();
    order.data_dir = &other;
    let progress = CancelOnce(AtomicBool::new(false), other.clone());
    assert!(matches!(init_cluster(&order, &progress), Err(ClusterError::Cancelled)));
    assert!(!other.exists());
    let left = cluster.dir.path().read_dir().unwrap().flatten().map(|entry| entry.file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("password")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!PASSWORD.is_empty());
}

#[test]
fn server_outlives_the_thread_that_asked_for_it() {
    let Some(cluster) = Cluster::new() else { return };
    let mut server = std::thread::scope(|scope| scope.spawn(|| cluster.start()).join().unwrap());
    let mut client = support::connect(&cluster.dir.path().join("s"), "postgres");
    // A shutdown that the thread's end had set off would end this statement.
    client.batch_execute("SELECT pg_sleep(0.5)").unwrap();
    assert!(server.try_wait().unwrap().is_none());
    server.stop(StopMode::Fast, PATIENCE).unwrap();
}

/// Names the data folder to a copy of this program that plays the engine.
const ENGINE_DIR: &str = "OFFSHOOT_TEST_ENGINE_DIR";

/// Plays an engine that will be killed; does nothing when run as a test.
#[test]
fn engine_to_be_killed() {
    let Some(dir) = std::env::var_os(ENGINE_DIR).map(std::path::PathBuf::from) else { return };
    let spec = offshoot_postgres::ServerSpec {
        installation: support::installation().unwrap(),
        data_dir: dir.join("data"),
        socket_dir: dir.join("s"),
        log_file: dir.join("log"),
        account: offshoot_postgres::account::unprivileged().unwrap(),
        settings: Vec::new(),
        env: Vec::new(),
    };
    let mut server = Server::spawn(&spec).unwrap();
    server.wait_ready(Instant::now() + PATIENCE, &|| false).unwrap();
    std::fs::write(dir.join("engine-ready"), server.pid().to_string()).unwrap();
    std::thread::park();
}

#[test]
fn server_shuts_down_in_good_order_when_its_engine_is_killed() {
    let Some(cluster) = Cluster::new() else { return };
    let mut engine = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "engine_to_be_killed"])
        .env(ENGINE_DIR, cluster.dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    until("the engine does not start", &|| cluster.dir.path().join("engine-ready").exists());
    assert_eq!(control(&cluster).state, ClusterState::InProduction);
    engine.kill().unwrap();
    engine.wait().unwrap();
    until("the server goes on", &|| processes_in(&cluster.data_dir()).is_empty());
    assert!(control(&cluster).state.is_clean());
}
