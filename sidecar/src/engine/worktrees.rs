//! What is asked about worktrees.

use std::path::PathBuf;
use std::sync::Arc;

use offshoot_git::{Environment, Head};
use offshoot_protocol::types::{
    Ask, EndpointStatus, GitHead, Note, NoteKind, OpenParams, UrlResult, WorktreeParams, WorktreeStatus,
    WorktreeUrlParams,
};
use offshoot_storage::BranchId;

use super::binding::git_failure;
use super::book::SeatKey;
use super::migrations::Address;
use super::policy::Deed;
use super::server::Call;
use super::{Engine, branches, env_files, following, hooks, policy, ports, room};
use crate::failure::{Failure, Result};

/// The seat of the worktree that holds `path`; made if it is new.
pub(super) async fn seat(engine: &Arc<Engine>, path: &str) -> Result<SeatKey> {
    let path = PathBuf::from(path);
    if let Some(key) = engine.binding.find(path.clone()).await? {
        return Ok(key);
    }
    let worktree = engine
        .blocking(move |engine| {
            let worktree =
                offshoot_git::discover_with(&path, &Environment::clean()).map_err(|e| git_failure(&e))?;
            if worktree.common_dir == engine.repository.common_dir {
                return Ok(worktree);
            }
            Err(Failure::user(format!("{} is a worktree of another repository", worktree.path.display())))
        })
        .await?;
    engine.binding.register(worktree).await
}

/// `worktree/status`.
pub(super) async fn status(engine: &Arc<Engine>, params: WorktreeParams) -> Result<WorktreeStatus> {
    let key = seat(engine, &params.path).await?;
    // A checkout that could not be followed is part of the status.
    let _ = engine.binding.settle(&key).await;
    let view = engine.binding.view(&key).await?;
    let env_note = env_files::note(engine, &view).await;
    let mut notes = view.notes;
    let branch = match view.branch {
        Ok(id) => Some(branches::describe_here(engine, id).await?),
        Err(_) => None,
    };
    let here = branch.as_ref().map(|branch| BranchId(branch.id));
    if let Some(branch) = branch.as_ref()
        && let Some(why) = &branch.failure
    {
        let text = format!("Postgres of `{}` failed: {why}", branch.name);
        notes.push(Note {
            kind: NoteKind::Compute,
            text,
            hint: Some("The next connection starts it again.".into()),
        });
    }
    notes.extend(branch.as_ref().and_then(room::quota_note));
    if let Some(name) = branch.as_ref().map(|branch| branch.name.clone()) {
        notes.extend(engine.blocking(move |engine| policy::note(engine, &name)).await?);
    }
    notes.extend(engine.blocking(|engine| Ok(room::note(engine))).await?);
    notes.extend(engine.follower.note());
    notes.extend(engine.blocking(|engine| following::note(engine)).await?);
    let offers = match here {
        Some(here) => engine.blocking(move |engine| Ok(engine.offers.shown(engine, &key, here))).await?,
        None => Vec::new(),
    };
    notes.extend(env_note);
    notes.extend(engine.blocking(|engine| Ok(hooks::notes(engine))).await?);
    let asked = view.missing.filter(|missing| missing.asked);
    let ask = asked.map(|missing| Ask { name: missing.name, parent: missing.parent_name });
    let git = match view.head {
        Some(Head::Branch(name)) => GitHead::Branch { name },
        Some(Head::Detached { commit }) => GitHead::Detached { commit },
        None => GitHead::Detached { commit: String::new() },
    };
    let endpoint = EndpointStatus {
        port: view.port,
        url: address(engine, view.port).url,
        listening: view.listening,
        connections: view.connections,
    };
    Ok(WorktreeStatus {
        path: view.path.to_string_lossy().into_owned(),
        git,
        branch,
        endpoint,
        notes,
        ask,
        offers,
    })
}

/// `worktree/url`.
pub(super) async fn url(engine: &Arc<Engine>, params: WorktreeUrlParams) -> Result<UrlResult> {
    let key = seat(engine, &params.path).await?;
    if params.new_port {
        engine.binding.new_port(&key).await?;
    }
    let id = engine.binding.settle(&key).await?;
    let view = engine.binding.view(&key).await?;
    if !view.listening {
        return Err(ports::taken(view.port));
    }
    let name = engine.blocking(move |engine| Ok(branches::here(&engine.store, id)?.name)).await?;
    Ok(UrlResult { branch: name, ..address(engine, view.port) })
}

/// `branch/open`: an address that goes past the rule about who writes, for as long as the client is connected.
pub(super) async fn open(engine: &Arc<Engine>, params: OpenParams, call: &Call) -> Result<UrlResult> {
    let id = if let Some(name) = &params.name {
        branches::named(engine, name).await?
    } else {
        let key = seat(engine, &params.path).await?;
        let id = engine.binding.settle(&key).await?;
        engine.blocking(move |engine| Ok(branches::here(&engine.store, id)?.id)).await?
    };
    let name = engine.blocking(move |engine| Ok(engine.store.branch(id)?.name)).await?;
    if params.override_rules {
        let (of, deed) = (name.clone(), Deed::new(params.command, true));
        engine.blocking(move |engine| policy::may_write(engine, &of, &deed)).await?;
    }
    let address = Address::of_branch(engine, id).await?;
    let url = UrlResult { branch: name, ..address.url.clone() };
    let call = call.clone();
    tokio::spawn(async move {
        call.gone().await;
        drop(address);
    });
    Ok(url)
}

/// The address of a port, with the name of the branch left empty.
pub(super) fn address(engine: &Engine, port: u16) -> UrlResult {
    address_of(engine, port, None)
}

/// As [`address`], of another database than the store's.
pub(super) fn address_of(engine: &Engine, port: u16, database: Option<&str>) -> UrlResult {
    let info = engine.store.info();
    let (user, database) = (info.user.clone(), database.unwrap_or(&info.database).to_owned());
    let password = engine.store.password().to_owned();
    let url = format!(
        "postgres://{}:{}@127.0.0.1:{port}/{}",
        percent_encode(&user),
        percent_encode(&password),
        percent_encode(&database)
    );
    UrlResult { url, branch: String::new(), host: "127.0.0.1".to_owned(), port, user, password, database }
}

/// An address that leaves the password to `PGPASSWORD`.
pub(super) fn without_password(address: &UrlResult) -> String {
    let UrlResult { host, port, user, database, .. } = address;
    format!("postgres://{}@{host}:{port}/{}", percent_encode(user), percent_encode(database))
}

fn percent_encode(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn urls_carry_any_name() {
        assert_eq!(super::percent_encode("my db/ä@:"), "my%20db%2F%C3%A4%40%3A");
        assert_eq!(super::percent_encode("plain-1_2.3~"), "plain-1_2.3~");
    }
}
