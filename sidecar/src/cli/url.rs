//! `offshoot url`.

use offshoot_protocol::method::{BranchUrl, WorktreeUrl};
use offshoot_protocol::types::{BranchParams, UrlResult, WorktreeUrlParams};

use super::connect::Session;
use super::output::Output;
use crate::failure::Result;

pub(super) fn run(branch: Option<&str>, new_port: bool, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    let address = match branch {
        None => session.call::<WorktreeUrl>(&WorktreeUrlParams { path: session.path(), new_port })?,
        Some(_) => address(&mut session, branch)?,
    };
    if output.json {
        output.value(&address)?;
    } else {
        output.line(&address.url);
    }
    Ok(super::OK)
}

/// The address of `branch`, or of the session's worktree.
pub(super) fn address(session: &mut Session, branch: Option<&str>) -> Result<UrlResult> {
    match branch {
        Some(name) => session.call::<BranchUrl>(&BranchParams { name: name.to_owned() }),
        None => session.call::<WorktreeUrl>(&WorktreeUrlParams { path: session.path(), new_port: false }),
    }
}
