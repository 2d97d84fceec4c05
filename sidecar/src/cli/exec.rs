//! `offshoot exec`: becomes the program, so that exit codes, signals and the terminal are the program's own.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::connect::Session;
use super::output::Output;
use super::url::{address, owners_address};
use crate::failure::{Failure, Result};
use crate::libpq::IN_THE_WAY;
use crate::{programs, sys};

const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;

pub(super) fn run(branch: Option<&str>, override_rules: bool, command: &[OsString]) -> Result<u8> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::user("no program to run"));
    };
    // Standard output belongs to the program.
    let output = Output::new(false);
    let mut session = Session::open(output)?;
    let address = if override_rules {
        owners_address(&mut session, branch, "offshoot exec", true)?
    } else {
        address(&mut session, branch)?
    };
    let root = session.project.worktree.path.clone();
    if override_rules {
        // The program inherits the connection: the address is good for as long as it runs.
        sys::inherit(session.client.as_fd())
            .map_err(|e| Failure::io("keep the connection to the engine", &e))?;
    }
    let mut command = Command::new(program);
    command.args(arguments);
    for name in IN_THE_WAY {
        command.env_remove(name);
    }
    command
        .env("DATABASE_URL", &address.url)
        .env("PGHOST", &address.host)
        .env("PGPORT", address.port.to_string())
        .env("PGUSER", &address.user)
        .env("PGPASSWORD", &address.password)
        .env("PGDATABASE", &address.database)
        // Some drivers would insist on TLS, which a loopback connection does not have.
        .env("PGSSLMODE", "disable");
    if let Some(path) = path(&root) {
        command.env("PATH", path);
    }
    let error = command.exec();
    let program = program.to_string_lossy();
    let (code, why) = match error.kind() {
        ErrorKind::NotFound => (NOT_FOUND, "command not found".to_owned()),
        _ => (NOT_RUNNABLE, error.to_string()),
    };
    output.aside(format!("offshoot: {program}: {why}"));
    Ok(code)
}

/// PATH with the project's own programs behind what it had. Nothing where that cannot be said.
fn path(root: &Path) -> Option<OsString> {
    let here = std::env::current_dir().ok()?;
    let had = std::env::var_os("PATH")?;
    let own = programs::folders(root, &here).into_iter().filter(|folder| !has_colon(folder));
    std::env::join_paths(std::env::split_paths(&had).chain(own)).ok()
}

/// A colon in a name ends it on PATH.
fn has_colon(folder: &Path) -> bool {
    folder.as_os_str().as_encoded_bytes().contains(&b':')
}
