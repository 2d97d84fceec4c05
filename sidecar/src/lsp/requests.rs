//! The requests `offshoot/*`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use offshoot_git::Environment;
use offshoot_protocol::editor::{
    Diagnostics, EditorAnswerParams, EditorBranchParams, EditorCreateParams, EditorDefinitionParams,
    EditorExpireParams, EditorInitParams, EditorInitResult, EditorLogParams, EditorProtectParams,
    EditorRenameParams, EditorUndoParams, EditorUrl, EditorUrlParams, FolderParams, InitSource, LogFiles,
    LogFilesParams,
};
use offshoot_protocol::method as m;
use offshoot_protocol::past::{Log, LogParams};
use offshoot_protocol::types::{
    AnswerParams, Branch, BranchParams, CreateParams, Definition, DefinitionParams, ExpireParams,
    GuardedParams, Nothing, ProtectParams, RenameParams, UndoParams, UndoResult, WorktreeUrlParams,
};
use tokio::sync::oneshot;
use tower_lsp_server::jsonrpc;

use super::actor::Message;
use super::job::{self, About, Kind, Work, panicked, to_jsonrpc};
use super::server::Backend;
use super::{Background, report};
use crate::engine::binding::git_failure;
use crate::engine::log;
use crate::failure::{Failure, Result};
use crate::init;
use crate::session::{connect, stop_engine, try_connect};

type Answer<T> = jsonrpc::Result<T>;

/// Long work on a branch.
fn on_branch(params: &EditorBranchParams, what: &str) -> About {
    About {
        folder: params.folder.clone(),
        title: Some(format!("{what} {}", params.name)),
        branch: Some(params.name.clone()),
        token: params.work_done_token.clone(),
        kind: Kind::Request,
    }
}

/// Short work.
fn short(folder: &str) -> About {
    About { folder: folder.to_owned(), ..About::default() }
}

impl Backend {
    pub(super) async fn init(&self, params: EditorInitParams) -> Answer<EditorInitResult> {
        let about = About {
            folder: params.folder.clone(),
            title: Some("Making the database".to_owned()),
            token: params.work_done_token.clone(),
            kind: Kind::Init,
            branch: None,
        };
        job::run(&self.shared, about, move |work| initialise(work, &params)).await
    }

    pub(super) async fn create(&self, params: EditorCreateParams) -> Answer<Branch> {
        let about = About {
            title: Some(format!("Making {}", params.name)),
            branch: Some(params.name.clone()),
            ..short(&params.folder)
        };
        job::run(&self.shared, about, move |work| {
            let path = Some(work.path()?);
            work.call::<m::BranchCreate>(&CreateParams {
                name: params.name,
                from: params.from,
                path,
                at_us: params.at_us,
                override_rules: params.override_rules,
                ..CreateParams::default()
            })
        })
        .await
    }

    pub(super) async fn delete(&self, params: EditorBranchParams) -> Answer<Nothing> {
        let about = on_branch(&params, "Deleting");
        job::run(&self.shared, about, |work| work.call::<m::BranchDelete>(&guarded(params))).await
    }

    pub(super) async fn rename(&self, params: EditorRenameParams) -> Answer<Branch> {
        job::run(&self.shared, short(&params.folder), move |work| {
            work.call::<m::BranchRename>(&RenameParams {
                name: params.name,
                to: params.to,
                override_rules: params.override_rules,
            })
        })
        .await
    }

    pub(super) async fn reset(&self, params: EditorBranchParams) -> Answer<Branch> {
        let about = on_branch(&params, "Resetting");
        job::run(&self.shared, about, |work| work.call::<m::BranchReset>(&guarded(params))).await
    }

    pub(super) async fn undo(&self, params: EditorUndoParams) -> Answer<UndoResult> {
        let EditorUndoParams { folder, id } = params;
        let undo = UndoParams { id, ..UndoParams::default() };
        job::run(&self.shared, short(&folder), move |work| work.call::<m::BranchUndo>(&undo)).await
    }

    pub(super) async fn log(&self, params: EditorLogParams) -> Answer<Log> {
        let EditorLogParams { folder, name, limit } = params;
        let wanted = LogParams { branch: Some(name), limit: Some(limit) };
        job::run(&self.shared, short(&folder), move |work| work.call::<m::BranchGetLog>(&wanted)).await
    }

    pub(super) async fn protect(&self, params: EditorProtectParams) -> Answer<Branch> {
        job::run(&self.shared, short(&params.folder), move |work| {
            work.call::<m::BranchProtect>(&ProtectParams { name: params.name, on: params.on })
        })
        .await
    }

    pub(super) async fn expire(&self, params: EditorExpireParams) -> Answer<Branch> {
        job::run(&self.shared, short(&params.folder), move |work| {
            work.call::<m::BranchExpire>(&ExpireParams { name: params.name, at: params.at })
        })
        .await
    }

    pub(super) async fn wake(&self, params: EditorBranchParams) -> Answer<Branch> {
        let about = on_branch(&params, "Waking");
        job::run(&self.shared, about, |work| work.call::<m::BranchWake>(&BranchParams { name: params.name }))
            .await
    }

    pub(super) async fn sleep(&self, params: EditorBranchParams) -> Answer<Branch> {
        let about = on_branch(&params, "Stopping Postgres of");
        job::run(&self.shared, about, |work| work.call::<m::BranchSleep>(&BranchParams { name: params.name }))
            .await
    }

    pub(super) async fn answer(&self, params: EditorAnswerParams) -> Answer<Nothing> {
        job::run(&self.shared, short(&params.folder), move |work| {
            let path = work.path()?;
            work.call::<m::WorktreeAnswer>(&AnswerParams { path, answer: params.answer })?;
            Ok(Nothing {})
        })
        .await
    }

    pub(super) async fn url(&self, params: EditorUrlParams) -> Answer<EditorUrl> {
        job::run(&self.shared, short(&params.folder), move |work| {
            let found = if let Some(name) = params.branch {
                work.call::<m::BranchUrl>(&BranchParams { name })?
            } else {
                let path = work.path()?;
                work.call::<m::WorktreeUrl>(&WorktreeUrlParams { path, new_port: params.new_port })?
            };
            Ok(EditorUrl { url: found.url, branch: found.branch })
        })
        .await
    }

    pub(super) async fn definition(&self, params: EditorDefinitionParams) -> Answer<Definition> {
        job::run(&self.shared, short(&params.folder), move |work| {
            let params =
                DefinitionParams { branch: params.branch, object: params.object, state: params.state };
            work.call::<m::SchemaGetDefinition>(&params)
        })
        .await
    }

    pub(super) async fn log_files(&self, params: LogFilesParams) -> Answer<LogFiles> {
        job::run(&self.shared, short(&params.folder), move |work| log_files(work, params.branch.as_deref()))
            .await
    }

    pub(super) async fn restart(&self, params: FolderParams) -> Answer<Nothing> {
        let about = About {
            title: Some("Restarting the engine".to_owned()),
            kind: Kind::Restart,
            ..short(&params.folder)
        };
        job::run(&self.shared, about, |work| {
            let project = work.target.project()?;
            stop_engine(&project.store, false)?;
            connect(project, &Background { may_start: true, is_cancelled: &|| false })?;
            Ok(Nothing {})
        })
        .await
    }

    pub(super) async fn refresh(&self, _params: Nothing) -> Answer<Nothing> {
        // Fails when the server ends.
        let _ = self.shared.actor.send(Message::Refresh).await;
        Ok(Nothing {})
    }

    pub(super) async fn diagnostics(&self, _params: Nothing) -> Answer<Diagnostics> {
        let (reply, view) = oneshot::channel();
        let _ = self.shared.actor.send(Message::Describe { reply }).await;
        let ending = || to_jsonrpc(Failure::engine("the language server ends").0);
        let view = view.await.map_err(|_| ending())?;
        let text =
            tokio::task::spawn_blocking(move || report::write(&view)).await.map_err(|e| panicked(&e))?;
        Ok(Diagnostics { text })
    }
}

/// What a rule forbids is done when the person was asked.
fn guarded(params: EditorBranchParams) -> GuardedParams {
    GuardedParams { name: params.name, override_rules: params.override_rules }
}

/// Repositories whose databases are being made by this process, which cannot make two in one place.
static MAKING: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

struct Making(PathBuf);

impl Making {
    fn begin(common_dir: &Path) -> Result<Self> {
        let mut making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        if making.get_or_insert_default().insert(common_dir.to_owned()) {
            return Ok(Self(common_dir.to_owned()));
        }
        Err(Failure::user("the database of this repository is being made already"))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        MAKING.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().remove(&self.0);
    }
}

fn initialise(work: &Work, params: &EditorInitParams) -> Result<EditorInitResult> {
    let folder = &work.target.path;
    let worktree = offshoot_git::discover_with(folder, &Environment::clean()).map_err(|e| git_failure(&e))?;
    let _making = Making::begin(&worktree.common_dir)?;
    let from = match &params.source {
        InitSource::Empty => None,
        InitSource::Dump { path } => Some(dump(&worktree.path, folder, path)),
        InitSource::Server { url } => Some(server(url)?),
    };
    // The workspace is trusted, or else nothing would run here: so is its seed.
    let request =
        init::Request { from, postgres: params.postgres, run_seed: true, ..init::Request::default() };
    let host =
        Background { may_start: true, is_cancelled: &|| offshoot_postgres::Progress::is_cancelled(work) };
    let made = init::prepare(worktree, &request, &host)?.make(work)?;
    let mut load = made.report.load.unwrap_or_default();
    let masked =
        load.masked.iter().map(|it| format!("masked {}: {} values, {}", it.column, it.values, it.with));
    load.notes.splice(0..0, masked);
    load.notes.extend(load.subset.iter().flat_map(init::subset::lines));
    load.notes.extend(init::unmasked(load.unmasked));
    load.notes.extend(made.report.notes);
    Ok(EditorInitResult {
        bytes: made.report.bytes,
        statements: load.statements,
        rows: load.rows_copied,
        notes: load.notes,
    })
}

/// A path that the person typed, or one of those that were offered, which are relative to the root.
fn dump(root: &Path, folder: &Path, path: &str) -> String {
    let of_folder = folder.join(path);
    let found = if of_folder.exists() { of_folder } else { root.join(path) };
    found.to_string_lossy().into_owned()
}

/// Anything else would be taken for a file.
fn server(url: &str) -> Result<String> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(url.to_owned());
    }
    Err(Failure::user("this is not the URL of a Postgres server")
        .hint("It looks like postgres://user:password@host:5432/database."))
}

fn log_files(work: &Work, branch: Option<&str>) -> Result<LogFiles> {
    let project = work.target.project()?;
    let shown = |path: PathBuf| path.is_file().then(|| path.to_string_lossy().into_owned());
    // Logs matter most when the engine does not run: it is not started for them.
    let id = match (branch, try_connect(&project.store)) {
        (Some(name), Ok(Some(mut client))) => {
            let list = client.call::<m::BranchGetList>(&Nothing {}, std::time::Duration::from_secs(20))?;
            list.branches.into_iter().find(|branch| branch.name == name).map(|branch| branch.id)
        }
        _ => None,
    };
    let postgres = id.map(|id| project.store.join("branches").join(id.to_string()).join("postgres.log"));
    Ok(LogFiles { engine: shown(log::path(&project.store)), postgres: postgres.and_then(shown) })
}
