//! Which steps run together: in as few transactions as can be, and with what is dropped only to be made again back in the same one.

mod level;
mod merge;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::level::Levels;
use super::hazard::{Hazard, HazardKind};
use super::lock::LockLevel;
use super::nodes::{Act, Nodes};
use super::{Action, Part, Step};
use crate::fact::FactId;
use crate::kind::Kind;

/// The statements of a step that run either in a transaction or by themselves.
struct Piece {
    /// `None` where another step says it all.
    transactional: Option<bool>,
    step: Option<Step>,
}

/// All pieces, in an order that works, with what has to come before what.
struct Pieces {
    list: Vec<Piece>,
    before: Vec<Vec<usize>>,
    /// The first and the last piece of each node.
    ends: Vec<[usize; 2]>,
}

/// Something that is dropped only to be made again.
struct Pair {
    drop: usize,
    create: usize,
    id: Arc<FactId>,
}

/// The parts of a plan. `forms` are the pieces of the nodes, as `order` has them; `renames` says that renames come before.
pub(super) fn parts(
    nodes: &Nodes<'_>,
    order: &[usize],
    folded: &BTreeSet<Arc<FactId>>,
    forms: Vec<Vec<(bool, Step)>>,
    renames: bool,
) -> Vec<Part> {
    let mut pieces = Pieces::new(nodes, order, folded, forms);
    let apart = pieces.list.iter().any(|piece| piece.transactional == Some(false));
    let levels = if apart {
        let pairs = pairs(nodes, folded, &pieces);
        let classes: Vec<Option<bool>> = pieces.list.iter().map(|piece| piece.transactional).collect();
        let solve = |transaction_first| Levels::solve(&classes, &pieces.before, &pairs, transaction_first);
        let (first, second) = (solve(true), solve(false));
        let price =
            |levels: &Levels, late: bool| (levels.split.len(), levels.count() + usize::from(late && renames));
        let best = if price(&second, true) < price(&first, false) { second } else { first };
        pieces.name_gaps(&pairs, &best);
        best
    } else {
        Levels::one(pieces.list.len())
    };
    pieces.into_parts(&levels)
}

impl Pieces {
    fn new(
        nodes: &Nodes<'_>,
        order: &[usize],
        folded: &BTreeSet<Arc<FactId>>,
        forms: Vec<Vec<(bool, Step)>>,
    ) -> Self {
        let mut pieces = Self { list: Vec::new(), before: Vec::new(), ends: vec![[0, 0]; nodes.steps.len()] };
        for (node, form) in order.iter().zip(forms) {
            let first = pieces.list.len();
            for (transactional, step) in form {
                pieces.list.push(Piece { transactional: Some(transactional), step: Some(step) });
            }
            if pieces.list.len() == first {
                pieces.list.push(Piece { transactional: None, step: None });
            }
            pieces.ends[*node] = [first, pieces.list.len() - 1];
        }
        pieces.before = vec![Vec::new(); pieces.list.len()];
        for node in order {
            let [first, last] = pieces.ends[*node];
            pieces.before[first]
                .extend(nodes.graph.before(*node).iter().map(|before| pieces.ends[*before][1]));
            for piece in first + 1..=last {
                pieces.before[piece].push(piece - 1);
            }
        }
        pieces.add_folded(nodes, folded);
        pieces.add_columns(nodes);
        pieces
    }

    /// What is said within the statement for the whole needs there what it needs.
    fn add_folded(&mut self, nodes: &Nodes<'_>, folded: &BTreeSet<Arc<FactId>>) {
        for id in folded {
            let (Some(part), Some(whole)) = (nodes.node(Act::Create, id), whole(nodes, id)) else { continue };
            let at = self.ends[whole][0];
            let needs = nodes.graph.before(part).iter().map(|need| self.ends[*need][1]);
            let needs: Vec<usize> = needs.filter(|need| *need < at).collect();
            self.before[at].extend(needs);
        }
    }

    /// A column goes after new ones of its table have come, so that its values can be taken over.
    fn add_columns(&mut self, nodes: &Nodes<'_>) {
        let mut tables: BTreeMap<&FactId, [Vec<usize>; 2]> = BTreeMap::new();
        for (at, node) in nodes.steps.iter().enumerate() {
            if node.id.kind == Kind::Column && matches!(node.act, Act::Create | Act::Drop) {
                let [new, gone] = tables.entry(node.id.owner()).or_default();
                (if node.act == Act::Create { new } else { gone }).push(at);
            }
        }
        for [new, gone] in tables.values() {
            for gone in gone {
                let at = self.ends[*gone][0];
                let new = new.iter().map(|new| self.ends[*new][1]).filter(|new| *new < at);
                self.before[at].extend(new);
            }
        }
    }

    /// Says of what could not be made again in the transaction that drops it that it is gone meanwhile.
    fn name_gaps(&mut self, pairs: &[Pair], levels: &Levels) {
        let mut gone: BTreeMap<usize, BTreeSet<&Arc<FactId>>> = BTreeMap::new();
        for pair in pairs {
            let alone = self.list[pair.drop].transactional == Some(false);
            if alone || levels.of[pair.drop] != levels.of[pair.create] {
                gone.entry(pair.drop).or_default().insert(&pair.id);
            }
        }
        for (piece, ids) in gone {
            let Some(step) = &mut self.list[piece].step else { continue };
            for id in &ids {
                if ids.iter().any(|whole| whole != id && whole.contains(id)) {
                    continue;
                }
                let message = format!(
                    "{id} is not there until a later statement makes it again: that cannot be in one transaction"
                );
                step.hazards.push(Hazard { kind: HazardKind::GoneMeanwhile, message });
            }
        }
    }

    fn into_parts(mut self, levels: &Levels) -> Vec<Part> {
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, piece) in self.list.iter().enumerate() {
            if piece.step.is_some() {
                members.entry(levels.of[at]).or_default().push(at);
            }
        }
        let mut parts = Vec::new();
        for (level, members) in members {
            let transactional = members.iter().any(|at| self.list[*at].transactional == Some(true));
            let members = if transactional { self.brief_last(members, levels, level) } else { members };
            let steps = if transactional {
                merge::steps(&mut self, &members)
            } else {
                members.iter().filter_map(|at| self.list[*at].step.take()).collect()
            };
            parts.push(Part { transactional, steps });
        }
        parts
    }

    /// What goes through rows comes first in its transaction, with all that it needs, so that the strong locks of the rest
    /// are held for a moment.
    fn brief_last(&self, members: Vec<usize>, levels: &Levels, level: usize) -> Vec<usize> {
        let step = |at: usize| self.list[at].step.as_ref();
        let is_slow = |at: usize| step(at).is_some_and(Step::goes_through_rows);
        let is_strong = |at: usize| {
            step(at).is_some_and(|step| {
                step.locks().any(|held| held.lock.level > LockLevel::ShareUpdateExclusive)
            })
        };
        let Some(last) = members.iter().rposition(|at| is_slow(*at)) else { return members };
        if !members[..last].iter().any(|at| !is_slow(*at) && is_strong(*at)) {
            return members;
        }
        let mut needed = vec![false; self.list.len()];
        // What is dropped goes first: it may hold on to more than is known. Columns go late on purpose.
        let drops = |step: &Step| {
            step.action == Action::Drop && !step.statements.iter().any(|text| text.contains(" DROP COLUMN "))
        };
        let begins = |at: &usize| is_slow(*at) || *at < members[last] && step(*at).is_some_and(drops);
        let mut waiting: Vec<usize> = members.iter().copied().filter(begins).collect();
        while let Some(at) = waiting.pop() {
            if levels.of[at] == level && !std::mem::replace(&mut needed[at], true) {
                waiting.extend(&self.before[at]);
            }
        }
        let (mut first, rest): (Vec<usize>, Vec<usize>) = members.into_iter().partition(|at| needed[*at]);
        first.extend(rest);
        first
    }
}

/// The node in whose statement a folded part is said.
fn whole(nodes: &Nodes<'_>, part: &FactId) -> Option<usize> {
    part.of.as_ref().and_then(|of| nodes.create_of(of))
}

/// All that is dropped only to be made again.
fn pairs(nodes: &Nodes<'_>, folded: &BTreeSet<Arc<FactId>>, pieces: &Pieces) -> Vec<Pair> {
    let fates = &nodes.fates;
    let mut pairs = Vec::new();
    for id in fates.from.facts.keys().filter(|id| fates.is_dropped(id) && fates.is_created(id)) {
        let away = nodes.node(Act::Away, id).or_else(|| nodes.node(Act::Away, id.root()));
        let Some(gone) = away.or_else(|| nodes.drop_of(id)) else { continue };
        let made = if folded.contains(id) { whole(nodes, id) } else { nodes.create_of(id) };
        let sweep = away.and_then(|_| nodes.node(Act::Sweep, id));
        for made in [made, sweep].into_iter().flatten().filter(|made| *made != gone) {
            let (drop, create) = (pieces.ends[gone][1], pieces.ends[made][1]);
            if pieces.list[drop].step.is_some() && pieces.list[create].step.is_some() {
                pairs.push(Pair { drop, create, id: Arc::clone(id) });
            }
        }
    }
    pairs
}
