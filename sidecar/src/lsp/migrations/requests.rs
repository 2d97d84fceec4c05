//! The requests `offshoot/migrations/*`.

use std::path::Path;
use std::sync::Arc;

use offshoot_protocol::Method;
use offshoot_protocol::measure::Measured;
use offshoot_protocol::method as m;
use offshoot_protocol::migrations::{
    MigrationsApplied, MigrationsApplyParams, MigrationsCheckParams, MigrationsDrift, MigrationsDriftParams,
    MigrationsNew, MigrationsNewParams, MigrationsRan, MigrationsRanParams, MigrationsRehearsal,
    MigrationsRehearseParams, MigrationsReport, MigrationsStatus, MigrationsStatusParams, MigrationsStep,
    MigrationsUndoParams, MigrationsUndone, MigrationsVariable,
};
use offshoot_protocol::promote::{PromoteParams, Promoted};
use serde::Deserialize;
use tower_lsp_server::jsonrpc;

use super::super::job::{self, About, Work};
use super::super::server::Backend;
use super::measured::{self, Texts};
use crate::failure::Result;

type Answer<T> = jsonrpc::Result<T>;

/// Parameters with the token that reports of the work go to.
#[derive(Deserialize)]
pub(in crate::lsp) struct Long<P> {
    #[serde(flatten)]
    params: P,
    #[serde(default, rename = "workDoneToken")]
    token: Option<String>,
}

fn about(folder: &str, title: &str, token: Option<String>) -> About {
    About { folder: folder.to_owned(), title: Some(title.to_owned()), token, ..About::default() }
}

/// The variables of this process that are text. Those by which an editor runs its own programs would change what a tool does.
fn environment() -> Vec<MigrationsVariable> {
    let texts =
        std::env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
    texts
        .filter(|(name, _)| !name.starts_with("VSCODE_") && !name.starts_with("ELECTRON_"))
        .map(|(name, value)| MigrationsVariable { name, value })
        .collect()
}

/// Whether what is known here answers a question.
fn is_general(params: &MigrationsStatusParams) -> bool {
    params.known_only && params.tool.is_none() && params.commit.is_none() && params.branches.is_empty()
}

/// Calls the engine, and reads the status again, whatever came of it.
fn changing<M: Method>(work: &Work, params: &M::Params) -> Result<M::Result> {
    let outcome = work.call::<M>(params);
    reread(work);
    outcome
}

fn reread(work: &Work) {
    if let Ok(project) = work.target.project() {
        work.shared.migrations.ask(&work.shared, &project.worktree.path, false);
    }
}

/// Takes note of the statements that failed.
fn remember(work: &Work, steps: &[MigrationsStep]) {
    if let Ok(project) = work.target.project() {
        let failures = steps.iter().filter_map(|step| step.failure.clone()).collect();
        work.shared.migrations.failed(&project.worktree.path, failures);
    }
}

/// The files that a run may measure, as they are before it.
fn to_measure(work: &Work) -> Texts {
    let Ok(project) = work.target.project() else { return Texts::new() };
    let root = &project.worktree.path;
    let paths = work.shared.migrations.lock().books.get(root).map(measured::waiting);
    measured::texts(root, paths.unwrap_or_default())
}

/// Takes note of what statements cost, and tells it beside them.
fn remember_cost(work: &Work, before: Texts, measured: Option<&Measured>) {
    let (Ok(project), Some(measured)) = (work.target.project(), measured) else { return };
    let root = &project.worktree.path;
    let is_news = {
        let mut state = work.shared.migrations.lock();
        state.books.get_mut(root).is_some_and(|book| book.measured.take(root, before, measured))
    };
    if is_news {
        work.shared.migrations.lint_below(&work.shared, root);
    }
}

impl Backend {
    pub(in crate::lsp) async fn migrations_status(
        &self,
        params: MigrationsStatusParams,
    ) -> Answer<MigrationsStatus> {
        let about = About { folder: params.folder.clone(), ..About::default() };
        job::run(&self.shared, about, move |work| {
            let folder = work.path()?;
            if is_general(&params)
                && let Some(known) = work.shared.migrations.known(Path::new(&folder))
            {
                return known.map(Arc::unwrap_or_clone);
            }
            let status = work.call::<m::MigrationsGetStatus>(&MigrationsStatusParams { folder, ..params });
            reread(work);
            status
        })
        .await
    }

    pub(in crate::lsp) async fn migrations_apply(
        &self,
        params: Long<MigrationsApplyParams>,
    ) -> Answer<MigrationsApplied> {
        let Long { params, token } = params;
        let title = if params.throwaway { "Trying migrations on a throwaway" } else { "Running migrations" };
        job::run(&self.shared, about(&params.folder, title, token), move |work| {
            let params = MigrationsApplyParams { folder: work.path()?, environment: environment(), ..params };
            let before = if params.measure { to_measure(work) } else { Texts::new() };
            let applied = changing::<m::MigrationsApply>(work, &params)?;
            remember(work, &applied.steps);
            remember_cost(work, before, applied.measured.as_ref());
            Ok(applied)
        })
        .await
    }

    pub(in crate::lsp) async fn migrations_ran(&self, params: MigrationsRanParams) -> Answer<MigrationsRan> {
        let about = About { folder: params.folder.clone(), ..About::default() };
        job::run(&self.shared, about, move |work| {
            work.call::<m::MigrationsGetRan>(&MigrationsRanParams { folder: work.path()?, ..params })
        })
        .await
    }

    pub(in crate::lsp) async fn migrations_undo(
        &self,
        params: Long<MigrationsUndoParams>,
    ) -> Answer<MigrationsUndone> {
        let Long { params, token } = params;
        job::run(&self.shared, about(&params.folder, "Undoing migrations", token), move |work| {
            let undone = changing::<m::MigrationsUndo>(
                work,
                &MigrationsUndoParams { folder: work.path()?, ..params },
            )?;
            remember(work, &[]);
            Ok(undone)
        })
        .await
    }

    pub(in crate::lsp) async fn migrations_check(
        &self,
        params: Long<MigrationsCheckParams>,
    ) -> Answer<MigrationsReport> {
        let Long { params, token } = params;
        job::run(&self.shared, about(&params.folder, "Checking migrations", token), move |work| {
            let params = MigrationsCheckParams { folder: work.path()?, environment: environment(), ..params };
            let before = to_measure(work);
            let report = work.call::<m::MigrationsCheck>(&params)?;
            remember(work, &report.steps);
            remember_cost(work, before, report.measured.as_ref());
            Ok(report)
        })
        .await
    }

    pub(in crate::lsp) async fn migrations_drift(
        &self,
        params: Long<MigrationsDriftParams>,
    ) -> Answer<MigrationsDrift> {
        let Long { params, token } = params;
        job::run(&self.shared, about(&params.folder, "Replaying migrations", token), move |work| {
            let params = MigrationsDriftParams { folder: work.path()?, environment: environment(), ..params };
            let drift = work.call::<m::MigrationsGetDrift>(&params)?;
            remember(work, &drift.steps);
            Ok(drift)
        })
        .await
    }

    pub(in crate::lsp) async fn migrations_rehearse(
        &self,
        params: Long<MigrationsRehearseParams>,
    ) -> Answer<MigrationsRehearsal> {
        let Long { params, token } = params;
        job::run(&self.shared, about(&params.folder, "Rehearsing merges", token), move |work| {
            let params =
                MigrationsRehearseParams { folder: work.path()?, environment: environment(), ..params };
            work.call::<m::MigrationsRehearse>(&params)
        })
        .await
    }

    pub(in crate::lsp) async fn migrations_new(
        &self,
        params: Long<MigrationsNewParams>,
    ) -> Answer<MigrationsNew> {
        let Long { params, token } = params;
        job::run(&self.shared, about(&params.folder, "Writing a migration", token), move |work| {
            let params = MigrationsNewParams { folder: work.path()?, environment: environment(), ..params };
            changing::<m::MigrationsCreate>(work, &params)
        })
        .await
    }

    pub(in crate::lsp) async fn promote(&self, params: Long<PromoteParams>) -> Answer<Promoted> {
        let Long { params, token } = params;
        let title = if params.dry_run { "Trying a promotion" } else { "Promoting migrations" };
        job::run(&self.shared, about(&params.folder, title, token), move |work| {
            let params = PromoteParams { folder: work.path()?, environment: environment(), ..params };
            changing::<m::Promote>(work, &params)
        })
        .await
    }
}
