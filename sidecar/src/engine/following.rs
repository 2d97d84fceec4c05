//! `follow/…`: the root branch has what a running server has, minutes later.
//!
//! Once in a while, or when it is asked for, a turn fetches what the source has written; the root branch is replaced when nobody is
//! connected to it. How a turn went is kept in memory: the first one after a start finds out again.

mod agreed;
pub(super) mod resume;
mod turn;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use offshoot_postgres::Progress;
use offshoot_postgres::physical::Seen;
use offshoot_protocol::follow::{
    FollowStartParams, FollowState, FollowStatus, FollowStopped, FollowTurn, Followed, Follows,
};
use offshoot_protocol::types::{Note, NoteKind};
use offshoot_storage::{BranchId, Follow, Source, Store, check_masking};
use tokio::sync::Notify;

use super::policy::Deed;
use super::reporter::unless_cancelled;
use super::server::Call;
use super::{Engine, branches, room};
use crate::address::hide_password;
use crate::config::{ConfigFile, broken};
use crate::failure::{Failure, Result};
use crate::init::{self, Guard};
use crate::timestamp;

/// Between two looks, in seconds.
const EVERY: &str = "following.every";
/// When the source was looked at whose changes the root has, in seconds since 1970.
const FRESH: &str = "following.fresh";
const DEFAULT_EVERY: Duration = Duration::from_mins(10);
/// After the engine's start, and after a connection that broke: soon, and not at once.
const SOON: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(30);

/// How following stands.
#[derive(Default)]
pub(super) struct Following {
    told: Mutex<Told>,
    /// One turn, start or stop at a time.
    turn: tokio::sync::Mutex<()>,
    /// Told when something has changed for whoever waits for the next turn.
    due: Notify,
    /// Asks the turn that is under way to end.
    over: AtomicBool,
}

/// What the last turn told.
#[derive(Clone, Default)]
struct Told {
    state: FollowState,
    since: Option<SystemTime>,
    trouble: Option<String>,
    hint: Option<String>,
    /// What was told before the turn that is under way; that turn has not come so far as to know better.
    before: Option<Box<Told>>,
    seen: Option<Seen>,
    next: Option<SystemTime>,
    /// The root that this engine has made of the source.
    placed: Option<BranchId>,
}

impl Following {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a state; its time is that of the change. A turn that ends as the one before has changed nothing.
    fn set(&self, state: FollowState, trouble: Option<(String, Option<String>)>) {
        let mut told = self.told();
        let before = told.before.take().filter(|before| before.state == state);
        if told.state != state || told.since.is_none() {
            told.since = before.and_then(|before| before.since).or_else(|| Some(SystemTime::now()));
        }
        told.state = state;
        (told.trouble, told.hint) = match trouble {
            Some((trouble, hint)) => (Some(trouble), hint),
            None => (None, None),
        };
    }

    /// A turn begins. What the last one has told holds until this one knows better.
    fn begins(&self) {
        let before = self.shown();
        self.set(FollowState::CatchingUp, None);
        self.told().before = Some(Box::new(before)).filter(|before| before.state != FollowState::Waiting);
    }

    /// The turn fetches something.
    fn moves(&self) {
        self.told().before = None;
    }

    /// What somebody who asks is told.
    fn shown(&self) -> Told {
        let told = self.told();
        match &told.before {
            Some(before) => Told { seen: told.seen.clone(), next: told.next, ..(**before).clone() },
            None => told.clone(),
        }
    }
}

/// Progress of a turn, which is seen in the state.
struct Moving<'a>(&'a Following, &'a dyn Progress);

impl Progress for Moving<'_> {
    fn step(&self, what: &str, done: u64, total: Option<u64>) {
        self.0.moves();
        self.1.step(what, done, total);
    }

    fn is_cancelled(&self) -> bool {
        self.1.is_cancelled()
    }
}

/// Progress of work that nobody waits for.
struct Quiet(Arc<Engine>);

impl Progress for Quiet {
    fn step(&self, _: &str, _: u64, _: Option<u64>) {}

    fn is_cancelled(&self) -> bool {
        self.0.is_stopping() || self.0.following.over.load(Ordering::Acquire)
    }
}

/// Does a turn whenever one is due. Never returns.
pub(super) async fn run(engine: Arc<Engine>) {
    engine.following.told().next = Some(SystemTime::now() + SOON);
    loop {
        let is_followed = engine.blocking(|engine| Ok(engine.store.following()?.is_some())).await;
        let next = engine.following.told().next.filter(|_| matches!(is_followed, Ok(true)));
        let told = engine.following.due.notified();
        match next {
            None => {
                told.await;
                continue;
            }
            Some(at) => {
                let left = at.duration_since(SystemTime::now()).unwrap_or_default();
                if tokio::time::timeout(left, told).await.is_ok() {
                    continue;
                }
            }
        }
        let _turn = engine.following.turn.lock().await;
        let done = turn::by_itself(&engine).await;
        if let Err(failure) = &done {
            tracing::warn!(error = %failure, "following the source brought nothing");
        }
        let every = engine.blocking(|engine| Ok(every(&engine.store))).await.unwrap_or(DEFAULT_EVERY);
        engine.following.plan(every);
    }
}

impl Following {
    /// Says when the next turn is, by how the last one went.
    fn plan(&self, every: Duration) {
        let mut told = self.told();
        let wait = match told.state {
            FollowState::SlotLost | FollowState::AddressGone => None,
            FollowState::Disconnected | FollowState::TimelineSwitched | FollowState::InUse => {
                Some(every.min(RETRY))
            }
            _ => Some(every),
        };
        told.next = wait.map(|wait| SystemTime::now() + wait);
    }
}

fn every(store: &Store) -> Duration {
    let seconds = store.get(EVERY).ok().flatten().and_then(|text| text.parse().ok());
    seconds.map_or(DEFAULT_EVERY, Duration::from_secs)
}

/// `follow/start`.
pub(super) async fn start(
    engine: &Arc<Engine>,
    params: FollowStartParams,
    call: &Call,
) -> Result<FollowTurn> {
    let _turn = engine.following.turn.lock().await;
    let root = engine.store.root_branch();
    let name = engine.blocking(move |engine| Ok(engine.store.branch(root)?.name)).await?;
    let deed = Deed::new("offshoot follow start …", params.override_rules);
    branches::unguarded(engine, root, &name, deed.clone()).await?;
    let work = move |engine: &Arc<Engine>, progress: &dyn Progress| begin(engine, &params, progress);
    let notes = unless_cancelled(engine, call, work).await?;
    *engine.following.told() = Told::default();
    let mut done = turn::asked_for(engine, Some(deed), call).await;
    if let Err(failure) = done {
        // The first fresh root belongs to the start: without it, nothing is left of that.
        let stopped = engine.blocking(|engine| Ok(engine.store.stop_following()?)).await;
        if !matches!(stopped, Ok(None)) {
            tracing::warn!(?stopped, "following did not begin, and something of it is left");
        }
        return Err(failure);
    }
    if let Ok(done) = &mut done {
        done.notes.splice(0..0, notes);
        if done.following.slot_limit.as_deref() == Some("-1") {
            done.notes.push(
                "the source keeps WAL for this without a limit while nobody fetches it; `max_slot_wal_keep_size` there sets one"
                    .into(),
            );
        }
    }
    let every = engine.blocking(|engine| Ok(every(&engine.store))).await?;
    engine.following.plan(every);
    engine.following.due.notify_one();
    done
}

/// Copies the source. Blocks.
fn begin(engine: &Arc<Engine>, params: &FollowStartParams, progress: &dyn Progress) -> Result<Vec<String>> {
    room::admit(engine)?;
    let worktree = Path::new(&params.path);
    let file = ConfigFile::open(worktree);
    if let Some(error) = file.error() {
        // Rules for masking that cannot be read must not be taken for none.
        return Err(broken(error));
    }
    check_masking(&file.config().masking)?;
    if engine.store.has_masked() {
        return Err(Failure::configuration(
            "data were masked when they were imported, and a standby cannot be",
        )
        .hint("`offshoot refresh --from URL` brings new data through the rules."));
    }
    init::seed::files(file.config(), worktree)?;
    let source = init::source(Some(&params.from), Some(init::Physical { max_rate_kb: params.max_rate_kb }))?;
    let Source::Cluster { url, database, max_rate_kb } = source else {
        return Err(Failure::internal("what is followed is no server"));
    };
    let guard = Guard::new(progress, worktree, &engine.store.info().path);
    let follow = Follow { url, database, max_rate_kb, masking: file.config().masking.clone() };
    let notes =
        engine.store.start_following(&follow, &guard).map_err(|error| guard.explain(Failure::from(error)))?;
    engine.store.put(EVERY, Some(&params.every_seconds.to_string()))?;
    engine.store.put(FRESH, None)?;
    Ok(notes)
}

/// `follow/turn`.
pub(super) async fn turn(engine: &Arc<Engine>, deed: Deed, call: &Call) -> Result<FollowTurn> {
    let _turn = engine.following.turn.lock().await;
    let done = turn::asked_for(engine, Some(deed), call).await;
    let every = engine.blocking(|engine| Ok(every(&engine.store))).await?;
    engine.following.plan(every);
    engine.following.due.notify_one();
    done
}

/// `follow/status`.
pub(super) async fn status(engine: &Arc<Engine>) -> Result<FollowStatus> {
    let following = engine.blocking(|engine| followed(engine)).await?;
    Ok(FollowStatus { following })
}

/// `follow/stop`.
pub(super) async fn stop(engine: &Arc<Engine>) -> Result<FollowStopped> {
    engine.following.over.store(true, Ordering::Release);
    let _turn = engine.following.turn.lock().await;
    engine.following.over.store(false, Ordering::Release);
    let stopped = engine
        .blocking(|engine| {
            if engine.store.following()?.is_none() {
                return Ok(FollowStopped::default());
            }
            let left = engine.store.stop_following()?;
            for key in [EVERY, FRESH, agreed::SEEDS] {
                engine.store.put(key, None)?;
            }
            let statement = |slot: &str| format!("SELECT pg_drop_replication_slot('{slot}')");
            Ok(FollowStopped {
                was_following: true,
                statement: left.as_ref().map(|(slot, _)| statement(slot)),
                why: left.as_ref().map(|(_, why)| why.clone()),
                left_slot: left.map(|(slot, _)| slot),
            })
        })
        .await?;
    *engine.following.told() = Told::default();
    engine.following.due.notify_one();
    engine.branches_changed();
    Ok(stopped)
}

/// What is followed, and how that goes. Blocks.
fn followed(engine: &Engine) -> Result<Option<Followed>> {
    let Some(following) = engine.store.following()? else { return Ok(None) };
    let told = engine.following.shown();
    let size = engine.store.standby_size()?;
    let fresh_at = engine.store.get(FRESH)?.and_then(|text| text.parse().ok());
    let end = told.seen.as_ref().map_or(following.applied, |seen| seen.end);
    Ok(Some(Followed {
        source: engine.store.followed_url().map_or_else(|_| "?".into(), |url| hide_password(&url)),
        slot: following.slot,
        state: told.state,
        since: timestamp::seconds(told.since.unwrap_or(engine.started_at)),
        trouble: told.trouble,
        hint: told.hint,
        fresh_at,
        replayed: following.applied.to_string(),
        timeline: following.timeline,
        held_bytes: end.0.saturating_sub(following.applied.0),
        slot_limit: told.seen.and_then(|seen| seen.slot_limit),
        every_seconds: every(&engine.store).as_secs(),
        next_at: told.next.map(timestamp::seconds),
        own_bytes: size.own_bytes,
        shared_bytes: size.shared_bytes,
    }))
}

/// What a person should know if following needs help. Blocks, not for long.
pub(super) fn note(engine: &Engine) -> Result<Option<Note>> {
    let Some(follows) = in_short(engine)?.filter(|follows| !follows.state.is_well()) else { return Ok(None) };
    let why = follows.trouble.unwrap_or_else(|| follows.state.as_str().to_owned());
    let hint = engine.following.shown().hint;
    let hint = hint.unwrap_or_else(|| "`offshoot follow status` tells more.".to_owned());
    let text = format!("{} is not followed just now: {why}", follows.source);
    Ok(Some(Note { kind: NoteKind::Follow, text, hint: Some(hint) }))
}

/// The same in short, for a list. Blocks, not for long.
pub(super) fn in_short(engine: &Engine) -> Result<Option<Follows>> {
    if engine.store.following()?.is_none() {
        return Ok(None);
    }
    let told = engine.following.shown();
    let address = engine.store.followed_url().unwrap_or_default();
    let place = address.split_once("://").map_or(address.as_str(), |(_, rest)| rest);
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    Ok(Some(Follows {
        source: place.split('?').next().unwrap_or_default().to_owned(),
        state: told.state,
        trouble: told.trouble,
        fresh_at: engine.store.get(FRESH)?.and_then(|text| text.parse().ok()),
    }))
}
