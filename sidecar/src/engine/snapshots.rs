//! Named snapshots: a branch as it was, to compare with and to branch from.

use std::sync::Arc;
use std::time::SystemTime;

use offshoot_protocol::snapshot::{Snapshot, SnapshotList, SnapshotListParams, SnapshotParams, StateKind};
use offshoot_protocol::types::{FactsFile, Nothing};
use offshoot_storage::{BranchId, SnapshotKind};

use super::server::Call;
use super::{Engine, branches, commits, fork, room};
use crate::failure::{Failure, Result};
use crate::{names, timestamp};

/// What the fork point of a branch is called where a snapshot's name is expected.
pub(super) const FORK: &str = "fork";

/// `snapshot/create`.
pub(super) async fn create(engine: &Arc<Engine>, params: SnapshotParams) -> Result<Snapshot> {
    let SnapshotParams { branch, name } = params;
    names::check(&name)?;
    if name == FORK || name.contains('@') {
        return Err(Failure::user(format!("a snapshot cannot be called `{name}`"))
            .hint("`@` comes before a snapshot's name, and `@fork` is what a branch was when it was made."));
    }
    let id = branches::named(engine, &branch).await?;
    if find(engine, id, &name).await?.is_some() {
        return Err(Failure::user(format!("there is a snapshot `{name}` of {branch} already"))
            .hint(format!("Take another name, or remove it: `offshoot snapshot delete {branch}@{name}`.")));
    }
    let turn = engine.computes.turn(id).await;
    let taken = engine
        .blocking(move |engine| {
            let _turn = turn;
            room::admit(engine)?;
            let taken = engine.store.create_snapshot(id, &name)?;
            room::made(engine, taken.id);
            Ok(taken)
        })
        .await?;
    Ok(on_the_wire(branch, &taken))
}

/// `snapshot/list`.
pub(super) async fn list(engine: &Arc<Engine>, params: SnapshotListParams) -> Result<SnapshotList> {
    // One that was deleted has a state in the trash.
    if let Some(name) = params.branch.as_ref().filter(|_| !params.all) {
        branches::named(engine, name).await?;
    }
    engine
        .blocking(move |engine| {
            let commits = commits::commits(engine)?;
            let is_meant = |name: &str| params.branch.as_ref().is_none_or(|wanted| wanted == name);
            let mut snapshots = Vec::new();
            for branch in engine.store.branches()?.iter().filter(|branch| is_meant(&branch.name)) {
                let mut all = engine.store.snapshots(branch.id)?;
                all.retain(|snapshot| params.all || snapshot.kind == SnapshotKind::Named);
                snapshots.extend(all.iter().map(|snapshot| Snapshot {
                    commit: commits.get(&snapshot.id).cloned(),
                    ..on_the_wire(branch.name.clone(), snapshot)
                }));
            }
            if params.all {
                snapshots.extend(former(engine)?.into_iter().filter(|state| is_meant(&state.branch)));
            }
            Ok(SnapshotList { snapshots })
        })
        .await
}

/// The states in the trash.
fn former(engine: &Engine) -> Result<Vec<Snapshot>> {
    let kept_as = engine.store.kept_as()?;
    let mut trash: Vec<_> = engine.store.in_trash()?.into_iter().collect();
    trash.sort_by_key(|(id, (_, at))| (*at, *id));
    let state = |(id, (branch, at)): (BranchId, (String, SystemTime))| {
        let name = kept_as.get(&id).cloned().unwrap_or_else(|| branch.clone());
        Snapshot {
            way_back: Some(format!("offshoot undo {name}")),
            branch,
            name,
            created_at: timestamp::seconds(at),
            kind: StateKind::Former,
            commit: None,
        }
    };
    Ok(trash.into_iter().map(state).collect())
}

/// `snapshot/delete`.
pub(super) async fn delete(engine: &Arc<Engine>, params: SnapshotParams) -> Result<Nothing> {
    let id = branches::named(engine, &params.branch).await?;
    let snapshot = named(engine, id, &params).await?;
    let turn = engine.forks.turn(snapshot).await;
    engine
        .blocking(move |engine| {
            let _turn = turn;
            engine.store.delete_snapshot(snapshot)?;
            engine.forks.forget(snapshot);
            Ok(Nothing {})
        })
        .await
}

/// `snapshot/schema`.
pub(super) async fn schema(engine: &Arc<Engine>, params: SnapshotParams, call: &Call) -> Result<FactsFile> {
    let id = branches::named(engine, &params.branch).await?;
    let snapshot = named(engine, id, &params).await?;
    call.progress("reading the schema of a snapshot", 0, Some(1));
    let path = call.or_cancelled(fork::snapshot_file(engine, snapshot)).await?;
    Ok(FactsFile { path: path.to_string_lossy().into_owned() })
}

/// What `B@NAME` means as a parent; `None` if `B` is no branch.
pub(super) async fn parent(engine: &Arc<Engine>, text: &str) -> Result<Option<BranchId>> {
    let Some((branch, name)) = text.rsplit_once('@') else { return Ok(None) };
    let branch = branch.to_owned();
    let params = SnapshotParams { branch: branch.clone(), name: name.to_owned() };
    let Some(id) = engine.blocking(move |engine| Ok(engine.store.branch_named(&branch)?)).await? else {
        return Ok(None);
    };
    if params.name == FORK {
        let fork = engine.blocking(move |engine| Ok(engine.store.fork_snapshot(id.id)?)).await?;
        return match fork {
            Some(fork) => Ok(Some(fork)),
            None if engine.blocking(move |engine| Ok(engine.store.is_as_forked(id.id)?)).await? => {
                Ok(Some(id.id))
            }
            None => Err(Failure::user(format!("what {} was when it was made is not kept", params.branch))),
        };
    }
    Ok(Some(named(engine, id.id, &params).await?))
}

async fn find(engine: &Arc<Engine>, id: BranchId, name: &str) -> Result<Option<BranchId>> {
    let name = name.to_owned();
    engine
        .blocking(move |engine| {
            let all = engine.store.snapshots(id)?;
            let is_it =
                |one: &offshoot_storage::Snapshot| one.kind == SnapshotKind::Named && one.name == name;
            Ok(all.into_iter().find(is_it).map(|snapshot| snapshot.id))
        })
        .await
}

pub(super) async fn named(engine: &Arc<Engine>, id: BranchId, params: &SnapshotParams) -> Result<BranchId> {
    find(engine, id, &params.name).await?.ok_or_else(|| {
        Failure::user(format!("there is no snapshot `{}` of {}", params.name, params.branch))
            .hint("`offshoot snapshot list` shows those that there are.")
    })
}

fn on_the_wire(branch: String, snapshot: &offshoot_storage::Snapshot) -> Snapshot {
    let (kind, at) = match snapshot.kind {
        SnapshotKind::Named => (StateKind::Named, Some(snapshot.name.as_str())),
        SnapshotKind::Fork => (StateKind::Fork, Some(FORK)),
        SnapshotKind::Auto => (StateKind::Automatic, None),
    };
    Snapshot {
        way_back: at.map(|name| format!("offshoot restore {branch} --at @{name}")),
        branch,
        name: snapshot.name.clone(),
        created_at: timestamp::seconds(snapshot.created_at),
        kind,
        commit: None,
    }
}
