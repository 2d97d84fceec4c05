//! `offshoot doctor`.

mod storage;

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use offshoot_postgres::install::DEFAULT_MAJOR;
use offshoot_postgres::{Installation, Locator, Request, install};
use offshoot_protocol::method::WorktreeGetStatus;
use offshoot_protocol::types::{Note, NoteKind, WorktreeParams, WorktreeStatus};
use serde::Serialize;
use serde_json::json;

use super::connect::try_connect;
use super::output::{Output, bytes};
use crate::failure::{Result, chain};
use crate::paths::{Paths, interposer};
use crate::project::{self, Project};
use crate::sys;

/// Below these, work will soon stop, or may.
const LEAST_FREE: u64 = 500_000_000;
const WARN_FREE: u64 = 5_000_000_000;
const LEAST_WATCHES: u64 = 8192;
const LEAST_INSTANCES: u64 = 128;
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

fn ok(what: &'static str, found: impl Into<String>) -> Finding {
    Finding { what, verdict: Verdict::Ok, found: found.into(), advice: None }
}

fn warn(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { what, verdict: Verdict::Warn, found: found.into(), advice: Some(advice.into()) }
}

fn fail(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { what, verdict: Verdict::Fail, found: found.into(), advice: Some(advice.into()) }
}

pub(super) fn run(output: Output) -> Result<u8> {
    let paths = Paths::from_env();
    let here = std::env::current_dir().unwrap_or_default();
    let mut findings = vec![platform(), git(), account(), the_interposer()];
    match &paths {
        Ok(paths) => {
            findings.push(postgres(paths));
            findings.push(runtime_dir(paths));
            findings.push(disk(paths));
            findings.push(storage::driver(&here, paths));
            findings.extend(project(&here, paths));
        }
        Err(failure) => {
            findings.push(fail("folders", failure.to_string(), failure.0.hint.clone().unwrap_or_default()));
        }
    }
    findings.extend(inotify());
    let bad = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    if output.json {
        output.value(&json!({ "ok": !bad, "findings": findings }))?;
    } else {
        for finding in &findings {
            show(finding, output);
        }
    }
    Ok(if bad { super::NEGATIVE } else { super::OK })
}

fn show(finding: &Finding, output: Output) {
    let verdict = match finding.verdict {
        Verdict::Ok => output.good("ok  "),
        Verdict::Warn => output.warn("warn"),
        Verdict::Fail => output.bad("fail"),
    };
    output.line(format!("{verdict}  {:<10} {}", finding.what, finding.found));
    for line in finding.advice.iter().flat_map(|advice| advice.lines()) {
        output.line(format!("                 {line}"));
    }
}

fn platform() -> Finding {
    let name = format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH);
    match install::check_platform() {
        Ok(()) => ok("platform", name),
        Err(error) => fail("platform", error.to_string(), error.hint()),
    }
}

fn git() -> Finding {
    let output = Command::new("git").arg("--version").output();
    match output {
        Ok(output) if output.status.success() => ok(
            "git",
            String::from_utf8_lossy(&output.stdout).trim().trim_start_matches("git version ").to_owned(),
        ),
        Ok(output) => {
            fail("git", String::from_utf8_lossy(&output.stderr).trim().to_owned(), "Install git again.")
        }
        Err(error) => fail("git", format!("cannot be run: {error}"), "Install git 2.13 or later."),
    }
}

fn account() -> Finding {
    match offshoot_postgres::account::unprivileged() {
        Ok(Some(account)) => ok("user", format!("root; Postgres runs as `{}`", account.name)),
        Ok(None) => ok("user", "not root; Postgres runs as you"),
        Err(error) => fail("user", chain(&error), error.hint()),
    }
}

/// Found, and accepted by the dynamic linker.
fn the_interposer() -> Finding {
    const WHAT: &str = "interposer";
    let path = match interposer() {
        Ok(path) => path,
        Err(failure) => return fail(WHAT, failure.to_string(), failure.0.hint.unwrap_or_default()),
    };
    let found = path.display().to_string();
    match Command::new("/bin/true").env("LD_PRELOAD", &path).output() {
        // The linker only complains; the program runs all the same.
        Ok(output) if output.status.success() && output.stderr.is_empty() => ok(WHAT, found),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let why = said.lines().next().unwrap_or("the program that loads it fails").to_owned();
            fail(WHAT, format!("{found}: {why}"), "Install Offshoot again, for this system and processor.")
        }
        Err(error) => {
            warn(WHAT, format!("{found}: not tried: {error}"), "There is no /bin/true to try it with.")
        }
    }
}

fn postgres(paths: &Paths) -> Finding {
    let locator = Locator { cache: paths.cache() };
    let found = locator.at_hand(&Request::default()).and_then(|taken| match taken {
        Some(_) => Ok((taken, None)),
        None => Ok((None, locator.find_local(&Request::default())?)),
    });
    match found {
        Ok((Some(taken), _)) => ok(
            "Postgres",
            format!("{} in {}, which `offshoot init` takes", taken.version, taken.bin_dir.display()),
        ),
        Ok((None, Some(system))) => fetched(&system),
        Ok((None, None)) => warn(
            "Postgres",
            "none is on this machine",
            "`offshoot init` fetches one with npm. Without a network, install Postgres 14 to 18, or name it with --bin-dir.",
        ),
        Err(error) => fail("Postgres", chain(&error), error.hint()),
    }
}

/// What `offshoot init` takes where only the system has a Postgres.
fn fetched(system: &Installation) -> Finding {
    let Installation { version, bin_dir, .. } = system;
    let found = format!(
        "`offshoot init` fetches {DEFAULT_MAJOR}, as no other is asked for; without a network it takes {version} in {}",
        bin_dir.display()
    );
    let advice = format!("`offshoot init --postgres {}` takes the one of this machine.", version.major);
    Finding { advice: Some(advice), ..ok("Postgres", found) }
}

fn runtime_dir(paths: &Paths) -> Finding {
    match paths.make_runtime() {
        Ok(path) => ok("sockets", path.display().to_string()),
        Err(failure) => fail("sockets", failure.to_string(), failure.0.hint.unwrap_or_default()),
    }
}

fn disk(paths: &Paths) -> Finding {
    let stores = paths.stores();
    let Some(there) = stores.ancestors().find(|path| path.is_dir()) else {
        return fail("disk", format!("there is no folder above {}", stores.display()), "Set OFFSHOOT_HOME.");
    };
    match sys::free_bytes(there) {
        Ok(free) if free < LEAST_FREE => fail(
            "disk",
            format!("{} free for {}", bytes(free), stores.display()),
            "Make room, or set OFFSHOOT_HOME.",
        ),
        Ok(free) if free < WARN_FREE => warn(
            "disk",
            format!("{} free for {}", bytes(free), stores.display()),
            "Databases may soon fill it.",
        ),
        Ok(free) => ok("disk", format!("{} free for {}", bytes(free), stores.display())),
        Err(error) => warn("disk", format!("free room is not known: {error}"), "Look with `df`."),
    }
}

fn project(here: &Path, paths: &Paths) -> Vec<Finding> {
    if let Err(failure) = project::worktree(here) {
        return vec![warn("repository", failure.to_string(), "The rest is checked inside a repository.")];
    }
    let project = match Project::find(here, paths) {
        Ok(project) => project,
        Err(failure) => return vec![warn("store", failure.to_string(), failure.0.hint.unwrap_or_default())],
    };
    let mut findings = vec![ok("repository", project.worktree.path.display().to_string())];
    match super::connect::connect(&project, Output::new(true)) {
        Ok(_) => findings.push(ok("store", project.store.display().to_string())),
        Err(failure) => {
            findings.push(fail("store", failure.to_string(), failure.0.hint.unwrap_or_default()));
            return findings;
        }
    }
    let status = status(&project);
    findings.extend(status.iter().flat_map(|status| &status.notes).filter_map(room));
    findings.push(port(status));
    findings
}

/// What the engine says about the store's room.
fn room(note: &Note) -> Option<Finding> {
    let is_it = note.kind == NoteKind::Disk;
    is_it.then(|| warn("room", note.text.clone(), note.hint.clone().unwrap_or_default()))
}

fn status(project: &Project) -> Result<WorktreeStatus> {
    let path = project.worktree.path.to_string_lossy().into_owned();
    match try_connect(&project.store)? {
        Some(mut client) => Ok(client.call::<WorktreeGetStatus>(&WorktreeParams { path }, PATIENCE)?),
        None => Err(crate::failure::Failure::engine("the engine went away")),
    }
}

fn port(status: Result<WorktreeStatus>) -> Finding {
    const WHAT: &str = "port";
    let endpoint = match status {
        Ok(status) => status.endpoint,
        Err(failure) => return fail(WHAT, failure.to_string(), failure.0.hint.unwrap_or_default()),
    };
    if !endpoint.listening {
        let advice = "Stop the program that has it, or run `offshoot url --new-port`.";
        return fail(WHAT, format!("{} is taken by another program", endpoint.port), advice);
    }
    match TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, endpoint.port).into(), PATIENCE) {
        Ok(_) => ok(WHAT, format!("127.0.0.1:{} answers", endpoint.port)),
        Err(error) => {
            fail(WHAT, format!("127.0.0.1:{}: {error}", endpoint.port), "A firewall may be in the way.")
        }
    }
}

fn inotify() -> Option<Finding> {
    const WHAT: &str = "inotify";
    if !cfg!(target_os = "linux") {
        return None;
    }
    let read = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let (Some(watches), Some(instances)) = (read("max_user_watches"), read("max_user_instances")) else {
        return Some(warn(
            WHAT,
            "limits are not known",
            "Checkouts are noticed once a second at the latest.",
        ));
    };
    let found = format!("{watches} watches, {instances} instances");
    Some(if watches < LEAST_WATCHES || instances < LEAST_INSTANCES {
        let advice = "Editors use them up. `sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`.";
        warn(WHAT, found, advice)
    } else {
        ok(WHAT, found)
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use offshoot_postgres::install::{Origin, Version};

    use offshoot_storage::StorageError;

    use super::*;
    use crate::failure::Failure;

    #[test]
    fn a_store_of_a_newer_offshoot_says_so() {
        let failure = Failure::from(StorageError::FormatTooNew { found: 9, known: 1 });
        assert!(failure.to_string().contains("format 9"), "{failure}");
        assert!(failure.0.hint.is_some());
    }

    #[test]
    fn findings_have_advice_unless_they_are_fine() {
        assert!(ok("a", "b").advice.is_none());
        assert!(warn("a", "b", "c").advice.is_some() && fail("a", "b", "c").advice.is_some());
    }

    #[test]
    fn it_is_told_which_postgres_init_would_take_and_why() {
        let version = Version { major: 15, minor: 4 };
        let system = Installation { bin_dir: PathBuf::from("/usr/bin"), version, origin: Origin::System };
        let Finding { verdict, found, advice, .. } = fetched(&system);
        assert_eq!(verdict, Verdict::Ok);
        assert_eq!(
            found,
            "`offshoot init` fetches 18, as no other is asked for; without a network it takes 15.4 in /usr/bin"
        );
        assert_eq!(advice.unwrap(), "`offshoot init --postgres 15` takes the one of this machine.");
    }
}
