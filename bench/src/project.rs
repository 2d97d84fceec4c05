//! A git repository with databases, as a person has it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use offshoot_protocol::method::{
    BranchCreate, BranchGetList, BranchSleep, BranchUrl, BranchWake, EngineGetStatus, WorktreeUrl,
};
use offshoot_protocol::types::{
    Branch, BranchParams, CreateParams, EngineStatus, Nothing, WorktreeUrlParams,
};
use offshoot_protocol::{Client as Engine, Method};
use postgres::{Client, NoTls, SimpleQueryMessage};

use crate::interrupt;
use crate::language_server::LanguageServer;
use crate::workshop::{Home, Workshop, run};

const CALL_PATIENCE: Duration = Duration::from_mins(2);

/// A repository whose root branch `main` has a database. Dropped, it stays until the workshop goes.
pub(crate) struct Project<'w> {
    workshop: &'w Workshop,
    home: Home,
}

impl<'w> Project<'w> {
    /// Makes a repository, and a database out of `script`, or an empty one.
    pub(crate) fn make(
        workshop: &'w Workshop,
        name: &str,
        script: Option<&str>,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        Self::make_on(workshop, workshop.path(), name, script, settings)
    }

    /// As [`Project::make`], on the file system of `parent`.
    pub(crate) fn make_on(
        workshop: &'w Workshop,
        parent: &Path,
        name: &str,
        script: Option<&str>,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let project = Self::without_database(workshop, parent, name, settings)?;
        let mut words: Vec<String> =
            ["init", "--postgres", &workshop.postgres.to_string()].map(String::from).to_vec();
        match script {
            Some(text) => {
                let path = workshop.path().join(format!("{name}.sql"));
                fs::write(&path, text)?;
                words.extend(["--from".to_owned(), path.to_string_lossy().into_owned()]);
            }
            None => words.push("--empty".to_owned()),
        }
        if let Some(dir) = &workshop.bin_dir {
            words.extend(["--bin-dir".to_owned(), dir.to_string_lossy().into_owned()]);
        }
        run(&mut project.home.offshoot(&workshop.offshoot, &words))?;
        let version = project.status()?.postgres;
        workshop.found_version.get_or_init(|| version);
        Ok(project)
    }

    /// Makes a repository on the file system of `parent`, and its database of the server at `url`; returns how long the latter took.
    pub(crate) fn import(
        workshop: &'w Workshop,
        parent: &Path,
        name: &str,
        url: &str,
        how: &[&str],
    ) -> Result<(Self, Duration)> {
        let project = Self::without_database(workshop, parent, name, &[])?;
        let major = workshop.postgres.to_string();
        let dir = workshop.bin_dir.as_ref().map(|dir| dir.to_string_lossy().into_owned());
        let mut words = vec!["init", "--postgres", &major, "--from", url];
        words.extend(how);
        words.extend(dir.iter().flat_map(|dir| ["--bin-dir", dir.as_str()]));
        let (_, time) = project.offshoot(&words)?;
        Ok((project, time))
    }

    /// A repository without a database.
    fn without_database(
        workshop: &'w Workshop,
        parent: &Path,
        name: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let home = workshop.home(parent, name)?;
        let project = Self { workshop, home };
        project.git(&["init", "--quiet", "--initial-branch=main"])?;
        project.git(&["commit", "--quiet", "--allow-empty", "--message=first"])?;
        fs::write(project.home.repository.join("offshoot.toml"), configuration(settings))?;
        Ok(project)
    }

    /// Runs `offshoot` and returns what it wrote and how long that took, from before it is spawned to its end.
    pub(crate) fn offshoot(&self, args: &[&str]) -> Result<(String, Duration)> {
        interrupt::check()?;
        let mut command = self.home.offshoot(&self.workshop.offshoot, args);
        let start = Instant::now();
        let text = run(&mut command)?;
        Ok((text, start.elapsed()))
    }

    /// The language server, with the repository open.
    pub(crate) fn language_server(&self) -> Result<LanguageServer> {
        let command = self.home.offshoot(&self.workshop.offshoot, &["lsp"]);
        LanguageServer::start(command, self.repository())
    }

    /// Runs `git`; returns how long it took.
    pub(crate) fn git(&self, args: &[&str]) -> Result<Duration> {
        interrupt::check()?;
        let mut command = self.home.git(args);
        let start = Instant::now();
        run(&mut command)?;
        Ok(start.elapsed())
    }

    /// Makes a branch with the command; returns the time that it took.
    pub(crate) fn create(&self, name: &str, from: &str) -> Result<Duration> {
        Ok(self.offshoot(&["branch", "create", name, "--from", from])?.1)
    }

    /// Deletes a branch with the command; returns the time that it took.
    pub(crate) fn delete(&self, name: &str) -> Result<Duration> {
        Ok(self.offshoot(&["branch", "delete", name, "--yes"])?.1)
    }

    fn call<M: Method>(&self, params: &M::Params) -> Result<M::Result> {
        interrupt::check()?;
        let socket = self.engine_socket()?;
        let mut engine = Engine::connect(&socket).context("connect to the engine")?;
        engine.call::<M>(params, CALL_PATIENCE).with_context(|| format!("call {}", M::NAME))
    }

    fn engine_socket(&self) -> Result<PathBuf> {
        let (text, _) = self.offshoot(&["engine", "status", "--json"])?;
        let status: EngineStatus = serde_json::from_str(&text).context("read the engine's status")?;
        let file = fs::read_to_string(Path::new(&status.store).join("engine.json"))?;
        let file: offshoot_protocol::types::EngineFile = serde_json::from_str(&file)?;
        Ok(PathBuf::from(file.socket))
    }

    /// A connection to the engine that stays open, for what is timed.
    pub(crate) fn engine(&self) -> Result<Engine> {
        Ok(Engine::connect(&self.engine_socket()?)?)
    }

    /// What the engine says of itself. Does not wake anything.
    pub(crate) fn status(&self) -> Result<EngineStatus> {
        self.call::<EngineGetStatus>(&Nothing {})
    }

    /// Starts the engine if it does not run.
    pub(crate) fn start_engine(&self) -> Result<()> {
        self.offshoot(&["status"]).map(drop)
    }

    pub(crate) fn stop_engine(&self) -> Result<()> {
        self.offshoot(&["engine", "stop"]).map(drop)
    }

    /// The address of whatever is checked out.
    pub(crate) fn url(&self) -> Result<String> {
        let path = self.home.repository.to_string_lossy().into_owned();
        Ok(self.call::<WorktreeUrl>(&WorktreeUrlParams { path, new_port: false })?.url)
    }

    /// The address of a branch.
    pub(crate) fn url_of(&self, branch: &str) -> Result<String> {
        url_of(&mut self.engine()?, branch)
    }

    pub(crate) fn wake(&self, branch: &str) -> Result<()> {
        self.call::<BranchWake>(&BranchParams { name: branch.to_owned() }).map(drop)
    }

    pub(crate) fn sleep(&self, branch: &str) -> Result<()> {
        self.call::<BranchSleep>(&BranchParams { name: branch.to_owned() }).map(drop)
    }

    pub(crate) fn branch(&self, name: &str) -> Result<Branch> {
        let list = self.call::<BranchGetList>(&Nothing {})?;
        list.branches
            .into_iter()
            .find(|branch| branch.name == name)
            .with_context(|| format!("no branch {name}"))
    }

    /// The work tree.
    pub(crate) fn repository(&self) -> &Path {
        &self.home.repository
    }

    /// Folder of the store.
    pub(crate) fn store(&self) -> Result<PathBuf> {
        Ok(PathBuf::from(self.status()?.store))
    }

    /// The Postgres of a branch that is awake, without the endpoint in between.
    pub(crate) fn server(&self, branch: &str) -> Result<DirectServer> {
        let url = self.url_of(branch)?;
        let config: postgres::Config = url.parse().context("read the URL")?;
        let data = self.store()?.join("branches").join(self.branch(branch)?.id.to_string()).join("pgdata");
        let file = fs::read_to_string(data.join("postmaster.pid")).context("read postmaster.pid")?;
        // Its lines: process, data directory, start, port, folder of the socket.
        let line = |index: usize| file.lines().nth(index).context("postmaster.pid is cut short");
        Ok(DirectServer {
            postmaster: line(0)?.trim().parse()?,
            socket_dir: PathBuf::from(line(4)?.trim()),
            password: String::from_utf8(config.get_password().unwrap_or_default().to_vec())?,
            database: config.get_dbname().unwrap_or("app").to_owned(),
        })
    }

    /// Stops the engine and removes all data.
    pub(crate) fn remove(self) -> Result<()> {
        self.workshop.close(&self.home)
    }
}

/// The address of a branch, over a connection to the engine that is open already.
pub(crate) fn url_of(engine: &mut Engine, branch: &str) -> Result<String> {
    let params = BranchParams { name: branch.to_owned() };
    Ok(engine.call::<BranchUrl>(&params, CALL_PATIENCE)?.url)
}

/// Makes a branch over a connection to the engine that is open already.
pub(crate) fn create(engine: &mut Engine, name: &str, from: &str) -> Result<()> {
    let params =
        CreateParams { name: name.to_owned(), from: Some(from.to_owned()), ..CreateParams::default() };
    engine.call::<BranchCreate>(&params, CALL_PATIENCE).with_context(|| format!("make {name}")).map(drop)
}

/// A server at its own socket.
#[derive(Clone, Debug)]
pub(crate) struct DirectServer {
    pub(crate) postmaster: u32,
    pub(crate) socket_dir: PathBuf,
    pub(crate) password: String,
    pub(crate) database: String,
}

impl DirectServer {
    pub(crate) fn connect(&self) -> Result<Client> {
        postgres::Config::new()
            .host_path(&self.socket_dir)
            .user("postgres")
            .password(&self.password)
            .dbname(&self.database)
            .connect(NoTls)
            .context("connect to the server")
    }
}

pub(crate) fn connect(url: &str) -> Result<Client> {
    Client::connect(url, NoTls).context("connect to the branch")
}

/// Runs one statement; the first column of the first row, as text.
pub(crate) fn first(client: &mut Client, sql: &str) -> Result<String> {
    for message in client.simple_query(sql).with_context(|| format!("run {sql}"))? {
        if let SimpleQueryMessage::Row(row) = message {
            return Ok(row.get(0).unwrap_or_default().to_owned());
        }
    }
    bail!("no row: {sql}")
}

fn configuration(settings: &[(&str, &str)]) -> String {
    // Nothing may fall asleep by itself while it is looked at.
    let mut text = "idle_timeout = \"12h\"\n\n[postgres.settings]\n".to_owned();
    for (name, value) in settings {
        text.extend([*name, " = \"", *value, "\"\n"]);
    }
    text
}
