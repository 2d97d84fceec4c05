use std::fs;

use offshoot_git::{Environment, GitError, Repository, discover_with, head};

use crate::support::{Sandbox, bytes, discover, git, on, output};

fn refusal(path: &std::path::Path) -> GitError {
    let error = discover_with(path, &Environment::clean()).unwrap_err();
    assert!(!error.hint().is_empty());
    error
}

#[test]
fn a_subfolder_and_a_file_lead_to_the_top() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let deep = repo.path.join("a/b");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "").unwrap();
    for start in [repo.path.clone(), deep.clone(), deep.join("file")] {
        let worktree = discover(&start);
        assert_eq!(worktree.path, repo.path);
        assert_eq!(worktree.git_dir, repo.path.join(".git"));
        assert_eq!(worktree.common_dir, repo.path.join(".git"));
    }
}

#[test]
fn inside_the_git_directory_leads_to_its_work_tree() {
    let (sandbox, repo) = Sandbox::with_repo();
    repo.run("worktree add -q ../linked");
    assert_eq!(discover(&repo.path.join(".git/refs")).path, repo.path);
    assert_eq!(discover(&repo.path.join(".git/worktrees/linked")).path, sandbox.path().join("linked"));
}

#[test]
fn a_symbolic_link_leads_to_the_real_folder() {
    let (sandbox, repo) = Sandbox::with_repo();
    let link = sandbox.path().join("link");
    std::os::unix::fs::symlink(&repo.path, &link).unwrap();
    assert_eq!(discover(&link), repo.worktree());
}

#[test]
fn a_linked_work_tree_has_its_own_git_directory() {
    let (sandbox, repo) = Sandbox::with_repo();
    repo.run("worktree add -q ../linked");
    let worktree = discover(&sandbox.path().join("linked"));
    assert_eq!(worktree.git_dir, repo.path.join(".git/worktrees/linked"));
    assert_eq!(worktree.common_dir, repo.path.join(".git"));
    assert!(!worktree.is_main());
    assert_eq!(head(&worktree).unwrap(), on("linked"));
}

#[test]
fn a_submodule_is_a_repository_of_its_own() {
    let (sandbox, repo) = Sandbox::with_repo();
    git(&sandbox.path(), &["init", "-q", "-b", "trunk", "outer"]);
    let outer = sandbox.path().join("outer");
    git(&outer, &["submodule", "--quiet", "add", repo.path.to_str().unwrap(), "sub"]);
    let worktree = discover(&outer.join("sub"));
    assert_eq!(worktree.path, outer.join("sub"));
    assert_eq!(worktree.common_dir, outer.join(".git/modules/sub"));
    // Also when only the common directory is known.
    let all = Repository::at(&worktree.common_dir).unwrap().worktrees().unwrap();
    assert_eq!(all, [worktree]);
}

#[test]
fn paths_may_have_line_ends_spaces_and_any_bytes() {
    let sandbox = Sandbox::new();
    let mut names = vec![bytes(b"two words"), bytes(b"two\nlines"), bytes(b"\"quoted\"")];
    if cfg!(target_os = "linux") {
        names.push(bytes(b"not \xff utf8"));
    }
    for name in names {
        let path = sandbox.path().join(&name);
        fs::create_dir(&path).unwrap();
        git(&path, &["init", "-q", "-b", "main"]);
        fs::create_dir(path.join("in")).unwrap();
        let worktree = discover(&path.join("in"));
        assert_eq!(worktree.path, path);
        assert_eq!(worktree.common_dir, path.join(".git"));
        assert_eq!(head(&worktree).unwrap(), on("main"));
    }
}

#[test]
fn a_separate_git_directory_is_found_and_its_work_tree_remembered() {
    let sandbox = Sandbox::new();
    git(&sandbox.path(), &["init", "-q", "--separate-git-dir", "elsewhere", "files"]);
    let worktree = discover(&sandbox.path().join("files"));
    assert_eq!(worktree.git_dir, sandbox.path().join("elsewhere"));
    assert_eq!(worktree.repository().worktrees().unwrap(), [worktree]);
}

#[test]
fn the_environment_can_point_elsewhere() {
    let (sandbox, repo) = Sandbox::with_repo();
    let files = sandbox.path().join("files");
    fs::create_dir(&files).unwrap();
    let environment =
        Environment::clean().with("GIT_DIR", repo.path.join(".git")).with("GIT_WORK_TREE", &files);
    let worktree = discover_with(&files, &environment).unwrap();
    assert_eq!((worktree.path, worktree.git_dir), (files.clone(), repo.path.join(".git")));

    repo.run("worktree add -q ../linked");
    let environment = Environment::clean()
        .with("GIT_DIR", repo.path.join(".git/worktrees/linked"))
        .with("GIT_COMMON_DIR", repo.path.join(".git"))
        .with("GIT_WORK_TREE", &files);
    let worktree = discover_with(&files, &environment).unwrap();
    assert_eq!(worktree.common_dir, repo.path.join(".git"));
}

#[test]
fn a_folder_without_a_repository_is_refused() {
    let sandbox = Sandbox::new();
    assert!(matches!(refusal(&sandbox.path()), GitError::NotARepository { path } if path == sandbox.path()));
}

#[test]
fn a_missing_folder_is_an_error_of_the_system() {
    let sandbox = Sandbox::new();
    assert!(matches!(refusal(&sandbox.path().join("no")), GitError::Io { .. }));
}

#[test]
fn a_bare_repository_is_refused_but_its_work_trees_are_not() {
    let (sandbox, _repo) = Sandbox::with_repo();
    git(&sandbox.path(), &["clone", "-q", "--bare", "repo", "bare"]);
    let bare = sandbox.path().join("bare");
    assert!(matches!(refusal(&bare), GitError::Bare { .. }));
    assert!(matches!(refusal(&bare.join("objects")), GitError::Bare { .. }));
    git(&bare, &["worktree", "add", "-q", "../linked", "main"]);
    let linked = discover(&sandbox.path().join("linked"));
    assert_eq!(linked.common_dir, bare);
    assert_eq!(linked.repository().worktrees().unwrap(), [linked]);
}

#[test]
fn a_missing_git_is_named() {
    let (sandbox, repo) = Sandbox::with_repo();
    let empty = Environment::clean().with("PATH", sandbox.path());
    assert!(matches!(discover_with(&repo.path, &empty), Err(GitError::NoGit)));
}

#[test]
fn a_git_that_does_not_know_the_question_is_too_old() {
    use std::os::unix::fs::PermissionsExt as _;
    let (sandbox, repo) = Sandbox::with_repo();
    let old = sandbox.path().join("git");
    let script = "#!/bin/sh\ncase \" $* \" in *' --version '*) echo git version 2.1.4; exit ;; esac\necho .\necho --absolute-git-dir\necho .git\n";
    fs::write(&old, script).unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    let path =
        std::env::join_paths([sandbox.path().as_path(), "/bin".as_ref(), "/usr/bin".as_ref()]).unwrap();
    let error = discover_with(&repo.path, &Environment::clean().with("PATH", path)).unwrap_err();
    assert!(matches!(&error, GitError::TooOld { found, .. } if found == "2.1.4"), "{error}");
}

#[test]
fn an_unknown_extension_asks_for_a_newer_git() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("config core.repositoryFormatVersion 1");
    repo.run("config extensions.fromTheFuture yes");
    assert!(matches!(refusal(&repo.path), GitError::TooOld { .. }));
}

#[test]
fn somebody_elses_repository_is_refused_with_gits_advice() {
    let (_sandbox, repo) = Sandbox::with_repo();
    // Git's own switch for its own tests.
    let other = ("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    let environment = Environment::clean().with(other.0, other.1).with("GIT_CONFIG_GLOBAL", "/dev/null");
    match discover_with(&repo.path, &environment) {
        Err(GitError::Unsafe { advice, .. }) => {
            assert!(advice.starts_with("git config --global --add safe.directory "), "{advice}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_moved_repository_is_found_at_its_new_place_only() {
    let (sandbox, repo) = Sandbox::with_repo();
    repo.run("worktree add -q ../linked");
    let before = repo.worktree();
    let moved = sandbox.path().join("moved");
    fs::rename(&repo.path, &moved).unwrap();
    assert!(matches!(head(&before), Err(GitError::NotARepository { .. })));
    assert!(matches!(before.repository().branches(), Err(GitError::NotARepository { .. })));
    assert!(matches!(before.repository().project_id(), Err(GitError::NotARepository { .. })));
    assert!(matches!(before.repository().worktrees(), Err(GitError::NotARepository { .. })));
    assert!(matches!(Repository::at(&before.common_dir), Err(GitError::NotARepository { .. })));
    let after = discover(&moved);
    // The linked work tree still points to the old place until it is repaired.
    assert_eq!(after.repository().worktrees().unwrap(), std::slice::from_ref(&after));
    assert!(output(&moved, &["worktree", "repair", "../linked"]).status.success());
    assert_eq!(after.repository().worktrees().unwrap().len(), 2);
}
