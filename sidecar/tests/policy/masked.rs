//! Branches that are made of masked data only.

use std::fs;

use crate::support::{self, TestRepo};
use crate::write;

fn people(column: &str) -> String {
    format!(
        "SELECT pg_catalog.set_config('search_path', '', false);\n\
         CREATE TABLE public.people (id integer NOT NULL, email text, phone text);\n\
         COPY public.people (id, {column}) FROM stdin;\n1\tsomebody@corp.test\n\\.\n"
    )
}

const LEVELS: &str = "\
[[branches]]
pattern = 'feature/**'
masking = 'required'

[[branches]]
pattern = 'own/**'
masking = 'any'
";

fn rules(columns: &str) -> String {
    format!("[masking.columns]\n{columns}\n{LEVELS}")
}

const EMAIL: &str = "'public.people.email' = 'fake-email'";
const BOTH: &str = "'public.people.email' = 'fake-email'\n'public.people.phone' = 'fake-phone'";

#[test]
fn a_branch_that_wants_masked_data_is_made_of_no_others() {
    let test = TestRepo::new();
    let dump = test.root().join("people.sql");
    fs::write(&dump, people("email")).unwrap();
    let (dump, bin_dir) = (dump.to_str().unwrap(), support::postgres_bin_dir());
    // Imported as they are: what wants masked data is not made, by hand or by a checkout; the rest is.
    test.run(&["init", "--from", dump, "--bin-dir", bin_dir.to_str().unwrap()]).ok();
    write(&test, &rules(EMAIL));
    let refused = test.run(&["branch", "create", "feature/a"]).fails(128);
    assert!(
        refused.contains("`feature/a` is to have masked data only (offshoot.toml, line 5): its data were imported without masking"),
        "{refused}"
    );
    assert!(refused.contains("offshoot refresh") && refused.contains("--override"), "{refused}");
    test.run(&["branch", "create", "own/a"]).ok();
    test.run(&["branch", "create", "feature/meant", "--override"]).ok();
    test.git(&["checkout", "-q", "-b", "feature/by-git"]);
    assert!(test.run(&["url"]).fails(128).contains("imported without masking"));
    test.git(&["checkout", "-q", "main"]);
    let plan = test.run(&["policy", "plan"]).ok();
    assert!(plan.contains("feature/meant is to have masked data only (offshoot.toml:5)"), "{plan}");
    let told = test.run(&["policy", "explain", "feature/meant"]).ok();
    assert!(told.contains("required") && told.contains("offshoot.toml:5; its data were imported"), "{told}");

    // Imported by the rule: it lets them through, and those of before only after a reset.
    test.run(&["refresh", "--from", dump]).ok();
    test.run(&["branch", "create", "feature/a"]).ok();
    let email = "select email from people";
    let found = test.run(&["sql", "--branch", "feature/a", "-c", email]).ok();
    assert!(!found.contains("corp.test"), "{found}");
    let older = test.run(&["branch", "create", "feature/b", "--from", "own/a"]).fails(128);
    assert!(older.contains("its data are from before the newest import"), "{older}");
    test.run(&["branch", "reset", "own/a"]).ok();
    test.run(&["branch", "create", "feature/b", "--from", "own/a"]).ok();

    // One more rule than there was.
    write(&test, &rules(BOTH));
    let fewer = test.run(&["branch", "create", "feature/c"]).fails(128);
    assert!(fewer.contains("imported before there was a rule for public.people.phone"), "{fewer}");
    test.run(&["branch", "reset", "feature/a"]).fails(128);
    test.run(&["refresh", "--from", dump]).ok();
    test.run(&["branch", "reset", "feature/a"]).ok();
    test.run(&["branch", "create", "feature/c"]).ok();

    // What the root had before comes back as what it was.
    test.run(&["undo", "main"]).ok();
    let back = test.run(&["branch", "create", "feature/d"]).fails(128);
    assert!(back.contains("a rule for public.people.phone"), "{back}");
    test.run(&["refresh", "--empty"]).ok();
    test.run(&["branch", "create", "feature/d"]).ok();
}

#[test]
fn where_nothing_was_imported_there_is_nothing_to_mask() {
    let test = TestRepo::with_database();
    write(&test, &rules(EMAIL));
    test.run(&["branch", "create", "feature/a"]).ok();
    let told = test.run(&["policy", "explain", "own/x"]).ok();
    assert!(told.contains("any"), "{told}");
}
