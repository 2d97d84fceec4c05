//! From method names to the engine's functions.

use std::sync::Arc;

use offshoot_protocol::error::Reason;
use offshoot_protocol::method as m;
use offshoot_protocol::types::{EngineStatus, HelloParams, HelloResult, Nothing};
use offshoot_protocol::{Method, RpcError};
use serde_json::Value;

use super::run::carries;
use super::server::Call;
use super::throwaway::load;
use super::{
    Engine, answers, branches, bundle, disk, env_files, events, expiry, explorer, following, given, hooks,
    listing, measure, migrations, past, policy, refresh, restore, rows, schema, snapshots, worktrees,
};
use crate::failure::{Failure, Result};
use crate::{sys, timestamp};

/// Does what a request asks for.
pub(super) async fn dispatch(
    engine: &Arc<Engine>,
    method: &str,
    params: Value,
    call: &Call,
) -> Result<String> {
    match method {
        m::EngineHello::NAME => answer::<m::EngineHello, _>(params, |p| hello(engine, p)).await,
        m::EngineGetStatus::NAME => answer::<m::EngineGetStatus, _>(params, |_| status(engine)).await,
        m::EngineStop::NAME => {
            answer::<m::EngineStop, _>(params, |p| {
                let may = if p.force { Ok(()) } else { engine.migrations.check_all_idle() };
                std::future::ready(may.map(|()| {
                    engine.request_stop();
                    Nothing {}
                }))
            })
            .await
        }
        m::WorktreeGetStatus::NAME => {
            answer::<m::WorktreeGetStatus, _>(params, |p| worktrees::status(engine, p)).await
        }
        m::WorktreeUrl::NAME => answer::<m::WorktreeUrl, _>(params, |p| worktrees::url(engine, p)).await,
        m::WorktreeEnv::NAME => answer::<m::WorktreeEnv, _>(params, |p| env_files::env(engine, p)).await,
        m::BranchGetList::NAME => answer::<m::BranchGetList, _>(params, |_| listing::list(engine)).await,
        m::BranchGetTable::NAME => {
            answer::<m::BranchGetTable, _>(params, |p| listing::table(engine, p)).await
        }
        m::BranchCreate::NAME => {
            answer::<m::BranchCreate, _>(params, |p| branches::create(engine, p, Some(call))).await
        }
        m::BranchDelete::NAME => answer::<m::BranchDelete, _>(params, |p| branches::delete(engine, p)).await,
        m::BranchRename::NAME => answer::<m::BranchRename, _>(params, |p| branches::rename(engine, p)).await,
        m::BranchReset::NAME => {
            answer::<m::BranchReset, _>(params, |p| branches::reset(engine, p, call)).await
        }
        m::BranchRestore::NAME => {
            answer::<m::BranchRestore, _>(params, |p| restore::restore(engine, p, call)).await
        }
        m::PolicyExplain::NAME => answer::<m::PolicyExplain, _>(params, |p| policy::explain(engine, p)).await,
        m::PolicyGetPlan::NAME => answer::<m::PolicyGetPlan, _>(params, |_| policy::plan(engine)).await,
        m::PolicyApply::NAME => answer::<m::PolicyApply, _>(params, |p| policy::apply(engine, p)).await,
        m::PolicyTrust::NAME => answer::<m::PolicyTrust, _>(params, |p| hooks::trust(engine, p)).await,
        m::BranchGetLog::NAME => answer::<m::BranchGetLog, _>(params, |p| events::log(engine, p)).await,
        m::GitChanged::NAME => {
            answer::<m::GitChanged, _>(params, |_| async {
                engine.binding.git_changed();
                Ok(Nothing {})
            })
            .await
        }
        m::BundleCreate::NAME => {
            answer::<m::BundleCreate, _>(params, |p| Box::pin(bundle::create(engine, p, call))).await
        }
        m::BundleApply::NAME => {
            answer::<m::BundleApply, _>(params, |p| Box::pin(bundle::apply(engine, p, call))).await
        }
        m::BranchRefresh::NAME => {
            answer::<m::BranchRefresh, _>(params, |p| Box::pin(refresh::refresh(engine, p, call))).await
        }
        m::FollowStart::NAME => {
            answer::<m::FollowStart, _>(params, |p| Box::pin(following::start(engine, p, call))).await
        }
        m::FollowNow::NAME => {
            let deed = policy::Deed::new("offshoot refresh", false);
            answer::<m::FollowNow, _>(params, |_| Box::pin(following::turn(engine, deed, call))).await
        }
        m::FollowGetStatus::NAME => {
            answer::<m::FollowGetStatus, _>(params, |_| following::status(engine)).await
        }
        m::FollowResume::NAME => {
            answer::<m::FollowResume, _>(params, |p| following::resume::resume(engine, p)).await
        }
        m::FollowStop::NAME => answer::<m::FollowStop, _>(params, |_| following::stop(engine)).await,
        m::BranchUndo::NAME => answer::<m::BranchUndo, _>(params, |p| branches::undo(engine, p)).await,
        m::BranchOpen::NAME => answer::<m::BranchOpen, _>(params, |p| worktrees::open(engine, p, call)).await,
        m::BranchUrl::NAME => answer::<m::BranchUrl, _>(params, |p| branches::url(engine, p)).await,
        m::BranchWake::NAME => answer::<m::BranchWake, _>(params, |p| branches::wake(engine, p, call)).await,
        m::BranchSleep::NAME => answer::<m::BranchSleep, _>(params, |p| branches::sleep(engine, p)).await,
        m::SnapshotCreate::NAME => {
            answer::<m::SnapshotCreate, _>(params, |p| snapshots::create(engine, p)).await
        }
        m::SnapshotGetList::NAME => {
            answer::<m::SnapshotGetList, _>(params, |p| snapshots::list(engine, p)).await
        }
        m::SnapshotDelete::NAME => {
            answer::<m::SnapshotDelete, _>(params, |p| snapshots::delete(engine, p)).await
        }
        m::SnapshotGetSchema::NAME => {
            answer::<m::SnapshotGetSchema, _>(params, |p| snapshots::schema(engine, p, call)).await
        }
        m::PastGetSchema::NAME => {
            answer::<m::PastGetSchema, _>(params, |p| past::schema(engine, p, call)).await
        }
        m::DiskGetUsage::NAME => answer::<m::DiskGetUsage, _>(params, |_| disk::usage(engine)).await,
        m::DiskPurge::NAME => answer::<m::DiskPurge, _>(params, |p| disk::purge(engine, p)).await,
        m::BranchExpire::NAME => answer::<m::BranchExpire, _>(params, |p| expiry::set(engine, p)).await,
        m::BranchProtect::NAME => {
            answer::<m::BranchProtect, _>(params, |p| branches::protect(engine, p)).await
        }
        m::WorktreeAnswer::NAME => {
            answer::<m::WorktreeAnswer, _>(params, |p| answers::answer(engine, p)).await
        }
        m::SchemaGetChanges::NAME => {
            answer::<m::SchemaGetChanges, _>(params, |p| schema::changes(engine, p, call)).await
        }
        m::SchemaGetFork::NAME => {
            answer::<m::SchemaGetFork, _>(params, |p| schema::fork(engine, p, call)).await
        }
        m::SchemaGetGiven::NAME => answer::<m::SchemaGetGiven, _>(params, |p| given::given(engine, p)).await,
        m::SchemaGetDefinition::NAME => {
            answer::<m::SchemaGetDefinition, _>(params, |p| schema::definition(engine, p, call)).await
        }
        m::SchemaGetFacts::NAME => {
            answer::<m::SchemaGetFacts, _>(params, |p| explorer::facts(engine, p, call)).await
        }
        m::SchemaMeasure::NAME => {
            answer::<m::SchemaMeasure, _>(params, |p| measure::measure(engine, p, call)).await
        }
        m::SchemaLoad::NAME => answer::<m::SchemaLoad, _>(params, |p| load::load(engine, p, call)).await,
        m::MigrationsGetStatus::NAME => {
            answer::<m::MigrationsGetStatus, _>(params, |p| Box::pin(migrations::status(engine, p, call)))
                .await
        }
        m::MigrationsApply::NAME => {
            answer::<m::MigrationsApply, _>(params, |p| Box::pin(migrations::apply(engine, p, call))).await
        }
        m::MigrationsGetRan::NAME => {
            answer::<m::MigrationsGetRan, _>(params, |p| Box::pin(migrations::ran(engine, p))).await
        }
        m::MigrationsUndo::NAME => {
            answer::<m::MigrationsUndo, _>(params, |p| Box::pin(migrations::undo(engine, p, call))).await
        }
        m::MigrationsCheck::NAME => {
            answer::<m::MigrationsCheck, _>(params, |p| Box::pin(migrations::check(engine, p, call))).await
        }
        m::MigrationsGetDrift::NAME => {
            answer::<m::MigrationsGetDrift, _>(params, |p| Box::pin(migrations::drift(engine, p, call))).await
        }
        m::MigrationsRehearse::NAME => {
            answer::<m::MigrationsRehearse, _>(params, |p| Box::pin(migrations::rehearse(engine, p, call)))
                .await
        }
        m::MigrationsCreate::NAME => {
            answer::<m::MigrationsCreate, _>(params, |p| Box::pin(migrations::create(engine, p, call))).await
        }
        m::Promote::NAME => {
            answer::<m::Promote, _>(params, |p| Box::pin(migrations::promote(engine, p, call))).await
        }
        m::BranchGetRows::NAME => {
            answer::<m::BranchGetRows, _>(params, |p| rows::rows(engine, p, call)).await
        }
        other => {
            let error = RpcError::internal(format!("the engine knows no method `{other}`"));
            Err(Failure(error.reason(Reason::UnknownMethod)))
        }
    }
}

/// The result of `work` as JSON.
async fn answer<M: Method, F: Future<Output = Result<M::Result>>>(
    params: Value,
    work: impl FnOnce(M::Params) -> F,
) -> Result<String> {
    let params = serde_json::from_value(params).map_err(|e| {
        Failure::internal(format!("the parameters of {} are not what they should be: {e}", M::NAME))
    })?;
    let result = work(params).await?;
    serde_json::to_string(&result).map_err(|e| Failure::internal(format!("the result of {}: {e}", M::NAME)))
}

async fn hello(engine: &Arc<Engine>, params: HelloParams) -> Result<HelloResult> {
    let moved = match params.common_dir {
        None => false,
        Some(common_dir) => engine.blocking(move |engine| moved(engine, common_dir.as_ref())).await?,
    };
    Ok(HelloResult { version: crate::VERSION.to_owned(), pid: std::process::id(), moved })
}

/// Whether the repository moved to `common_dir`.
fn moved(engine: &Engine, common_dir: &std::path::Path) -> Result<bool> {
    let ours = &engine.repository.common_dir;
    if ours == common_dir {
        return Ok(false);
    }
    let project = engine.store.info().path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !carries(ours, &project) {
        return Ok(true);
    }
    let text = format!(
        "this repository is a copy of {}, whose databases it must not share",
        ours.parent().filter(|_| ours.ends_with(".git")).unwrap_or(ours).display()
    );
    Err(Failure::user(text)
        .reason(Reason::CopiedRepository)
        .hint("`offshoot init` gives the copy a store of its own; `--from URL` fills it, with what `offshoot -C ORIGINAL url` prints."))
}

async fn status(engine: &Arc<Engine>) -> Result<EngineStatus> {
    engine
        .blocking(|engine| {
            let branches = engine.store.branches()?;
            let info = engine.store.info();
            let awake = branches.iter().filter(|b| b.state == offshoot_storage::ComputeState::Awake).count();
            Ok(EngineStatus {
                version: crate::VERSION.to_owned(),
                pid: std::process::id(),
                store: info.path.to_string_lossy().into_owned(),
                common_dir: engine.repository.common_dir.to_string_lossy().into_owned(),
                postgres: info.postgres.version.to_string(),
                bin_dir: info.postgres.bin_dir.to_string_lossy().into_owned(),
                started_at: timestamp::seconds(engine.started_at),
                branches: branches.len() as u64,
                awake: awake as u64,
                connections: branches.iter().map(|branch| engine.computes.connections(branch.id)).sum(),
                memory_bytes: sys::resident_bytes(),
            })
        })
        .await
}
