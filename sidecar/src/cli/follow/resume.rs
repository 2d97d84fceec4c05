//! `offshoot follow resume`.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};

use offshoot_protocol::follow::FollowResumeParams;
use offshoot_protocol::method::{FollowGetStatus, FollowResume};
use offshoot_protocol::types::Nothing;

use crate::address::{known_password, with_absolute_files, with_known_password};
use crate::cli::connect::Session;
use crate::cli::output::Output;
use crate::cli::plain::plain;
use crate::failure::{Failure, Result};
use crate::sys;

pub(super) fn run(session: &mut Session, from: Option<String>, output: Output) -> Result<u8> {
    let status = session.call::<FollowGetStatus>(&Nothing {})?;
    let Some(following) = status.following else {
        return Err(
            Failure::user("nothing is followed").hint("`offshoot follow start --from URL` follows a server.")
        );
    };
    let (from, password) = match from {
        Some(url) => (Some(with_known_password(&with_absolute_files(&url)?)), None),
        None => (None, known_password(&following.source)),
    };
    let is_known = password.is_some();
    let password = match password {
        None if from.is_none() => Some(asked(&following.source, output)?),
        password => password,
    };
    let status = session.call::<FollowResume>(&FollowResumeParams { from, password }).map_err(|failure| {
        let hint = failure.0.hint.clone().filter(|_| is_known);
        match hint {
            Some(hint) => failure
                .hint(format!("{hint}\nThe password was that of PGPASSWORD, or else of the password file.")),
            None => failure,
        }
    })?;
    if output.json {
        output.value(&status)?;
    } else if let Some(following) = status.following {
        output.line(format!(
            "Follows {} again, from where it was: nothing is copied anew.",
            plain(&following.source)
        ));
        output.line("What was written there meanwhile is being fetched; `offshoot follow status` tells when it is here.");
    }
    Ok(crate::cli::OK)
}

/// The password as somebody types it.
fn asked(source: &str, output: Output) -> Result<String> {
    let unknown = || {
        Failure::user("it is not known which password is the new one").hint(
            "Run it in a terminal, where it is asked for, or set PGPASSWORD, or add a line to `~/.pgpass`.",
        )
    };
    if output.json || !std::io::stdin().is_terminal() {
        return Err(unknown());
    }
    let fault = |e: &std::io::Error| Failure::io("ask for a password", e);
    // Standard output may go elsewhere.
    let mut terminal = File::options().read(true).write(true).open("/dev/tty").map_err(|e| fault(&e))?;
    write!(terminal, "New password for {}: ", plain(source)).map_err(|e| fault(&e))?;
    match sys::read_hidden(&mut terminal).map_err(|e| fault(&e))? {
        Some(password) if !password.is_empty() => Ok(password),
        Some(_) => Err(unknown()),
        None => Err(Failure::cancelled()),
    }
}
