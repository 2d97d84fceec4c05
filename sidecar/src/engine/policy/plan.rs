//! `policy/plan` and `policy/apply`: what rules that changed would change on branches that there are.
//!
//! A guard holds as soon as the rule is there. An expiry is a promise about one branch, made when that was made: a rule changes it
//! only when somebody has seen the change and applies it, and never where a person has set it.

use std::sync::Arc;
use std::time::SystemTime;

use offshoot_protocol::policy::{PolicyApplyParams, PolicyChange, PolicyGuarded, PolicyPlan};
use offshoot_protocol::types::Subject;
use offshoot_storage::BranchId;

use super::{Now, masked, now, place, writers};
use crate::config::duration_text;
use crate::engine::Engine;
use crate::engine::book::{Book, By};
use crate::failure::{Failure, Result};
use crate::timestamp;

/// What is overdue by a rule goes no sooner than this after it is applied, in seconds, or than half of the rule's time.
const GRACE: u64 = 86_400;
/// Times that differ by less are the same, in seconds.
const SAME: u64 = 120;

/// What is known of a branch.
#[derive(Clone, Debug)]
struct Seen {
    id: u64,
    name: String,
    created_at: u64,
    expires_at: Option<u64>,
    by: Option<By>,
    is_root: bool,
}

/// `policy/plan`.
pub(in crate::engine) async fn plan(engine: &Arc<Engine>) -> Result<PolicyPlan> {
    let sessions = writers::sessions(engine).await?;
    engine
        .blocking(move |engine| {
            Ok(PolicyPlan { sessions, unmasked: masked::unmasked(engine, &now(engine)?)?, ..look(engine)? })
        })
        .await
}

/// `policy/apply`: all of the changes, or none.
pub(in crate::engine) async fn apply(engine: &Arc<Engine>, params: PolicyApplyParams) -> Result<PolicyPlan> {
    let _structure = engine.structure.lock().await;
    let mut ended = params.sessions;
    let mut applied = engine
        .blocking(move |engine| {
            let plan = look(engine)?;
            if let Some(other) = params.changes.iter().find(|wanted| !plan.changes.iter().any(|it| same(it, wanted))) {
                return Err(Failure::user(format!("what is planned for `{}` has changed meanwhile", other.name))
                    .hint("Nothing was changed. `offshoot policy plan` shows what would be now."));
            }
            for change in &params.changes {
                let id = BranchId(change.id);
                Book(&engine.store).set_expiry(id, change.to, By::Rule)?;
                if let Some(at) = change.to {
                    engine.expiry.look_at(at);
                }
                tracing::info!(branch = %change.name, id = change.id, at = change.to, "a rule changed a branch's expiry");
            }
            Ok(PolicyPlan { changes: params.changes, ..plan })
        })
        .await?;
    for sessions in &mut ended {
        sessions.count = writers::drain(engine, BranchId(sessions.id)).await?;
        tracing::info!(branch = %sessions.name, sessions.count, "ended sessions for a rule that changed");
    }
    applied.sessions = ended;
    engine.changed(Subject::Branches);
    Ok(applied)
}

fn same(one: &PolicyChange, other: &PolicyChange) -> bool {
    let near = match (one.to, other.to) {
        (Some(one), Some(other)) => one.abs_diff(other) < SAME,
        (one, other) => one == other,
    };
    near && (one.id, one.from, &one.place) == (other.id, other.from, &other.place)
}

fn look(engine: &Arc<Engine>) -> Result<PolicyPlan> {
    let rules = now(engine)?;
    rules.known("no rule is known, and what rules gave branches stays as it is.")?;
    let book = Book(&engine.store);
    let (expiries, by) = (book.expiries()?, book.expiries_by()?);
    let root = engine.store.root_branch();
    let seen = engine.store.branches()?.into_iter().map(|branch| Seen {
        id: branch.id.0,
        created_at: timestamp::seconds(branch.created_at),
        expires_at: expiries.get(&branch.id).copied(),
        by: by.get(&branch.id).copied(),
        is_root: branch.id == root,
        name: branch.name,
    });
    let mut seen: Vec<Seen> = seen.collect();
    seen.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(compare(&seen, &rules, timestamp::seconds(SystemTime::now())))
}

/// What `rules` say of branches at `at`, in seconds since 1970.
fn compare(branches: &[Seen], rules: &Now, at: u64) -> PolicyPlan {
    let mut plan = PolicyPlan::default();
    for branch in branches {
        let guard = rules.guard(&branch.name);
        if let Some(guard) = &guard {
            plan.guarded.push(PolicyGuarded { name: branch.name.clone(), place: guard.place.clone() });
        }
        if branch.is_root {
            continue;
        }
        let rule = rules.rule(&branch.name);
        let ttl = rule.filter(|_| guard.is_none()).and_then(|rule| Some((rule, rule.ttl.as_ref()?)));
        let due = ttl.map(|(_, ttl)| branch.created_at.saturating_add(ttl.value.as_secs()));
        let is_ruled = branch.by == Some(By::Rule) || (branch.by.is_none() && branch.expires_at.is_none());
        if !is_ruled {
            let differs = match (due, branch.expires_at) {
                (Some(due), Some(set)) => due.abs_diff(set) >= SAME,
                (due, set) => due.is_some() != set.is_some(),
            };
            if differs && ttl.is_some() {
                plan.kept.push(branch.name.clone());
            }
            continue;
        }
        let (to, why) = match (ttl, due) {
            (Some((_, ttl)), Some(due)) => {
                let soonest = at.saturating_add(GRACE.min(ttl.value.as_secs() / 2));
                let text = duration_text(ttl.value);
                if due >= soonest {
                    (Some(due), format!("{text} after it was made"))
                } else if branch.expires_at.is_some_and(|set| set <= soonest) {
                    continue;
                } else {
                    (
                        Some(soonest),
                        format!("{text} after it was made are over, or will be before anybody sees it"),
                    )
                }
            }
            _ if guard.is_some() => (None, "it is protected".to_owned()),
            _ => (None, "no rule gives it a time any more".to_owned()),
        };
        let is_same = match (to, branch.expires_at) {
            (Some(to), Some(set)) => to.abs_diff(set) < SAME,
            (to, set) => to == set,
        };
        if !is_same {
            plan.changes.push(PolicyChange {
                id: branch.id,
                name: branch.name.clone(),
                from: branch.expires_at,
                to,
                why,
                place: ttl
                    .map(|(rule, ttl)| place(ttl.line, rule))
                    .or_else(|| guard.map(|guard| guard.place)),
            });
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const DAY: u64 = 86_400;
    /// The present of the tests.
    const AT: u64 = 100 * DAY;

    fn rules(text: &str) -> Now {
        Now { file: parse(text).unwrap().rules, committed: None, broken: None }
    }

    fn seen(name: &str, days_ago: u64, expires_at: Option<u64>, by: Option<By>) -> Seen {
        Seen { id: 7, name: name.into(), created_at: AT - days_ago * DAY, expires_at, by, is_root: false }
    }

    fn changes(text: &str, branch: Seen) -> Vec<(Option<u64>, String)> {
        let plan = compare(&[branch], &rules(text), AT);
        plan.changes.into_iter().map(|change| (change.to, change.why)).collect()
    }

    const RULES: &str =
        "[[branches]]\npattern = 'main'\nprotected = true\n[[branches]]\npattern = 'f/*'\nttl = '14d'";

    #[test]
    fn a_new_time_counts_from_when_the_branch_was_made_with_a_day_of_grace() {
        let found = changes(RULES, seen("f/a", 2, None, None));
        assert_eq!(found, [(Some(AT + 12 * DAY), "14d after it was made".to_owned())]);
        let found = changes(RULES, seen("f/a", 40, None, None));
        assert_eq!(
            found,
            [(
                Some(AT + DAY),
                "14d after it was made are over, or will be before anybody sees it".to_owned()
            )]
        );
        assert_eq!(changes(RULES, seen("f/a", 40, Some(AT + 5), Some(By::Rule))), [], "applied before");
        assert_eq!(changes(RULES, seen("other", 40, None, None)), []);
        let short = RULES.replace("14d", "1h");
        assert_eq!(changes(&short, seen("f/a", 2, None, None))[0].0, Some(AT + 1800));
    }

    #[test]
    fn what_a_rule_gave_goes_with_the_rule_and_what_a_person_set_stays() {
        let late = Some(AT + 12 * DAY);
        assert_eq!(changes(RULES, seen("f/a", 2, late, Some(By::Rule))), [], "as the rule has it");
        assert_eq!(changes("", seen("f/a", 2, late, Some(By::Rule)))[0].0, None);
        assert_eq!(changes("", seen("f/a", 2, late, Some(By::Person))), []);
        for by in [Some(By::Person), None] {
            let plan = compare(&[seen("f/a", 2, Some(AT + DAY), by)], &rules(RULES), AT);
            assert_eq!((plan.changes.len(), plan.kept), (0, vec!["f/a".to_owned()]));
        }
        let plan = compare(&[seen("f/a", 2, None, Some(By::Person))], &rules(RULES), AT);
        assert_eq!((plan.changes.len(), plan.kept.len()), (0, 1), "a person said that it stays");
    }

    #[test]
    fn a_guard_takes_an_expiry_of_a_rule_away_and_is_told() {
        let mut root = seen("main", 50, None, None);
        root.is_root = true;
        let guarded = seen("main", 2, Some(AT + DAY), Some(By::Rule));
        let plan = compare(&[root, guarded], &rules(RULES), AT);
        assert_eq!(plan.guarded.len(), 2);
        assert_eq!(plan.guarded[0].place.line, 3);
        assert_eq!(plan.changes.len(), 1);
        assert_eq!((plan.changes[0].to, plan.changes[0].why.as_str()), (None, "it is protected"));
    }
}
