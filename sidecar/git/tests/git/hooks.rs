//! Hooks beside those of others.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use offshoot_git::{HOOKS, HookError, HookState, Hooks, hooks};

use crate::support::{Repo, Sandbox, git};

/// Everything in a folder that can be told of a file: kind, content or target, mode, time of change.
fn snapshot(folder: &Path) -> BTreeMap<String, (Vec<u8>, u32, i64, i64)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let facts = path.symlink_metadata().unwrap();
            let content = if facts.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path).unwrap()
            };
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, (content, facts.mode(), facts.mtime(), facts.mtime_nsec()))
        })
        .collect()
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A stand-in for the program: writes down what it is told.
fn recorder(sandbox: &Sandbox) -> (PathBuf, PathBuf) {
    let (program, told) = (sandbox.path().join("it's a program"), sandbox.path().join("told"));
    write(&program, &format!("#!/bin/sh\necho \"$@\" >> '{}'\n", told.display()), 0o755);
    (program, told)
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn of(repo: &Repo) -> Hooks {
    hooks(&repo.worktree()).unwrap()
}

fn states(hooks: &Hooks, program: &Path) -> Vec<HookState> {
    HOOKS.iter().map(|name| hooks.state(name, program)).collect()
}

#[test]
fn hooks_are_chained_and_every_byte_of_those_before_comes_back() {
    let (sandbox, repo) = Sandbox::with_repo();
    let (program, told) = recorder(&sandbox);
    let folder = repo.path.join(".git/hooks");
    let ran = sandbox.path().join("ran");
    // In the order of HOOKS: one that fails, a link, one that git passes over as it cannot be executed, with Windows' line ends; none.
    let own = format!("#!/bin/sh\necho \"$@\" >> '{}'\nexit 3\n", ran.display());
    write(&folder.join("post-checkout"), &own, 0o750);
    fs::create_dir(repo.path.join("scripts")).unwrap();
    write(
        &repo.path.join("scripts/hook"),
        &format!("#!/bin/sh\necho commit >> '{}'\n", ran.display()),
        0o755,
    );
    symlink("../../scripts/hook", folder.join("post-commit")).unwrap();
    write(&folder.join("post-merge"), "#!/bin/sh\r\nexit 1\r\n", 0o644);
    let before = snapshot(&folder);

    let hooks = of(&repo);
    assert_eq!(states(&hooks, &program)[0], HookState::Foreign);
    hooks.install(&program).unwrap();
    let chained = HookState::Installed { chained: true };
    assert_eq!(
        states(&hooks, &program),
        [chained, chained, chained, HookState::Installed { chained: false }]
    );
    let installed = snapshot(&folder);
    hooks.install(&program).unwrap();
    assert_eq!(snapshot(&folder), installed, "a second time changes nothing");

    let status = std::process::Command::new("git")
        .current_dir(&repo.path)
        .args(["checkout", "-q", "-b", "other"])
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1), "the hook that was there fails");
    repo.commit("three");
    repo.git(&["commit", "-q", "--amend", "--allow-empty", "-m", "four"]);
    let lines = fs::read_to_string(&ran).unwrap();
    let (one, two) = (repo.id("HEAD@{1}~1"), lines.lines().next().unwrap().to_owned());
    assert!(two.ends_with(" 1") && two.contains(&one), "{two}: its arguments");
    assert_eq!(lines.matches("commit").count(), 2, "{lines}");
    wait_until("the program was told", || {
        let text = fs::read_to_string(&told).unwrap_or_default();
        ["post-checkout", "post-commit", "post-rewrite"]
            .iter()
            .all(|name| text.contains(&format!("hooks tell {name}")))
    });

    assert_eq!(hooks.state("post-commit", Path::new("/elsewhere")), HookState::Elsewhere);
    assert_eq!(hooks.uninstall().unwrap(), [] as [PathBuf; 0]);
    assert_eq!(snapshot(&folder), before);
    assert_eq!(hooks.uninstall().unwrap(), [] as [PathBuf; 0]);
    assert_eq!(snapshot(&folder), before);
    // A folder that was not there goes again.
    fs::remove_dir_all(&folder).unwrap();
    hooks.install(&program).unwrap();
    assert!(folder.is_dir());
    hooks.uninstall().unwrap();
    assert!(!folder.exists());
}

#[test]
fn git_waits_for_no_program_and_needs_none() {
    let (sandbox, repo) = Sandbox::with_repo();
    let (program, pid) = (sandbox.path().join("slow"), sandbox.path().join("pid"));
    write(
        &program,
        &format!("#!/bin/sh\necho $$ > '{0}.new'; mv '{0}.new' '{0}'\nexec sleep 600\n", pid.display()),
        0o755,
    );
    let hooks = of(&repo);
    hooks.install(&program).unwrap();
    repo.run("checkout -q -b other");
    wait_until("the program runs", || pid.exists());
    let pid = fs::read_to_string(&pid).unwrap();
    assert!(Path::new("/proc").join(pid.trim()).exists(), "git came back while it ran");
    assert!(std::process::Command::new("kill").arg(pid.trim()).status().unwrap().success());
    fs::remove_file(&program).unwrap();
    repo.run("checkout -q main");
    repo.commit("still");
}

#[test]
fn what_another_tool_puts_over_ours_is_seen_and_stays() {
    let (sandbox, repo) = Sandbox::with_repo();
    let (program, _) = recorder(&sandbox);
    let folder = repo.path.join(".git/hooks");
    write(&folder.join("post-checkout"), "#!/bin/sh\n", 0o755);
    let hooks = of(&repo);
    hooks.install(&program).unwrap();
    write(&folder.join("post-checkout"), "#!/bin/sh\nlefthook run\n", 0o755);
    let ours = fs::read_to_string(folder.join("post-merge")).unwrap();
    write(&folder.join("post-merge"), &format!("{ours}echo mine\n"), 0o755);
    let seen = states(&hooks, &program);
    assert_eq!((seen[0], seen[2]), (HookState::Overwritten, HookState::Edited));
    let before = snapshot(&folder);
    let error = hooks.install(&program).unwrap_err().to_string();
    assert!(error.contains("over ours"), "{error}");
    assert_eq!(snapshot(&folder), before);
    assert_eq!(hooks.uninstall().unwrap(), [folder.join("post-checkout"), folder.join("post-merge")]);
    assert_eq!(fs::read_to_string(folder.join("post-checkout")).unwrap(), "#!/bin/sh\nlefthook run\n");
    assert!(folder.join("post-checkout.before-offshoot").exists() && !folder.join("post-commit").exists());
}

#[test]
fn folders_of_others_and_hooks_that_know_their_name_are_refused_and_nothing_is_half_made() {
    let (sandbox, repo) = Sandbox::with_repo();
    let (program, _) = recorder(&sandbox);
    let refused = |what: &str| {
        let hooks = of(&repo);
        let before = hooks.folder.is_dir().then(|| snapshot(&hooks.folder));
        match hooks.install(&program) {
            Err(HookError::Refused { what: said, hint }) => {
                assert!(said.contains(what) && hint.contains("offshoot hooks tell"), "{said} {hint}");
            }
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(hooks.folder.is_dir().then(|| snapshot(&hooks.folder)), before, "{what}");
    };
    let folder = repo.path.join(".git/hooks");
    write(
        &folder.join("post-rewrite"),
        "#!/bin/sh\ncase $(basename \"$0\") in post-rewrite) ;; esac\n",
        0o755,
    );
    refused("its own name");
    fs::create_dir_all(repo.path.join(".husky/_")).unwrap();
    repo.run("config core.hooksPath .husky/_");
    refused("in the work tree");
    repo.git(&["config", "core.hooksPath", sandbox.path().join("shared").to_str().unwrap()]);
    refused("other repositories");
    repo.run("config --unset core.hooksPath");
    fs::remove_dir_all(&folder).unwrap();
    symlink(repo.path.join(".husky/_"), &folder).unwrap();
    refused("in the work tree");
    fs::remove_file(&folder).unwrap();
    // Where nothing can be written: a file in the place of the folder.
    fs::write(&folder, "").unwrap();
    assert!(matches!(of(&repo).install(&program), Err(HookError::Io { .. })));
    assert_eq!(fs::read(&folder).unwrap(), b"");
}

#[test]
fn worktrees_share_their_hooks_and_submodules_have_their_own() {
    let (sandbox, repo) = Sandbox::with_repo();
    let (program, told) = recorder(&sandbox);
    of(&repo).install(&program).unwrap();
    repo.run("worktree add -q ../side");
    wait_until("the new worktree's checkout was told", || told.exists());
    let side = Repo { path: sandbox.path().join("side") };
    assert_eq!(of(&side).state("post-merge", &program), HookState::Installed { chained: false });
    assert_eq!(of(&side).refused, None);
    let outer = Sandbox::with_repo();
    let inner = repo.path.to_str().unwrap();
    outer.1.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner, "inner"]);
    let inner = Repo { path: outer.1.path.join("inner") };
    of(&inner).install(&program).unwrap();
    assert_eq!(of(&outer.1).state("post-merge", &program), HookState::Absent);
    assert!(outer.1.path.join(".git/modules/inner/hooks/post-merge").exists());
    of(&inner).uninstall().unwrap();
    git(&inner.path, &["status", "--porcelain"]);
}
