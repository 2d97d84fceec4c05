//! `offshoot hooks`: git tells the engine, and never waits for it.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;

use support::TestRepo;

#[test]
fn hooks_tell_the_engine_and_fail_nowhere() {
    let test = TestRepo::with_database();
    let hook = test.repo.join(".git/hooks/post-checkout");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let said = test.run(&["hooks", "status"]).ok();
    assert!(said.contains("post-checkout  not installed"), "{said}");
    test.run(&["hooks", "install"]).ok();
    let said = test.run(&["hooks", "status", "--json"]).json();
    let hooks = said["hooks"].as_array().unwrap();
    assert!(hooks.len() == 4 && hooks.iter().all(|hook| hook["state"] == "installed"), "{said}");
    assert!(test.run(&["hooks", "tell", "post-checkout"]).ok().is_empty());
    test.git(&["checkout", "-q", "-b", "feature"]);
    assert_eq!(test.status()["branch"]["name"], "feature");

    // Without an engine nothing happens, and none is started.
    test.run(&["engine", "stop"]).ok();
    test.git(&["checkout", "-q", "main"]);
    assert!(test.run(&["hooks", "tell"]).ok().is_empty());
    assert!(test.run_in(test.root(), &["hooks", "tell", "post-merge"]).ok().is_empty());
    assert!(!test.store().join("engine.json").exists(), "an engine was started");

    fs::write(&hook, "#!/bin/sh\n").unwrap();
    let status = test.run(&["hooks", "status"]);
    assert!(status.code == 1 && status.out.contains("over ours"), "{status:?}");
    assert!(test.run(&["hooks", "install"]).ok().contains("Installed"));
    fs::write(&hook, "#!/bin/sh\necho theirs\n").unwrap();
    assert_eq!(test.run(&["hooks", "status"]).code, 1);
    let said = test.run(&["hooks", "install"]).fails(128);
    assert!(said.contains("over ours") && said.contains("hint: "), "{said}");
    let said = test.run(&["hooks", "uninstall"]).ok();
    assert!(said.contains("post-checkout") && said.contains("stay"), "{said}");
    assert!(!hook.with_file_name("post-commit").exists());
    test.git(&["config", "core.hooksPath", ".husky/_"]);
    let said = test.run(&["hooks", "install"]).fails(128);
    assert!(said.contains("husky") && said.contains("offshoot hooks tell post-checkout"), "{said}");
}

#[test]
fn hooks_go_also_after_another_tool_has_taken_over_the_folder() {
    let test = TestRepo::with_database();
    let folder = test.repo.join(".git/hooks");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("post-merge"), "#!/bin/sh\n# mine\n").unwrap();
    test.run(&["hooks", "install"]).ok();
    test.git(&["config", "core.hooksPath", ".husky/_"]);
    let said = test.run(&["hooks", "status"]).ok();
    assert!(said.contains("Hooks of Offshoot are in") && said.contains("offshoot hooks uninstall"), "{said}");
    assert!(test.run(&["hooks", "uninstall"]).ok().contains("No hook of Offshoot is left"));
    assert!(!folder.join("post-commit").exists() && !folder.join("post-merge.before-offshoot").exists());
    assert_eq!(fs::read_to_string(folder.join("post-merge")).unwrap(), "#!/bin/sh\n# mine\n");
    assert!(!test.run(&["hooks", "status"]).ok().contains("Hooks of Offshoot are in"));
}
