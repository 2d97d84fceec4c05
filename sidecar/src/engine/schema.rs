//! What is asked of schemas.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use offshoot_protocol::types::{
    BranchParams, Definition, DefinitionParams, FactsFile, ForkPoint, SchemaChanges, SchemaChangesParams,
    SchemaObject, SchemaState, Subject,
};
use offshoot_schema::{Facts, Kind, Object, Renames};
use offshoot_storage::{BranchId, ComputeState};
use tokio::sync::OwnedMutexGuard;

use super::fork::ForkFacts;
use super::schemas::Current;
use super::server::Call;
use super::upstream::WakeError;
use super::{Engine, branches, catalogs, fork, given, groups, migrations};
use crate::failure::{Failure, Result};
use crate::histories::Histories;

/// How often a branch that falls asleep under a look is woken again.
const ATTEMPTS: usize = 4;

/// `schema/changes`.
pub(super) async fn changes(
    engine: &Arc<Engine>,
    params: SchemaChangesParams,
    call: &Call,
) -> Result<SchemaChanges> {
    let id = branches::named(engine, &params.branch).await?;
    let with_parent = params.base.is_none();
    let base = match params.base {
        Some(name) => Some((branches::named(engine, &name).await?, name)),
        None => engine.blocking(move |engine| parent(engine, id)).await?,
    };
    let Some((base_id, base)) = base else {
        let revision = engine.schemas.undoubted(id).map_or(0, |current| current.revision);
        return Ok(SchemaChanges {
            branch: params.branch,
            base: None,
            revision,
            fork: ForkPoint::NotAsked,
            changes: Vec::new(),
        });
    };
    let three_way = params.three_way && with_parent;
    call.progress("reading the schemas", 0, Some(if three_way { 3 } else { 2 }));
    let (theirs, ours) = call
        .or_cancelled(async {
            tokio::try_join!(schema(engine, base_id, &base), schema(engine, id, &params.branch))
        })
        .await?;
    let fork = if three_way {
        call.progress("reading the schema at the fork point", 2, Some(3));
        Some(call.or_cancelled(fork_or_why(engine, id)).await?)
    } else {
        None
    };
    let renames = renames(&params.renames);
    let histories = if Arc::ptr_eq(&theirs.facts, &ours.facts) && !three_way {
        Histories::default()
    } else {
        migrations::histories(engine).await?
    };
    let (revision, branch) = (theirs.revision.max(ours.revision), params.branch);
    engine
        .blocking(move |engine| {
            let (mut theirs, mut ours, mut fork) = (theirs.facts, ours.facts, fork);
            let given = given::of(engine, id)?;
            if !crate::given::is_nothing(&given) {
                let (ours, theirs) = (Arc::make_mut(&mut ours), Arc::make_mut(&mut theirs));
                match &mut fork {
                    Some(ForkFacts::Known(fork)) => {
                        crate::given::leave_out(&given, ours, Arc::make_mut(fork), &mut [theirs]);
                    }
                    _ => crate::given::leave_out(&given, ours, theirs, &mut []),
                }
            }
            let two_way = || {
                let same = Arc::ptr_eq(&theirs, &ours);
                if same { Vec::new() } else { groups::two_way(&theirs, &ours, &renames) }
            };
            let (fork, mut changes) = match fork {
                Some(ForkFacts::Known(fork)) => {
                    (ForkPoint::Known, groups::since(&fork, &ours, &theirs, &renames))
                }
                Some(ForkFacts::Unknown(reason)) => (ForkPoint::Unknown { reason }, two_way()),
                None => (ForkPoint::NotAsked, two_way()),
            };
            changes.retain(|change| !is_history(&histories, &change.object, &[&ours, &theirs]));
            Ok(SchemaChanges { branch, base: Some(base), revision, fork, changes })
        })
        .await
}

/// Whether an object is what a migration tool keeps for itself.
fn is_history(histories: &Histories, object: &SchemaObject, sides: &[&Facts]) -> bool {
    let SchemaObject { kind, schema, name } = object.clone();
    let Some(kind) = Kind::parse(&kind) else { return false };
    let object = Object { kind, schema, name };
    sides.iter().any(|facts| histories.owner(&object, facts).is_some())
}

/// Those that can be understood: they are lines of files that a person may be writing right now.
fn renames(lines: &[String]) -> Renames {
    let mut renames = Renames::default();
    for line in lines {
        if let Err(error) = renames.add(line) {
            tracing::debug!(line, error = error.what, "passed over a rename");
        }
    }
    renames
}

/// What is known of a fork point; if it cannot be read, why. What is asked about the present is answered all the same.
async fn fork_or_why(engine: &Arc<Engine>, id: BranchId) -> Result<ForkFacts> {
    match fork::facts(engine, id).await {
        Ok(found) => Ok(found),
        Err(failure) if engine.is_stopping() => Err(failure),
        Err(failure) => {
            tracing::warn!(id = id.0, error = %failure, "cannot read the schema of a fork point");
            Ok(ForkFacts::Unknown(failure.to_string()))
        }
    }
}

/// `schema/fork`.
pub(super) async fn fork(engine: &Arc<Engine>, params: BranchParams, call: &Call) -> Result<FactsFile> {
    let id = branches::named(engine, &params.name).await?;
    call.progress("reading the schema at the fork point", 0, Some(1));
    let path = call.or_cancelled(fork::file(engine, id, &params.name)).await?;
    Ok(FactsFile { path: path.to_string_lossy().into_owned() })
}

/// `schema/definition`.
pub(super) async fn definition(
    engine: &Arc<Engine>,
    params: DefinitionParams,
    call: &Call,
) -> Result<Definition> {
    let id = branches::named(engine, &params.branch).await?;
    let SchemaObject { kind, schema: within, name } = params.object;
    let kind =
        Kind::parse(&kind).ok_or_else(|| Failure::user(format!("there is no kind of object `{kind}`")))?;
    call.progress("reading the schema", 0, Some(1));
    let facts = call.or_cancelled(async {
        match params.state {
            SchemaState::Present => Ok(schema(engine, id, &params.branch).await?.facts),
            SchemaState::Fork => match fork::facts(engine, id).await? {
                ForkFacts::Known(facts) => Ok(facts),
                ForkFacts::Unknown(reason) => Err(fork::unknown(&params.branch, &reason)),
            },
        }
    });
    let facts = facts.await?;
    let object = Object { kind, schema: within, name };
    let text = engine.blocking(move |_| Ok(facts.definition(&object))).await?;
    Ok(Definition { text })
}

fn parent(engine: &Arc<Engine>, id: BranchId) -> Result<Option<(BranchId, String)>> {
    let branch = engine.store.branch(id)?;
    Ok(branch.parent.zip(branch.parent_name))
}

/// The present schema of `id`. The branch is woken only if that cannot be known otherwise.
pub(super) async fn schema(engine: &Arc<Engine>, id: BranchId, name: &str) -> Result<Current> {
    for _ in 0..ATTEMPTS {
        if let Some(current) = present(engine, id).await? {
            return Ok(current);
        }
        match engine.wake(id).await {
            Ok(_) => (),
            Err(WakeError::NoSuchBranch) => return Err(branches::unknown(name)),
            Err(WakeError::Failed(failure)) => return Err(failure),
        }
    }
    Err(Failure::engine(format!("branch `{name}` falls asleep before its schema is read"))
        .hint("A longer `idle_timeout` in offshoot.toml gives it the time."))
}

pub(super) type Presence<'a> = Pin<Box<dyn Future<Output = Result<Option<Current>>> + Send + 'a>>;

/// The present schema of `id`; `None` if it would have to be woken. Those who ask at the same time share one look.
pub(super) fn present(engine: &Arc<Engine>, id: BranchId) -> Presence<'_> {
    // Boxed, because a branch asks its parent.
    Box::pin(async move {
        let asked = Instant::now();
        let turn = engine.schemas.turns.turn(id).await;
        if let Some(current) = engine.schemas.checked_since(id, asked) {
            return Ok(Some(current));
        }
        if let Some(socket) = socket(engine, id).await? {
            return match look(engine, id, socket.clone(), turn).await {
                Ok(current) => Ok(current),
                // It fell asleep meanwhile.
                Err(_) if self::socket(engine, id).await? != Some(socket) => Ok(None),
                Err(failure) => Err(failure),
            };
        }
        if !engine.activity.has_beaten(id)
            && let Some(current) = engine.schemas.undoubted(id)
        {
            return Ok(Some(current));
        }
        let Some(birth) = engine.schemas.birth(id) else { return Ok(None) };
        let parent = present(engine, birth.parent).await.unwrap_or_default();
        // Asked again after the parent was looked at: it must still be as it was made.
        let still = engine.schemas.birth(id).filter(|_| engine.activity.is_untouched(id));
        Ok(parent.and(still).and_then(|birth| engine.schemas.inherit(id, birth)))
    })
}

/// Where the Postgres of `id` listens, if it runs.
async fn socket(engine: &Arc<Engine>, id: BranchId) -> Result<Option<PathBuf>> {
    // Nobody puts it to sleep in between, so that this wakes none.
    let turn = engine.computes.turn(id).await;
    engine
        .blocking(move |engine| {
            let _turn = turn;
            if engine.store.branch(id)?.state != ComputeState::Awake {
                return Ok(None);
            }
            Ok(Some(engine.store.wake(id)?))
        })
        .await
}

/// Looks at the branch that listens at `socket`. `None` if it was forgotten meanwhile.
async fn look(
    engine: &Arc<Engine>,
    id: BranchId,
    socket: PathBuf,
    turn: OwnedMutexGuard<()>,
) -> Result<Option<Current>> {
    // A look goes on if nobody waits for it any more: what it took note of must not be lost.
    engine
        .blocking(move |engine| {
            let _turn = turn;
            engine.activity.take(id);
            let known = engine.schemas.begin(id);
            match catalogs::look(&engine.store, &socket, known.as_ref()) {
                Ok(seen) => {
                    let Some((current, changed)) = engine.schemas.end(id, seen) else { return Ok(None) };
                    if changed {
                        tracing::info!(id = id.0, revision = current.revision, "a schema changed");
                        engine.changed(Subject::Schema);
                    }
                    Ok(Some(current))
                }
                Err(failure) => {
                    engine.schemas.fail(id);
                    Err(failure)
                }
            }
        })
        .await
}

/// Looks at a branch in which statements ended. Wakes none.
pub(super) async fn look_again(engine: &Arc<Engine>, id: BranchId) {
    let asked = Instant::now();
    let turn = engine.schemas.turns.turn(id).await;
    if engine.schemas.checked_since(id, asked).is_some() {
        return;
    }
    let looked = match socket(engine, id).await {
        Ok(Some(socket)) => look(engine, id, socket, turn).await.map(drop),
        Ok(None) => Ok(()),
        Err(failure) => Err(failure),
    };
    if let Err(failure) = looked {
        tracing::debug!(id = id.0, error = %failure, "did not look at a schema");
    }
}
