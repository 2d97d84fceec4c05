//! Whether a new migration makes what it was made from.

use std::sync::Arc;
use std::time::Instant;

use offshoot_migrations::{Direction, DiskSource, MemorySource, NewFile, Overlay, Scanner};
use offshoot_protocol::migrations::{MigrationsOutcome, MigrationsStep, MigrationsStepKind};
use offshoot_schema::Facts;

use crate::engine::migrations::files::{id_of, scanned};
use crate::engine::migrations::replay::Replay;
use crate::engine::migrations::runner;
use crate::engine::migrations::stage::{self, Stage};
use crate::engine::migrations::trial::try_items;
use crate::failure::Result;

/// Runs the new files of the project `id`, which are not on the disk yet, on `stage`, which has all others, and compares its schema with
/// `wished`.
pub(super) async fn proof(
    run: &Replay<'_>,
    stage: &Stage,
    id: &str,
    files: &[NewFile],
    wished: &Facts,
) -> Result<MigrationsStep> {
    let begun = Instant::now();
    let title = "run after all others, it makes the schema of the branch".to_owned();
    run.call.progress("trying the new migration on a throwaway", 0, None);
    let mut step = MigrationsStep {
        kind: MigrationsStepKind::Proof,
        project: Some(id.to_owned()),
        title,
        outcome: MigrationsOutcome::Failed,
        message: String::new(),
        hint: None,
        took_ms: 0,
        log: String::new(),
        failure: None,
    };
    let texts = MemorySource::new(files.iter().map(|file| (file.path.clone(), file.text.clone())));
    let source = Arc::new(Overlay::new(DiskSource::new(&run.place.root), texts));
    let of = Arc::clone(&source);
    let scanned = run.engine.blocking(move |_| scanned(&mut Scanner::default(), &*of));
    let scan = scanned.await?;
    let found = scan.projects.iter().find(|one| id_of(one) == id).and_then(|project| {
        let is_new = |path: &String| files.iter().any(|file| file.path == *path);
        Some((project, project.migrations.iter().position(|one| is_new(&one.path))?))
    });
    let Some((project, at)) = found else {
        "the file is not among those that the tool would run".clone_into(&mut step.message);
        step.hint = Some("Look at the naming of the files and the tool's configuration.".to_owned());
        return Ok(step);
    };
    match runner::item(&*source, project, &project.migrations[at], Direction::Up) {
        Err(why) => {
            (step.outcome, step.message) = (MigrationsOutcome::Skipped, why);
            step.hint = Some("`offshoot migrations check` runs it with the tool.".to_owned());
        }
        Ok(item) => {
            let tried = try_items(run.engine, stage, vec![item], false, run.call).await?;
            (step.log, step.failure) = (tried.log, tried.failure);
            if step.failure.is_some() {
                step.hint = Some(
                    "The file is written, and does not run as it is on the rows that are there. Correct it, and try it with \
                     `offshoot migrations check`."
                        .to_owned(),
                );
            } else {
                let made = run.facts(stage).await?;
                let wished = wished.clone();
                let work = run.engine.blocking(move |_| Ok(stage::difference(&made, &wished)));
                let (changes, sql) = work.await?;
                if changes.is_empty() {
                    step.outcome = MigrationsOutcome::Passed;
                } else {
                    let objects: Vec<_> = changes
                        .iter()
                        .take(5)
                        .map(|change| format!("{} {}", change.object.kind, change.object.name))
                        .collect();
                    step.message = format!("another schema comes of it: {}", objects.join(", "));
                    step.hint =
                        Some("Write what is missing by hand; the log has the difference as SQL.".to_owned());
                    step.log.push_str("-- what the branch has and this does not make\n");
                    step.log.push_str(&sql);
                }
            }
        }
    }
    step.took_ms = begun.elapsed().as_millis() as u64;
    Ok(step)
}
