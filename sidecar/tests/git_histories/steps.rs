//! Random steps: what people and tools do to a repository and its databases.

use offshoot_git::Head;

use crate::model::{Did, From, Model};
use crate::pair::MAIN;

/// Names of branches. Few, so that they come again; some cannot be there together.
const NAMES: [&str; 8] = ["a", "b", "feature", "feature/x", "größe", "w.i.p", "release-1", "main"];
/// Worktrees beside the main one.
const MOST_WORKTREES: usize = 3;

/// Numbers from a seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// One thing that is done.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Git(Vec<String>),
    /// A rebase with this program for the list of its steps.
    Edited(Vec<String>, &'static str),
    Write(String, String),
    /// Removes the folder of a worktree without git.
    Vanish(String),
    CreateDatabase(String),
    ResetDatabase(String),
    DeleteDatabase(String),
    Undo(String),
    RestartEngine,
}

impl Act {
    /// What is counted as one kind: git's command with its flags, or what else it is.
    pub(crate) fn kind(&self) -> String {
        let of = |args: &[String]| {
            let (command, rest) = args.split_first().unwrap();
            let is_word = matches!(command.as_str(), "worktree" | "stash" | "bisect" | "sparse-checkout");
            let word = rest.first().filter(|word| is_word || word.starts_with('-'));
            format!("git {command} {}", word.map_or("", String::as_str))
        };
        match self {
            Self::Git(args) | Self::Edited(args, _) => of(args),
            Self::Write(..) => "edit".to_owned(),
            Self::Vanish(_) => "rm -rf of a worktree".to_owned(),
            Self::CreateDatabase(_) => "branch create".to_owned(),
            Self::ResetDatabase(_) => "branch reset".to_owned(),
            Self::DeleteDatabase(_) => "branch delete".to_owned(),
            Self::Undo(_) => "undo".to_owned(),
            Self::RestartEngine => "engine stop".to_owned(),
        }
    }
}

/// A step: acts in one worktree, the last of which is what the model is told about.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) at: String,
    pub(crate) acts: Vec<Act>,
    pub(crate) did: Did,
}

fn git(line: &str) -> Act {
    Act::Git(line.split(' ').map(str::to_owned).collect())
}

/// Chooses steps.
pub(crate) struct Chooser {
    pub(crate) random: Random,
    /// Counts what gets a name or a text of its own.
    serial: usize,
}

impl Chooser {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random(seed), serial: 0 }
    }

    pub(crate) fn next(&mut self, model: &Model) -> Step {
        let folders: Vec<&str> = model.seen.folders().collect();
        let at = if self.random.one_in(2) { MAIN } else { self.random.of(&folders) };
        let (acts, did) = self.acts(model, at);
        // Nobody can stand in a folder that is gone.
        let at = if matches!(acts[0], Act::Vanish(_)) { MAIN } else { at };
        Step { at: at.to_owned(), acts, did }
    }

    fn acts(&mut self, model: &Model, at: &str) -> (Vec<Act>, Did) {
        if let Some(act) = self.way_out(model, at) {
            return (act, Did::Nothing);
        }
        match self.random.below(100) {
            0..18 => (vec![self.checkout(model)], Did::Nothing),
            18..32 => self.cut(model, at),
            32..38 => self.rename(model),
            38..43 => (vec![self.delete(model)], Did::Nothing),
            43..57 => (self.commit(), Did::Nothing),
            57..72 => (self.combine(model), Did::Nothing),
            72..79 => self.worktree(model),
            79..91 => self.small(model),
            91..98 => (vec![self.database(model)], Did::Nothing),
            98 => (vec![git("pack-refs --all --prune")], Did::Nothing),
            _ => (vec![Act::RestartEngine], Did::Nothing),
        }
    }

    fn branch(&mut self, model: &Model) -> String {
        let all: Vec<&str> = model.seen.branches.iter().map(String::as_str).collect();
        if all.is_empty() { "main".to_owned() } else { self.random.of(&all).to_owned() }
    }

    fn name(&mut self) -> String {
        self.random.of(&NAMES).to_owned()
    }

    fn serial(&mut self) -> usize {
        self.serial += 1;
        self.serial
    }

    /// Mostly ends what a worktree is in the middle of.
    fn way_out(&mut self, model: &Model, at: &str) -> Option<Vec<Act>> {
        let ways: [(&str, &[&str]); 6] = [
            ("rebase-merge", &["rebase --continue", "rebase --abort", "rebase --skip", "rebase --quit"]),
            ("rebase-apply", &["rebase --abort", "am --abort"]),
            ("MERGE_HEAD", &["merge --abort", "commit -q --no-edit"]),
            ("CHERRY_PICK_HEAD", &["cherry-pick --abort", "cherry-pick --continue", "cherry-pick --skip"]),
            ("REVERT_HEAD", &["revert --abort", "revert --continue", "revert --quit"]),
            ("BISECT_START", &["bisect good", "bisect bad", "bisect skip", "bisect reset"]),
        ];
        let (_, commands) = ways.iter().find(|(state, _)| model.seen.has_state(at, state))?;
        if self.random.one_in(4) {
            return None;
        }
        let command = git(self.random.of(commands));
        Some(if self.random.one_in(2) { vec![git("add -A"), command] } else { vec![command] })
    }

    fn checkout(&mut self, model: &Model) -> Act {
        let branch = self.branch(model);
        match self.random.below(14) {
            0..4 => git(&format!("checkout {branch}")),
            4..6 => git(&format!("switch {branch}")),
            6 => git(&format!("checkout -f {branch}")),
            7 => git(&format!("switch --discard-changes {branch}")),
            8 => git(&format!("checkout -m {branch}")),
            9 => git("checkout -"),
            10 => git("switch -"),
            11 => git("checkout --detach"),
            12 => git(&format!("checkout {branch}~1")),
            _ => git("switch --detach HEAD"),
        }
    }

    /// A branch, with or without a checkout.
    fn cut(&mut self, model: &Model, at: &str) -> (Vec<Act>, Did) {
        let (name, start) = (self.name(), self.branch(model));
        let head = match &model.seen.heads[at] {
            Head::Branch(head) => From::Branch(head.clone()),
            Head::Detached { .. } => From::Unclear,
        };
        let started = From::Branch(start.clone());
        let (line, from) = match self.random.below(14) {
            0..3 => (format!("checkout -b {name}"), head),
            3 => (format!("switch -c {name}"), head),
            4..6 => (format!("checkout -b {name} {start}"), started),
            6 => (format!("switch -C {name} {start}"), started),
            7 => (format!("checkout -B {name}"), head),
            8 => (format!("branch {name}"), head),
            9 => (format!("branch {name} {start}"), started),
            10 => (format!("branch -c {start} {name}"), started),
            11 => (format!("checkout --orphan {name}"), From::Nothing),
            12 => (format!("switch --orphan {name}"), From::Nothing),
            _ => (format!("checkout -b {name} {start}~1"), From::Unclear),
        };
        (vec![git(&line)], Did::Cut { name, from })
    }

    fn rename(&mut self, model: &Model) -> (Vec<Act>, Did) {
        let (old, new) = (self.branch(model), self.name());
        let flag = if self.random.one_in(3) { "-M" } else { "-m" };
        (vec![git(&format!("branch {flag} {old} {new}"))], Did::Renamed { old, new })
    }

    fn delete(&mut self, model: &Model) -> Act {
        let branch = self.branch(model);
        let flag = if self.random.one_in(3) { "-d" } else { "-D" };
        git(&format!("branch {flag} {branch}"))
    }

    fn edit(&mut self) -> Act {
        let (file, serial) = (self.random.below(4), self.serial());
        Act::Write(format!("f{file}"), format!("{serial}\n"))
    }

    fn commit(&mut self) -> Vec<Act> {
        let message = format!("c{}", self.serial());
        let commit = match self.random.below(6) {
            0 => git(&format!("commit -q --amend -m {message}")),
            1 => git("commit -q --amend --no-edit --allow-empty"),
            _ => git(&format!("commit -q -m {message}")),
        };
        vec![self.edit(), git("add -A"), commit]
    }

    fn combine(&mut self, model: &Model) -> Vec<Act> {
        let (one, two) = (self.branch(model), self.branch(model));
        let line = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let act = match self.random.below(16) {
            0..2 => git(&format!("merge --no-edit {one}")),
            2 => git(&format!("merge --ff-only {one}")),
            3 => git(&format!("merge --no-ff --no-edit {one}")),
            4 => git(&format!("merge --squash {one}")),
            5 => {
                // With a conflict an octopus leaves names of temporary files behind, which nobody can foretell.
                return vec![git(&format!("merge --no-edit {one} {two}")), git("reset -q --hard")];
            }
            6..8 => git(&format!("rebase {one}")),
            8 => git(&format!("rebase {one} {two}")),
            9 => git(&format!("rebase --onto {one} HEAD~1")),
            10 => Act::Edited(line(&format!("rebase -i {one}")), "sed -i -e 1s/^pick/edit/"),
            11 => Act::Edited(line("rebase -i --root"), "sed -i -e 2s/^pick/fixup/"),
            12 => Act::Edited(line("rebase -i HEAD~2"), "sed -i -e 1d"),
            13 => git(&format!("cherry-pick {one}")),
            14 => git("revert --no-edit HEAD"),
            _ => git(&format!("revert --no-edit {one}~1")),
        };
        vec![act]
    }

    fn worktree(&mut self, model: &Model) -> (Vec<Act>, Did) {
        let others: Vec<&str> = model.seen.folders().filter(|folder| *folder != MAIN).collect();
        if others.is_empty() || (others.len() < MOST_WORKTREES && self.random.one_in(2)) {
            let folder = format!("w{}", self.serial());
            let (name, start) = (self.name(), self.branch(model));
            return match self.random.below(4) {
                0 => (vec![git(&format!("worktree add ../{folder} {start}"))], Did::Nothing),
                1 => (vec![git(&format!("worktree add --detach ../{folder} {start}"))], Did::Nothing),
                _ => {
                    let add = git(&format!("worktree add -b {name} ../{folder} {start}"));
                    (vec![add], Did::Cut { name, from: From::Branch(start) })
                }
            };
        }
        let folder = self.random.of(&others);
        let to = format!("w{}", self.serial());
        let acts = match self.random.below(6) {
            0 => vec![git(&format!("worktree remove ../{folder}"))],
            1 => vec![git(&format!("worktree remove -f -f ../{folder}"))],
            2 => vec![git(&format!("worktree move ../{folder} ../{to}"))],
            3 => vec![git(&format!("worktree lock ../{folder}"))],
            4 => vec![git(&format!("worktree unlock ../{folder}"))],
            _ => vec![Act::Vanish(folder.to_owned()), git("worktree prune --expire=now")],
        };
        (acts, Did::Nothing)
    }

    /// What moves no branch, or what few do.
    fn small(&mut self, model: &Model) -> (Vec<Act>, Did) {
        let (branch, name, serial) = (self.branch(model), self.name(), self.serial());
        let acts = match self.random.below(19) {
            0 => vec![git(&format!("tag t{serial}"))],
            1 => vec![git(&format!("tag t{serial}")), git(&format!("checkout t{serial}"))],
            2 => vec![self.edit(), git("stash push -q -u")],
            3 => vec![git("stash pop -q")],
            4 => {
                let acts = vec![git(&format!("stash branch {name}"))];
                return (acts, Did::Cut { name, from: From::Unclear });
            }
            5 => vec![git("bisect start HEAD HEAD~2")],
            6 => vec![git("bisect start --first-parent")],
            7 => vec![git("reset -q --hard HEAD~1")],
            8 => vec![git(&format!("reset -q --hard {branch}"))],
            9 => vec![git("reset -q --soft HEAD~1")],
            10 => vec![self.edit()],
            11 => vec![git(&format!("push -q -f origin {branch}"))],
            12 => vec![git(&format!("push -q origin :{branch}"))],
            13 => vec![git("fetch -q --prune")],
            14 => vec![git("pull -q --no-edit origin main")],
            15 => vec![git("pull -q --rebase origin main")],
            16 => vec![git("sparse-checkout set --no-cone /f0 /f1")],
            17 => vec![git("sparse-checkout disable")],
            _ => vec![git(&format!("branch -f {name} {branch}"))],
        };
        let is_force = matches!(acts.first(), Some(Act::Git(args)) if args[0] == "branch");
        let did = if is_force { Did::Cut { name, from: From::Branch(branch) } } else { Did::Nothing };
        (acts, did)
    }

    fn database(&mut self, model: &Model) -> Act {
        let all: Vec<&str> = model.databases.keys().map(String::as_str).collect();
        let one = self.random.of(&all).to_owned();
        let undoable = model.undoable();
        match self.random.below(7) {
            0 => Act::CreateDatabase(if self.random.one_in(2) { "by/hand".to_owned() } else { self.name() }),
            1..3 => Act::ResetDatabase(one),
            3..5 => Act::DeleteDatabase(one),
            _ if undoable.is_empty() => Act::DeleteDatabase(one),
            _ => Act::Undo(undoable[self.random.below(undoable.len())].clone()),
        }
    }
}
