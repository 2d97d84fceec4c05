//! Two repositories that go through the same history: one with Offshoot, and a twin that has git alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use offshoot_git::{Head, Origin, Repository, Worktree, head, lineage_of};

use crate::index;
use crate::support::{Ran, TestRepo};

/// The folder of the main worktree, beside which the others lie.
pub(crate) const MAIN: &str = "repo";
/// What is not compared: objects are by themselves, and paths differ between the two.
const LEFT_OUT: [&str; 4] = ["objects", "offshoot", "gitdir", "hooks"];

/// Both repositories.
pub(crate) struct Pair {
    pub(crate) test: TestRepo,
    /// What git takes for the time, in seconds since 1970: a step has one of its own.
    now: u64,
}

/// What is checked out where, as git alone has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) branches: BTreeSet<String>,
    /// By the folder of the worktree.
    pub(crate) heads: BTreeMap<String, Head>,
    /// Worktrees that git knows and whose folder is gone.
    pub(crate) lost: BTreeSet<String>,
    /// The git directories of the twin's worktrees.
    git_dirs: BTreeMap<String, PathBuf>,
}

impl Seen {
    /// Whether a worktree's git directory has a file or folder of this name.
    pub(crate) fn has_state(&self, folder: &str, name: &str) -> bool {
        self.git_dirs[folder].join(name).exists()
    }

    /// What git's records say of where a branch comes from.
    pub(crate) fn lineage(&self, branch: &str) -> Vec<Origin> {
        let git_dir = self.git_dirs[MAIN].clone();
        let path = git_dir.parent().unwrap().to_owned();
        lineage_of(&Worktree { path, common_dir: git_dir.clone(), git_dir }, branch).unwrap()
    }

    /// Worktrees that were elsewhere before: their folders then and now.
    pub(crate) fn moved(&self, before: &Self) -> Vec<(String, String)> {
        let was = |dir: &PathBuf| before.git_dirs.iter().find(|(_, other)| *other == dir).map(|(was, _)| was);
        let moved = self.git_dirs.iter().filter_map(|(is, dir)| Some((was(dir)?.clone(), is.clone())));
        moved.filter(|(was, is)| was != is).collect()
    }

    /// The worktrees whose folder is there.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &str> {
        self.heads.keys().map(String::as_str).filter(|folder| !self.lost.contains(*folder))
    }
}

impl Pair {
    /// Both with the same three commits, files and remote, and the one with a database.
    pub(crate) fn new(now: u64) -> Self {
        let test = TestRepo::with_database();
        let mut pair = Self { test, now };
        for (key, value) in [
            ("user.name", "t"),
            ("user.email", "t@example.com"),
            ("commit.gpgsign", "false"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            ("core.fsync", "none"),
            ("merge.conflictStyle", "merge"),
            ("pull.rebase", "false"),
            ("protocol.file.allow", "always"),
        ] {
            pair.test.git(&["config", key, value]);
        }
        let origin = pair.test.root().join("origin.git");
        pair.test.git(&["init", "-q", "--bare", "-b", "main", origin.to_str().unwrap()]);
        pair.test.git(&["remote", "add", "origin", "../origin.git"]);
        for n in 0..3 {
            fs::write(pair.test.repo.join(format!("f{n}")), format!("{n}\n")).unwrap();
            pair.test.git(&["add", "."]);
            pair.test.commit(&format!("file {n}"));
        }
        pair.test.git(&["push", "-q", "-u", "origin", "main"]);
        let twin = pair.test.root().join("twin");
        fs::create_dir(&twin).unwrap();
        for folder in [&pair.test.repo, &origin] {
            let copied = Command::new("cp").arg("-a").args([folder, &twin]).status().unwrap();
            assert!(copied.success());
        }
        fs::remove_dir_all(twin.join(MAIN).join(".git/offshoot")).unwrap();
        pair.now += 1;
        pair
    }

    /// The folders that hold the real repository and the twin.
    pub(crate) fn bases(&self) -> [PathBuf; 2] {
        [self.test.root().to_owned(), self.test.root().join("twin")]
    }

    /// Begins the next second of git's clock.
    pub(crate) fn tick(&mut self) {
        self.now += 1;
    }

    /// Runs git in the worktree `folder` of both; whether it succeeded. Both must say the same.
    pub(crate) fn git(&self, folder: &str, args: &[String], editor: &str) -> bool {
        let children = self.bases().map(|base| {
            let mut command = self.test.command("git");
            for role in ["AUTHOR", "COMMITTER"] {
                command.env(format!("GIT_{role}_DATE"), format!("{} +0000", self.now));
            }
            command.env("GIT_EDITOR", "true").env("GIT_SEQUENCE_EDITOR", editor).env("LC_ALL", "C");
            command.current_dir(base.join(folder)).args(args);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            (command.spawn().unwrap(), base)
        });
        let [real, twin] = children.map(|(child, base)| {
            let ran = Ran::from(child.wait_with_output().unwrap());
            let base = base.to_str().unwrap().to_owned();
            // Messages of errors are left out: git 2.47 prints memory at random for `bisect skip` on a branch without a commit.
            (ran.code, ran.out.replace(&base, "BASE"))
        });
        assert_eq!(real, twin, "git says something else beside Offshoot: {args:?}");
        real.0 == 0
    }

    /// Writes a file of a worktree in both.
    pub(crate) fn write(&self, folder: &str, file: &str, text: &str) {
        for base in self.bases() {
            fs::write(base.join(folder).join(file), text).unwrap();
        }
    }

    /// Removes the folder of a worktree in both, as somebody without git would.
    pub(crate) fn remove(&self, folder: &str) {
        for base in self.bases() {
            fs::remove_dir_all(base.join(folder)).unwrap();
        }
    }

    /// What git alone has.
    pub(crate) fn look(&self) -> Seen {
        let common = self.bases()[1].join(MAIN).join(".git");
        let mut seen = Seen { branches: branches(&common), ..Seen::default() };
        seen.git_dirs.insert(MAIN.to_owned(), common.clone());
        for entry in fs::read_dir(common.join("worktrees")).into_iter().flatten() {
            let git_dir = entry.unwrap().path();
            let pointer = PathBuf::from(fs::read_to_string(git_dir.join("gitdir")).unwrap().trim_end());
            let path = pointer.parent().unwrap();
            let folder = path.file_name().unwrap().to_str().unwrap().to_owned();
            if !path.is_dir() {
                seen.lost.insert(folder.clone());
            }
            seen.git_dirs.insert(folder, git_dir);
        }
        for (folder, git_dir) in &seen.git_dirs {
            let (path, git_dir) = (self.bases()[1].join(folder), git_dir.clone());
            let worktree = Worktree { path, git_dir, common_dir: common.clone() };
            seen.heads.insert(folder.clone(), head(&worktree).unwrap());
        }
        seen
    }

    /// Fails if anything of git's, or of a work tree, is not what it is without Offshoot.
    pub(crate) fn compare(&self, seen: &Seen, with_objects: bool) {
        let [real, twin] = self.bases().map(|base| {
            let mut all = BTreeMap::new();
            collect(&base.join(MAIN).join(".git"), Path::new(".git"), &LEFT_OUT, &mut all);
            for folder in seen.folders() {
                collect(&base.join(folder), Path::new(folder), &[".git"], &mut all);
            }
            if with_objects {
                let mut objects = BTreeMap::new();
                collect(&base.join(MAIN).join(".git/objects"), Path::new("objects"), &[], &mut objects);
                // How tightly an object is packed is the business of whoever wrote it.
                all.extend(objects.into_keys().map(|path| (path, Vec::new())));
            }
            all
        });
        let paths: BTreeSet<_> = real.keys().chain(twin.keys()).collect();
        for path in paths {
            let (here, there) = (real.get(path), twin.get(path));
            let shown =
                |bytes: Option<&Vec<u8>>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            assert_eq!(shown(here), shown(there), "{} is not as git alone leaves it", path.display());
            assert_eq!(here, there, "{} is not as git alone leaves it", path.display());
        }
    }
}

fn branches(common: &Path) -> BTreeSet<String> {
    Repository::at(common).unwrap().branches().unwrap().into_iter().collect()
}

/// Adds the files below `folder`, which stands for `name`.
fn collect(folder: &Path, name: &Path, left_out: &[&str], all: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let file = entry.file_name();
        if left_out.iter().any(|out| file.to_str() == Some(out)) {
            continue;
        }
        let (path, name) = (entry.path(), name.join(&file));
        if entry.file_type().unwrap().is_dir() {
            collect(&path, &name, left_out, all);
        } else {
            let bytes = fs::read(&path).unwrap();
            let is_index = file == "index" && name.starts_with(".git");
            all.insert(name, if is_index { index::without_times(&bytes) } else { bytes });
        }
    }
}
