//! One order of two merges, on one throwaway.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use offshoot_migrations::{Direction, Next, Project, State, Subject, Tool};
use offshoot_protocol::migrations::{
    MigrationsDirection, MigrationsFailure, MigrationsOrder, MigrationsRehearseParams,
};
use offshoot_schema::Facts;
use offshoot_storage::BranchId;

use super::merge::Tree;
use crate::engine::Engine;
use crate::engine::migrations::files::id_of;
use crate::engine::migrations::git::unpacked;
use crate::engine::migrations::stage::{self, Stage};
use crate::engine::migrations::trial::try_items;
use crate::engine::migrations::{blame, elsewhere, runner, tool};
use crate::engine::server::Call;
use crate::failure::{Failure, Result};
use crate::scratch::Scratch;

/// A project, and what of it the base has.
pub(super) struct Run {
    pub(super) id: String,
    pub(super) applied: BTreeSet<String>,
}

/// What both orders have in common.
pub(super) struct Order<'o> {
    engine: &'o Arc<Engine>,
    call: &'o Call,
    base: BranchId,
    root: &'o Path,
    runs: &'o [Run],
    params: &'o MigrationsRehearseParams,
}

impl<'o> Order<'o> {
    pub(super) fn new(
        engine: &'o Arc<Engine>,
        call: &'o Call,
        base: BranchId,
        root: &'o Path,
        runs: &'o [Run],
        params: &'o MigrationsRehearseParams,
    ) -> Self {
        Self { engine, call, base, root, runs, params }
    }

    /// Merges one after the other. The schema is there if nothing failed.
    pub(super) async fn run(
        &self,
        first: &str,
        one: &Arc<Tree>,
        both: &Arc<Tree>,
    ) -> Result<(MigrationsOrder, Option<Facts>)> {
        let mut order = MigrationsOrder {
            first: first.to_owned(),
            ran: Vec::new(),
            skipped: Vec::new(),
            refused: Vec::new(),
            failure: None,
        };
        let stage =
            Stage::of(self.engine, self.base, "making a throwaway copy of the branch", self.call).await?;
        let outcome = Box::pin(self.steps(&stage, one, both, &mut order)).await;
        let removed = stage.remove().await;
        let facts = outcome?;
        removed?;
        Ok((order, facts))
    }

    async fn steps(
        &self,
        stage: &Stage,
        one: &Arc<Tree>,
        both: &Arc<Tree>,
        order: &mut MigrationsOrder,
    ) -> Result<Option<Facts>> {
        let mut applied: Vec<BTreeSet<String>> = self.runs.iter().map(|run| run.applied.clone()).collect();
        for tree in [one, both] {
            for (run, applied) in self.runs.iter().zip(&mut applied) {
                let Some(project) = tree.scan.projects.iter().find(|one| id_of(one) == run.id) else {
                    continue;
                };
                let outlook = project.outlook(applied);
                let mut waiting = Vec::new();
                for entry in &outlook.entries {
                    let Subject::File(place) = entry.subject else { continue };
                    let file = &project.migrations[place];
                    match entry.next {
                        _ if applied.contains(&file.key) => {}
                        Next::Runs => waiting.push(place),
                        Next::Skips => order.skipped.push(file.path.clone()),
                        Next::Refuses => order.refused.push(file.path.clone()),
                        Next::Nothing if project.tool == Tool::PlainSql => waiting.push(place),
                        Next::Nothing => {}
                    }
                }
                if waiting.is_empty() {
                    continue;
                }
                order.failure = self.migrate(stage, tree, project, &waiting, order).await?;
                if order.failure.is_some() {
                    return Ok(None);
                }
                applied.extend(waiting.iter().map(|place| project.migrations[*place].key.clone()));
            }
        }
        let facts = stage.facts(self.engine).await?;
        Ok(Some(stage::without_histories(&facts, both.scan.projects.iter())))
    }

    async fn migrate(
        &self,
        stage: &Stage,
        tree: &Arc<Tree>,
        project: &Project,
        waiting: &[usize],
        order: &mut MigrationsOrder,
    ) -> Result<Option<MigrationsFailure>> {
        let paths = waiting.iter().map(|place| project.migrations[*place].path.clone());
        let items: std::result::Result<Vec<_>, String> = waiting
            .iter()
            .map(|place| runner::item(&tree.files, project, &project.migrations[*place], Direction::Up))
            .collect();
        if let Ok(items) = items {
            let tried = try_items(self.engine, stage, items, false, self.call).await?;
            order.ran.extend(tried.ran);
            return Ok(tried.failure);
        }
        let folder = self.unpack(tree).await?;
        let address = stage.address(self.engine).await?;
        if project.commands.apply.is_empty() {
            return Err(Failure::user(format!("{} have no command that applies them", project.tool.name())));
        }
        let words = &project.commands.apply;
        let ready = tool::prepare(folder.path(), project, words, &address.url, &self.params.environment)?;
        let title = format!("applying {} with {}", waiting.len(), project.tool.name());
        let done = Box::pin(tool::run(ready, &title, self.call)).await?;
        let failed = |path: &str, message: String, hint: String| MigrationsFailure {
            path: path.to_owned(),
            line: 1,
            column: 1,
            statement: String::new(),
            message,
            code: String::new(),
            hint: Some(hint),
        };
        if done.status == Some(0) {
            let left = self.left(stage, tree, project, waiting).await?;
            let Some(first) = left.first() else {
                order.ran.extend(paths);
                return Ok(None);
            };
            let path = &project.migrations[*first].path;
            let (message, hint) = if left.len() == waiting.len() {
                elsewhere::told(project, MigrationsDirection::Up, "the throwaway", address.was_used())
            } else {
                let message =
                    format!("the tool ended well, and {} of its files are still pending", left.len());
                (message, "Run the tool with these files on a branch to see why.".to_owned())
            };
            return Ok(Some(failed(path, message, hint)));
        }
        let hint = "Only the tool can run it, and it does not say where it stopped.".to_owned();
        let named = blame::from_log(folder.path(), project, &done.log);
        Ok(Some(named.unwrap_or_else(|| {
            failed(&project.migrations[waiting[0]].path, blame::message(&done.log, false), hint)
        })))
    }

    /// Those of the files that the history does not have.
    async fn left(
        &self,
        stage: &Stage,
        tree: &Arc<Tree>,
        project: &Project,
        waiting: &[usize],
    ) -> Result<Vec<usize>> {
        let at = tree.scan.projects.iter().position(|one| std::ptr::eq(one, project));
        let at = at.ok_or_else(|| Failure::internal("a project of another tree"))?;
        let status = stage.status(self.engine, &tree.scan, at).await?;
        let left = status.entries.iter().filter_map(|entry| match (&entry.subject, entry.state) {
            (Subject::File(place), State::Pending | State::OutOfOrder) => Some(*place),
            _ => None,
        });
        Ok(left.filter(|place| waiting.contains(place)).collect())
    }

    /// A work tree outside of everybody's, with the installed packages of mine.
    async fn unpack(&self, tree: &Arc<Tree>) -> Result<Scratch> {
        let (tree, root) = (Arc::clone(tree), self.root.to_owned());
        let unpacked = self.engine.blocking(move |_| unpacked(&tree.git, &tree.id, &tree.scan, &root));
        unpacked.await
    }
}
