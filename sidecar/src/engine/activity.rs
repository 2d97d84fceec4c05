//! Notices that statements ended, and looks whether they changed a schema.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use offshoot_endpoint::Pulse;
use offshoot_storage::BranchId;
use tokio::sync::Notify;

use super::{Engine, schema};

/// A branch is looked at when no statement has ended in it for this long,
const QUIET: Duration = Duration::from_millis(150);
/// or, while statements keep ending, this long after the first; and this long after the last look.
const INTERVAL: Duration = Duration::from_secs(1);
/// How exactly both are kept.
const TICK: Duration = Duration::from_millis(50);

/// The pulses of the branches that were connected to.
#[derive(Debug, Default)]
pub(super) struct Activity {
    told: Arc<Notify>,
    pulses: Mutex<HashMap<BranchId, Arc<Pulse>>>,
    /// How often somebody has taken note of beats.
    taken: Mutex<HashMap<BranchId, u64>>,
}

impl Activity {
    /// The pulse of `id`, for a connection.
    pub(super) fn pulse(&self, id: BranchId) -> Arc<Pulse> {
        let mut pulses = self.pulses();
        let pulse = pulses.entry(id).or_insert_with(|| Arc::new(Pulse::new(Arc::clone(&self.told))));
        Arc::clone(pulse)
    }

    /// Whether nobody has ever connected to `id`.
    pub(super) fn is_untouched(&self, id: BranchId) -> bool {
        !self.pulses().contains_key(&id)
    }

    /// Takes the beats of `id`: whether statements have ended since the last time.
    pub(super) fn take(&self, id: BranchId) -> bool {
        // Counted first: nobody may see it neither beaten nor counted.
        if self.has_beaten(id) {
            *self.taken.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default() += 1;
        }
        self.pulses().get(&id).is_some_and(|pulse| pulse.take())
    }

    /// A number that is another one after statements have ended in `id`; `None` while some have of which nobody has taken note.
    pub(super) fn beats(&self, id: BranchId) -> Option<u64> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied();
        (!self.has_beaten(id)).then_some(taken.unwrap_or(0))
    }

    /// Whether statements have ended in `id` of which nobody has taken note.
    pub(super) fn has_beaten(&self, id: BranchId) -> bool {
        self.pulses().get(&id).is_some_and(|pulse| pulse.has_beaten())
    }

    /// Forgets a branch that is gone.
    pub(super) fn forget(&self, id: BranchId) {
        self.pulses().remove(&id);
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn beaten(&self) -> Vec<BranchId> {
        self.pulses().iter().filter(|(_, pulse)| pulse.has_beaten()).map(|(id, _)| *id).collect()
    }

    fn pulses(&self) -> MutexGuard<'_, HashMap<BranchId, Arc<Pulse>>> {
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at branches after statements ended in them, while somebody wants to be told. Never returns.
pub(super) async fn run(engine: Arc<Engine>) {
    let told = Arc::clone(&engine.activity.told);
    let mut waits = Waits::default();
    loop {
        if waits.is_empty() {
            told.notified().await;
        }
        for id in engine.activity.beaten() {
            // In this order: a request in between must not take what it knows for the present.
            engine.schemas.doubt(id);
            if engine.activity.take(id) && engine.has_subscribers() && engine.schemas.knows(id) {
                waits.beat(id, Instant::now());
            }
        }
        for id in waits.due(Instant::now()) {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move { schema::look_again(&engine, id).await });
        }
        // Statements that follow each other wake this task no more often.
        tokio::time::sleep(TICK).await;
    }
}

/// When each branch is to be looked at. Holds no more than the branches that were active within [`INTERVAL`].
#[derive(Debug, Default)]
struct Waits(HashMap<BranchId, Wait>);

#[derive(Debug)]
struct Wait {
    /// The first and the last beat since the last look.
    beats: Option<(Instant, Instant)>,
    looked: Option<Instant>,
}

impl Waits {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn beat(&mut self, id: BranchId, now: Instant) {
        let wait = self.0.entry(id).or_insert(Wait { beats: None, looked: None });
        let first = wait.beats.map_or(now, |(first, _)| first);
        wait.beats = Some((first, now));
    }

    /// The branches to look at now.
    fn due(&mut self, now: Instant) -> Vec<BranchId> {
        let passed = |since: Instant, much: Duration| now.duration_since(since) >= much;
        let mut due = Vec::new();
        for (id, wait) in &mut self.0 {
            let Some((first, last)) = wait.beats else { continue };
            let rested = wait.looked.is_none_or(|looked| passed(looked, INTERVAL));
            if rested && (passed(last, QUIET) || passed(first, INTERVAL)) {
                (wait.beats, wait.looked) = (None, Some(now));
                due.push(*id);
            }
        }
        self.0.retain(|_, wait| {
            wait.beats.is_some() || wait.looked.is_some_and(|looked| !passed(looked, INTERVAL))
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: BranchId = BranchId(1);
    const B: BranchId = BranchId(2);

    #[test]
    fn a_branch_is_looked_at_once_it_is_quiet() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut waits = Waits::default();
        waits.beat(A, at(0));
        waits.beat(A, at(100));
        assert!(waits.due(at(200)).is_empty());
        assert_eq!(waits.due(at(250)), [A]);
        assert!(waits.due(at(300)).is_empty(), "once");
        assert!(waits.due(at(1250)).is_empty() && waits.is_empty(), "nothing is kept of a quiet branch");
    }

    #[test]
    fn a_busy_branch_is_looked_at_once_a_second() {
        let start = Instant::now();
        let mut waits = Waits::default();
        let mut looks = Vec::new();
        for ms in (0..=3100).step_by(50) {
            let now = start + Duration::from_millis(ms);
            waits.beat(A, now);
            looks.extend(waits.due(now).iter().map(|_| ms));
        }
        assert_eq!(looks, [1000, 2050, 3100]);
    }

    #[test]
    fn branches_do_not_wait_for_each_other() {
        let start = Instant::now();
        let mut waits = Waits::default();
        waits.beat(A, start);
        waits.beat(B, start + Duration::from_millis(140));
        assert_eq!(waits.due(start + Duration::from_millis(160)), [A]);
        assert_eq!(waits.due(start + Duration::from_millis(300)), [B]);
    }

    #[test]
    fn a_beat_is_known_until_it_is_taken() {
        let activity = Activity::default();
        assert!(activity.is_untouched(A) && !activity.has_beaten(A));
        activity.pulse(A).beat();
        assert!(activity.has_beaten(A) && !activity.is_untouched(A));
        assert_eq!(activity.beaten(), [A]);
        assert!(activity.take(A) && !activity.take(A));
        activity.forget(A);
        assert!(activity.is_untouched(A));
    }
}
