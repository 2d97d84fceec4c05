//! Several changes that write one table anew become one statement, so that it is written once.

use std::collections::HashMap;

use super::Pieces;
use crate::plan::{HazardKind, Step};

/// The steps of these pieces, in this order but for what is merged into an earlier statement.
pub(super) fn steps(pieces: &mut Pieces, members: &[usize]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    // The place of each piece among the steps, and of the last rewrite of each table.
    let mut places: HashMap<usize, usize> = HashMap::new();
    let mut rewrites: HashMap<String, usize> = HashMap::new();
    for at in members {
        let Some(mut step) = pieces.list[*at].step.take() else { continue };
        if let Some((table, action)) = rewrite(&step) {
            let ready = |place: &usize| {
                let needs = needs(pieces, *at);
                needs.iter().all(|need| places.get(need).is_none_or(|need| need < place))
            };
            match rewrites.get(&table).copied().filter(ready) {
                Some(place) => {
                    let first = &mut steps[place];
                    first.statements[0] = format!("{},\n    {action}", first.statements[0]);
                    step.statements.remove(0);
                    if step.statements.is_empty() {
                        take_over(first, step);
                        places.insert(*at, place);
                        continue;
                    }
                    step.hazards.retain(|hazard| {
                        let moved = matches!(hazard.kind, HazardKind::RewritesTable);
                        if moved {
                            first.hazards.push(hazard.clone());
                        }
                        !moved
                    });
                }
                None => {
                    rewrites.insert(table, steps.len());
                }
            }
        }
        places.insert(*at, steps.len());
        steps.push(step);
    }
    steps
}

fn take_over(first: &mut Step, step: Step) {
    first.what = format!("{}, {}", first.what, step.what);
    for hazard in step.hazards {
        if !first.hazards.contains(&hazard) {
            first.hazards.push(hazard);
        }
    }
    first.others.extend(step.others);
    first.lock = first.lock.or(step.lock);
}

/// What has to come before a piece, through those that say nothing.
fn needs(pieces: &Pieces, at: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut waiting = pieces.before[at].clone();
    while let Some(need) = waiting.pop() {
        if pieces.list[need].transactional.is_some() {
            found.push(need);
        } else {
            waiting.extend(&pieces.before[need]);
        }
    }
    found
}

/// The table and the action of a step that begins with a change of a column's type that writes the table anew.
fn rewrite(step: &Step) -> Option<(String, String)> {
    step.hazards.iter().find(|hazard| hazard.kind == HazardKind::RewritesTable)?;
    let table = step.object.id().sql();
    let rest = step.statements.first()?.strip_prefix(&format!("ALTER TABLE {table} "))?;
    let column = rest.strip_prefix("ALTER COLUMN ")?;
    let after = match column.strip_prefix('"') {
        Some(quoted) => quoted.replace("\"\"", "").split_once('"')?.1.to_owned(),
        None => column.split_once(' ').map(|(_, after)| format!(" {after}"))?,
    };
    after.starts_with(" TYPE ").then(|| (table, rest.to_owned()))
}
