//! What is answered when a checkout asks.

use std::sync::Arc;

use offshoot_protocol::types::{Answer, AnswerParams, CreateParams, WorktreeParams, WorktreeStatus};

use super::binding::Missing;
use super::book::Book;
use super::{Engine, branches, hooks, worktrees};
use crate::failure::{Failure, Result};

/// `worktree/answer`.
pub(super) async fn answer(engine: &Arc<Engine>, params: AnswerParams) -> Result<WorktreeStatus> {
    let AnswerParams { path, answer } = params;
    let key = worktrees::seat(engine, &path).await?;
    engine.binding.settle(&key).await?;
    let missing = engine.binding.view(&key).await?.missing;
    match answer {
        Answer::Create => {
            // Another window may have been faster; then there is what was asked for.
            if let Some(Missing { name, parent_name, .. }) = missing {
                let params = CreateParams { name, from: Some(parent_name), ..CreateParams::default() };
                branches::create(engine, params, None).await?;
            }
        }
        Answer::UseParent => {
            let missing = missing.ok_or_else(nothing_asked)?;
            engine
                .blocking(move |engine| {
                    tracing::info!(git_branch = %missing.name, parent = %missing.parent_name, "uses its parent's database");
                    Book(&engine.store).set_parent(&missing.name, Some(missing.parent))
                })
                .await?;
        }
        Answer::Never => engine.blocking(|engine| Book(&engine.store).set_never()).await?,
        Answer::Dismiss => engine.offers.dismiss(&key),
        Answer::DismissAll => {
            engine.offers.dismiss(&key);
            hooks::dismiss(engine);
        }
        Answer::Snapshot => engine.offers.keep_left(engine, &key).await?,
        Answer::AskAgain => engine.blocking(|engine| Book(&engine.store).forget_answers()).await?,
    }
    engine.branches_changed();
    worktrees::status(engine, WorktreeParams { path }).await
}

fn nothing_asked() -> Failure {
    Failure::user(
        "there is no question: this worktree's git branch has a database branch, or none is checked out",
    )
    .hint("`offshoot status` shows where the worktree's database is.")
}
