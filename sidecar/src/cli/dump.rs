//! `offshoot dump`: a branch as a file, by the `pg_dump` of its own Postgres.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use offshoot_postgres::{Locator, Progress};
use offshoot_protocol::method::{BranchGetList, EngineGetStatus};
use offshoot_protocol::types::{Nothing, UrlResult};
use offshoot_storage::StorageError;
use serde_json::json;

use super::args::{DumpArgs, DumpFormat};
use super::connect::Session;
use super::output::{Output, bytes};
use super::progress::Shown;
use super::url::{address, owners_address};
use crate::draft::Draft;
use crate::failure::{Failure, Result};
use crate::libpq::IN_THE_WAY;
use crate::paths::Paths;
use crate::sys;

/// How often it is looked whether the tool has ended and whether it is still wanted.
const LOOK: Duration = Duration::from_millis(20);
/// What is kept of the tool's messages.
const KEPT_BYTES: u64 = 64 * 1024;
const KEPT_LINES: usize = 8;

/// As a shell has it of a program that ended with SIGPIPE.
const READER_GONE: u8 = 141;

pub(super) fn run(args: &DumpArgs, output: Output) -> Result<u8> {
    if args.file.is_none() && args.format == DumpFormat::Custom {
        return Err(Failure::user("an archive goes into a file").hint("Name it: `-o FILE`."));
    }
    if args.file.is_none() && output.json {
        return Err(Failure::user("with --json, standard output is for JSON").hint("Name a file: `-o FILE`."));
    }
    // From here on an interrupt has to clear away.
    sys::catch_interrupts();
    let draft = args.file.as_ref().map(|file| Draft::begin(file, args.force)).transpose()?;
    let mut session = Session::open(output)?;
    let address = branch_address(&mut session, args.branch.as_deref())?;
    // A script on a terminal is not to be mixed with a bar.
    let shown = Shown::new(output.json || draft.is_none());
    let outcome = tool(&mut session, &shown).and_then(|tool| {
        let command = command(&tool, args, &address, draft.as_ref());
        let mut command = command.map_err(|e| Failure::io("find the path of this program", &e))?;
        dump(&mut command, draft.as_ref(), &shown)
    });
    shown.finish();
    let Some(said) = outcome? else { return Ok(READER_GONE) };
    for line in said.lines() {
        output.aside(format!("note: {line}"));
    }
    let (Some(draft), Some(file)) = (draft, &args.file) else { return Ok(super::OK) };
    let size = draft.bytes();
    draft.finish()?;
    let branch = &address.branch;
    if output.json {
        let format = if args.format == DumpFormat::Custom { "custom" } else { "plain" };
        output.value(&json!({ "branch": branch, "format": format, "file": file, "bytes": size }))?;
    } else {
        output.line(format!("Wrote {branch} to {}: {}.", file.display(), bytes(size)));
    }
    Ok(super::OK)
}

/// An address that leads to the branch whatever is checked out meanwhile.
fn branch_address(session: &mut Session, branch: Option<&str>) -> Result<UrlResult> {
    if let Some((name, snapshot)) = branch.and_then(|text| text.rsplit_once('@'))
        && !snapshot.is_empty()
    {
        let text = branch.unwrap_or_default();
        let known = session.call::<BranchGetList>(&Nothing {})?.branches;
        if !known.iter().any(|branch| branch.name == text) {
            let name = if name.is_empty() { "B" } else { name };
            return Err(Failure::user("a snapshot cannot be dumped by itself").hint(format!(
                "Make a branch of it first: `offshoot branch create again --from {name}@{snapshot}`, then `offshoot dump again`."
            )));
        }
    }
    let name = match branch {
        Some(name) => name.to_owned(),
        None => address(session, None)?.branch,
    };
    // Of large objects a role that only reads would not get all. It is good until this process ends.
    owners_address(session, Some(&name), "offshoot dump", false)
}

/// `pg_dump` of the Postgres that the branches run on, or of one that can read it.
fn tool(session: &mut Session, progress: &dyn Progress) -> Result<PathBuf> {
    let status = session.call::<EngineGetStatus>(&Nothing {})?;
    let major = status.postgres.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default();
    let locator = Locator { cache: Paths::from_env()?.make_cache()? };
    let tools = locator.tools_of(status.bin_dir.as_ref(), major, progress);
    Ok(tools.map_err(|e| Failure::from(StorageError::from(e)))?.pg_dump)
}

/// The tool on a leash: it must not go on writing when this process is killed.
fn command(
    tool: &Path,
    args: &DumpArgs,
    address: &UrlResult,
    draft: Option<&Draft>,
) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["leash", "--"]).arg(tool);
    command.arg(if args.format == DumpFormat::Custom { "--format=custom" } else { "--format=plain" });
    command.args(["--no-password", "--encoding=UTF8"]);
    if args.schema_only {
        command.arg("--schema-only");
    }
    if args.data_only {
        command.arg("--data-only");
    }
    if let Some(draft) = draft {
        command.arg("--file").arg(draft.path());
    }
    for name in IN_THE_WAY {
        command.env_remove(name);
    }
    command
        .env("PGHOST", &address.host)
        .env("PGPORT", address.port.to_string())
        .env("PGUSER", &address.user)
        .env("PGPASSWORD", &address.password)
        .env("PGDATABASE", &address.database)
        .env("PGSSLMODE", "disable")
        .env_remove("PGOPTIONS")
        .env_remove("LD_PRELOAD")
        .env("LC_ALL", "C");
    Ok(command)
}

/// Runs the tool and returns what it had to say; nothing if whoever read the script wanted no more of it. It ends with Ctrl-C.
fn dump(command: &mut Command, draft: Option<&Draft>, progress: &dyn Progress) -> Result<Option<String>> {
    command.stdin(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    command.stdout(if draft.is_some() { Stdio::null() } else { Stdio::inherit() });
    let mut child = command.spawn().map_err(|e| Failure::io("start pg_dump", &e))?;
    // Open for as long as this process lives.
    let leash = child.stdin.take();
    let stream = child.stderr.take();
    let messages = thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut stream) = stream {
            // What is beyond that is read all the same, so that the tool never waits.
            let _ = stream.by_ref().take(KEPT_BYTES).read_to_end(&mut text);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let status = wait(&mut child, draft, progress)?;
    drop(leash);
    let said = messages.join().unwrap_or_default();
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let said = lines[lines.len().saturating_sub(KEPT_LINES)..].join("\n");
    if sys::interrupted() {
        return Err(Failure::cancelled().hint(left(draft)));
    }
    if draft.is_none() && status.signal() == Some(libc::SIGPIPE) {
        return Ok(None);
    }
    if !status.success() {
        return Err(Failure::engine(format!("pg_dump failed: {said}"))
            .hint(format!("{} `offshoot status` shows the branch.", left(draft))));
    }
    Ok(Some(said))
}

/// What an unfinished dump leaves.
fn left(draft: Option<&Draft>) -> &'static str {
    if draft.is_some() { "Nothing was written." } else { "What was written is incomplete." }
}

fn wait(child: &mut Child, draft: Option<&Draft>, progress: &dyn Progress) -> Result<ExitStatus> {
    loop {
        progress.step("Dump", draft.map_or(0, Draft::bytes), None);
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if sys::interrupted() => {
                sys::signal_group(child.id(), libc::SIGKILL);
                return child.wait().map_err(|e| Failure::io("wait for pg_dump", &e));
            }
            Ok(None) => thread::sleep(LOOK),
            Err(error) => return Err(Failure::io("wait for pg_dump", &error)),
        }
    }
}
