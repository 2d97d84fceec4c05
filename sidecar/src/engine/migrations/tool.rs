//! Running a tool's own command.

mod environment;
mod output;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use offshoot_endpoint::{Connecting, Endpoint, EndpointOptions, Pulse, Target, Upstream};
use offshoot_migrations::{Project, Tool};
use offshoot_protocol::error::Reason;
use offshoot_protocol::migrations::MigrationsVariable;
use offshoot_protocol::types::UrlResult;
use offshoot_storage::BranchId;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::Notify;

use super::elsewhere;
use crate::engine::server::Call;
use crate::engine::{Engine, worktrees};
use crate::failure::{Failure, Result, chain};
use environment::{Environment, environment_of};
pub(in crate::engine) use output::Filter;
use output::Log;

/// How long a tool may take to end after it was told to.
const END_PATIENCE: Duration = Duration::from_secs(3);
/// How long its output is waited for once it has ended: something that it left behind may hold the pipes open.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(1);
/// Those of the variables that are in the way that a file `.env` of the project may set for a tool that reads it: what is not set here is taken from there.
const REDIRECTS: [&str; 3] = ["PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE"];

/// An address of a Postgres for as long as this lives.
pub(in crate::engine) struct Address {
    pub(in crate::engine) url: UrlResult,
    connections: Arc<AtomicUsize>,
    _endpoint: Endpoint,
}

/// An upstream whose connections are counted.
struct Counted {
    of: Arc<dyn Upstream>,
    connections: Arc<AtomicUsize>,
}

impl Upstream for Counted {
    fn connect<'a>(&'a self, user: &'a str) -> Connecting<'a> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.of.connect(user)
    }

    fn connections_changed(&self) {
        self.of.connections_changed();
    }
}

struct Fixed {
    key: u64,
    socket: PathBuf,
    pulse: Arc<Pulse>,
}

impl Upstream for Fixed {
    fn connect<'a>(&'a self, _user: &'a str) -> Connecting<'a> {
        let target = Target {
            key: self.key,
            socket: self.socket.clone(),
            log_in_as: None,
            guard: Box::new(()),
            pulse: Arc::clone(&self.pulse),
        };
        Box::pin(async move { Ok(target) })
    }
}

impl Address {
    /// An address of a throwaway, whose Postgres listens at `socket`.
    pub(super) async fn of_socket(
        engine: &Engine,
        id: u64,
        socket: &Path,
        database: Option<&str>,
    ) -> Result<Self> {
        let pulse = Arc::new(Pulse::new(Arc::new(Notify::new())));
        let upstream = Fixed { key: id, socket: socket.to_owned(), pulse };
        Self::open(engine, Arc::new(upstream), database).await
    }

    /// An address of a branch, whatever is checked out and whoever may write there.
    pub(in crate::engine) async fn of_branch(engine: &Arc<Engine>, id: BranchId) -> Result<Self> {
        let upstream = crate::engine::upstream::BranchUpstream::ours(Arc::clone(engine), id);
        Self::open(engine, Arc::new(upstream), None).await
    }

    async fn open(engine: &Engine, upstream: Arc<dyn Upstream>, database: Option<&str>) -> Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let connections = Arc::new(AtomicUsize::new(0));
        let upstream = Arc::new(Counted { of: upstream, connections: Arc::clone(&connections) });
        let endpoint = Endpoint::bind(any, upstream, EndpointOptions::default()).await;
        let endpoint = endpoint.map_err(|e| Failure::engine(chain(&e)))?;
        let url = worktrees::address_of(engine, endpoint.port(), database);
        Ok(Self { url, connections, _endpoint: endpoint })
    }

    /// Whether anybody has connected since the last call.
    pub(super) fn was_used(&self) -> bool {
        self.connections.swap(0, Ordering::Relaxed) > 0
    }
}

/// What a tool did.
#[derive(Debug)]
pub(super) struct Done {
    /// Its exit status; none if a signal ended it.
    pub(super) status: Option<i32>,
    /// What it printed, or the end of that.
    pub(super) log: String,
    pub(super) took: Duration,
}

/// A command ready to run.
#[derive(Debug)]
pub(super) struct Prepared {
    program: PathBuf,
    words: Vec<String>,
    folder: PathBuf,
    environment: BTreeMap<String, String>,
    secret: String,
    /// What the log says before the tool does.
    note: Option<String>,
}

/// Looks for the program that a command starts with, and fills the address in.
///
/// # Errors
/// With [`Reason::MissingTool`] if it is not installed; if it would surely use another database.
pub(super) fn prepare(
    root: &Path,
    project: &Project,
    words: &[String],
    address: &UrlResult,
    environment: &[MigrationsVariable],
) -> Result<Prepared> {
    let folder = root.join(&project.commands.folder);
    let address = &address_for(project.tool, address);
    let Environment { mut variables, note } = environment_of(root, &folder, address, environment);
    let is_go = matches!(
        project.tool,
        Tool::Dbmate | Tool::Goose | Tool::GolangMigrate | Tool::Tern | Tool::Atlas | Tool::Supabase
    );
    let fill = |text: &str| filled(text, address, is_go);
    for (name, value) in &project.commands.env {
        variables.insert(name.clone(), fill(value));
    }
    let words: Vec<String> = words.iter().map(|text| word(text, address, is_go)).collect();
    let Some((name, rest)) = words.split_first() else {
        return Err(Failure::user(format!("{} has no command for this", project.tool.name())));
    };
    let path = variables.get("PATH").cloned().unwrap_or_default();
    let program = find(name, &path, &folder).ok_or_else(|| missing(project.tool, name, note.as_deref()))?;
    // `npx` and its likes would say that they found nothing in words of their own.
    if let ["--no-install" | "exec", tool, ..] = rest.iter().map(String::as_str).collect::<Vec<_>>()[..]
        && ["npx", "pnpm"].contains(&name.as_str())
        && find(tool, &path, &folder).is_none()
    {
        return Err(missing(project.tool, tool, note.as_deref()));
    }
    elsewhere::refuse(root, project)?;
    no_redirects(root, &folder)?;
    let secret = address.password.clone();
    Ok(Prepared { program, words: rest.to_vec(), folder, environment: variables, secret, note })
}

/// Refuses where a file `.env` of the project would lead a tool that reads it to another server, with the branch's password.
fn no_redirects(root: &Path, folder: &Path) -> Result<()> {
    for at in folder.ancestors().take_while(|at| at.starts_with(root)) {
        for name in [".env", ".env.local"] {
            let path = at.join(name);
            let Ok(text) = std::fs::read(&path) else { continue };
            let text = String::from_utf8_lossy(&text);
            let mut sets = text.lines().filter_map(|line| {
                let line = line.trim_start();
                let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
                REDIRECTS.into_iter().find(|name| {
                    line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(['=', ':']))
                })
            });
            if let Some(variable) = sets.next() {
                let text = format!(
                    "{} sets {variable}, by which a tool would connect to another server than the branch's",
                    path.display()
                );
                return Err(Failure::configuration(text)
                    .hint("Take it out of that file; DATABASE_URL and PGHOST are set for the tool."));
            }
        }
    }
    Ok(())
}

/// The variables of a command that the engine runs by itself: its own, with those that lead to the branch.
pub(in crate::engine) fn hook_environment(root: &Path, address: &UrlResult) -> BTreeMap<String, String> {
    let own = std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        Some(MigrationsVariable { name, value })
    });
    environment_of(root, root, address, &own.collect::<Vec<_>>()).variables
}

/// A command of the repository's own, for a shell.
pub(super) fn shell(
    root: &Path,
    command: &str,
    address: &UrlResult,
    environment: &[MigrationsVariable],
) -> Prepared {
    let Environment { variables, note } = environment_of(root, root, address, environment);
    Prepared {
        program: "/bin/sh".into(),
        words: vec!["-c".to_owned(), command.to_owned()],
        folder: root.to_owned(),
        environment: variables,
        secret: address.password.clone(),
        note,
    }
}

/// A variable with the address in it.
fn filled(text: &str, address: &UrlResult, is_go: bool) -> String {
    // The URL last: a password may hold braces.
    word(text, address, is_go)
        .replace("{password}", &address.password)
        .replace("{url}", &with_tls(&address.url, is_go))
}

/// A word of a command line with the address in it, which every user of the machine may read: without the password.
fn word(text: &str, address: &UrlResult, is_go: bool) -> String {
    let jdbc = format!("jdbc:postgresql://{}:{}/{}", address.host, address.port, address.database);
    text.replace("{jdbc_url}", &jdbc)
        .replace("{host}", &address.host)
        .replace("{port}", &address.port.to_string())
        .replace("{user}", &address.user)
        .replace("{database}", &address.database)
        .replace("{bare_url}", &with_tls(&worktrees::without_password(address), is_go))
}

/// The drivers of Go take what a URL does not say for TLS.
fn with_tls(url: &str, is_go: bool) -> String {
    if is_go { format!("{url}?sslmode=disable") } else { url.to_owned() }
}

/// The address with the one of libpq's two schemes that a tool's driver takes: `SQLAlchemy` knows no `postgres://`.
fn address_for(tool: Tool, address: &UrlResult) -> UrlResult {
    let mut address = address.clone();
    if let (Tool::Alembic | Tool::Django, Some(rest)) = (tool, address.url.strip_prefix("postgres://")) {
        address.url = format!("postgresql://{rest}");
    }
    address
}

fn find(name: &str, path: &str, folder: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(folder.join(name)).filter(runs);
    }
    path.split(':').filter(|part| !part.is_empty()).map(|part| folder.join(part).join(name)).find(runs)
}

fn missing(tool: Tool, program: &str, note: Option<&str>) -> Failure {
    let how = match tool {
        Tool::Flyway => "Install Flyway from its maker, or the package `flyway` of your system",
        Tool::Liquibase => "Install Liquibase from its maker, or the package `liquibase` of your system",
        Tool::Alembic => {
            "`pip install alembic` in the project's environment, and activate it or call it .venv"
        }
        Tool::Django => {
            "Install Python and the project's requirements, and activate its environment or call it .venv"
        }
        Tool::Rails => "Install Ruby, and run `bundle install`",
        Tool::Sqlx => "`cargo install sqlx-cli --no-default-features --features postgres`",
        Tool::Diesel => "`cargo install diesel_cli --no-default-features --features postgres`",
        Tool::Refinery => "`cargo install refinery_cli --no-default-features --features postgresql`",
        Tool::SeaOrm => "`cargo install sea-orm-cli`",
        Tool::Goose => "`go install github.com/pressly/goose/v3/cmd/goose@latest`",
        Tool::GolangMigrate => "Install the package `golang-migrate` of your system",
        Tool::Dbmate => "`npm install --save-dev dbmate`, or the package `dbmate` of your system",
        Tool::Tern => "`go install github.com/jackc/tern/v2@latest`",
        Tool::Atlas => "Install Atlas from its maker",
        Tool::Sqitch => "Install the package `sqitch` of your system, with DBD::Pg",
        Tool::EfCore => "`dotnet tool install --global dotnet-ef`",
        Tool::Supabase => "`npm install --save-dev supabase`",
        _ => "Run `npm install` in the project's folder, or what your package manager calls it",
    };
    Failure::configuration(format!("{} is not installed: there is no program `{program}`", tool.name()))
        .reason(Reason::MissingTool)
        .hint(match note {
            Some(note) => format!("{how}; or put its folder on PATH. {note}"),
            None => format!("{how}; or put its folder on PATH."),
        })
}

/// Runs a command and tells what it prints. If nobody wants it any more, it and all that it started are ended.
pub(super) async fn run(prepared: Prepared, what: &str, call: &Call) -> Result<Done> {
    let begun = Instant::now();
    let own = crate::sys::own_program().map_err(|e| Failure::io("find the program of the engine", &e))?;
    let mut command = tokio::process::Command::new(own);
    command
        .arg0("offshoot")
        .args(["leash", "--"])
        .arg(&prepared.program)
        .args(&prepared.words)
        .current_dir(&prepared.folder)
        .env_clear()
        .envs(&prepared.environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let child = command.spawn();
    let mut child = child
        .map_err(|e| Failure::configuration(format!("cannot run {}: {e}", prepared.program.display())))?;
    let group = Group(child.id());
    // Open for as long as the tool is wanted, also by an engine that is killed.
    let leash = child.stdin.take();
    let mut log = Log::new(what);
    if let Some(note) = &prepared.note {
        log.add(format!("{note}\n"), call).await;
    }
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let (mut of_out, mut of_err) = (Filter::new(&prepared.secret), Filter::new(&prepared.secret));
    let work = Box::pin(async {
        let reading = async {
            let (mut out_buffer, mut err_buffer) = (vec![0; 8192], vec![0; 8192]);
            while out.is_some() || err.is_some() {
                tokio::select! {
                    read = read_from(&mut out, &mut out_buffer) => match read {
                        Some(length) => log.add(of_out.pass(&out_buffer[..length]), call).await,
                        None => out = None,
                    },
                    read = read_from(&mut err, &mut err_buffer) => match read {
                        Some(length) => log.add(of_err.pass(&err_buffer[..length]), call).await,
                        None => err = None,
                    },
                }
            }
        };
        tokio::pin!(reading);
        let status = tokio::select! {
            status = child.wait() => {
                let _ = tokio::time::timeout(OUTPUT_PATIENCE, &mut reading).await;
                status
            }
            () = &mut reading => child.wait().await,
        };
        status.map_err(|e| Failure::io("wait for the tool", &e))
    });
    let status = call.while_wanted(work).await;
    if status.is_err() {
        group.end();
        if tokio::time::timeout(END_PATIENCE, child.wait()).await.is_err() {
            group.kill();
            let _ = child.wait().await;
        }
    }
    drop(leash);
    // What it left behind must not go on in a database that has been read by then.
    drop(group);
    log.add(of_out.rest(), call).await;
    log.add(of_err.rest(), call).await;
    Ok(Done { status: status?.code(), log: log.finish(), took: begun.elapsed() })
}

/// Waits on a stream that is open; for ever on one that is not.
async fn read_from(stream: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> Option<usize> {
    match stream {
        Some(open) => open.read(buffer).await.ok().filter(|length| *length > 0),
        None => std::future::pending().await,
    }
}

/// The processes of a tool. Those that live when this is dropped are killed.
pub(in crate::engine) struct Group(pub(in crate::engine) Option<u32>);

impl Group {
    fn signal(&self, signal: libc::c_int) {
        if let Some(pid) = self.0 {
            crate::sys::signal_group(pid, signal);
        }
    }

    pub(in crate::engine) fn end(&self) {
        self.signal(libc::SIGTERM);
    }

    pub(in crate::engine) fn kill(&self) {
        self.signal(libc::SIGKILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_leads_tools_to_another_server_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("db");
        std::fs::create_dir(&folder).unwrap();
        for fine in ["DATABASE_URL=postgres://elsewhere\n# PGHOSTADDR=1\n", "NOT_PGSERVICE=x\nPGSERVICES=y\n"]
        {
            std::fs::write(root.path().join(".env"), fine).unwrap();
            no_redirects(root.path(), &folder).unwrap();
        }
        for bad in ["PGHOSTADDR=127.0.0.9\n", "a=b\n export PGSERVICE = prod\n"] {
            std::fs::write(root.path().join(".env"), bad).unwrap();
            let said = no_redirects(root.path(), &folder).unwrap_err().to_string();
            assert!(said.contains(".env sets PG"), "{said}");
        }
    }
}
