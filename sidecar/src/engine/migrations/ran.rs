//! `migrations/ran`: what a file held when it ran, where somebody remembers.

use std::path::Path;
use std::sync::Arc;

use offshoot_migrations::git_blob;
use offshoot_protocol::migrations::{MigrationsRan, MigrationsRanParams};
use offshoot_storage::BranchId;

use super::git::Git;
use super::{files, status};
use crate::engine::Engine;
use crate::failure::{Failure, Result};

/// Under which name notes hold the text of a file that ran; its blob id follows.
const TEXT: &str = "migrations-text-";
/// Longer texts are neither kept nor shown.
const MOST_BYTES: usize = 256 * 1024;
/// Of more files that ran since the last look none is kept: those are a history's beginning, which git has.
const MOST_AT_ONCE: usize = 32;

/// `migrations/ran`.
pub(in crate::engine) async fn ran(
    engine: &Arc<Engine>,
    params: MigrationsRanParams,
) -> Result<MigrationsRan> {
    let place = status::place(engine, &params.folder).await?;
    let scan = place.scan(engine).await?;
    let (id, branch) = place.meant(engine, None).await?;
    let work = engine.blocking(move |engine| {
        let projects = files::chosen(&scan, params.tool.as_deref())?;
        let mut found = projects.into_iter().flat_map(|project| {
            let of_path = project.migrations.iter().filter(|migration| migration.path == params.path);
            of_path.map(move |migration| (project, migration))
        });
        let Some((project, migration)) = found.next() else {
            return Err(Failure::user(format!("{} is no migration of this worktree", params.path))
                .hint("`offshoot migrations status` lists them."));
        };
        let Some(blob) = status::observed(engine, id, project)?.1.remove(&migration.key) else {
            let why = if migration.checksums.is_empty() {
                "it ran before Offshoot looked"
            } else {
                "the tool keeps a checksum of it only"
            };
            return Ok(MigrationsRan { branch, blob: None, text: None, why: Some(why.to_owned()) });
        };
        let kept = engine.store.notes(&format!("{TEXT}{blob}"))?.pop().map(|(_, text)| text);
        let text = match kept {
            Some(text) => Some(text),
            None => of_git(&place.root, &blob)?,
        };
        let why = text.is_none().then(|| "it was not committed then, and was not kept".to_owned());
        Ok(MigrationsRan { branch, blob: Some(blob), text, why })
    });
    work.await
}

/// The text of a blob that git has. Blocks.
fn of_git(root: &Path, blob: &str) -> Result<Option<String>> {
    let git = Git::of(root);
    let (known, size, _) = git.run(&["cat-file", "-s", blob])?;
    if !known || size.trim().parse::<usize>().is_ok_and(|size| size > MOST_BYTES) {
        return Ok(None);
    }
    let (read, text, _) = git.run(&["cat-file", "blob", blob])?;
    Ok(read.then_some(text))
}

/// Keeps the texts of files that ran since the last look, given as paths and blob ids. Blocks.
pub(super) fn keep(engine: &Engine, id: BranchId, root: &Path, fresh: &[(&str, &str)]) -> Result<()> {
    if fresh.len() > MOST_AT_ONCE {
        return Ok(());
    }
    for (path, blob) in fresh {
        let Ok(text) = std::fs::read_to_string(root.join(path)) else { continue };
        // What was scanned is what ran; another text has come since.
        if text.len() <= MOST_BYTES && git_blob(text.as_bytes()) == **blob {
            engine.store.set_note(id, &format!("{TEXT}{blob}"), &text)?;
        }
    }
    Ok(())
}
