//! Whose migrations may run: those of other git branches only once somebody has agreed to it.
//!
//! A checked-out pull request is a branch like any other, and its SQL runs as a superuser of the throwaway, which may start programs
//! on the machine.

use std::collections::BTreeSet;
use std::sync::Arc;

use offshoot_protocol::error::Reason;
use offshoot_protocol::migrations::MigrationsRehearseParams;

use super::merge::Workshop;
use crate::engine::Engine;
use crate::failure::{Failure, Result};

/// Under which name the root branch's notes hold the commits that were agreed to.
const AGREED: &str = "migrations-rehearse-agreed";
/// Commits that are remembered; the oldest names go first.
const MOST: usize = 1_000;
/// Branches that are named in a question.
const SHOWN: usize = 12;

/// Goes on if all commits of `others` were agreed to, were named, or are agreed to now.
///
/// # Errors
/// With [`Reason::NotAgreed`] and the names of the branches.
pub(super) async fn agreed(
    engine: &Arc<Engine>,
    params: &MigrationsRehearseParams,
    workshop: Workshop,
    others: Vec<String>,
) -> Result<(Workshop, Vec<String>)> {
    if !params.with.is_empty() || others.is_empty() {
        return Ok((workshop, others));
    }
    let agrees = params.agreed;
    engine
        .blocking(move |engine| {
            let root = engine.store.root_branch();
            let note = engine.store.note(root, AGREED)?;
            let mut known: Vec<String> =
                note.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            let mut fresh = Vec::new();
            for name in &others {
                let commit = workshop.commit(name)?;
                if !known.contains(&commit) {
                    fresh.push((name.clone(), commit));
                }
            }
            if fresh.is_empty() {
                return Ok((workshop, others));
            }
            if !agrees {
                let names: Vec<String> = fresh.into_iter().map(|(name, _)| name).collect();
                return Err(not_agreed(&names));
            }
            let new: BTreeSet<String> = fresh.into_iter().map(|(_, commit)| commit).collect();
            known.extend(new);
            let surplus = known.len().saturating_sub(MOST);
            known.drain(..surplus);
            let text = serde_json::to_string(&known).map_err(|e| Failure::internal(e.to_string()))?;
            engine.store.set_note(root, AGREED, &text)?;
            Ok((workshop, others))
        })
        .await
}

fn not_agreed(names: &[String]) -> Failure {
    let shown = names[..names.len().min(SHOWN)].join(", ");
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let branches = if names.len() == 1 { "the git branch" } else { "the git branches" };
    Failure::user(format!("a rehearsal runs the migrations of {branches} {shown}{more} on this machine"))
        .reason(Reason::NotAgreed)
        .hint(
            "They run as a superuser of a throwaway database, which may start programs: look at what others wrote first. \
             `--yes` agrees to these commits, `--only BRANCH` rehearses with that branch alone.",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_names_the_branches_and_counts_the_rest() {
        let names: Vec<String> = (0..14).map(|at| format!("b{at}")).collect();
        let text = not_agreed(&names).to_string();
        assert!(text.contains("b0, b1") && text.contains("b11 and 2 more on this machine"), "{text}");
    }
}
