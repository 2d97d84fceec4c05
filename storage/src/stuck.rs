//! Servers that will never take connections again, and do not end either.
//!
//! After a crash of one of its processes Postgres starts anew by itself. If that goes wrong at the wrong moment, a full disk
//! say, its postmaster can miss that its startup process has died, and answers "the database system is in recovery mode" for
//! ever. Seen on PostgreSQL 18. It is told from one that recovers by its processes: nobody replays WAL, nobody works, and the
//! same few are there for long. Only then is it asked.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use offshoot_postgres::server::{Server, Signs};

use crate::BranchId;
use crate::compute::{bury, connect};
use crate::store::{Shared, Store};

/// How long a server that looks stuck may take to answer.
const ASK_PATIENCE: Duration = Duration::from_secs(5);
/// Clock ticks that processes with nothing to do may work while they are watched.
const IDLE_TICKS: u64 = 20;

/// What is known of a server that may be stuck.
#[derive(Default)]
pub(crate) struct Watch {
    last: Option<Signs>,
    /// Since when there has been no sign of progress, and what there was then.
    still: Option<(Instant, Signs)>,
}

impl Watch {
    /// Takes in what was seen at `now`. For how long there has been no sign of progress.
    fn look(&mut self, signs: Signs, now: Instant) -> Duration {
        self.last = Some(signs.clone());
        if signs.is_open || signs.recovers || signs.is_busy {
            self.still = None;
            return Duration::ZERO;
        }
        let (since, before) = self.still.get_or_insert_with(|| (now, signs.clone()));
        if before.children != signs.children || signs.ticks.saturating_sub(before.ticks) > IDLE_TICKS {
            (*since, *before) = (now, signs);
        }
        now.duration_since(*since)
    }
}

impl Store {
    /// Ends servers that are awake, take nobody and have made no progress for `patience`, and returns their branches. They are
    /// asleep then, and the next wake recovers them. One that replays WAL makes progress. Call it every second: it looks at
    /// processes, and connects only to a server that looks stuck.
    pub fn end_stuck(&self, patience: Duration) -> Vec<BranchId> {
        let mut ended = Vec::new();
        for (id, cell) in self.cells() {
            // Somebody wakes it or stops it: no need to look.
            let Ok(mut compute) = cell.compute.try_lock() else { continue };
            let compute = &mut *compute;
            let Some(server) = &mut compute.server else { continue };
            if !matches!(server.try_wait(), Ok(None)) {
                continue;
            }
            // Where it cannot be told, nothing is ended.
            let Ok(signs) = server.signs(compute.watch.last.as_ref()) else { continue };
            let still = compute.watch.look(signs, Instant::now());
            if still.is_zero() || still < patience {
                continue;
            }
            if accepts(&self.shared, server, patience.min(ASK_PATIENCE)) {
                compute.watch = Watch::default();
                continue;
            }
            tracing::error!(
                branch = %id,
                still_s = still.as_secs(),
                "Postgres takes no connections, and none of its processes does anything; it is ended, to be started anew"
            );
            compute.watch = Watch::default();
            bury(&self.shared, id, &cell, compute);
            ended.push(id);
        }
        ended
    }
}

/// Whether the server takes connections, or refuses for another reason than its own state.
fn accepts(shared: &Arc<Shared>, server: &Server, patience: Duration) -> bool {
    let (shared, socket) = (Arc::clone(shared), server.socket_path());
    let (reply, answer) = mpsc::channel();
    // A thread of its own, as a server that never answers holds whoever asks until it ends.
    std::thread::spawn(move || {
        let asked = connect(&shared, &socket, &shared.info.database);
        let accepts = match asked {
            Ok(_) => true,
            Err(error) => {
                error.code().is_some_and(|code| !["57P01", "57P02", "57P03"].contains(&code.code()))
            }
        };
        let _ = reply.send(accepts);
    });
    answer.recv_timeout(patience).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle() -> Signs {
        Signs { children: vec![10, 11], ..Signs::default() }
    }

    #[test]
    fn only_a_server_in_which_nothing_moves_is_still() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut watch = Watch::default();
        assert_eq!(watch.look(idle(), at(0)), Duration::ZERO);
        assert_eq!(watch.look(Signs { ticks: 9, ..idle() }, at(5)), Duration::from_secs(5));
        for sign in [
            Signs { is_open: true, ..idle() },
            Signs { recovers: true, ..idle() },
            Signs { is_busy: true, ..idle() },
            Signs { children: vec![10], ..idle() },
            Signs { ticks: 900, ..idle() },
        ] {
            let mut watch = Watch::default();
            watch.look(idle(), at(0));
            assert_eq!(watch.look(sign.clone(), at(20)), Duration::ZERO, "{sign:?}");
            assert!(watch.look(idle(), at(21)) < Duration::from_secs(2), "{sign:?}");
        }
    }
}
