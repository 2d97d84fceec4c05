//! What the statements of files cost when they were measured last, for as long as the files are the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use offshoot_migrations::sql::Measurement;
use offshoot_protocol::measure::Measured;
use offshoot_protocol::migrations::MigrationNext;

use super::book::{Book, own_branch};

/// Longer files are data.
const MOST_BYTES: u64 = 1 << 20;

/// Files as they are on the disk, by their paths in the worktree.
pub(super) type Texts = BTreeMap<String, String>;

/// By path: the text that was measured, and what its statements cost, by their lines in the file.
#[derive(Default)]
pub(super) struct MeasuredFiles(BTreeMap<String, (String, Vec<Measurement>)>);

/// The paths of files that would run on the worktree's branch, or do run on others.
pub(super) fn waiting(book: &Book) -> Vec<String> {
    let projects = book.ready().map(|status| status.projects.as_slice()).unwrap_or_default();
    let mut all: Vec<String> = Vec::new();
    for project in projects {
        let entries = own_branch(project).map(|branch| branch.entries.as_slice()).unwrap_or_default();
        let next = entries.iter().filter(|entry| entry.next == MigrationNext::Runs);
        let files = next.filter_map(|entry| project.files.get(entry.file? as usize));
        all.extend(files.map(|file| file.path.clone()));
    }
    all
}

/// These files as they are now; those that cannot be read are left out.
pub(super) fn texts(root: &Path, paths: Vec<String>) -> Texts {
    let read = |path: String| {
        let file = root.join(&path);
        let is_short = fs::metadata(&file).is_ok_and(|about| about.is_file() && about.len() <= MOST_BYTES);
        let text = if is_short { fs::read_to_string(file).ok() } else { None };
        text.map(|text| (path, text))
    };
    paths.into_iter().filter_map(read).collect()
}

impl MeasuredFiles {
    /// Takes what a run cost, of the files that are the same after it as they were before. Returns whether it is of any.
    pub(super) fn take(&mut self, root: &Path, before: Texts, measured: &Measured) -> bool {
        let after = texts(root, before.keys().cloned().collect());
        let mut any = false;
        for (path, text) in before {
            let costs: Vec<Measurement> = measured
                .steps
                .iter()
                .filter_map(|step| {
                    let line = line_of(&step.what, &path)?;
                    let locks = step.locks.iter();
                    let rewritten = step.rewritten.iter();
                    Some(Measurement {
                        line,
                        elapsed_us: step.elapsed_us,
                        locks: locks
                            .map(|lock| (lock.relation.clone(), lock.mode.clone(), lock.held_us))
                            .collect(),
                        rewritten: rewritten.map(|file| (file.relation.clone(), file.bytes)).collect(),
                    })
                })
                .collect();
            if !costs.is_empty() && after.get(&path) == Some(&text) {
                any = true;
                self.0.insert(path, (text, costs));
            }
        }
        any
    }

    /// What the statements of a part of a file cost that starts at `start`, in bytes, with lines counted in the part; nothing
    /// if the text is another one than was measured.
    pub(super) fn of(&self, path: &str, text: &str, start: usize) -> Vec<Measurement> {
        let Some((_, costs)) = self.0.get(path).filter(|(measured, _)| measured == text) else {
            return Vec::new();
        };
        let before = text[..start].matches('\n').count() as u32;
        let within = costs.iter().filter(|cost| cost.line > before);
        within.map(|cost| Measurement { line: cost.line - before, ..cost.clone() }).collect()
    }
}

/// The line of a step's statement, which its name begins with: `path:line: …`.
fn line_of(what: &str, path: &str) -> Option<u32> {
    what.strip_prefix(path)?.strip_prefix(':')?.split(':').next()?.parse().ok()
}
