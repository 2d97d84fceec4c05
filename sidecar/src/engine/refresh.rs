//! `branch/refresh`: the root branch gets new data.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use offshoot_postgres::subset::SubsetReport;
use offshoot_postgres::{Locator, Progress};
use offshoot_protocol::data::{
    MaskedColumn, RefreshParams, RefreshResult, SubsetParams, SubsetResult, SubsetTable,
};
use offshoot_storage::{Branch, BranchId, NewRoot, REFRESHED, Refresh, Source, StorageError, Store};

use super::policy::{self, Deed};
use super::reporter::unless_cancelled;
use super::server::Call;
use super::{Engine, branches, room};
use crate::config::{Config, ConfigFile, FILE_NAME, broken};
use crate::failure::{Failure, Result};
use crate::init::subset::Asked;
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
    if engine.blocking(|engine| Ok(engine.store.following()?.is_some())).await? {
        return Err(Failure::user("the root branch follows a source, whose next changes would take the place of other data")
            .hint("`offshoot refresh` without a source fetches its changes now; `offshoot follow stop` ends following."));
    }
    let root = engine.store.root_branch();
    let name = engine.blocking(move |engine| Ok(engine.store.branch(root)?.name)).await?;
    let deed = Deed::new("offshoot refresh …", params.override_rules);
    branches::unguarded(engine, root, &name, deed.clone()).await?;
    let is_import = params.from.is_some();
    let made =
        unless_cancelled(engine, call, move |engine, progress| prepare(engine, &params, progress)).await?;
    take_place(engine, made, is_import, deed, call).await
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
    let variables = params.environment.iter().map(|it| (it.name.clone().into(), it.value.clone().into()));
    let seed = init::seed::seeds(file.config(), worktree, params.run_seed, variables)?;
    let physical = params.physical.then_some(init::Physical { max_rate_kb: params.max_rate_kb });
    let mut source = init::source(params.from.as_deref(), physical)?;
    let note = init::subset::choose(&mut source, &asked(&params.subset), file.config())?;
    let guard = Guard::new(progress, worktree, &engine.store.info().path);
    let paths = Paths::from_env()?;
    let seed_cache = init::seed::cache(file.config(), worktree, &paths)?;
    let locator = Locator { cache: paths.make_cache()? };
    let tools = init::tools(&locator, &source, &engine.store.info().postgres, &guard)?;
    let config = file.config();
    if !params.drop_masking && !matches!(source, Source::Empty) {
        has_all_rules(engine, config, worktree)?;
    }
    let request = Refresh { source, tools, masking: config.masking.clone(), seed, seed_cache };
    let mut made =
        engine.store.prepare_refresh(&request, &guard).map_err(|error| guard.explain(again(error)))?;
    if let Some(load) = &mut made.load {
        load.notes.extend(note);
    }
    Ok(made)
}

/// Refuses to take data without rules that held for those of before: the file comes with what is checked out, which may be older than
/// the rules.
fn has_all_rules(engine: &Engine, config: &Config, worktree: &Path) -> Result<()> {
    let file = worktree.join(FILE_NAME);
    let before = engine.store.masked_columns()?;
    let was_masked = before.as_ref().is_none_or(|columns| !columns.is_empty()) && engine.store.has_masked();
    if config.masking.is_empty() && was_masked {
        return Err(Failure::configuration(format!(
            "data were masked when they were imported, and {} has no rule for masking",
            file.display()
        ))
        .hint(
            "Refresh where the rules are, such as on the main branch. Where nothing is personal any more, a rule that keeps a column \
             says so: `\"public.users.name\" = \"keep\"` under [masking.columns]; or `--drop-masking` takes the data as they are.",
        ));
    }
    let now: HashSet<String> = config.masking.iter().map(|rule| rule.column.to_string()).collect();
    let lost: Vec<String> = before.into_iter().flatten().filter(|column| !now.contains(column)).collect();
    let Some(first) = lost.first() else { return Ok(()) };
    let were = if lost.len() == 1 { "was" } else { "were" };
    Err(Failure::configuration(format!(
        "{} {were} masked when data were imported last, and {} has no rule for {} now",
        lost.join(", "),
        file.display(),
        if lost.len() == 1 { "it" } else { "them" },
    ))
    .hint(format!(
        "What is checked out may be older than the rules: refresh where they are, such as on the main branch. `\"{first}\" = \"keep\"` under \
         [masking.columns] says that a column is not personal, and `--drop-masking` takes the data without the missing rules."
    )))
}

/// Which rows were asked for.
fn asked(params: &SubsetParams) -> Asked {
    Asked {
        tables: params.tables.clone(),
        without_rows: params.without_rows.clone(),
        conditions: params.conditions.clone(),
        all_rows: params.all_rows,
        lock_timeout: params.lock_timeout_ms.map(Duration::from_millis),
        statement_timeout: params.statement_timeout_ms.map(Duration::from_millis),
    }
}

/// What was taken, as it is told.
fn taken(report: SubsetReport) -> SubsetResult {
    let tables = report.tables.into_iter().map(|one| SubsetTable {
        table: one.table,
        taken: one.taken.as_str().to_owned(),
        chosen: one.chosen,
        followed: one.followed,
    });
    SubsetResult { tables: tables.collect(), empty_tables: report.empty_tables }
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

async fn take_place(
    engine: &Arc<Engine>,
    made: NewRoot,
    is_import: bool,
    deed: Deed,
    call: &Call,
) -> Result<RefreshResult> {
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
            let (bytes, mut load) = (made.bytes, made.load.take().unwrap_or_default());
            load.notes.append(&mut made.notes);
            let before = engine
                .store
                .note(old, REFRESHED)?
                .is_none()
                .then(|| engine.store.masked_columns())
                .transpose()?;
            let branch = engine.store.replace_root(made)?;
            policy::imported(engine, before, is_import)?;
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
        subset: load.subset.map(taken),
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
