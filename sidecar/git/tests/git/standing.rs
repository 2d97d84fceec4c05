//! How git stands to a file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use offshoot_git::{Standing, standing};

use crate::support::Sandbox;

#[test]
fn a_program_that_the_repository_names_does_not_run_for_a_look() {
    let (sandbox, repo) = Sandbox::with_repo();
    let (program, ran) = (sandbox.path().join("monitor"), sandbox.path().join("ran"));
    fs::write(&program, format!("#!/bin/sh\necho ran >> '{}'\nexit 1\n", ran.display())).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    fs::write(repo.path.join(".gitignore"), ".env\n").unwrap();
    repo.git(&["add", ".gitignore"]);
    repo.git(&["config", "core.fsmonitor", program.to_str().unwrap()]);
    assert_eq!(standing(&repo.worktree(), &repo.path.join(".env")).unwrap(), Standing::Ignored);
    assert_eq!(standing(&repo.worktree(), &repo.path.join(".gitignore")).unwrap(), Standing::Tracked);
    assert_eq!(standing(&repo.worktree(), &repo.path.join("open")).unwrap(), Standing::Open);
    assert!(!ran.exists(), "{}", fs::read_to_string(&ran).unwrap());
}
