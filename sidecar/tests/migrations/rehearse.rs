//! Merges tried before anybody merges.

use super::*;

#[test]
fn merges_are_rehearsed_in_both_orders_without_a_checkout() {
    let mut test = TestRepo::new();
    // Git takes a colon in such a path for the end of it.
    let odd = test.root().join("re:po");
    fs::rename(&test.repo, &odd).unwrap();
    test.repo = odd;
    test.init().ok();
    write(&test, "db/migrations/001_item.sql", ONE);
    write(&test, "db/migrations/002_tag.sql", TWO);
    write(&test, ".gitattributes", "* filter=any merge=any\n");
    test.git(&["add", "."]);
    test.commit("migrations");
    record(&test, "001,002");
    test.run(&["sql", "-c", "create table item (id int primary key, tag text)"]).ok();
    let branch = |name: &str, file: &str, up: &str| {
        test.git(&["checkout", "-q", "main"]);
        test.git(&["checkout", "-q", "-b", name]);
        write(&test, &format!("db/migrations/{file}"), &format!("-- migrate:up\n{up};\n-- migrate:down\n"));
        test.git(&["add", "."]);
        test.commit(name);
    };
    branch("good", "004_good.sql", "create table other (id int)");
    branch("docs", "../../README.md", "nothing to run");
    branch("clash", "005_clash.sql", "alter table item add size int");
    branch("same", "003_same.sql", "create table third (id int)");
    branch("order", "006_order.sql", "alter table item rename tag to label");
    branch("mine", "003_mine.sql", "alter table item add size bigint");
    let before = test.git(&["status", "--porcelain", "--branch"]);
    let objects = test.git(&["count-objects"]);
    let trace = test.root().join("ran");
    let touch = format!("touch '{}'; cat", trace.display());
    for setting in ["filter.any.clean", "filter.any.smudge", "merge.any.driver", "core.fsmonitor"] {
        test.git(&["config", setting, &touch]);
    }
    write(&test, "db/migrations/002_tag.sql", TWO);
    let asked = test.run(&["migrations", "rehearse", "--json"]).fails(128);
    assert!(asked.contains("runs the migrations of the git branches") && asked.contains("--yes"), "{asked}");
    let ran = test.run(&["migrations", "rehearse", "--json", "--yes"]);
    let rehearsal: Value = serde_json::from_str(&ran.out).unwrap();
    ran.fails(1);
    let pair = |name: &str| {
        let pairs = rehearsal["pairs"].as_array().unwrap();
        pairs.iter().find(|pair| pair["other"] == name).unwrap_or_else(|| panic!("{rehearsal:#}")).clone()
    };
    let codes = |name: &str| -> Vec<String> {
        let findings = pair(name)["findings"].as_array().unwrap().clone();
        findings.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((&pair("good")["outcome"], &pair("docs")["outcome"]), (&"passed".into(), &"passed".into()));
    assert_eq!(pair("good")["orders"][0]["ran"].as_array().unwrap().len(), 2);
    assert_eq!(codes("clash"), ["failsAfterMerge", "failsAfterMerge"], "{:#}", pair("clash"));
    assert_eq!(codes("same")[0], "duplicateVersion", "{:#}", pair("same"));
    assert_eq!(codes("order"), Vec::<String>::new(), "{:#}", pair("order"));
    assert!(!trace.exists(), "no filter, driver or hook of the repository was run");
    for setting in ["filter.any.clean", "filter.any.smudge", "merge.any.driver", "core.fsmonitor"] {
        test.git(&["config", "--unset", setting]);
    }
    let remembered = test.run(&["migrations", "rehearse", "--json"]);
    assert!(
        remembered.out.contains("\"pairs\""),
        "what was agreed to is not asked again: {}",
        remembered.err
    );
    assert_eq!(test.git(&["status", "--porcelain", "--branch"]), before, "the checkout is as it was");
    assert_eq!(test.git(&["count-objects"]), objects, "nothing is written into the repository");
}
