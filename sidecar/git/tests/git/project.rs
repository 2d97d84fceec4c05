use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use offshoot_git::{GitError, ProjectId};

use crate::support::{Sandbox, discover};

#[test]
fn the_id_is_shared_by_all_work_trees_and_private_to_the_user() {
    let (sandbox, repo) = Sandbox::with_repo();
    repo.run("worktree add -q ../linked");
    let repository = repo.worktree().repository();
    assert_eq!(repository.project_id().unwrap(), None);
    let id = ProjectId::parse("0a1b-2c").unwrap();
    repository.write_project_id(&id).unwrap();
    let linked = discover(&sandbox.path().join("linked")).repository();
    assert_eq!(linked.project_id().unwrap(), Some(id));
    let file = repository.common_dir.join("offshoot/project");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let other = ProjectId::parse("other").unwrap();
    repository.write_project_id(&other).unwrap();
    assert_eq!(repository.project_id().unwrap(), Some(other));
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    assert_eq!(repo.run("status --porcelain"), "");
    repo.run("gc -q");
    repo.run("fsck --strict");
}

#[test]
fn of_many_who_claim_one_wins() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let repository = repo.worktree().repository();
    let claims: Vec<_> = (0..8)
        .map(|who| {
            let repository = repository.clone();
            let id = ProjectId::parse(&format!("claim-{who}")).unwrap();
            std::thread::spawn(move || repository.claim_project_id(&id).unwrap())
        })
        .collect();
    let held: Vec<_> = claims.into_iter().map(|claim| claim.join().unwrap()).collect();
    assert!(held.iter().all(|id| *id == held[0]), "{held:?}");
    assert_eq!(repository.project_id().unwrap().as_ref(), Some(&held[0]));
    assert_eq!(fs::read_dir(repository.common_dir.join("offshoot")).unwrap().count(), 1);
}

#[test]
fn what_is_no_id_is_refused() {
    for text in ["", "a b", "../x", "UPPER", &"x".repeat(65)] {
        assert!(matches!(ProjectId::parse(text), Err(GitError::BadProjectId { .. })), "{text}");
    }
    let (_sandbox, repo) = Sandbox::with_repo();
    let repository = repo.worktree().repository();
    fs::create_dir(repository.common_dir.join("offshoot")).unwrap();
    fs::write(repository.common_dir.join("offshoot/project"), "\u{0}\u{0}").unwrap();
    assert!(matches!(repository.project_id(), Err(GitError::BadProjectId { .. })));
}
