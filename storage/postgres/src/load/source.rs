//! Loading from archives and from other servers, through `pg_restore` and `pg_dump`.

use std::io::BufReader;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use postgres::Client;
use postgres::error::SqlState;

use super::error::causes;
use super::run::End;
use super::sizes::Sizes;
use super::tunnel::Tunnel;
use super::url::Source;
use super::{LoadError, LoadReport, Masking};
use crate::child;
use crate::client::ClientTools;
use crate::progress::Progress;
use crate::tls::ConnectError;
use crate::{sys, watch};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may take to let in and to say what it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// What is told where the URL has no password and one is asked for.
pub(crate) const NO_PASSWORD: &str = "it asks for a password, and the URL has none";
const BUFFER_BYTES: usize = 256 * 1024;

/// What is left out: it belongs to the other cluster, and here it would fail or reach out to other servers.
const LEFT_OUT: [&str; 4] = ["--no-owner", "--no-privileges", "--no-tablespaces", "--no-subscriptions"];

/// Loads an archive of the custom or the directory format.
///
/// # Errors
/// [`LoadError::Archive`] if `pg_restore` cannot read it, else as [`super::load_script`].
pub fn restore_archive(
    tools: &ClientTools,
    path: &Path,
    client: &mut Client,
    masking: Option<Masking<'_>>,
    progress: &dyn Progress,
) -> Result<LoadReport, LoadError> {
    let mut command = Command::new(&tools.pg_restore);
    command.args(["-f", "-"]).args(LEFT_OUT).args(only(masking.as_ref())).arg(path);
    from_tool(command, client, (masking, None), progress, |stderr| LoadError::Archive { stderr })
}

/// Copies the database at `url` (a URL or a `keyword=value` string).
///
/// The password travels in the tool's environment, never in its arguments. The source's tables may be held by others for `lock_timeout`; all
/// that was locked before them is held up meanwhile.
///
/// # Errors
/// [`LoadError::SourceUnreachable`], [`LoadError::SourcePassword`], [`LoadError::SourceTooNew`],
/// [`LoadError::SourceTls`] or [`LoadError::Source`], else as [`super::load_script`].
pub fn dump_server(
    tools: &ClientTools,
    url: &str,
    lock_timeout: Duration,
    client: &mut Client,
    masking: Option<Masking<'_>>,
    progress: &dyn Progress,
) -> Result<LoadReport, LoadError> {
    let part: Vec<&str> = only(masking.as_ref()).into_iter().collect();
    dump_part(tools, &Source::parse(url), &part, lock_timeout, client, masking, progress)
}

/// As [`dump_server`], with options of `pg_dump` that say which part.
pub(crate) fn dump_part(
    tools: &ClientTools,
    source: &Source,
    part: &[&str],
    lock_timeout: Duration,
    client: &mut Client,
    masking: Option<Masking<'_>>,
    progress: &dyn Progress,
) -> Result<LoadReport, LoadError> {
    let tunnel = if tools.has_tls { None } else { Tunnel::start(source)? };
    let address = tunnel.as_ref().map_or_else(|| source.for_dump(), |tunnel| tunnel.address().to_owned());
    let mut command = Command::new(&tools.pg_dump);
    command
        .args(LEFT_OUT)
        .args(part)
        .args(["--encoding=UTF8", "--no-password"])
        .arg(format!("--lock-wait-timeout={}", lock_timeout.as_millis()))
        .arg(format!("--dbname={address}"));
    command.env("PGCONNECT_TIMEOUT", CONNECT_TIMEOUT.as_secs().to_string());
    if let Some(password) = &source.password {
        command.env("PGPASSWORD", password);
    }
    if tunnel.is_some() {
        // They would lead past it.
        for variable in ["PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE"] {
            command.env_remove(variable);
        }
    }
    // Only with rows is there anything to count.
    let sizes = if part.is_empty() { Sizes::ask(source) } else { None };
    let loaded = from_tool(command, client, (masking, sizes), progress, dump_failure);
    match tunnel.and_then(|tunnel| tunnel.failure()) {
        Some(failure) if matches!(loaded, Err(ref error) if !matches!(error, LoadError::Cancelled)) => {
            Err(failure)
        }
        _ => loaded,
    }
}

/// The first pass of masking needs no rows.
fn only(masking: Option<&Masking<'_>>) -> Option<&'static str> {
    matches!(masking, Some(Masking::Schema)).then_some("--schema-only")
}

/// Runs `command` and loads what it writes. The tool's own failure explains a broken load better than the load does.
fn from_tool(
    mut command: Command,
    client: &mut Client,
    (masking, sizes): (Option<Masking<'_>>, Option<Sizes>),
    progress: &dyn Progress,
    failure: fn(String) -> LoadError,
) -> Result<LoadReport, LoadError> {
    // English messages, so that they are understood.
    command.env("LC_ALL", "C").env_remove("LD_PRELOAD").process_group(0);
    // A tool that waits for a lock at the source would outlive a process that is killed.
    sys::die_with_parent(&mut command);
    let mut tool = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let group = -(tool.id() as i32);
    let kill = || {
        // The tool is waited for only after this closure's watcher has ended, so the number is still its own.
        let _ = sys::kill(group, libc::SIGKILL);
    };
    let (output, errors) = (tool.stdout.take(), tool.stderr.take());
    let errors = std::thread::spawn(move || child::read_kept(errors));
    let loaded = watch::beside(progress, kill, || match output {
        Some(output) => {
            let mut reader = BufReader::with_capacity(BUFFER_BYTES, output);
            let job = super::Job { masking, end: End::Strict, sizes, ..super::Job::default() };
            super::load(&mut reader, client, job, progress)
        }
        None => Err(LoadError::Io(std::io::ErrorKind::BrokenPipe.into())),
    });
    // A stream that was cut off means that the tool is ending by itself, and its status says why.
    if !matches!(loaded, Ok(_) | Err(LoadError::Unfinished { .. })) {
        kill();
    }
    let status = tool.wait()?;
    let stderr = errors.join().unwrap_or_default();
    if progress.is_cancelled() {
        return Err(LoadError::Cancelled);
    }
    let failed_itself = status.code().is_some_and(|code| code != 0) || (loaded.is_ok() && !status.success());
    if failed_itself { Err(failure(child::last_lines(&stderr, 8))) } else { loaded }
}

/// What `pg_dump`'s complaint means.
fn dump_failure(stderr: String) -> LoadError {
    let says = |part: &str| stderr.contains(part);
    if says("server version mismatch") {
        let after = |label: &str| {
            let rest = stderr.split(label).nth(1).unwrap_or_default();
            rest.split([';', '\n', ' ']).next().unwrap_or_default().to_owned()
        };
        return LoadError::SourceTooNew {
            server: after("server version: "),
            tool: after("pg_dump version: "),
        };
    }
    if says("SSL support is not compiled in") || says("does not support SSL, but SSL was required") {
        return LoadError::ToolTls { message: stderr };
    }
    // The same URL has led to the server's version before, with TLS.
    if is_for_tls(&stderr) {
        return LoadError::ToolTls { message: stderr };
    }
    if says("channel binding")
        || says("SSL error")
        || says("root certificate file")
        || says("server certificate for")
    {
        return LoadError::ToolTls { message: stderr };
    }
    if says("password authentication failed") || says("no password supplied") || says("fe_sendauth") {
        return LoadError::SourcePassword { message: stderr };
    }
    let connecting =
        says("connection to server") || says("could not translate host name") || says("could not connect");
    // A server that answers, but not with this database, has been reached.
    if connecting && !says("FATAL:") {
        return LoadError::SourceUnreachable { message: stderr };
    }
    LoadError::Source { stderr }
}

/// The major version of the server at `url`.
///
/// # Errors
/// [`LoadError::SourceUnreachable`], [`LoadError::SourcePassword`] or [`LoadError::Source`].
/// [`LoadError::Tls`] if TLS is not to be had as the URL demands it.
pub fn server_major(url: &str) -> Result<u32, LoadError> {
    answered_within(url, ANSWER_TIMEOUT)
}

/// The client has no limit for a server that takes the connection and says nothing. The thread goes with that connection.
fn answered_within(url: &str, patience: Duration) -> Result<u32, LoadError> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let url = url.to_owned();
    std::thread::Builder::new().name("source".into()).spawn(move || sender.send(ask_major(&url)))?;
    receiver.recv_timeout(patience).unwrap_or_else(|_| {
        let message = format!("it has not answered within {} s", patience.as_secs());
        Err(LoadError::SourceUnreachable { message })
    })
}

fn ask_major(url: &str) -> Result<u32, LoadError> {
    let source = Source::parse(url);
    let mut config = source.client_config().map_err(|message| LoadError::SourceUnreachable { message })?;
    config.connect_timeout(CONNECT_TIMEOUT);
    let mut client = source.tls()?.connect(&config).map_err(connect_failure)?;
    let row = client.query_one("SELECT pg_catalog.current_setting('server_version_num')::int", &[]);
    let number: i32 = row.map_err(|error| LoadError::Source { stderr: causes(&error) })?.get(0);
    Ok(number as u32 / 10_000)
}

/// Whether a server has refused what came in the clear.
fn is_for_tls(message: &str) -> bool {
    message.contains("no encryption") || message.contains("SSL off")
}

pub(crate) fn connect_failure(error: ConnectError) -> LoadError {
    let error = match error {
        ConnectError::Tls(error) => return error.into(),
        ConnectError::Postgres(error) => error,
    };
    let message = causes(&error);
    if error.code().is_none() && message.contains("password missing") {
        return LoadError::SourcePassword { message: NO_PASSWORD.to_owned() };
    }
    match error.code() {
        Some(code) if *code == SqlState::INVALID_PASSWORD => LoadError::SourcePassword { message },
        Some(_) if is_for_tls(&message) => LoadError::SourceTls { message },
        Some(code) if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            LoadError::SourcePassword { message }
        }
        Some(_) => LoadError::Source { stderr: message },
        None => LoadError::SourceUnreachable { message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_of_pg_dump_are_understood() {
        let mismatch = "pg_dump: error: aborting because of server version mismatch\n\
            pg_dump: detail: server version: 18.1 (Debian 18.1-1); pg_dump version: 15.18 (Debian)";
        let LoadError::SourceTooNew { server, tool } = dump_failure(mismatch.to_owned()) else {
            panic!("mismatch")
        };
        assert_eq!((server.as_str(), tool.as_str()), ("18.1", "15.18"));
        let prefix = "pg_dump: error: connection to server at \"h\" (::1), port 5432 failed: ";
        let kind = |text: &str| dump_failure(format!("{prefix}{text}"));
        assert!(matches!(kind("Connection refused"), LoadError::SourceUnreachable { .. }));
        assert!(matches!(kind("timeout expired"), LoadError::SourceUnreachable { .. }));
        let password = "FATAL:  password authentication failed for user \"x\"";
        assert!(matches!(kind(password), LoadError::SourcePassword { .. }));
        assert!(matches!(kind("fe_sendauth: no password supplied"), LoadError::SourcePassword { .. }));
        assert!(matches!(
            kind("FATAL:  no pg_hba.conf entry for host, no encryption"),
            LoadError::ToolTls { .. }
        ));
        let built_without = "sslmode value \"require\" invalid when SSL support is not compiled in";
        assert!(matches!(dump_failure(built_without.to_owned()), LoadError::ToolTls { .. }));
        assert!(kind("FATAL:  no pg_hba.conf entry for host, no encryption").hint().contains("--bin-dir"));
        assert!(matches!(kind("FATAL:  database \"x\" does not exist"), LoadError::Source { .. }));
        assert!(kind("FATAL:  database \"x\" does not exist").hint().contains("name of the database"));
        let hint = |text: &str| dump_failure(format!("pg_dump: error: {text}")).hint();
        assert!(
            hint("query failed: ERROR:  permission denied for sequence s").contains("GRANT pg_read_all_data")
        );
        assert!(
            hint(
                "query failed: ERROR:  canceling statement due to statement timeout\nQuery was: LOCK TABLE public.t"
            )
            .contains("--lock-timeout")
        );
        let cut = "Dumping the contents of table \"t\" failed: PQgetCopyData() failed.";
        assert!(hint(cut).contains("Run it again"));
    }

    #[test]
    fn a_server_that_takes_the_connection_and_says_nothing_is_unreachable() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://me:x@127.0.0.1:{}/app", listener.local_addr().unwrap().port());
        let error = answered_within(&url, Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("has not answered"), "{error}");
    }

    #[test]
    fn closed_port_is_unreachable() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = server_major(&format!("postgres://me:x@127.0.0.1:{port}/app")).unwrap_err();
        assert!(matches!(error, LoadError::SourceUnreachable { .. }), "{error}");
    }
}
