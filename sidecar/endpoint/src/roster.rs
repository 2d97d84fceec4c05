//! Who is connected to an endpoint, and how they are told to leave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::upstream::Session;

/// What became of the connections that a drain ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Idle when the drain began, and closed at once.
    pub idle: usize,
    /// Busy when the drain began, and closed when they became idle or left by themselves.
    pub finished: usize,
    /// Still busy when the grace period was over, and closed in the middle of their work.
    pub cut: usize,
}

/// How one connection ended, from a drain's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Idle,
    Finished,
    Cut,
}

/// Why connections must leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Switched,
    Ruled,
    Closed,
}

/// What a connection is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// The target may have changed. Only for connections that have none yet.
    AskAgain,
    /// Leave when idle, and at `deadline` in any case.
    Leave { deadline: Instant, reason: Reason },
}

/// Why a connection cannot enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoEntry {
    Full,
    Closed,
}

/// The connections of one endpoint, from their startup packet to their end.
#[derive(Default)]
pub(crate) struct Roster {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// Counts drains. A target that was asked for in an earlier epoch may be the wrong one by now.
    epoch: u64,
    next: u64,
    members: HashMap<u64, Member>,
}

struct Member {
    orders: watch::Sender<Option<Order>>,
    target: Option<Session>,
    drains: Vec<mpsc::UnboundedSender<Outcome>>,
}

impl Roster {
    /// Admits one connection unless there are `limit` already.
    pub(crate) fn enter(self: &Arc<Self>, limit: usize) -> Result<Ticket, NoEntry> {
        let mut state = self.lock();
        if state.closed {
            return Err(NoEntry::Closed);
        }
        if state.members.len() >= limit {
            return Err(NoEntry::Full);
        }
        let (sender, orders) = watch::channel(None);
        let id = state.next;
        state.next += 1;
        state.members.insert(id, Member { orders: sender, target: None, drains: Vec::new() });
        Ok(Ticket { roster: Arc::clone(self), id, outcome: Outcome::Finished, orders })
    }

    /// How many connections there are, those that wait for their Postgres included.
    pub(crate) fn len(&self) -> usize {
        self.lock().members.len()
    }

    /// Those that have a target.
    pub(crate) fn sessions(&self) -> Vec<Session> {
        self.lock().members.values().filter_map(|member| member.target.clone()).collect()
    }

    /// Tells everyone connected to leave whom `leaves` means; each one's outcome arrives at the result,
    /// which ends after the last. Those that wait for a target ask again, or leave too if the endpoint closes.
    pub(crate) fn drain(
        &self,
        deadline: Instant,
        reason: Reason,
        leaves: &dyn Fn(&Session) -> bool,
    ) -> mpsc::UnboundedReceiver<Outcome> {
        let (sender, outcomes) = mpsc::unbounded_channel();
        let mut state = self.lock();
        state.epoch += 1;
        state.closed |= reason == Reason::Closed;
        for member in state.members.values_mut() {
            match &member.target {
                None if reason != Reason::Closed => {
                    member.orders.send_replace(Some(Order::AskAgain));
                }
                Some(session) if !leaves(session) => {}
                _ => member.leave(deadline, reason, &sender),
            }
        }
        outcomes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// A second drain can bring the deadline forward but never put it off.
    fn leave(&mut self, deadline: Instant, reason: Reason, drain: &mpsc::UnboundedSender<Outcome>) {
        let deadline = match *self.orders.borrow() {
            Some(Order::Leave { deadline: earlier, .. }) => deadline.min(earlier),
            _ => deadline,
        };
        self.orders.send_replace(Some(Order::Leave { deadline, reason }));
        self.drains.retain(|drain| !drain.is_closed());
        self.drains.push(drain.clone());
    }
}

/// One connection's place in the [`Roster`]. Dropping it leaves, and reports the outcome to whoever drains.
pub(crate) struct Ticket {
    roster: Arc<Roster>,
    id: u64,
    pub(crate) outcome: Outcome,
    orders: watch::Receiver<Option<Order>>,
}

impl Ticket {
    /// The epoch to pass to [`Ticket::settle`]; taken before asking for a target.
    pub(crate) fn epoch(&self) -> u64 {
        self.roster.lock().epoch
    }

    /// Records that the connection now has a target, unless a drain began since `epoch`.
    pub(crate) fn settle(&self, epoch: u64, session: Session) -> bool {
        let mut state = self.roster.lock();
        if state.epoch != epoch {
            return false;
        }
        if let Some(member) = state.members.get_mut(&self.id) {
            member.target = Some(session);
        }
        true
    }

    /// Waits for the next order.
    pub(crate) async fn order(&mut self) -> Order {
        loop {
            if self.orders.changed().await.is_err() {
                // Nobody is left to give one; the roster keeps the sender for as long as this ticket lives.
                std::future::pending::<()>().await;
            }
            if let Some(order) = *self.orders.borrow_and_update() {
                return order;
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let member = self.roster.lock().members.remove(&self.id);
        for drain in member.into_iter().flat_map(|member| member.drains) {
            // A drain that nobody waits for any more needs no report.
            let _ = drain.send(self.outcome);
        }
    }
}
