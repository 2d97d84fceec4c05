//! Throwaway branches: copies of a branch that serve one job and are gone when it ends, however it ends.

pub(super) mod load;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use offshoot_postgres::Progress;
use offshoot_storage::{BranchId, Moment, StorageError, Store};
use postgres::{Client, Config, NoTls};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::server::Call;
use super::{Engine, reporter, room, stopping};
use crate::failure::{Failure, Result, chain};

/// How many there are at a time; each has a Postgres. Who comes later waits.
const MOST: usize = 2;
static ROOM: Semaphore = Semaphore::const_new(MOST);

/// How long jobs may take to notice that their throwaway is gone.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

const CONNECT_PATIENCE: Duration = Duration::from_secs(15);

/// A branch that goes with this value.
pub(super) struct Throwaway {
    engine: Arc<Engine>,
    id: BranchId,
    is_gone: bool,
    _place: SemaphorePermit<'static>,
}

/// What makes a throwaway of a branch as it was at a moment: it is [`Store::create_throwaway_at`] or [`Store::prepare_restore`].
pub(super) type Replay =
    fn(&Store, BranchId, Moment, &dyn Progress) -> std::result::Result<BranchId, StorageError>;

impl Throwaway {
    /// A throwaway of `parent` as it is now, awake, and where its Postgres listens.
    ///
    /// `what` is told as progress. May be given up anywhere: nothing of it stays then.
    pub(super) async fn awake(
        engine: &Arc<Engine>,
        parent: BranchId,
        what: &str,
        call: &Call,
    ) -> Result<(Self, PathBuf)> {
        if ROOM.available_permits() == 0 {
            call.progress("waiting for others who measure", 0, None);
        }
        let place = ROOM.acquire().await.map_err(|_| stopping())?;
        call.progress(what, 0, None);
        let turn = engine.computes.turn(parent).await;
        engine
            .blocking(move |engine| {
                let throwaway = {
                    let _turn = turn;
                    if engine.is_stopping() {
                        return Err(stopping());
                    }
                    room::admit(engine)?;
                    let id = engine.store.create_throwaway(parent)?;
                    // From here on it is removed if anything fails, also if nobody waits for this any more.
                    Self { engine: Arc::clone(engine), id, is_gone: false, _place: place }
                };
                let socket = engine.store.wake(throwaway.id)?;
                Ok((throwaway, socket))
            })
            .await
    }

    /// A throwaway of `of` as it was at `moment`, asleep. Nothing of it stays if the client cancels or goes.
    pub(super) async fn as_of(
        engine: &Arc<Engine>,
        of: BranchId,
        moment: Moment,
        replay: Replay,
        call: &Call,
    ) -> Result<Self> {
        let place = call.while_wanted(async { ROOM.acquire().await.map_err(|_| stopping()) }).await?;
        let made = reporter::unless_cancelled(engine, call, move |engine, progress| {
            room::admit(engine)?;
            let id = replay(&engine.store, of, moment, progress)?;
            Ok(Self { engine: Arc::clone(engine), id, is_gone: false, _place: place })
        });
        made.await
    }

    /// Its number.
    pub(super) fn id(&self) -> BranchId {
        self.id
    }

    /// Leaves it to somebody who removes it.
    pub(super) fn give_up(mut self) -> BranchId {
        self.is_gone = true;
        self.id
    }

    /// Removes it. Whoever still uses it loses the connection.
    pub(super) async fn remove(mut self) -> Result<()> {
        self.is_gone = true;
        let id = self.id;
        let removed = self.engine.blocking(move |engine| Ok(engine.store.remove_throwaway(id)?)).await;
        removed.inspect_err(|failure| not_removed(id, failure))
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        if self.is_gone {
            return;
        }
        let (engine, id) = (Arc::clone(&self.engine), self.id);
        let remove = move || {
            if let Err(error) = engine.store.remove_throwaway(id) {
                not_removed(id, &error);
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(handle) => drop(handle.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

fn not_removed(id: BranchId, error: &dyn std::fmt::Display) {
    tracing::error!(id = id.0, %error, "a throwaway is left until the engine starts again");
}

/// Removes all that there are: those of an engine that was killed, or those of jobs that end with this one.
pub(super) async fn sweep(engine: &Arc<Engine>) {
    let swept = engine.blocking(|engine| {
        for id in engine.store.throwaways()? {
            if let Err(error) = engine.store.remove_throwaway(id) {
                not_removed(id, &error);
            }
        }
        Ok(())
    });
    if let Err(failure) = swept.await {
        tracing::error!(error = %failure, "throwaways of an earlier engine are left");
    }
}

/// Removes all that there are and lets nobody make another: the engine stops.
pub(super) async fn close(engine: &Arc<Engine>) {
    // Ends the jobs that are at work.
    sweep(engine).await;
    // One may have been in the making, and been made after that look.
    match tokio::time::timeout(CLOSE_PATIENCE, ROOM.acquire_many(MOST as u32)).await {
        Ok(Ok(places)) => places.forget(),
        Ok(Err(_)) => {}
        Err(_) => tracing::warn!("a job with a throwaway does not end"),
    }
    sweep(engine).await;
}

/// Connects to a server of ours, as the owner of the store. `options` outrank what the branch sets for its database and
/// roles. Blocks.
pub(super) fn connect(
    engine: &Engine,
    socket: &std::path::Path,
    database: Option<&str>,
    options: &str,
) -> Result<Client> {
    let info = engine.store.info();
    let connected = Config::new()
        .host_path(socket.parent().unwrap_or(socket))
        .user(&info.user)
        .password(engine.store.password())
        .dbname(database.unwrap_or(&info.database))
        .application_name("offshoot engine")
        .connect_timeout(CONNECT_PATIENCE)
        .options(options)
        .connect(NoTls);
    connected.map_err(|error| Failure::engine(format!("cannot connect to the branch: {}", chain(&error))))
}

/// Options of a session in which nobody's code runs but what is asked for, and nothing takes for ever but what is asked for.
pub(super) fn options(major: u32) -> String {
    format!(
        "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c role=none \
         -c default_transaction_read_only=off -c client_min_messages=error{}",
        if major >= 17 { " -c transaction_timeout=0" } else { "" }
    )
}
