//! Real files in real repositories.

use std::os::unix::fs::symlink;
use std::process::Command;

use super::*;

struct Repo {
    _root: tempfile::TempDir,
    worktree: Worktree,
}

impl Repo {
    /// A repository that ignores `.env` and `.env.*`.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let run = |args: &[&str]| {
            let mut git = Command::new("git");
            git.current_dir(root.path()).env("GIT_CONFIG_GLOBAL", "/dev/null").args(args);
            assert!(git.output().unwrap().status.success());
        };
        run(&["init", "-q"]);
        fs::write(root.path().join(".gitignore"), ".env\n.env.*\n").unwrap();
        fs::write(root.path().join("tracked.env"), "X=1\n").unwrap();
        run(&["add", "tracked.env"]);
        let worktree = offshoot_git::discover_with(root.path(), &offshoot_git::Environment::clean()).unwrap();
        Self { _root: root, worktree }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.worktree.path.join(name)
    }

    /// Sets `X` in a file.
    fn set(&self, name: &str, value: &str) -> Result<Contents, Refusal> {
        Place::find(&self.worktree, name)?
            .edit(true, |contents| Ok(Some(super::super::set(&contents.bytes, "X", value)?.0)))
    }

    #[track_caller]
    fn refused(&self, name: &str) -> String {
        let before = fs::read(self.path(name)).ok();
        let refusal = self.set(name, "new").unwrap_err();
        assert_eq!(fs::read(self.path(name)).ok(), before, "left as it was");
        format!("{} | {}", refusal.why, refusal.hint)
    }

    /// Nothing that nobody asked for lies about.
    fn is_clean(&self) -> bool {
        let all = |folder: &Path| fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name());
        !all(&self.worktree.path)
            .chain(all(&self.worktree.git_dir))
            .any(|name| name.to_string_lossy().contains("offshoot"))
    }
}

#[test]
fn a_file_keeps_its_rights_and_one_that_is_made_is_private() {
    let repo = Repo::new();
    fs::write(repo.path(".env"), "A=1\nX=old\n").unwrap();
    fs::set_permissions(repo.path(".env"), fs::Permissions::from_mode(0o640)).unwrap();
    repo.set(".env", "new").unwrap();
    assert_eq!(fs::read(repo.path(".env")).unwrap(), b"A=1\nX=new\n");
    let mode = |name: &str| fs::metadata(repo.path(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(".env"), 0o640);
    assert!(!repo.set(".env.local", "new").unwrap().is_there());
    assert_eq!(
        (fs::read(repo.path(".env.local")).unwrap(), mode(".env.local")),
        (b"X=new\n".to_vec(), 0o600)
    );
    assert!(repo.is_clean());
}

#[test]
fn a_file_that_holds_it_already_is_not_touched() {
    let repo = Repo::new();
    fs::write(repo.path(".env"), "X=new\n").unwrap();
    let before = fs::metadata(repo.path(".env")).unwrap().ino();
    repo.set(".env", "new").unwrap();
    assert_eq!(fs::metadata(repo.path(".env")).unwrap().ino(), before);
}

#[test]
fn what_could_be_committed_is_refused_by_name() {
    let repo = Repo::new();
    let tracked = repo.refused("tracked.env");
    assert!(
        tracked.contains("git tracks it: the work tree would become dirty")
            && tracked.contains("git rm --cached tracked.env"),
        "{tracked}"
    );
    let open = repo.refused("open.env");
    assert!(open.contains("git does not ignore it") && open.contains("Add open.env to .gitignore"), "{open}");
}

#[test]
fn links_are_followed_within_the_work_tree_and_nowhere_else() {
    let repo = Repo::new();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("secret"), "X=1\n").unwrap();
    fs::write(repo.path(".env.shared"), "X=1\n").unwrap();
    symlink(".env.shared", repo.path(".env")).unwrap();
    repo.set(".env", "new").unwrap();
    assert!(fs::symlink_metadata(repo.path(".env")).unwrap().is_symlink(), "the link stays one");
    assert_eq!(fs::read(repo.path(".env.shared")).unwrap(), b"X=new\n");
    symlink(elsewhere.path().join("secret"), repo.path(".env.out")).unwrap();
    assert!(repo.refused(".env.out").contains("it leads out of the work tree, to /"));
    symlink("nowhere", repo.path(".env.gone")).unwrap();
    assert!(repo.refused(".env.gone").contains("leads nowhere"));
    symlink("tracked.env", repo.path(".env.tracked")).unwrap();
    assert!(repo.refused(".env.tracked").contains("git tracks it"));
    symlink(".git", repo.path("sub")).unwrap();
    assert!(repo.refused("sub/.env").contains("leads out of the work tree"));
    assert!(repo.refused("missing/.env").contains("its folder is not there"));
}

#[test]
fn what_is_read_only_or_no_file_is_left_alone() {
    let repo = Repo::new();
    fs::write(repo.path(".env"), "X=1\n").unwrap();
    fs::set_permissions(repo.path(".env"), fs::Permissions::from_mode(0o444)).unwrap();
    assert!(repo.refused(".env").contains("it is read only | `chmod u+w .env`"));
    fs::create_dir(repo.path(".env.d")).unwrap();
    assert!(repo.refused(".env.d").contains("it is not a file"));
}

#[test]
fn an_edit_of_somebody_else_meanwhile_is_kept() {
    let repo = Repo::new();
    fs::write(repo.path(".env"), "X=1\n").unwrap();
    let mut times = 0;
    let place = Place::find(&repo.worktree, ".env").unwrap();
    let edited = place.edit(true, |contents| {
        times += 1;
        let bytes = super::super::set(&contents.bytes, "X", "new")?.0;
        match times {
            // In place, as some editors do, and by another file, as others do.
            1 => fs::write(repo.path(".env"), "X=1\nA=2\n").unwrap(),
            2 => {
                fs::write(repo.path(".env.1"), "X=1\nA=2\nB=3\n").unwrap();
                fs::rename(repo.path(".env.1"), repo.path(".env")).unwrap();
            }
            _ => (),
        }
        Ok(Some(bytes))
    });
    edited.unwrap();
    assert_eq!(fs::read(repo.path(".env")).unwrap(), b"X=new\nA=2\nB=3\n");
    assert!(repo.is_clean());
    let restless = place.edit(true, |contents| {
        let bytes = super::super::set(&contents.bytes, "X", "newer")?.0;
        fs::write(repo.path(".env"), [&contents.bytes[..], b"C=1\n"].concat()).unwrap();
        Ok(Some(bytes))
    });
    assert!(restless.unwrap_err().why.contains("somebody else writes it"));
}
