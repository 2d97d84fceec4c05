//! `promote`: the migrations that a git branch has and the database branch of a tier lacks, brought there once what the tier wants holds.
//!
//! The files are those of the branch's commit, unpacked into a folder of their own, so that no work tree takes part. They are tried on
//! throwaways of the tier's branch, which nobody else migrates meanwhile, and then run on it by the project's own tool, after a
//! snapshot. If the tool fails there all the same, the branch is taken back to that.

mod judge;
mod lint;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use offshoot_migrations::{Project, Scan, Scanner, State};
use offshoot_protocol::error::Reason;
use offshoot_protocol::migrations::{
    MigrationsApplyParams, MigrationsCheckParams, MigrationsDirection, MigrationsDriftParams,
    MigrationsOnCheckout, MigrationsOutcome,
};
use offshoot_protocol::promote::{PromoteParams, Promoted};
use offshoot_storage::BranchId;

use super::apply::{self, no_command};
use super::check::{self, Parts, count};
use super::files;
use super::git::{Git, unpacked};
use super::status::{self, Commit, Place};
use super::way_back::{self, WayBack};
use super::{cut_short, drift, history, stage, undo};
use crate::config::rules::Check;
use crate::engine::policy::{self, Wanted};
use crate::engine::server::Call;
use crate::engine::{Engine, branches};
use crate::failure::{Failure, Result};
use crate::scratch::Scratch;

/// Letters of a commit's name that people are shown.
const SHOWN: usize = 8;

/// `promote`.
pub(in crate::engine) async fn promote(
    engine: &Arc<Engine>,
    params: PromoteParams,
    call: &Call,
) -> Result<Promoted> {
    let begun = Instant::now();
    let here = status::place(engine, &params.folder).await?;
    let route = Route::of(engine, &here.root, &params).await?;
    let tier = route.wanted.branch.clone();
    let id = branches::named(engine, &tier).await.map_err(|failure| {
        failure.hint(format!("It is a tier of offshoot.toml: `offshoot branch create {tier}` makes it."))
    })?;
    // From here on nobody resets, restores, renames or migrates it.
    let _taken = apply::take(engine, id, &tier, MigrationsDirection::Up).await?;
    call.progress(&format!("reading the files of {}", route.branch), 0, None);
    let (root, commit) = (here.root.clone(), route.commit.clone());
    let (folder, scan) = engine.blocking(move |_| files_of(&root, &commit)).await?;
    let place = Place {
        root: folder.path().to_owned(),
        branch: Ok((id, tier.clone())),
        on_checkout: MigrationsOnCheckout::Nothing,
        check_command: route.wanted.command.clone(),
        unpacked_of: Some(Commit { worktree: here.root.clone(), id: route.commit.clone() }),
    };
    let job = Job { engine, call, params: &params, place: &place, scan: &scan, id, wanted: &route.wanted };
    let mut promoted = Promoted {
        branch: route.branch,
        commit: route.commit,
        to: tier,
        dry_run: params.dry_run,
        passed: true,
        lacked: Vec::new(),
        checks: Vec::new(),
        overridden: false,
        may_override: false,
        report: None,
        applied: None,
        taken_back: false,
        notes: route.notes,
        took_ms: 0,
    };
    Box::pin(job.run(&mut promoted)).await?;
    promoted.took_ms = begun.elapsed().as_millis() as u64;
    Ok(promoted)
}

/// From where to where.
struct Route {
    branch: String,
    commit: String,
    wanted: Wanted,
    notes: Vec<String>,
}

impl Route {
    async fn of(engine: &Arc<Engine>, root: &Path, params: &PromoteParams) -> Result<Self> {
        let (root, params) = (root.to_owned(), params.clone());
        engine
            .blocking(move |engine| {
                let git = Git::of(&root);
                let (is_branch, out, _) = git.run(&["symbolic-ref", "--quiet", "HEAD"])?;
                let here = out.trim().strip_prefix("refs/heads/").filter(|_| is_branch).map(str::to_owned);
                let branch = params.branch.clone().or_else(|| here.clone()).ok_or_else(|| {
                    Failure::user("no git branch is checked out here, whose migrations could be promoted")
                        .hint("Name one: `offshoot promote BRANCH`.")
                })?;
                let commit = git.commit(&format!("refs/heads/{branch}")).map_err(|_| {
                    Failure::user(format!("there is no git branch `{branch}`")).hint(
                        "Migrations are taken from a git branch as it is committed; `git branch` shows them.",
                    )
                })?;
                if let Some(agreed) = params.commit.as_ref().filter(|agreed| **agreed != commit) {
                    return Err(moved_on(&branch, agreed, &commit));
                }
                let wanted =
                    policy::now(engine)?.route(&branch, params.to.as_deref(), params.override_rules)?;
                let mut notes = Vec::new();
                if here.as_ref() == Some(&branch) && git.is_dirty()? {
                    notes.push("what is not committed takes no part".to_owned());
                }
                Ok(Self { branch, commit, wanted, notes })
            })
            .await
    }
}

/// What was tried and agreed to is not what would be promoted now.
fn moved_on(branch: &str, agreed: &str, now: &str) -> Failure {
    let short = |commit: &str| commit.get(..SHOWN).unwrap_or(commit).to_owned();
    let (agreed, now) = (short(agreed), short(now));
    Failure::user(format!(
        "the git branch `{branch}` went from {agreed} to {now} since its migrations were tried; nothing was promoted"
    ))
    .hint("Promote again: what is committed now is tried first.")
}

/// The files of a commit in a folder of their own. Blocks.
fn files_of(root: &Path, commit: &str) -> Result<(Scratch, Arc<Scan>)> {
    let git = Git::of(root);
    let scan = files::scanned(&mut Scanner::default(), &git.tree(commit)?)?;
    Ok((unpacked(&git, commit, &scan, root)?, scan))
}

/// Files that wait: the place of the project in the scan, and their places in the project.
type Waiting = Vec<(usize, Vec<usize>)>;

struct Job<'j> {
    engine: &'j Arc<Engine>,
    call: &'j Call,
    params: &'j PromoteParams,
    place: &'j Place,
    scan: &'j Arc<Scan>,
    id: BranchId,
    wanted: &'j Wanted,
}

impl Job<'_> {
    async fn run(&self, promoted: &mut Promoted) -> Result<()> {
        let waiting = self.lacking(promoted).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        self.look(&waiting, promoted).await?;
        let held = |outcome| outcome == MigrationsOutcome::Passed;
        promoted.passed = promoted.checks.iter().all(|check| held(check.outcome));
        // What fails on a throwaway fails on the tier as well: nothing goes past that.
        let applies = promoted.checks.first().is_some_and(|check| held(check.outcome));
        promoted.may_override = !promoted.passed && applies && self.wanted.strict.is_none();
        if let Some(line) =
            self.wanted.strict.as_ref().filter(|_| self.params.override_rules && !promoted.passed)
        {
            promoted.notes.push(format!(
                "`--override` goes past no check of {} ({}:{})",
                promoted.to, line.file, line.line
            ));
        }
        if self.params.override_rules && promoted.may_override {
            let failed: Vec<&str> = promoted
                .checks
                .iter()
                .filter(|check| !held(check.outcome))
                .map(|check| check.name.as_str())
                .collect();
            tracing::info!(branch = %promoted.to, from = %promoted.branch, checks = failed.join(", "), "promoted against a rule");
            (promoted.passed, promoted.overridden) = (true, true);
        }
        if promoted.passed && !self.params.dry_run {
            Box::pin(self.bring(promoted)).await?;
        }
        Ok(())
    }

    /// The files that the tier lacks.
    async fn lacking(&self, promoted: &mut Promoted) -> Result<Waiting> {
        if self.scan.projects.is_empty() && self.params.tool.is_none() {
            return Ok(Waiting::new());
        }
        let places = stage::places(self.scan, self.params.tool.as_deref())?;
        let projects: Vec<&Project> = places.iter().map(|at| &self.scan.projects[*at]).collect();
        let histories =
            self.call.or_cancelled(async { Ok(history::read(self.engine, self.id, &projects, true).await) });
        let histories = histories.await?.map_err(|why| history::unread(&promoted.to, &why))?;
        let mut waiting = Waiting::new();
        let mut unknown_here = 0;
        for (at, history) in places.into_iter().zip(histories) {
            let project = &self.scan.projects[at];
            let scan = Arc::clone(self.scan);
            let id = self.id;
            let seen = self.engine.blocking(move |engine| status::observed(engine, id, &scan.projects[at]));
            let status = project.status(&history, &seen.await?.0);
            let mut files = stage::pending(project, &status, None)?;
            stage::without_merged(self.place.repository(), &promoted.to, project, &mut files);
            unknown_here += status.count(State::Missing);
            if files.is_empty() {
                continue;
            }
            if project.commands.apply.is_empty() {
                return Err(no_command(project, MigrationsDirection::Up));
            }
            promoted.lacked.extend(files.iter().map(|place| project.migrations[*place].path.clone()));
            waiting.push((at, files));
        }
        if unknown_here > 0 {
            promoted.notes.push(format!(
                "{} has applied {} that {} does not have: merge it into the branch",
                promoted.to,
                count(unknown_here),
                promoted.branch
            ));
        }
        if waiting.is_empty() {
            let ahead = self.only_in_database(promoted).await?;
            if ahead > 0 {
                promoted.notes.push(format!(
                    "the database branch {0} has {1} that the git branch {0} does not have: commit or merge it there first",
                    promoted.branch,
                    count(ahead)
                ));
            }
        }
        Ok(waiting)
    }

    /// How many migrations the database of the git branch has whose files are not committed there, as far as that can be told.
    async fn only_in_database(&self, promoted: &Promoted) -> Result<usize> {
        let name = promoted.branch.clone();
        let named = self.engine.blocking(move |engine| Ok(engine.store.branch_named(&name)?)).await?;
        let Some(id) = named.map(|branch| branch.id).filter(|id| *id != self.id) else { return Ok(0) };
        let places = stage::places(self.scan, self.params.tool.as_deref())?;
        let projects: Vec<&Project> = places.iter().map(|at| &self.scan.projects[*at]).collect();
        let read =
            self.call.or_cancelled(async { Ok(history::read(self.engine, id, &projects, true).await) });
        // Nothing is promoted here that would rest on it.
        let Ok(histories) = read.await? else { return Ok(0) };
        let mut ahead = 0;
        for (at, history) in places.into_iter().zip(histories) {
            let scan = Arc::clone(self.scan);
            let seen = self.engine.blocking(move |engine| status::observed(engine, id, &scan.projects[at]));
            ahead += self.scan.projects[at].status(&history, &seen.await?.0).count(State::Missing);
        }
        Ok(ahead)
    }

    /// Tries what the tier wants.
    async fn look(&self, waiting: &Waiting, promoted: &mut Promoted) -> Result<()> {
        let on = || (self.id, promoted.to.clone());
        let params = MigrationsCheckParams {
            folder: self.params.folder.clone(),
            against: None,
            tool: self.params.tool.clone(),
            environment: self.params.environment.clone(),
        };
        let parts = Parts {
            again: self.wanted.has(Check::Idempotent),
            down: self.wanted.has(Check::Reversible),
            cost: self.wanted.max_lock.is_some() || self.wanted.max_rewrite.is_some(),
            own_tool: true,
        };
        let report =
            Box::pin(check::of(self.engine, self.place, self.scan, on(), &params, parts, self.call)).await?;
        let drift = if self.wanted.has(Check::NoDrift) {
            let params = MigrationsDriftParams {
                folder: params.folder,
                branch: None,
                tool: params.tool,
                environment: params.environment,
                accept: false,
            };
            let told =
                Box::pin(drift::of(self.engine, self.place, self.scan, on(), &params, self.call)).await;
            if let Err(failure) = &told
                && failure.is(Reason::Cancelled)
            {
                return Err(failure.clone());
            }
            Some(told)
        } else {
            None
        };
        let lint = if self.wanted.has(Check::Lint) {
            Some(lint::findings(self.engine, self.place, self.scan, waiting, self.id).await?)
        } else {
            None
        };
        promoted.checks =
            judge::judged(self.wanted, &report, &promoted.lacked, drift.as_ref(), lint.as_ref());
        promoted.report = Some(report);
        Ok(())
    }

    /// Runs them on the tier's branch. If that fails, the branch is again what it was.
    async fn bring(&self, promoted: &mut Promoted) -> Result<()> {
        let done = self.brought(promoted).await;
        // An engine that stops takes the branch back when it starts again.
        if !self.engine.is_stopping() {
            cut_short::ended(self.engine, self.id).await;
        }
        done
    }

    async fn brought(&self, promoted: &mut Promoted) -> Result<()> {
        let before = self.newest().await?;
        let params = MigrationsApplyParams {
            folder: self.params.folder.clone(),
            tool: self.params.tool.clone(),
            environment: self.params.environment.clone(),
            ..MigrationsApplyParams::default()
        };
        let on = (self.id, promoted.to.clone());
        let ran =
            Box::pin(apply::on_branch(self.engine, self.place, self.scan, on, &params, self.call)).await;
        match ran {
            Ok(mut applied) => {
                // All that it says of files is in the report already.
                applied.status = None;
                if !applied.passed {
                    promoted.passed = false;
                    promoted.taken_back = self.take_back(before.as_deref()).await?;
                    applied.snapshot = applied.snapshot.filter(|_| !promoted.taken_back);
                }
                promoted.applied = Some(applied);
                Ok(())
            }
            Err(failure) if self.engine.is_stopping() => Err(failure),
            Err(failure) => {
                let is_back = self.take_back(before.as_deref()).await?;
                Err(if is_back {
                    failure.hint(format!("`{}` is again what it was before.", promoted.to))
                } else {
                    failure
                })
            }
        }
    }

    /// The name of the snapshot that the newest apply to the branch took.
    async fn newest(&self) -> Result<Option<String>> {
        let id = self.id;
        let read = self.engine.blocking(move |engine| {
            Ok(match way_back::newest(engine, id)? {
                WayBack::To(snapshot) => Some(snapshot.name),
                WayBack::Deleted(name) => Some(name),
                WayBack::NothingApplied | WayBack::NotTaken => None,
            })
        });
        read.await
    }

    /// Takes the branch back to the snapshot of this run. Returns whether there is one: a run that did nothing has none.
    async fn take_back(&self, before: Option<&str>) -> Result<bool> {
        let id = self.id;
        let found = self.engine.blocking(move |engine| {
            Ok(match way_back::newest(engine, id)? {
                WayBack::To(snapshot) => Some(snapshot),
                _ => None,
            })
        });
        let Some(snapshot) = found.await?.filter(|snapshot| Some(snapshot.name.as_str()) != before) else {
            return Ok(false);
        };
        let name = snapshot.name.clone();
        undo::take_back(self.engine, id, snapshot).await.map_err(|failure| {
            Failure::engine(format!("the tool failed, and what it did cannot be taken back: {failure}")).hint(
                format!(
                    "`offshoot migrations undo --branch {} --snapshot {name}` tries that again.",
                    self.wanted.branch
                ),
            )
        })?;
        Ok(true)
    }
}
