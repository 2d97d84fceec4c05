//! Two schemas, and everything that the forms of output say of them.

use std::collections::{BTreeMap, BTreeSet};

use offshoot_protocol::measure::Measured;
use offshoot_schema::diff::{Delta, Noise, diff};
use offshoot_schema::plan::{HazardKind, LockLevel, Step};
use offshoot_schema::{
    Change, ChangeKind, Facts, Kind, Object, Plan, PlanOptions, RenameCandidate, changes_counting, plan,
    renames,
};

use super::parent::Parent;
use super::reading::Read;
use crate::cli::plain::plain;
use crate::failure::Result;
use crate::histories::LeftOut;

/// Large objects are counted, but are data.
const LARGE_OBJECT: &str = "largeObject";

/// What the second side has that the first has not.
pub(super) struct Comparison {
    pub(super) from: Read,
    pub(super) to: Read,
    pub(super) changes: Vec<Changed>,
    pub(super) plan: Plan,
    /// The renames that the person has confirmed.
    pub(super) renamed: Vec<String>,
    /// What looks like a rename and is not confirmed.
    pub(super) candidates: Vec<RenameCandidate>,
    /// What the plan costs, if that was tried.
    pub(super) measured: Option<Measured>,
    /// What the first side did since the second left it, if it is its parent and that is known.
    pub(super) parent: Option<Parent>,
    /// The tables of migration tools that differ, and were taken out of both sides.
    pub(super) left_out: Vec<LeftOut>,
}

/// An object that differs, with its text on both sides.
pub(super) struct Changed {
    pub(super) change: Change,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    /// What differs although the texts are the same.
    pub(super) beyond_sql: Vec<String>,
}

impl Comparison {
    ///
    /// # Errors
    /// Renames that do not fit.
    pub(super) fn new(mut from: Read, to: Read, options: &PlanOptions) -> Result<Self> {
        let plan = plan(&from.facts, &to.facts, options);
        from.facts =
            options.renames.renamed(&from.facts, &to.facts).map_err(|why| super::options::refused(&why))?;
        let with_texts = |change: Change| {
            let from = from.facts.definition(&change.object);
            let to = to.facts.definition(&change.object);
            Changed { change, from, to, beyond_sql: Vec::new() }
        };
        let changes = changes_counting(&from.facts, &to.facts, &options.noise);
        let mut changes: Vec<_> = changes.into_iter().map(with_texts).collect();
        explain_equal_texts(&from.facts, &to.facts, options.noise, &mut changes);
        let renamed = options.renames.lines();
        let candidates = renames(&from.facts, &to.facts);
        Ok(Self {
            from,
            to,
            changes,
            plan,
            renamed,
            candidates,
            measured: None,
            parent: None,
            left_out: Vec::new(),
        })
    }

    /// Whether anything differs. More or fewer objects of a kind that is not modelled are a difference too.
    pub(super) fn is_different(&self) -> bool {
        let counts = |side: &Read| -> BTreeMap<String, u64> {
            let mut counts = side.facts.unmodelled.clone();
            counts.remove(LARGE_OBJECT);
            counts
        };
        !self.changes.is_empty() || !self.renamed.is_empty() || counts(&self.from) != counts(&self.to)
    }

    /// Such as `1 added, 2 changed`.
    pub(super) fn summary(&self) -> String {
        let count = |kind| self.changes.iter().filter(|changed| changed.change.kind == kind).count();
        let counts = [
            (count(ChangeKind::Added), "added"),
            (count(ChangeKind::Changed), "changed"),
            (count(ChangeKind::Removed), "removed"),
            (self.renamed.len(), "renamed"),
        ];
        let parts: Vec<_> =
            counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
        match (parts.is_empty(), self.is_different()) {
            (false, _) => parts.join(", "),
            (true, true) => "only what is not modelled differs".to_owned(),
            (true, false) => "no difference".to_owned(),
        }
    }

    /// Dangers by object, without repetition; objects that do not differ but have to be made again are among them.
    pub(super) fn hazards(&self) -> BTreeMap<&Object, Vec<Danger>> {
        let mut dangers: BTreeMap<&Object, Vec<Danger>> = BTreeMap::new();
        for step in self.plan.steps() {
            let list = dangers.entry(&step.object).or_default();
            for danger in of_step(step) {
                if !list.contains(&danger) {
                    list.push(danger);
                }
            }
        }
        dangers.retain(|_, list| !list.is_empty());
        for list in dangers.values_mut() {
            keep_strongest_lock(list);
            list.sort_by_key(|danger| danger.rank);
        }
        dangers
    }

    /// What is locked, the strongest first: how, whether only for a moment, and the names.
    pub(super) fn locks(&self) -> Vec<(LockLevel, bool, Vec<String>)> {
        let mut names: BTreeMap<(LockLevel, bool), Vec<String>> = BTreeMap::new();
        let strong =
            self.plan.locks().into_iter().filter(|held| held.lock.level > LockLevel::ShareUpdateExclusive);
        for held in strong {
            names.entry((held.lock.level, held.lock.brief)).or_default().push(name(&held.object));
        }
        names.into_iter().rev().map(|((level, brief), names)| (level, brief, names)).collect()
    }

    /// Objects that are the same on both sides but are dropped and made again by the plan, or altered on the way.
    pub(super) fn also_touched(&self) -> Vec<&Object> {
        let changed: BTreeSet<_> = self.changes.iter().map(|changed| &changed.change.object).collect();
        let touched: BTreeSet<_> = self.plan.steps().map(|step| &step.object).collect();
        touched.difference(&changed).copied().collect()
    }

    /// What looks like a rename: the question, and the line that confirms it.
    pub(super) fn rename_questions(&self) -> Vec<(String, String)> {
        let question = |found: &RenameCandidate| {
            let what = format!("{} → {}", one_line(&found.from.to_string()), one_line(&found.to.name));
            (format!("a rename? {what}: {}", one_line(&found.reason)), one_line(&found.line))
        };
        self.candidates.iter().map(question).collect()
    }

    /// What could not be compared, a line each.
    pub(super) fn blind_spots(&self) -> Vec<String> {
        let (from, to) = (&self.from.facts, &self.to.facts);
        let kinds: BTreeSet<&String> = from.unmodelled.keys().chain(to.unmodelled.keys()).collect();
        let mut lines: Vec<String> = kinds
            .into_iter()
            .map(|kind| {
                let count = |side: &BTreeMap<String, u64>| side.get(kind).copied().unwrap_or(0);
                let words = words(kind);
                match (count(&from.unmodelled), count(&to.unmodelled)) {
                    (old, new) if old == new => format!("{words}: {new} on each side"),
                    (old, new) => format!("{words}: {new} in {}, {old} in {}", self.to.name, self.from.name),
                }
            })
            .collect();
        for side in [&self.from, &self.to] {
            let unread = side.facts.unreadable.iter();
            lines.extend(unread.map(|(kind, why)| format!("{kind} of {}, unreadable: {why}", side.name)));
        }
        lines.into_iter().map(|line| one_line(&line)).collect()
    }
}

/// Says of objects whose texts are the same what differs beyond them.
pub(super) fn explain_equal_texts(from: &Facts, to: &Facts, noise: Noise, changes: &mut [Changed]) {
    let mut equal: BTreeMap<Object, &mut Vec<String>> = changes
        .iter_mut()
        .filter(|changed| changed.from == changed.to)
        .map(|changed| (changed.change.object.clone(), &mut changed.beyond_sql))
        .collect();
    if equal.is_empty() {
        return;
    }
    for difference in diff(from, to, &noise) {
        let Some(list) = equal.get_mut(&Object::of(&difference.id)) else { continue };
        let what = match difference.delta {
            Delta::Added => "added".to_owned(),
            Delta::Removed => "removed".to_owned(),
            Delta::Changed(names) => names.into_iter().collect::<Vec<_>>().join(", "),
        };
        list.push(one_line(&format!("{}: {what}", difference.id)));
    }
}

/// A danger of what is done to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Danger {
    /// Its kind; `None` for a lock that is held long.
    pub(super) kind: Option<HazardKind>,
    /// Worst first.
    pub(super) rank: u8,
    /// Such as `DELETES DATA`, or the mode of a lock.
    pub(super) title: String,
    /// The rest of the line.
    pub(super) message: String,
    lock: Option<LockLevel>,
}

impl Danger {
    /// The whole line.
    pub(super) fn line(&self) -> String {
        if self.lock.is_some() {
            return format!("{} {}", self.title, self.message);
        }
        format!("{}: {}", self.title, self.message)
    }
}

fn of_step(step: &Step) -> Vec<Danger> {
    let mut dangers = Vec::new();
    for hazard in &step.hazards {
        let text = one_line(&hazard.to_string());
        let (title, message) = text.split_once(": ").unwrap_or((&text, ""));
        dangers.push(Danger {
            kind: Some(hazard.kind),
            rank: rank(hazard.kind),
            title: title.to_owned(),
            message: message.to_owned(),
            lock: None,
        });
    }
    let long = step.lock.filter(|lock| !lock.brief && lock.level > LockLevel::ShareUpdateExclusive);
    dangers.extend(long.map(|lock| Danger {
        kind: None,
        rank: LOCK_RANK,
        title: mode(lock.level).to_owned(),
        message: format!("lock on {} while all its rows are gone through", name(&step.object)),
        lock: Some(lock.level),
    }));
    dangers
}

/// After what deletes data, before all the rest.
const LOCK_RANK: u8 = 1;

fn rank(kind: HazardKind) -> u8 {
    match kind {
        HazardKind::DeletesData => 0,
        HazardKind::RewritesTable => 2,
        HazardKind::BuildsIndex => 3,
        HazardKind::ScansTable => 4,
        HazardKind::MayFail => 5,
        _ => 6,
    }
}

fn keep_strongest_lock(list: &mut Vec<Danger>) {
    let strongest = list.iter().filter_map(|danger| danger.lock).max();
    list.retain(|danger| danger.lock.is_none() || danger.lock == strongest);
}

/// The name of a lock's mode.
pub(super) fn mode(level: LockLevel) -> &'static str {
    match level {
        LockLevel::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
        LockLevel::Share => "SHARE",
        LockLevel::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
        LockLevel::AccessExclusive => "ACCESS EXCLUSIVE",
    }
}

/// `databaseSetting` as `database setting`.
fn words(kind: &str) -> String {
    kind.chars().fold(String::new(), |mut words, letter| {
        if letter.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
        words
    })
}

/// The kind as SQL writes it, in small letters.
pub(super) fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::MaterializedView => "materialized view",
        other => other.title(),
    }
}

/// The name as SQL writes it, on one line.
pub(super) fn name(object: &Object) -> String {
    match object.kind {
        // Their names are phrases, such as `(integer AS text)`.
        Kind::Cast | Kind::Transform | Kind::DefaultPrivilege => one_line(&object.name),
        _ => one_line(&object.id().sql()),
    }
}

/// Kind and name.
pub(super) fn title(object: &Object) -> String {
    format!("{} {}", kind_word(object.kind), name(object))
}

/// The sign of a change.
pub(super) fn sign(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Added => '+',
        ChangeKind::Removed => '-',
        ChangeKind::Changed => '~',
    }
}

/// A text without line ends and without what could deceive.
pub(super) fn one_line(text: &str) -> String {
    plain(text).replace('\n', "\\u{a}").replace('\t', "\\u{9}")
}
