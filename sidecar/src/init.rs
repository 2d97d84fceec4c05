//! Making a repository's database: the work of `offshoot init`, for the terminal and for the editor.

mod guard;
pub(crate) mod seed;
pub(crate) mod subset;

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use offshoot_git::{Head, Worktree};
use offshoot_postgres::load::LoadError;
use offshoot_postgres::mask::Rule;
use offshoot_postgres::physical::{self, PhysicalError};
use offshoot_postgres::subset::Subset;
use offshoot_postgres::{Account, ClientTools, Installation, Locator, Progress, Request as Wanted, load};
use offshoot_protocol::error::Reason;
use offshoot_storage::{
    CreateReport, CreateStore, DriverChoice, DriverKind, Seed, SeedCache, Source, StorageError,
    check_masking, choose_driver, create_store,
};

pub(crate) use guard::Guard;

use crate::address::{hide_password, percent_decode};
use crate::config::{ConfigFile, FILE_NAME, TEMPLATE, broken};
use crate::engine::binding::git_failure;
use crate::failure::{Failure, Result, chain};
use crate::names;
use crate::paths::{Paths, interposer};
use crate::project::{self, Project};
use crate::session::{Host, connect, stop_engine};

/// Name of the database where nothing suggests another one.
const DEFAULT_DATABASE: &str = "app";
/// Postgres cuts longer names.
const MAX_DATABASE_BYTES: usize = 63;

/// What is asked for. Everything absent is chosen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// A `postgres://` URL, or the path of a script or an archive; absent means empty.
    pub(crate) from: Option<String>,
    /// Major version of Postgres.
    pub(crate) postgres: Option<u32>,
    /// Folder with the programs of Postgres.
    pub(crate) bin_dir: Option<PathBuf>,
    /// Name of the database.
    pub(crate) database: Option<String>,
    /// The git branch that the data belongs to.
    pub(crate) root_branch: Option<String>,
    /// How branches are kept apart.
    pub(crate) driver: Option<DriverKind>,
    /// Whether the source's files are copied, rather than its rows.
    pub(crate) physical: Option<Physical>,
    /// Whether the server is to be followed: what is made is empty then, for a start to follow, and of the server's major.
    pub(crate) follow: bool,
    /// Which rows of a server.
    pub(crate) subset: subset::Asked,
    /// Whether the command of `[seed]` was agreed to.
    pub(crate) run_seed: bool,
}

/// How files are copied.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Physical {
    /// The most kilobytes a second.
    pub(crate) max_rate_kb: Option<u32>,
}

/// Everything checked that can be checked before the work.
#[derive(Debug)]
pub(crate) struct Prepared {
    request: Request,
    worktree: Worktree,
    paths: Paths,
    root_branch: String,
    source: Source,
    database: String,
    interposer: PathBuf,
    store: PathBuf,
    driver: DriverChoice,
    /// Whether the repository was a project before.
    had_id: bool,
    /// What becomes of personal data.
    masking: Vec<Rule>,
    /// What to run behind the data.
    seed: Vec<Seed>,
    /// Where what that makes is kept.
    seed_cache: Option<SeedCache>,
    /// What is to be told of the choice of rows.
    note: Option<String>,
}

/// What was made.
#[derive(Debug)]
pub(crate) struct Made {
    /// Bytes, statements, rows.
    pub(crate) report: CreateReport,
    /// Whether `offshoot.toml` was written.
    pub(crate) wrote_config: bool,
    /// The repository with its store.
    pub(crate) project: Project,
    /// How its branches are kept apart, and why so.
    pub(crate) driver: DriverChoice,
    /// Whether the repository was a project before.
    had_id: bool,
}

impl Made {
    /// Removes all of it again, as what it was made for did not come to be. Blocks.
    ///
    /// # Errors
    /// If the engine cannot be stopped, or files not be removed.
    pub(crate) fn take_back(self) -> Result<()> {
        let store = &self.project.store;
        stop_engine(store, true)?;
        let fault = |path: &Path, e: &std::io::Error| Failure::io(format!("remove {}", path.display()), e);
        fs::remove_dir_all(store).map_err(|e| fault(store, &e))?;
        let config = self.project.worktree.path.join(FILE_NAME);
        if self.wrote_config {
            fs::remove_file(&config).map_err(|e| fault(&config, &e))?;
        }
        if !self.had_id {
            project::release_id(&self.project.worktree.repository(), store);
        }
        Ok(())
    }
}

/// Checks `request` and finds the place of the store.
///
/// # Errors
/// A user error if the repository has a database, or if the request cannot be met.
pub(crate) fn prepare(worktree: Worktree, request: &Request, host: &dyn Host) -> Result<Prepared> {
    let paths = Paths::from_env()?;
    let root_branch = root_branch(request, &worktree)?;
    let mut source = source(request.from.as_deref(), request.physical)?;
    let database = database(request, &source)?;
    let interposer = interposer()?;
    let file = ConfigFile::open(&worktree.path);
    if let Some(error) = file.error() {
        // Rules for masking that cannot be read must not be taken for none.
        return Err(broken(error));
    }
    let note = subset::choose(&mut source, &request.subset, file.config())?;
    let asked = request.driver.or(file.config().storage_driver);
    let driver = choose_driver(asked, &paths.make_stores()?)?;
    let seed = if request.follow {
        check_masking(&file.config().masking)?;
        // They run on what the server has.
        seed::files(file.config(), &worktree.path).map(|_| Vec::new())?
    } else {
        seed::seeds(file.config(), &worktree.path, request.run_seed, std::env::vars_os())?
    };
    let seed_cache = seed::cache(file.config(), &worktree.path, &paths)?;
    let had_id = worktree.repository().project_id().is_ok_and(|id| id.is_some());
    let store = free_store(&worktree, &paths, host)?;
    Ok(Prepared {
        request: request.clone(),
        worktree,
        paths,
        root_branch,
        source,
        database,
        interposer,
        store,
        driver,
        had_id,
        masking: file.config().masking.clone(),
        seed,
        seed_cache,
        note,
    })
}

impl Prepared {
    /// Does the work. Ends early where `progress` says so; nothing is left then, nor after any other failure.
    ///
    /// # Errors
    /// [`Reason::Cancelled`], and whatever fetching Postgres and [`create_store`] fail with.
    pub(crate) fn make(self, progress: &dyn Progress) -> Result<Made> {
        // Whatever fails after a cancellation fails because of it: after Ctrl-C the programs at work hear it too.
        let guard = Guard::new(progress, &self.worktree.path, &self.store);
        let report = guard.check().and_then(|()| self.create(&guard)).map_err(|failure| {
            if !self.had_id {
                project::release_id(&self.worktree.repository(), &self.store);
            }
            guard.explain(failure)
        })?;
        let wrote_config = write_config(&self.worktree.path)?;
        let project = Project { worktree: self.worktree, store: self.store };
        Ok(Made { report, wrote_config, project, driver: self.driver, had_id: self.had_id })
    }

    fn create(&self, progress: &dyn Progress) -> Result<CreateReport> {
        let account = offshoot_postgres::account::unprivileged()
            .map_err(|e| Failure::configuration(chain(&e)).hint(e.hint()))?;
        let (installation, tools) =
            programs(&self.request, &self.paths, account.as_ref(), &self.source, progress)?;
        let request = CreateStore {
            runtime_dir: self.paths.make_store_runtime(&self.store)?,
            dir: self.store.clone(),
            root_branch: self.root_branch.clone(),
            database: self.database.clone(),
            source: if self.request.follow { Source::Empty } else { self.source.clone() },
            installation,
            tools,
            account,
            interposer: self.interposer.clone(),
            driver: self.driver.driver,
            masking: self.masking.clone(),
            seed: self.seed.clone(),
            seed_cache: self.seed_cache.clone(),
        };
        let mut report = create_store(&request, progress).map_err(again)?;
        if let Some(load) = &mut report.load {
            load.notes.extend(self.note.clone());
        }
        Ok(report)
    }
}

/// Says of a script that fails what to do here, where there is no database yet.
fn again(error: StorageError) -> Failure {
    let is_generic = error.hint().is_some_and(|hint| hint.contains("load it again"));
    let is_script = matches!(error, StorageError::Load(LoadError::Statement { .. }));
    let failure = Failure::from(error);
    if is_script && is_generic {
        failure
            .hint("Nothing was left behind. Correct the script at that line and run `offshoot init` again.")
    } else {
        failure
    }
}

fn programs(
    request: &Request,
    paths: &Paths,
    account: Option<&Account>,
    source: &Source,
    progress: &dyn Progress,
) -> Result<(Installation, Option<ClientTools>)> {
    let install = |error: offshoot_postgres::InstallError| Failure::from(StorageError::from(error));
    let cache = paths.make_cache()?;
    let locator = Locator { cache: cache.clone() };
    let real = |dir: &Path| {
        fs::canonicalize(dir).map_err(|e| {
            Failure::user(format!("--bin-dir {} cannot be used: {e}", dir.display()))
                .hint("It is the folder in which the programs `postgres` and `initdb` are.")
        })
    };
    let bin_dir = request.bin_dir.as_deref().map(real).transpose()?;
    let major = major(request, source)?;
    let found = locator.find(&Wanted { major, bin_dir }, progress).map_err(install)?;
    let tools = tools(&locator, source, &found, progress)?;
    let installation = found.reachable_for(account, &cache).map_err(install)?;
    Ok((installation, tools))
}

/// Which major is wanted. Files of a cluster can be run by their own only.
fn major(request: &Request, source: &Source) -> Result<Option<u32>> {
    let Source::Cluster { url, .. } = source else { return Ok(request.postgres) };
    let failed = |error| Failure::from(StorageError::from(error));
    let source_major = physical::source_major(url).map_err(failed)?;
    match request.postgres {
        Some(local) if local != source_major => {
            Err(failed(PhysicalError::OtherMajor { source_major, local }))
        }
        _ => Ok((request.bin_dir.is_none() || request.postgres.is_some()).then_some(source_major)),
    }
}

/// `pg_dump` and `pg_restore` for a source, where it needs them: those beside the Postgres that loads, if they can read it.
pub(crate) fn tools(
    locator: &Locator,
    source: &Source,
    installation: &Installation,
    progress: &dyn Progress,
) -> Result<Option<ClientTools>> {
    let tools = match source {
        // Who wrote an archive is not known; the newest reads most.
        Source::Archive(_) => locator.client_tools(installation.version.major, progress),
        Source::Server { url, .. } => {
            let major = load::server_major(url).map_err(|e| Failure::from(StorageError::from(e)))?;
            locator.tools_of(&installation.bin_dir, major, progress)
        }
        Source::Empty | Source::Script(_) | Source::Cluster { .. } | Source::Standby { .. } => {
            return Ok(None);
        }
    };
    Ok(Some(tools.map_err(|e| Failure::from(StorageError::from(e)))?))
}

/// Where the store of this repository can be made.
fn free_store(worktree: &Worktree, paths: &Paths, host: &dyn Host) -> Result<PathBuf> {
    paths.make_stores()?;
    let repository = worktree.repository();
    let id = project::claim_id(&repository)?;
    let store = paths.store(id.as_str());
    if !store.exists() {
        return Ok(store);
    }
    let project = Project { worktree: worktree.clone(), store };
    match connect(&project, host) {
        Err(failure) if failure.is(Reason::CopiedRepository) => {
            host.say("This repository is a copy of another one; giving it a store of its own.");
            Ok(paths.store(project::replace_id(&repository)?.as_str()))
        }
        _ => Err(Failure::user(format!("{} has a database already", worktree.path.display())).hint(format!(
            "`offshoot status` shows it. Its store is {}; to start anew, `offshoot engine stop` and move that folder away.",
            project.store.display()
        ))),
    }
}

fn root_branch(request: &Request, worktree: &Worktree) -> Result<String> {
    let name = match &request.root_branch {
        Some(name) => name.clone(),
        None => match offshoot_git::head(worktree).map_err(|e| git_failure(&e))? {
            Head::Branch(name) => name,
            Head::Detached { .. } => {
                return Err(Failure::user(
                    "HEAD is detached, so that it is not clear which branch the data belongs to",
                )
                .hint("Name it: `offshoot init --root-branch main …`."));
            }
        },
    };
    names::check(&name)?;
    Ok(name)
}

pub(crate) fn source(from: Option<&str>, physical: Option<Physical>) -> Result<Source> {
    let Some(from) = from else { return Ok(Source::Empty) };
    if let Some(Physical { max_rate_kb }) = physical {
        return cluster(from, max_rate_kb);
    }
    if from.starts_with("postgres://") || from.starts_with("postgresql://") {
        return Ok(Source::Server { url: from.to_owned(), subset: Subset::default() });
    }
    let path = Path::new(from);
    let fault = |e: &std::io::Error| {
        // Something like `mysql://user:secret@…` must not be repeated.
        let failure = Failure::user(format!("cannot read {}: {e}", hide_password(from)));
        failure.hint("--from takes a postgres:// URL, an SQL script (.sql, .sql.gz) or a pg_dump archive.")
    };
    let path = fs::canonicalize(path).map_err(|e| fault(&e))?;
    let is_archive =
        path.is_dir() || load::is_archive(&path).map_err(|e| fault(&std::io::Error::other(e.to_string())))?;
    Ok(if is_archive { Source::Archive(path) } else { Source::Script(path) })
}

/// A source whose files are copied.
fn cluster(url: &str, max_rate_kb: Option<u32>) -> Result<Source> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(Failure::user("--physical copies the files of a running server")
            .hint("Name it: `--from postgres://USER:PASSWORD@HOST/DATABASE --physical`."));
    }
    let database = database_of(url).ok_or_else(|| {
        Failure::user("the URL names no database")
            .hint("The whole cluster is copied, and one database of it is the branch's: put its name at the end of the URL.")
    })?;
    Ok(Source::Cluster { url: url.to_owned(), database, max_rate_kb })
}

/// The database that a URL names.
pub(crate) fn database_of(url: &str) -> Option<String> {
    let path = url.split_once("://")?.1.split_once('/')?.1;
    let name = path.split(['?', '#']).next().unwrap_or_default();
    percent_decode(name).filter(|name| !name.is_empty())
}

fn database(request: &Request, source: &Source) -> Result<String> {
    let name = match (&request.database, source) {
        (Some(name), _) => name.clone(),
        (None, Source::Server { url, .. }) => database_of(url).unwrap_or_else(|| DEFAULT_DATABASE.to_owned()),
        (None, Source::Cluster { database, .. }) => database.clone(),
        (None, _) => DEFAULT_DATABASE.to_owned(),
    };
    let fault = |why: &str| Err(Failure::user(format!("`{name}` cannot be the name of the database: {why}")));
    match name.as_str() {
        "" => fault("it is empty"),
        "template0" | "template1" => fault("Postgres keeps it for itself"),
        long if long.len() > MAX_DATABASE_BYTES => fault("Postgres takes at most 63 bytes"),
        odd if odd.chars().any(char::is_control) => fault("it contains a control character"),
        _ => Ok(name),
    }
}

/// Writes `offshoot.toml` unless there is one. Returns whether it did.
fn write_config(worktree: &Path) -> Result<bool> {
    let path = worktree.join(FILE_NAME);
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path) {
        Ok(mut file) => {
            file.write_all(TEMPLATE.as_bytes())
                .map_err(|e| Failure::io(format!("write {}", path.display()), &e))?;
            Ok(true)
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(Failure::io(format!("write {}", path.display()), &e)),
    }
}

/// That so many columns look personal and have no rule.
pub(crate) fn without_rule(count: usize) -> String {
    match count {
        1 => "1 column looks personal and has no rule".to_owned(),
        more => format!("{more} columns look personal and have no rule"),
    }
}

/// What to say of columns that look personal and came as they were.
pub(crate) fn unmasked(count: usize) -> Option<String> {
    let what = without_rule(count);
    (count > 0).then(|| format!("{what} in {FILE_NAME}: `offshoot masking check` lists them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn init(database: Option<&str>) -> Request {
        Request { database: database.map(str::to_owned), ..Request::default() }
    }

    #[test]
    fn the_database_is_named_as_its_source() {
        let server = |url: &str| Source::Server { url: url.into(), subset: Subset::default() };
        for (url, name) in [
            ("postgres://u:p@h:5432/shop", "shop"),
            ("postgres://u@h/my%20shop?sslmode=require", "my shop"),
            ("postgres://h", "app"),
            ("postgres://h/", "app"),
            ("postgres://h/%zz", "app"),
        ] {
            assert_eq!(database(&init(None), &server(url)).unwrap(), name, "{url}");
        }
        assert_eq!(database(&init(Some("x")), &server("postgres://h/shop")).unwrap(), "x");
        assert_eq!(database(&init(None), &Source::Empty).unwrap(), "app");
    }

    #[test]
    fn names_that_postgres_would_not_keep_are_refused() {
        for bad in ["", "template0", "a\nb", &"x".repeat(64)] {
            assert!(database(&init(Some(bad)), &Source::Empty).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_unknown_url_is_not_repeated_with_its_password() {
        let error = source(Some("mysql://me:hunter2@h/d"), None).unwrap_err();
        assert!(!error.0.message.contains("hunter2"), "{error}");
    }
}
