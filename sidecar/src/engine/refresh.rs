//! `branch/refresh`: the root branch gets new data.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use offshoot_postgres::{Locator, Progress};
use offshoot_protocol::data::{MaskedColumn, RefreshParams, RefreshResult};
use offshoot_storage::{Branch, BranchId, NewRoot, REFRESHED, Refresh, Source, StorageError, Store};

use super::policy::Deed;
use super::reporter::unless_cancelled;
use super::server::Call;
use super::{Engine, branches, room};
use crate::config::{ConfigFile, FILE_NAME, broken};
use crate::failure::{Failure, Result};
use crate::init::{self, Guard};
use crate::paths::Paths;

/// How long transactions may go on in the old root.
const GRACE: Duration = Duration::from_secs(5);

/// `branch/refresh`. The root works on while the data are loaded; only then its connections end.
pub(super) async fn refresh(
    engine: &Arc<Engine>,
    params: RefreshParams,
    call: &Call,
) -> Result<RefreshResult> {
    let root = engine.store.root_branch();
    let name = engine.blocking(move |engine| Ok(engine.store.branch(root)?.name)).await?;
    let deed = Deed::new("offshoot refresh …", params.override_rules);
    branches::unguarded(engine, root, &name, deed.clone()).await?;
    let made =
        unless_cancelled(engine, call, move |engine, progress| prepare(engine, &params, progress)).await?;
    take_place(engine, made, deed, call).await
}

/// Loads the new data. Blocks.
fn prepare(engine: &Arc<Engine>, params: &RefreshParams, progress: &dyn Progress) -> Result<NewRoot> {
    room::admit(engine)?;
    let worktree = Path::new(&params.path);
    let file = ConfigFile::open(worktree);
    if let Some(error) = file.error() {
        // Rules for masking that cannot be read must not be taken for none.
        return Err(broken(error));
    }
    let physical = params.physical.then_some(init::Physical { max_rate_kb: params.max_rate_kb });
    let source = init::source(params.from.as_deref(), physical)?;
    let guard = Guard::new(progress, worktree, &engine.store.info().path);
    let locator = Locator { cache: Paths::from_env()?.make_cache()? };
    let tools = init::tools(&locator, &source, engine.store.info().postgres.version.major, &guard)?;
    let config = file.config();
    if config.masking.is_empty() && engine.store.has_masked() && !matches!(source, Source::Empty) {
        // The file comes with what is checked out, which may be older than the rules.
        return Err(Failure::configuration(format!(
            "data were masked when they were imported, and {} has no rule for masking",
            worktree.join(FILE_NAME).display()
        ))
        .hint(
            "Refresh where the rules are, such as on the main branch. Where nothing is personal any more, a rule that keeps a column \
             says so: `\"public.users.name\" = \"keep\"` under [masking.columns].",
        ));
    }
    let seed = init::seed_files(config, worktree)?;
    let request = Refresh { source, tools, masking: config.masking.clone(), seed };
    engine.store.prepare_refresh(&request, &guard).map_err(|error| guard.explain(again(error)))
}

/// What to do after a failure: nothing has changed.
fn again(error: StorageError) -> Failure {
    let hint = error.hint();
    let failure = Failure::from(error);
    match hint {
        Some(hint) => {
            failure.hint(format!("{hint}\nNothing has changed: the branch has the data that it had."))
        }
        None => failure.hint("Nothing has changed: the branch has the data that it had."),
    }
}

async fn take_place(engine: &Arc<Engine>, made: NewRoot, deed: Deed, call: &Call) -> Result<RefreshResult> {
    let _structure = engine.structure.lock().await;
    let old = engine.store.root_branch();
    // Loading took a while: by now somebody may protect it, or apply migrations to it.
    let name = engine.blocking(move |engine| Ok(engine.store.branch(old)?.name)).await?;
    branches::unguarded(engine, old, &name, deed).await?;
    let turn = engine.computes.turn(old).await;
    call.progress("closing connections", 0, Some(2));
    call.or_cancelled(engine.binding.drain(old, GRACE)).await?;
    call.progress("taking its place", 1, Some(2));
    let (new, bytes, load, stale) = engine
        .blocking(move |engine| {
            let mut made = made;
            let (bytes, load) = (made.bytes, made.load.take().unwrap_or_default());
            let branch = engine.store.replace_root(made)?;
            engine.forget(old);
            tracing::info!(branch = %branch.name, old = old.0, id = branch.id.0, "refreshed");
            let all = engine.store.branches()?;
            let ids = stale(&engine.store, &all)?;
            let stale = all.iter().filter(|one| ids.contains_key(&one.id)).map(|one| one.name.clone());
            Ok((branch.id, bytes, load, stale.collect()))
        })
        .await?;
    engine.generation.fetch_add(1, Ordering::AcqRel);
    engine.binding.replaced(old, Some(new)).await?;
    drop(turn);
    engine.branches_changed();
    let masked = load.masked.iter().map(|it| MaskedColumn {
        column: it.column.to_string(),
        with: it.with.to_owned(),
        follows: it.follows.as_ref().map(ToString::to_string),
        values: it.values,
    });
    Ok(RefreshResult {
        branch: branches::describe_one(engine, new).await?,
        bytes,
        statements: load.statements,
        rows: load.rows_copied,
        files: load.files,
        masked: masked.collect(),
        notes: load.notes.into_iter().chain(init::unmasked(load.unmasked)).collect(),
        stale,
    })
}

/// The branches whose data are from before the root's, and since when they are, in seconds since 1970.
pub(super) fn stale(store: &Store, branches: &[Branch]) -> Result<HashMap<BranchId, u64>> {
    let note = store.note(store.root_branch(), REFRESHED)?;
    let Some(refreshed_ms) = note.and_then(|text| text.parse::<u64>().ok()) else {
        return Ok(HashMap::new());
    };
    let refreshed = UNIX_EPOCH + Duration::from_millis(refreshed_ms);
    let by_id: HashMap<BranchId, &Branch> = branches.iter().map(|branch| (branch.id, branch)).collect();
    let is_stale = |branch: &Branch| {
        let (mut next, mut seen) = (Some(branch), HashSet::new());
        while let Some(one) = next.filter(|one| !one.is_root && seen.insert(one.id)) {
            if one.created_at < refreshed {
                return true;
            }
            next = one.parent.and_then(|parent| by_id.get(&parent).copied());
        }
        false
    };
    Ok(branches.iter().filter(|one| is_stale(one)).map(|one| (one.id, refreshed_ms / 1000)).collect())
}
