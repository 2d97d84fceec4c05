//! A new cluster with its data, as the base of branches.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use offshoot_postgres::account::{Account, chown_all};
use offshoot_postgres::client::ClientTools;
use offshoot_postgres::cluster::{InitCluster, init_cluster};
use offshoot_postgres::load::LoadReport;
use offshoot_postgres::mask::Rule;
use offshoot_postgres::server::{Server, ServerSpec, StopMode};
use offshoot_postgres::subset::Session;
use offshoot_postgres::{Installation, Progress};

use super::kept::{self, Extensions, Sown};
use super::{Seed, SeedCache, Source, USER, load, physical, seed};
use crate::clones::make_data_folder;
use crate::error::{Context as _, StorageError};
use crate::files::{give, make_branch_folder, make_private, remove_tree};
use crate::image::drop_unused;
use crate::paths::{BranchPaths, Paths};
use crate::{DriverKind, LayerId, layers};

const START_PATIENCE: Duration = Duration::from_mins(2);
const STOP_PATIENCE: Duration = Duration::from_mins(30);

/// Settings for loading: nothing is durable until the whole store is.
const LOADING_SETTINGS: [(&str, &str); 13] = [
    ("listen_addresses", ""),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("synchronous_commit", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "1h"),
    ("autovacuum", "off"),
    ("shared_buffers", "256MB"),
    ("maintenance_work_mem", "256MB"),
    ("wal_init_zero", "off"),
    ("log_min_messages", "fatal"),
];

/// What a new cluster is made of.
#[derive(Clone)]
pub(crate) struct Fill<'a> {
    pub(crate) installation: &'a Installation,
    pub(crate) account: Option<&'a Account>,
    /// For a socket while the data are loaded.
    pub(crate) runtime_dir: &'a Path,
    /// Name of the branch that it is for.
    pub(crate) branch: &'a str,
    pub(crate) database: &'a str,
    pub(crate) source: &'a Source,
    pub(crate) tools: Option<&'a ClientTools>,
    pub(crate) masking: &'a [Rule],
    /// The file of the secret on which masked values depend.
    pub(crate) masking_key: PathBuf,
    /// What to run behind the data.
    pub(crate) seed: &'a [Seed],
    /// Where what the seed alone makes is kept.
    pub(crate) seed_cache: Option<&'a SeedCache>,
    pub(crate) driver: DriverKind,
    pub(crate) password: &'a str,
}

/// A cluster that was made.
pub(crate) struct Filled {
    /// What was loaded.
    pub(crate) load: Option<LoadReport>,
    /// With page layers: the base layer, and an empty one to put on top.
    pub(crate) stack: Option<(LayerId, LayerId)>,
    /// What somebody should know of the seed.
    pub(crate) notes: Vec<String>,
}

impl Fill<'_> {
    /// Makes the folder of `branch` with the cluster, and its layers. Nothing of it is durable yet.
    pub(crate) fn make(
        &self,
        paths: &Paths,
        branch: &BranchPaths,
        progress: &dyn Progress,
    ) -> Result<Filled, StorageError> {
        // What is wrong with what was asked for is told before anything is made.
        let mut session = load::open(self, progress)?;
        make_branch_folder(branch, self.account)?;
        match self.driver {
            DriverKind::Layers => make_private(&branch.data(), self.account)?,
            DriverKind::Clone => make_data_folder(&branch.data(), self.account)?,
        }
        let mut notes = Vec::new();
        let load = if let Source::Cluster { url, database, max_rate_kb } = self.source {
            Some(physical::copy(self, branch, (url, database, *max_rate_kb), progress)?)
        } else if let Source::Standby { url, max_rate_kb, slot } = self.source {
            Some(physical::copy_standby(self, branch, (url, slot, *max_rate_kb), progress)?)
        } else {
            let mut load = None;
            let mut make = |fill: &Fill<'_>| -> Result<Sown, StorageError> {
                fill.init(branch, progress)?;
                let (report, sown) = load_data(fill, branch, session.take(), progress)?;
                load = report;
                drop_unused(&branch.data())?;
                Ok(sown)
            };
            if let Some(cache) = self.seed_cache {
                notes = kept::bring_or_make(self, cache, branch, progress, make)?;
                drop_unused(&branch.data())?;
            } else {
                make(self)?;
            }
            load
        };
        let has_layers = self.driver == DriverKind::Layers;
        let stack = has_layers.then(|| make_layers(self, paths, branch, progress)).transpose()?;
        Ok(Filled { load, stack, notes })
    }

    /// Makes an empty cluster.
    fn init(&self, branch: &BranchPaths, progress: &dyn Progress) -> Result<(), StorageError> {
        init_cluster(
            &InitCluster {
                installation: self.installation,
                data_dir: &branch.data(),
                superuser: USER,
                password: self.password,
                account: self.account,
                wal_segment_size_mb: None,
                sync: false,
            },
            progress,
        )?;
        for name in ["postgresql.conf", "pg_hba.conf", "pg_ident.conf"] {
            drop_comments(&branch.data().join(name))?;
        }
        Ok(())
    }
}

/// Moves the relation files of the new cluster into a base layer. Returns it, and an empty one to put on top.
fn make_layers(
    fill: &Fill<'_>,
    paths: &Paths,
    branch: &BranchPaths,
    progress: &dyn Progress,
) -> Result<(LayerId, LayerId), StorageError> {
    let layer = LayerId::random().context("name a layer in", paths.store())?;
    let top = LayerId::random().context("name a layer in", paths.store())?;
    for id in [layer, top] {
        make_private(&paths.layer(id), fill.account)?;
    }
    progress.step("Make the base layer", 0, None);
    layers::import(&branch.data(), &paths.layer(layer))?;
    let account = fill.account;
    chown_all(&paths.layer(layer), account).context("give away", &paths.layer(layer))?;
    let control = branch.data().join("global/pg_control");
    fs::rename(&control, branch.control_file()).context("move", &control)?;
    give(&branch.control_file(), account)?;
    Ok((layer, top))
}

/// Takes the comments out of a configuration file: every branch has a copy of it.
fn drop_comments(path: &Path) -> Result<(), StorageError> {
    let text = fs::read_to_string(path).context("read", path)?;
    let kept: String = text
        .lines()
        .filter(|line| !line.trim_start().is_empty() && !line.trim_start().starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect();
    // In place, so that its owner stays.
    fs::write(path, kept).context("write", path)
}

/// Runs the new cluster as it is, without layers, and loads the data into it.
fn load_data(
    fill: &Fill<'_>,
    branch: &BranchPaths,
    session: Option<Session>,
    progress: &dyn Progress,
) -> Result<(Option<LoadReport>, Sown), StorageError> {
    serve(fill, branch, progress, |spec| {
        crash_point!(RefreshLoading);
        let report = load::load(fill, spec, session, progress)?;
        let mut sown = Sown { outside: seed(fill, spec, progress)?, extensions: None };
        if fill.seed_cache.is_some() {
            sown.extensions = Extensions::of(&mut load::connect(spec, fill.database, fill.password)?);
        }
        progress.step("Vacuum and analyze", 0, None);
        for database in [fill.database, "postgres", "template1"] {
            // With its hint bits set now, a page is not copied into a branch that only reads it.
            load::connect(spec, database, fill.password)?
                .batch_execute("VACUUM (FREEZE, ANALYZE)")
                .map_err(|error| load::statement_error("vacuum the database", &error))?;
        }
        Ok((report, sown))
    })
}

/// Does `work` while a server runs on the new cluster as it is, without layers.
pub(super) fn serve<T>(
    fill: &Fill<'_>,
    branch: &BranchPaths,
    progress: &dyn Progress,
    work: impl FnOnce(&ServerSpec) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    let sockets = fill.runtime_dir.join(format!("load-{}", std::process::id()));
    make_private(&sockets, fill.account)?;
    let spec = ServerSpec {
        installation: fill.installation.clone(),
        data_dir: branch.data(),
        socket_dir: sockets.clone(),
        log_file: branch.log(),
        account: fill.account.cloned(),
        settings: LOADING_SETTINGS.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        env: Vec::new(),
    };
    let done = run_while_serving(fill, &spec, progress, work);
    let removed = remove_tree(&sockets);
    let done = done?;
    removed?;
    Ok(done)
}

fn run_while_serving<T>(
    fill: &Fill<'_>,
    spec: &ServerSpec,
    progress: &dyn Progress,
    work: impl FnOnce(&ServerSpec) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    let failed = |source| match source {
        offshoot_postgres::server::ServerError::Cancelled => StorageError::Cancelled,
        source => StorageError::StartFailed { branch: fill.branch.to_owned(), source },
    };
    // Dropping the server on an error stops it at once: what it holds is thrown away.
    let mut server = Server::spawn(spec).map_err(failed)?;
    server.wait_ready(Instant::now() + START_PATIENCE, &|| progress.is_cancelled()).map_err(failed)?;
    let done = work(spec)?;
    if progress.is_cancelled() {
        return Err(StorageError::Cancelled);
    }
    progress.step("Shut down", 0, None);
    shut_down(server)?;
    let own = own_settings(&spec.data_dir)?;
    if fill.driver == DriverKind::Layers || !own.is_empty() {
        // From here on the WAL has all that leads to a moment: a branch that is made before anybody wakes the root begins here.
        // Settings that a seed has made are tried, as the root must wake with them.
        let is_own = |key: &str| own.iter().any(|(name, _)| name == key);
        let settings =
            spec.settings.iter().filter(|(key, _)| !is_own(key)).map(|(key, value)| match key.as_str() {
                "wal_level" => (key.clone(), "replica".to_owned()),
                _ => (key.clone(), value.clone()),
            });
        let spec = ServerSpec { settings: settings.collect(), ..spec.clone() };
        let failed = |source| match failed(source) {
            StorageError::StartFailed { source, .. } if !own.is_empty() => does_not_start(&own, &source),
            other => other,
        };
        let mut server = Server::spawn(&spec).map_err(failed)?;
        server.wait_ready(Instant::now() + START_PATIENCE, &|| progress.is_cancelled()).map_err(failed)?;
        shut_down(server)?;
    }
    Ok(done)
}

/// What `ALTER SYSTEM` has set, as lines of names and values.
fn own_settings(data: &Path) -> Result<Vec<(String, String)>, StorageError> {
    let path = data.join("postgresql.auto.conf");
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.context("read", &path)?,
    };
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect())
}

fn does_not_start(own: &[(String, String)], error: &offshoot_postgres::server::ServerError) -> StorageError {
    let shown: Vec<String> = own.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    StorageError::Refused {
        what: format!("What ALTER SYSTEM has set ({})", shown.join(", ")),
        why: format!("Postgres does not start with it: {error}"),
    }
}

fn shut_down(mut server: Server) -> Result<(), StorageError> {
    let status = server.stop(StopMode::Fast, STOP_PATIENCE)?;
    if status.success() {
        return Ok(());
    }
    Err(StorageError::Statement {
        context: "shut Postgres down",
        message: format!("{status}: {}", server.log_tail()),
    })
}
