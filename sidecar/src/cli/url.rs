//! `offshoot url`.

use offshoot_protocol::method::{BranchOpen, BranchUrl, WorktreeUrl};
use offshoot_protocol::types::{BranchParams, OpenParams, UrlResult, WorktreeUrlParams};

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

/// The same, but one that the rule about who writes does not hold for. It is good for as long as the session is open.
pub(super) fn owners_address(
    session: &mut Session,
    branch: Option<&str>,
    command: &str,
    override_rules: bool,
) -> Result<UrlResult> {
    let name = branch.map(str::to_owned);
    let params = OpenParams { path: session.path(), name, command: command.to_owned(), override_rules };
    session.call::<BranchOpen>(&params)
}
