//! `offshoot bundle`: a branch of one repository's store becomes one of another's, or nothing happens there.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use support::TestRepo;

const FILL: &str = "create table thing (id int primary key, name text); insert into thing select g, 'name ' || g from generate_series(1, 3000) g";
const SUM: &str =
    "select count(*) || ' ' || md5(string_agg(ctid::text || id || name, ',' order by ctid)) from thing";

/// Names in a folder.
fn names(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<_> =
        folder.read_dir().unwrap().map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_branch_is_carried_between_stores_that_have_the_same_base() {
    let (here, there) = (TestRepo::with_database(), TestRepo::with_database());
    let folder = here.root().join("out");
    fs::create_dir(&folder).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    here.git(&["checkout", "-q", "-b", "feature/a"]);
    here.run(&["sql", "-c", FILL]).ok();

    // By its own name in the current folder, for nobody else to read.
    let said = here.run_in(&folder, &["-C", here.repo.to_str().unwrap(), "bundle", "create"]).ok();
    assert!(
        said.contains("Wrote feature/a to feature-a.bundle") && said.contains("password verifiers"),
        "{said}"
    );
    fs::rename(here.repo.join("feature-a.bundle"), path("a.bundle")).unwrap();
    assert_eq!(fs::metadata(path("a.bundle")).unwrap().permissions().mode() & 0o777, 0o600);
    let said = here.run(&["bundle", "create", "-o", &path("a.bundle")]).fails(128);
    assert!(said.contains("there already") && said.contains("--force"), "{said}");
    let told =
        here.run(&["bundle", "create", "feature/a", "-o", &path("a.bundle"), "--force", "--json"]).json();
    let told_of = |what: &str| told["bundle"][what].clone();
    assert!(told_of("pages").as_u64().unwrap() > 20 && told["bytes"].as_u64().unwrap() > 1000, "{told}");
    assert_eq!(names(&folder), ["a.bundle"], "drafts");

    // It says what it is, without a store.
    let said = here.run_in(&folder, &["bundle", "inspect", "a.bundle"]).ok();
    assert!(
        said.contains("It is whole") && said.contains("main, as it was when feature/a was made"),
        "{said}"
    );
    let seen = here.run(&["bundle", "inspect", &path("a.bundle"), "--json"]).json();
    assert_eq!((&seen["base"]["id"], &seen["schema"]), (&told_of("base")["id"], &told_of("schema")));
    let text = fs::read(path("a.bundle")).unwrap();
    let url = here.url();
    let password = url.split(['@', ':']).nth(2).unwrap().as_bytes();
    assert!(!text.windows(password.len()).any(|window| window == password));

    // There it is a branch like others.
    let made = there.run(&["bundle", "apply", &path("a.bundle"), "--json"]).json();
    assert_eq!((&made["branch"]["name"], &made["branch"]["parent"]), (&"feature/a".into(), &"main".into()));
    there.git(&["checkout", "-q", "-b", "feature/a"]);
    assert_eq!(there.value(SUM), here.value(SUM));
    let diff = there.run(&["diff", "--stat"]).ok();
    assert!(diff.contains("thing"), "{diff}");
    let log = there.run(&["log", "feature/a"]).ok();
    assert!(log.contains("came in a bundle of feature/a"), "{log}");
    there.git(&["checkout", "-q", "-b", "onward"]);
    there.run(&["sql", "-c", "delete from thing where id > 5"]).ok();
    assert_eq!(there.value("select count(*) from thing"), "5");
    let said = there.run(&["bundle", "apply", &path("a.bundle")]).fails(128);
    assert!(said.contains("exists already") && said.contains("--name"), "{said}");
    there.run(&["bundle", "apply", &path("a.bundle"), "--name", "again"]).ok();
    let before = there.branches();
    assert_eq!(before.len(), 4, "{before:?}");

    // Whatever is no bundle, or is none any more, changes nothing.
    let link = folder.join("link");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    fs::write(path("cut"), &text[..text.len() / 2]).unwrap();
    let mut flipped = text.clone();
    flipped[text.len() / 3] ^= 1;
    fs::write(path("flipped"), flipped).unwrap();
    for (file, why) in [
        ("missing", "cannot read"),
        ("link", "is no file"),
        ("", "is no file"),
        ("cut", "damaged"),
        ("flipped", "damaged"),
    ] {
        for args in [vec!["inspect"], vec!["apply", "--name", "damaged"]] {
            let said = there.run(&[&["bundle"], &args[..], &[&path(file)]].concat()).fails(128);
            assert!(said.contains(why) && said.contains("hint: "), "{args:?} {file}: {said}");
        }
    }
    let said = there.run(&["bundle", "apply", &path("a.bundle"), "--name", "../x"]).fails(128);
    assert!(said.contains("../x"), "{said}");
    assert_eq!(there.branches(), before);
    let asleep = there.run(&["snapshot", "list", "--json"]).json();
    assert_eq!(asleep["snapshots"].as_array().unwrap().len(), 0, "{asleep}");
}

#[test]
fn a_store_of_another_cluster_gets_the_base_once() {
    let (here, there) = (TestRepo::with_database(), TestRepo::new());
    there.init().ok();
    let path = |name: &str| here.root().join(name).to_str().unwrap().to_owned();
    here.run(&["sql", "-c", FILL]).ok();
    here.git(&["checkout", "-q", "-b", "feature"]);
    here.run(&["sql", "-c", "update thing set name = 'x' where id % 100 = 0"]).ok();
    here.run(&["bundle", "create", "-o", &path("small")]).ok();
    let said = there.run(&["bundle", "apply", &path("small")]).fails(128);
    assert!(
        said.contains("another cluster")
            && said.contains("bundle create ROOT --full")
            && said.contains("apply --root"),
        "{said}"
    );
    let said = here.run(&["bundle", "create", "main", "-o", &path("x")]).fails(128);
    assert!(said.contains("--full"), "{said}");

    let said = here.run(&["bundle", "create", "main", "--full", "-o", &path("full")]).ok();
    assert!(said.contains("small from now on"), "{said}");
    there.run(&["branch", "create", "kept"]).ok();
    let said = there.run(&["bundle", "apply", &path("full")]).fails(128);
    assert!(said.contains("named `main` exists already") && said.contains("`--root` puts"), "{said}");
    let rule = there.repo.join("offshoot.toml");
    fs::write(&rule, "[[branches]]\npattern = 'main'\nprotected = true\n").unwrap();
    let said = there.run(&["bundle", "apply", &path("full"), "--root"]).fails(128);
    assert!(said.contains("is protected by") && said.contains("--override"), "{said}");
    let said = there.run(&["bundle", "apply", &path("full"), "--root", "--override"]).ok();
    fs::remove_file(&rule).unwrap();
    assert!(said.contains("undo main") && said.contains("main@bundle-"), "{said}");
    assert_eq!(there.value("select count(*) from thing"), "3000");
    here.run(&["bundle", "create", "-o", &path("small"), "--force"]).ok();
    there.run(&["bundle", "apply", &path("small")]).ok();
    there.git(&["checkout", "-q", "-b", "feature"]);
    assert_eq!(there.value(SUM), here.value(SUM));
    let rows = there.run(&["diff", "--rows"]).ok();
    assert!(rows.contains("30"), "{rows}");
    there.git(&["checkout", "-q", "main"]);
    // The root takes the same data again, after something was done to it.
    there.run(&["sql", "-c", "drop table thing"]).ok();
    let told = there.run(&["bundle", "apply", &path("full"), "--root", "--json"]).json();
    assert_eq!(there.value("select count(*) from thing"), "3000");
    let taken = there.run(&["snapshot", "list", "main", "--json"]).json();
    let names: Vec<_> = taken["snapshots"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, [&told["snapshot"]], "once");
    there.run(&["bundle", "apply", &path("small"), "--name", "again"]).ok();
    there.run(&["undo", "main"]).ok();
    assert_eq!(there.value("select count(*) from pg_class where relname = 'thing'"), "0");
}
