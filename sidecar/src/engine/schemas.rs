//! What is known of the branches' schemas. Everything here can be read again from the branches.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use offshoot_schema::{Fact, FactId, Facts, Value};
use offshoot_storage::BranchId;

use super::computes::Turns;

/// Schemas kept, and their bytes. Branches with equal schemas share one.
const MOST_SCHEMAS: usize = 64;
const MOST_BYTES: usize = 24 << 20;
/// Branches whose birth is remembered.
const MOST_BIRTHS: usize = 256;

/// A number that changes whenever the catalogs do. See [`super::catalogs`].
pub(super) type Fingerprint = String;

/// A schema and the number of its state.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) facts: Arc<Facts>,
    /// Never the same for two states of one branch.
    pub(super) revision: u64,
}

/// What a look at a branch found.
#[derive(Debug)]
pub(super) struct Seen {
    /// When the look began.
    pub(super) at: Instant,
    pub(super) fingerprint: Fingerprint,
    /// Whether somebody had a transaction open that this look could not see.
    pub(super) busy: bool,
    /// Absent if the fingerprint was the known one.
    pub(super) facts: Option<Facts>,
}

/// The known schemas.
pub(crate) struct Schemas {
    /// Who looks at a branch has the turn.
    pub(super) turns: Turns,
    state: Mutex<State>,
    /// The newest state's number. Begins with the time, so that no two engines give the same.
    revision: AtomicU64,
}

#[derive(Default)]
struct State {
    known: HashMap<BranchId, Known>,
    births: HashMap<BranchId, Birth>,
}

#[derive(Debug)]
struct Known {
    /// Absent while the first look is under way or after it failed.
    fingerprint: Option<Fingerprint>,
    /// Absent too after the schema had to make room.
    schema: Option<Schema>,
    revision: u64,
    /// When the look began that first saw this fingerprint: it has been so since.
    since: Instant,
    /// When the last look began.
    checked: Option<Instant>,
    /// Statements may have changed the schema since the last look.
    doubted: bool,
    /// The last look failed, and somebody may have been told so.
    failed: bool,
    used: Instant,
}

#[derive(Clone, Debug)]
struct Schema {
    facts: Arc<Facts>,
    bytes: usize,
}

/// Where a branch comes from that was made by this engine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birth {
    pub(super) parent: BranchId,
    /// Just before it was made.
    pub(super) begun: Instant,
    /// It has not been awake yet.
    fresh: bool,
}

impl Default for Schemas {
    fn default() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            turns: Turns::default(),
            state: Mutex::default(),
            revision: AtomicU64::new(now.as_millis() as u64),
        }
    }
}

impl Schemas {
    /// Branch `child` was made of `parent`, by work that began at `begun`.
    pub(crate) fn born(&self, child: BranchId, parent: BranchId, begun: Instant) {
        let mut state = self.lock();
        if state.births.len() >= MOST_BIRTHS
            && let Some(oldest) = state.births.iter().min_by_key(|(_, birth)| birth.begun).map(|(id, _)| *id)
        {
            state.births.remove(&oldest);
        }
        state.births.insert(child, Birth { parent, begun, fresh: true });
    }

    /// Where `id` comes from, if it is as it was made.
    pub(super) fn birth(&self, id: BranchId) -> Option<Birth> {
        self.lock().births.get(&id).copied().filter(|birth| birth.fresh)
    }

    /// The branch that `id` was made of, if this engine made it.
    pub(super) fn origin(&self, id: BranchId) -> Option<BranchId> {
        self.lock().births.get(&id).map(|birth| birth.parent)
    }

    /// The schema that `id` had when it was made: that of the branch it was made of, which has just been found to be the
    /// present one. `None` if that one's may have been another at that time.
    pub(super) fn at_birth(&self, id: BranchId) -> Option<Arc<Facts>> {
        let state = self.lock();
        let birth = state.births.get(&id)?;
        let parent = state.known.get(&birth.parent)?;
        // It has been so from before the child was made until now, so it was so in between.
        let schema = parent.schema.as_ref().filter(|_| parent.since <= birth.begun)?;
        Some(Arc::clone(&schema.facts))
    }

    /// Branch `id` is about to wake: from now on it may differ from its parent.
    pub(crate) fn wakes(&self, id: BranchId) {
        if let Some(birth) = self.lock().births.get_mut(&id) {
            birth.fresh = false;
        }
    }

    /// Branch `id` is gone.
    pub(crate) fn forget(&self, id: BranchId) {
        let mut state = self.lock();
        state.known.remove(&id);
        state.births.remove(&id);
    }

    /// Whether anybody has asked for the schema of `id`.
    pub(super) fn knows(&self, id: BranchId) -> bool {
        self.lock().known.contains_key(&id)
    }

    /// A look at `id` failed.
    pub(super) fn fail(&self, id: BranchId) {
        if let Some(known) = self.lock().known.get_mut(&id) {
            (known.doubted, known.failed) = (true, true);
        }
    }

    /// Statements ended in `id`.
    pub(super) fn doubt(&self, id: BranchId) {
        if let Some(known) = self.lock().known.get_mut(&id) {
            known.doubted = true;
        }
    }

    /// A look at `id` begins. Returns the known fingerprint, if its schema is known too.
    pub(super) fn begin(&self, id: BranchId) -> Option<Fingerprint> {
        let mut state = self.lock();
        let now = Instant::now();
        let known = state.known.entry(id).or_insert(Known {
            fingerprint: None,
            schema: None,
            revision: 0,
            since: now,
            checked: None,
            doubted: false,
            failed: false,
            used: now,
        });
        known.doubted = false;
        known.fingerprint.clone().filter(|_| known.schema.is_some())
    }

    /// Takes what a look found. Returns the schema, and whether it is another than the one known before.
    pub(super) fn end(&self, id: BranchId, seen: Seen) -> Option<(Current, bool)> {
        let mut state = self.lock();
        let fresh = seen.facts.map(|facts| state.intern(facts));
        let known = state.known.get_mut(&id)?;
        let had_one = known.fingerprint.is_some();
        if known.fingerprint.as_ref() != Some(&seen.fingerprint) {
            known.since = seen.at;
        }
        // Whoever was told of a failure has to hear that it is over.
        let mut changed = std::mem::take(&mut known.failed);
        if let Some(fresh) = fresh {
            let same = known.schema.as_ref().is_some_and(|schema| Arc::ptr_eq(&schema.facts, &fresh.facts));
            if !same {
                known.revision = self.revision.fetch_add(1, Ordering::Relaxed) + 1;
                changed |= had_one;
            }
            known.schema = Some(fresh);
        }
        known.fingerprint = Some(seen.fingerprint);
        known.checked = Some(seen.at);
        known.doubted |= seen.busy;
        known.used = Instant::now();
        let current = Current { facts: Arc::clone(&known.schema.as_ref()?.facts), revision: known.revision };
        state.make_room(id);
        Some((current, changed))
    }

    /// The schema of `id` as of a look that began at `asked` or later.
    pub(super) fn checked_since(&self, id: BranchId, asked: Instant) -> Option<Current> {
        let mut state = self.lock();
        let known = state.known.get_mut(&id)?;
        if known.checked? < asked {
            return None;
        }
        known.current()
    }

    /// The schema of `id` if no statement has ended since it was looked at.
    pub(super) fn undoubted(&self, id: BranchId) -> Option<Current> {
        let mut state = self.lock();
        let known = state.known.get_mut(&id)?;
        if known.doubted { None } else { known.current() }
    }

    /// Gives `child`, which is as it was made at `birth`, the schema of its parent, which has just been found to be the
    /// present one. `None` if the parent's may have been another at that time.
    pub(super) fn inherit(&self, child: BranchId, birth: Birth) -> Option<Current> {
        let mut state = self.lock();
        let parent = state.known.get(&birth.parent)?;
        // It has been so from before the child was made until now, so it was so in between.
        if parent.since > birth.begun {
            return None;
        }
        let (fingerprint, schema) = (parent.fingerprint.clone()?, parent.schema.clone()?);
        let now = Instant::now();
        let mut known = Known {
            fingerprint: Some(fingerprint),
            schema: Some(schema),
            revision: self.revision.fetch_add(1, Ordering::Relaxed) + 1,
            since: now,
            checked: Some(now),
            doubted: false,
            failed: false,
            used: now,
        };
        let current = known.current();
        state.known.insert(child, known);
        current
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn current(&mut self) -> Option<Current> {
        self.used = Instant::now();
        let facts = Arc::clone(&self.schema.as_ref()?.facts);
        Some(Current { facts, revision: self.revision })
    }
}

impl State {
    /// The schema with these facts that is known already, or a new one.
    fn intern(&self, facts: Facts) -> Schema {
        let known = self.known.values().filter_map(|known| known.schema.as_ref());
        match known.into_iter().find(|schema| *schema.facts == facts) {
            Some(same) => same.clone(),
            None => Schema { bytes: bytes_of(&facts), facts: Arc::new(facts) },
        }
    }

    /// Lets schemas go that were not used for the longest time; never that of `id`.
    fn make_room(&mut self, id: BranchId) {
        while self.is_too_large() {
            let others = self.known.iter_mut().filter(|(of, known)| **of != id && known.schema.is_some());
            let Some((_, oldest)) = others.min_by_key(|(_, known)| known.used) else { return };
            oldest.schema = None;
        }
    }

    fn is_too_large(&self) -> bool {
        let mut different: HashMap<*const Facts, usize> = HashMap::new();
        for schema in self.known.values().filter_map(|known| known.schema.as_ref()) {
            different.insert(Arc::as_ptr(&schema.facts), schema.bytes);
        }
        different.len() > MOST_SCHEMAS || different.values().sum::<usize>() > MOST_BYTES
    }
}

/// About how many bytes of memory a schema takes.
pub(super) fn bytes_of(facts: &Facts) -> usize {
    /// Of an entry in a tree, and of a text without its letters.
    const ENTRY: usize = 160;
    const TEXT: usize = 32;
    let value = |value: &Value| match value {
        Value::Text(text) => TEXT + text.len(),
        Value::List(list) => list.iter().map(|text| TEXT + text.len()).sum(),
    };
    let attribute = |(name, content): (&String, &Value)| TEXT + name.len() + value(content);
    let fact = |(id, fact): (&Arc<FactId>, &Fact)| {
        let name = id.name.len() + id.schema.as_ref().map_or(0, String::len);
        let attributes: usize = fact.attributes.iter().map(attribute).sum();
        ENTRY + name + attributes + fact.references.len() * TEXT
    };
    facts.facts.iter().map(fact).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use offshoot_schema::Kind;

    use super::*;

    const A: BranchId = BranchId(1);
    const B: BranchId = BranchId(2);

    /// Facts that differ by `number`, in about so many bytes.
    fn facts(number: u32, bytes: usize) -> Facts {
        let id = FactId::top(Kind::Schema, None, &"x".repeat(bytes));
        Facts { major: number, facts: [(Arc::new(id), Fact::default())].into(), ..Facts::default() }
    }

    fn seen(fingerprint: &str, number: Option<u32>) -> Seen {
        let facts = number.map(|number| facts(number, 10));
        Seen { at: Instant::now(), fingerprint: fingerprint.to_owned(), busy: false, facts }
    }

    fn look(schemas: &Schemas, id: BranchId, seen: Seen) -> (Current, bool) {
        schemas.begin(id);
        schemas.end(id, seen).unwrap()
    }

    #[test]
    fn a_revision_stands_for_a_state_and_only_a_change_is_one() {
        let schemas = Schemas::default();
        assert!(!schemas.knows(A));
        assert_eq!(schemas.begin(A), None);
        let (first, changed) = schemas.end(A, seen("1", Some(1))).unwrap();
        assert!(!changed && schemas.knows(A), "nobody knew another one");
        assert_eq!(schemas.begin(A).as_deref(), Some("1"), "the same fingerprint needs no reading");
        let (same, changed) = schemas.end(A, seen("1", None)).unwrap();
        assert_eq!((same.revision, changed), (first.revision, false));
        let (same, changed) = look(&schemas, A, seen("2", Some(1)));
        assert_eq!((same.revision, changed), (first.revision, false), "other catalogs, the same schema");
        let (other, changed) = look(&schemas, A, seen("3", Some(2)));
        assert!(changed && other.revision > first.revision);
        let (child, _) = look(&schemas, B, seen("3", Some(2)));
        assert!(Arc::ptr_eq(&child.facts, &other.facts), "equal schemas are kept once");
    }

    #[test]
    fn the_end_of_a_failure_is_a_change() {
        let schemas = Schemas::default();
        schemas.begin(A);
        schemas.fail(A);
        let (_, changed) = look(&schemas, A, seen("1", Some(1)));
        assert!(changed);
        let (_, changed) = look(&schemas, A, seen("1", None));
        assert!(!changed, "once");
    }

    #[test]
    fn doubts_last_until_a_look_that_began_later() {
        let schemas = Schemas::default();
        look(&schemas, A, seen("1", Some(1)));
        assert!(schemas.undoubted(A).is_some());
        schemas.doubt(A);
        assert!(schemas.undoubted(A).is_none());
        schemas.begin(A);
        schemas.doubt(A);
        schemas.end(A, seen("1", None)).unwrap();
        assert!(schemas.undoubted(A).is_none(), "a statement ended under the look");
        look(&schemas, A, Seen { busy: true, ..seen("1", None) });
        assert!(schemas.undoubted(A).is_none(), "something was not over");
        let asked = Instant::now();
        assert!(schemas.checked_since(A, asked).is_none());
        look(&schemas, A, seen("1", None));
        assert!(schemas.undoubted(A).is_some() && schemas.checked_since(A, asked).is_some());
        schemas.begin(A);
        schemas.forget(A);
        assert!(schemas.end(A, seen("1", None)).is_none(), "a branch that is gone stays unknown");
    }

    #[test]
    fn a_child_inherits_what_its_parent_had_before_and_after_its_birth() {
        let schemas = Schemas::default();
        let early = Instant::now();
        std::thread::sleep(Duration::from_millis(1));
        let (parent, _) = look(&schemas, A, seen("1", Some(1)));
        schemas.born(B, A, Instant::now());
        let birth = schemas.birth(B).unwrap();
        let child = schemas.inherit(B, birth).unwrap();
        assert!(Arc::ptr_eq(&child.facts, &parent.facts));
        schemas.forget(B);
        assert!(schemas.inherit(B, Birth { begun: early, ..birth }).is_none(), "seen only after the birth");
        look(&schemas, A, seen("2", Some(1)));
        assert!(schemas.inherit(B, birth).is_none(), "something happened after the birth");
        schemas.born(B, A, early);
        assert!(schemas.at_birth(B).is_none(), "seen only after the birth");
        schemas.wakes(B);
        assert!(schemas.birth(B).is_none());
        assert_eq!(schemas.origin(B), Some(A));
        schemas.born(B, A, Instant::now());
        schemas.wakes(B);
        look(&schemas, A, seen("2", None));
        assert!(schemas.at_birth(B).is_some(), "the parent has been so since before");
        for id in 0..1000 {
            schemas.born(BranchId(id), A, Instant::now());
        }
        assert_eq!(schemas.lock().births.len(), MOST_BIRTHS);
    }

    #[test]
    fn the_oldest_schemas_make_room_and_their_changes_are_still_seen() {
        let schemas = Schemas::default();
        let large = |id, fingerprint: &str, number| {
            let facts = Some(facts(number, MOST_BYTES / 2 - 1000));
            look(&schemas, id, Seen { facts, ..seen(fingerprint, None) })
        };
        large(A, "1", 1);
        large(B, "1", 2);
        assert!(schemas.undoubted(A).is_some() && schemas.undoubted(B).is_some());
        large(BranchId(3), "1", 3);
        assert!(schemas.undoubted(A).is_none() && schemas.undoubted(B).is_some());
        assert!(schemas.knows(A));
        assert_eq!(schemas.begin(A), None, "it must be read again");
        let (_, changed) = schemas.end(A, Seen { facts: Some(facts(4, 10)), ..seen("2", None) }).unwrap();
        assert!(changed);
    }
}
