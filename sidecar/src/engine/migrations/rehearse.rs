//! `migrations/rehearse`: merges tried in both orders, from git's trees alone.

mod agree;
mod merge;
mod order;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use offshoot_migrations::{Entry, Next, Project, Scan, Severity, State, Subject, Tool};
use offshoot_protocol::migrations::{
    MigrationDiagnostic, MigrationSeverity, MigrationsOutcome, MigrationsPair, MigrationsRehearsal,
    MigrationsRehearseParams,
};
use offshoot_schema::Facts;
use offshoot_storage::BranchId;

use super::files::{self, id_of};
use super::stage;
use super::status;
use super::{history, wire};
use crate::engine::server::Call;
use crate::engine::{Engine, branches};
use crate::failure::{Failure, Result};
use merge::{Merged, Workshop};
use order::{Order, Run};

/// Branches that are rehearsed with unless they are named.
const MOST: usize = 40;

/// `migrations/rehearse`.
pub(in crate::engine) async fn rehearse(
    engine: &Arc<Engine>,
    params: MigrationsRehearseParams,
    call: &Call,
) -> Result<MigrationsRehearsal> {
    let begun = Instant::now();
    let place = status::place(engine, &params.folder).await?;
    let (id, branch) = base_branch(engine, params.base.as_deref()).await?;
    let base = params.base.clone().unwrap_or_else(|| branch.clone());
    let (root, of, with) = (place.root.clone(), base.clone(), params.with.clone());
    call.progress("reading the git branches", 0, None);
    let opened = engine.blocking(move |_| {
        let mut workshop = Workshop::open(&root, &of)?;
        let (others, left) = workshop.others(&with, MOST)?;
        Ok((workshop, others, left))
    });
    let (workshop, others, left) = opened.await?;
    let (workshop, others) = agree::agreed(engine, &params, workshop, others).await?;
    let mine = workshop.mine.clone();
    let mut notes = Vec::new();
    if left > 0 {
        notes.push(format!("{left} more branches were left out; name them with `--with`"));
    }
    if workshop.is_dirty {
        notes.push("what is not committed takes no part".to_owned());
    }
    let workshop = Arc::new(std::sync::Mutex::new(workshop));
    let mut pairs = Vec::new();
    let total = others.len() as u64;
    for (at, other) in others.into_iter().enumerate() {
        call.progress(&format!("rehearsing with {other}"), at as u64, Some(total));
        let job = Job { engine, call, id, branch: &branch, root: &place.root, params: &params, mine: &mine };
        let (workshop, of) = (Arc::clone(&workshop), other.clone());
        let merged = engine
            .blocking(move |_| workshop.lock().unwrap_or_else(std::sync::PoisonError::into_inner).merge(&of));
        pairs.push(match merged.await {
            Ok(merged) => Box::pin(job.pair(other, Arc::new(merged))).await?,
            Err(failure) => MigrationsPair {
                other,
                outcome: MigrationsOutcome::Skipped,
                message: failure.to_string(),
                findings: Vec::new(),
                orders: Vec::new(),
                differs: Vec::new(),
            },
        });
    }
    Ok(MigrationsRehearsal {
        mine,
        base,
        branch,
        passed: pairs.iter().all(|pair| pair.outcome != MigrationsOutcome::Failed),
        pairs,
        took_ms: begun.elapsed().as_millis() as u64,
        notes,
    })
}

/// The database branch of the git branch that others are merged into.
async fn base_branch(engine: &Arc<Engine>, base: Option<&str>) -> Result<(BranchId, String)> {
    if let Some(base) = base
        && let Ok(id) = branches::named(engine, base).await
    {
        return Ok((id, base.to_owned()));
    }
    engine
        .blocking(|engine| {
            let id = engine.store.root_branch();
            Ok((id, engine.store.branch(id)?.name))
        })
        .await
}

struct Job<'j> {
    engine: &'j Arc<Engine>,
    call: &'j Call,
    id: BranchId,
    branch: &'j str,
    root: &'j Path,
    params: &'j MigrationsRehearseParams,
    mine: &'j str,
}

impl Job<'_> {
    async fn pair(&self, other: String, merged: Arc<Merged>) -> Result<MigrationsPair> {
        let mut pair = MigrationsPair {
            other,
            outcome: MigrationsOutcome::Passed,
            message: String::new(),
            findings: merged.conflicts.clone(),
            orders: Vec::new(),
            differs: Vec::new(),
        };
        let all = &merged.both.scan;
        let tool = self.params.tool.as_deref();
        let chosen = files::chosen(all, tool)?;
        pair.findings.extend(new_findings(&merged, tool)?);
        let histories = history::read(self.engine, self.id, &chosen, true).await;
        let histories = histories.map_err(|why| history::unread(self.branch, &why))?;
        let mut runs = Vec::new();
        for (project, history) in chosen.iter().zip(histories) {
            let status = project.status(&history, &offshoot_migrations::Observed::default());
            if project.tool != Tool::PlainSql
                && let Some(why) = stage::unknown(&status)
            {
                return Err(why);
            }
            // One of two files of which nobody knows which ran is not run again.
            let applied = |entry: &Entry| match entry.state {
                State::Pending | State::OutOfOrder => false,
                State::Unknown => entry.next == Next::Nothing,
                _ => true,
            };
            let keys = status.entries.iter().filter_map(|entry| match entry.subject {
                Subject::File(place) => Some((&project.migrations[place], applied(entry))),
                Subject::Row(_) => None,
            });
            let there: BTreeSet<String> = keys
                .filter(|(file, applied)| {
                    if project.tool == Tool::PlainSql {
                        merged.base_paths.contains(&file.path)
                    } else {
                        *applied
                    }
                })
                .map(|(file, _)| file.key.clone())
                .collect();
            runs.push(Run { id: id_of(project), applied: there });
        }
        let new_in = |scan: &Arc<Scan>| {
            runs.iter().any(|run| {
                let project = scan.projects.iter().find(|one| id_of(one) == run.id);
                project.is_some_and(|one| one.migrations.iter().any(|file| !run.applied.contains(&file.key)))
            })
        };
        let (in_mine, in_other) = (new_in(&merged.mine.scan), new_in(&merged.other.scan));
        if in_mine && in_other && !merged.is_broken {
            let ours = Order::new(self.engine, self.call, self.id, self.root, &runs, self.params);
            let first = Box::pin(ours.run(self.mine, &merged.mine, &merged.both));
            let second = Box::pin(ours.run(&pair.other, &merged.other, &merged.both));
            // Two throwaways at a time are what there is room for.
            let (first, second) = tokio::try_join!(first, second)?;
            if let (Some(a), Some(b)) = (&first.1, &second.1) {
                pair.differs = differs(b, a);
            }
            pair.orders = vec![first.0, second.0];
        }
        self.judge(&mut pair, in_mine, in_other);
        Ok(pair)
    }

    /// What it comes to, in one sentence.
    fn judge(&self, pair: &mut MigrationsPair, in_mine: bool, in_other: bool) {
        let mut found = Vec::new();
        for order in &pair.orders {
            let then = if order.first == self.mine { &pair.other } else { self.mine };
            let order_is = format!("with {} merged before {then}", order.first);
            for path in &order.skipped {
                found.push(finding(
                    "skippedInSilence",
                    path,
                    format!("{order_is}, the tool never runs {path}, and says nothing"),
                    "Give it a newer version, for example by making it again after the merge.",
                ));
            }
            for path in &order.refused {
                found.push(finding(
                    "refused",
                    path,
                    format!("{order_is}, the tool stops because of {path}"),
                    "Give it a newer version, or allow the tool to run files out of order.",
                ));
            }
            if let Some(failure) = &order.failure {
                let text = format!("{order_is}, {} fails: {}", failure.path, failure.message);
                let mut one = finding(
                    "failsAfterMerge",
                    &failure.path,
                    text,
                    "Whoever merges second has to change the migration.",
                );
                one.line = failure.line.max(1);
                found.push(one);
            }
        }
        if !pair.differs.is_empty() {
            let objects: Vec<_> = pair
                .differs
                .iter()
                .take(5)
                .map(|change| format!("{} {}", change.object.kind, change.object.name))
                .collect();
            found.push(finding(
                "orderMatters",
                "",
                format!("the order of the merges decides what the schema is: {}", objects.join(", ")),
                "Merge one, bring the other up to date, and look at both migrations again.",
            ));
        }
        pair.findings.extend(found);
        let errors = pair.findings.iter().filter(|one| one.severity == MigrationSeverity::Error).count();
        if errors > 0 {
            pair.outcome = MigrationsOutcome::Failed;
            pair.message = pair
                .findings
                .iter()
                .find(|one| one.severity == MigrationSeverity::Error)
                .map(|one| one.message.clone())
                .unwrap_or_default();
        } else {
            pair.message = match (in_mine, in_other) {
                (true, true) => "both orders make the same schema".to_owned(),
                (true, false) => format!("{} has no new migrations", pair.other),
                (false, true) => format!("{} has no new migrations", self.mine),
                (false, false) => "neither has new migrations".to_owned(),
            };
        }
    }
}

fn finding(code: &str, path: &str, message: String, hint: &str) -> MigrationDiagnostic {
    MigrationDiagnostic {
        path: path.to_owned(),
        line: 1,
        severity: MigrationSeverity::Error,
        code: code.to_owned(),
        message,
        hint: hint.to_owned(),
    }
}

fn differs(from: &Facts, to: &Facts) -> Vec<offshoot_protocol::types::SchemaChange> {
    stage::difference(from, to).0
}

/// What is wrong with the merged files and was with neither side's: duplicate versions, two heads.
fn new_findings(merged: &Merged, tool: Option<&str>) -> Result<Vec<MigrationDiagnostic>> {
    let all = |scan: &Arc<Scan>| -> Result<Vec<offshoot_migrations::Diagnostic>> {
        let projects: Vec<&Project> = files::chosen(scan, None)?;
        Ok(projects.iter().flat_map(|project| project.diagnostics.iter().cloned()).collect())
    };
    let known: Vec<_> = [all(&merged.mine.scan)?, all(&merged.other.scan)?].concat();
    let is_new = |one: &offshoot_migrations::Diagnostic| {
        !known.iter().any(|other| other.code == one.code && other.path == one.path)
    };
    let projects = files::chosen(&merged.both.scan, tool)?;
    let found = projects.iter().flat_map(|project| &project.diagnostics);
    Ok(found
        .filter(|one| one.severity != Severity::Note && is_new(one))
        .map(|one| {
            let mut told = wire::diagnostic(one);
            // Only warned of in one's own files, where one sees it; after a merge nobody looks.
            if matches!(told.code.as_str(), "duplicateVersion" | "severalHeads" | "outOfOrder") {
                told.severity = MigrationSeverity::Error;
            }
            told.message = format!("after the merge: {}", told.message);
            told
        })
        .collect())
}

/// Why a rehearsal cannot be.
fn on_base(mine: &str) -> Failure {
    Failure::user(format!("this worktree is on `{mine}`, which the others are merged into"))
        .hint("Check out the branch that you want to merge, or name another base with `--base`.")
}
