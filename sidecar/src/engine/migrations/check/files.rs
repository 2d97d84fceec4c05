//! Whether the files are sound, and still what the target has applied.

use std::path::Path;
use std::sync::Arc;

use offshoot_migrations::{
    DiskSource, Migration, MigrationKind, Project, Severity, Source, State, Subject, Tool,
};
use offshoot_protocol::migrations::{MigrationsOutcome, MigrationsStep, MigrationsStepKind};
use offshoot_storage::BranchId;

use super::{Job, count};
use crate::engine::migrations::files::{called, id_of};
use crate::engine::migrations::git::{Git, GitTree};
use crate::engine::migrations::status;
use crate::failure::Result;

/// What is wrong with the files, if anything is.
pub(super) fn sound(project: &Project) -> Option<MigrationsStep> {
    let wrong: Vec<_> = project.diagnostics.iter().filter(|one| one.severity != Severity::Note).collect();
    let first = wrong.iter().find(|one| one.severity == Severity::Error).or(wrong.first())?;
    let is_bad = first.severity == Severity::Error;
    Some(MigrationsStep {
        kind: MigrationsStepKind::Files,
        project: Some(id_of(project)),
        title: format!("the files of {}", called(project)),
        outcome: if is_bad { MigrationsOutcome::Failed } else { MigrationsOutcome::Passed },
        message: first.to_string(),
        hint: Some(first.hint.clone()).filter(|hint| !hint.is_empty()),
        took_ms: 0,
        log: wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        failure: None,
    })
}

impl Job<'_> {
    /// Fails if files were changed that the branch `id`, called `against`, has applied. Tools that keep no checksum are helped
    /// out with what Offshoot saw run, and else with what the git branch of that name has.
    pub(super) async fn unchanged(
        &self,
        at: usize,
        id: BranchId,
        against: &str,
    ) -> Result<Option<MigrationsStep>> {
        let scan = Arc::clone(self.scan);
        let seen =
            self.engine.blocking(move |engine| status::observed(engine, id, &scan.projects[at])).await?;
        let (observed, seen) = seen;
        let state = self.stage.status_seen(self.engine, self.scan, at, &observed).await?;
        let (scan, root, name) = (Arc::clone(self.scan), self.root().to_owned(), against.to_owned());
        let repository = self.place.repository().to_owned();
        let changed = self.engine.blocking(move |_| {
            let project = &scan.projects[at];
            let git = Git::of(&repository);
            let tree = git.commit(&format!("refs/heads/{name}")).and_then(|commit| git.tree(&commit)).ok();
            let entries = state.entries.iter().filter_map(|entry| match entry.subject {
                Subject::File(place) => Some((&project.migrations[place], entry.state)),
                Subject::Row(_) => None,
            });
            let is_changed = |(file, state): &(&Migration, State)| match state {
                State::Changed => true,
                State::Applied if !file.checksums.is_empty() || seen.contains_key(&file.key) => false,
                // Plain files that the git branch has count as applied.
                State::Applied => {
                    file.kind == MigrationKind::Versioned && differs(tree.as_ref(), &root, file)
                }
                State::Unknown if project.tool == Tool::PlainSql => differs(tree.as_ref(), &root, file),
                _ => false,
            };
            let mut paths: Vec<String> =
                entries.filter(is_changed).map(|(file, _)| file.path.clone()).collect();
            paths.dedup();
            Ok(paths)
        });
        let changed = changed.await?;
        let Some(first) = changed.first() else { return Ok(None) };
        let project = &self.scan.projects[at];
        let more = match changed.len() - 1 {
            0 => String::new(),
            more => format!(", and so were {} more", count(more)),
        };
        Ok(Some(MigrationsStep {
            kind: MigrationsStepKind::Files,
            project: Some(id_of(project)),
            title: format!("what {against} has applied of {} is unchanged", called(project)),
            outcome: MigrationsOutcome::Failed,
            message: format!(
                "{first} was changed after {against} applied it: {against} has another version of it{more}"
            ),
            hint: Some(format!(
                "Take the change back, as with `git checkout {against} -- {first}`, and write a new migration for it."
            )),
            took_ms: 0,
            log: changed.join("\n"),
            failure: None,
        }))
    }
}

/// Whether a commit has another version of a file. Line ends are no difference: git may have changed them.
fn differs(tree: Option<&GitTree>, root: &Path, file: &Migration) -> bool {
    let Some(tree) = tree.filter(|tree| tree.blob(&file.path).is_some_and(|blob| blob != file.blob)) else {
        return false;
    };
    let unix = |bytes: Vec<u8>| bytes.into_iter().filter(|byte| *byte != b'\r').collect::<Vec<_>>();
    match (tree.read(&file.path), DiskSource::new(root).read(&file.path)) {
        (Ok(theirs), Ok(ours)) => unix(theirs) != unix(ours),
        _ => true,
    }
}
