//! Open windows: a language server for each worktree, as an editor runs one. What they show must come to be what the engine has, without
//! anybody asking them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use offshoot_git::Head;
use serde_json::Value;

use crate::editor::Editor;
use crate::model::Model;
use crate::pair::Seen;
use crate::support::TestRepo;

#[derive(Default)]
pub(crate) struct Windows {
    /// By the folder of the worktree.
    open: BTreeMap<String, Editor>,
    /// How long after a step the last window showed what it had come to.
    pub(crate) waits: Vec<Duration>,
}

impl Windows {
    /// Opens the windows that are missing.
    pub(crate) fn open(&mut self, test: &TestRepo, seen: &Seen) {
        for folder in seen.folders() {
            if !self.open.contains_key(folder) {
                let path = test.root().join(folder);
                self.open.insert(folder.to_owned(), Editor::open(test, &[Path::new(&path)]));
            }
        }
    }

    /// Closes those whose folder is gone.
    pub(crate) fn close(&mut self, seen: &Seen) {
        self.open.retain(|folder, _| seen.folders().any(|other| other == folder));
    }

    /// Waits until every window has heard what git has checked out.
    pub(crate) fn hear(&mut self, seen: &Seen) {
        for (folder, editor) in &mut self.open {
            let head = &seen.heads[folder];
            editor
                .state(0, &format!("the window of {folder} shows {head:?}"), |state| shows_head(state, head));
        }
    }

    /// Waits until every window shows where its endpoint leads and which branches there are; `since` is when the step was done.
    pub(crate) fn agree(&mut self, model: &Model, since: Instant) {
        for (folder, editor) in &mut self.open {
            let (place, head) = (model.place(folder), &model.seen.heads[folder]);
            editor.state(0, &format!("the window of {folder} leads to `{place}`"), |state| {
                shows_head(state, head)
                    && state["worktree"]["branch"]["name"] == place
                    && shows_branches(state, model)
            });
        }
        self.waits.push(since.elapsed());
    }

    /// How long windows took, in words.
    pub(crate) fn summary(&mut self) -> String {
        self.waits.sort_unstable();
        let at = |part: usize| self.waits[(self.waits.len() - 1) * part / 100].as_millis();
        format!(
            "windows agree after {} ms (median), {} ms (99 of 100), {} ms (most)",
            at(50),
            at(99),
            at(100)
        )
    }
}

fn shows_head(state: &Value, head: &Head) -> bool {
    let git = &state["worktree"]["git"];
    match head {
        Head::Branch(name) => git["name"] == name.as_str(),
        Head::Detached { commit } => git["commit"] == commit.as_str(),
    }
}

fn shows_branches(state: &Value, model: &Model) -> bool {
    let Some(branches) = state["branches"].as_array() else { return false };
    let is_known = |branch: &Value| {
        let database = branch["name"].as_str().and_then(|name| model.databases.get(name));
        database.is_some_and(|database| branch["id"] == database.id)
    };
    branches.len() == model.databases.len() && branches.iter().all(is_known)
}
