//! Masking: what was personal is nowhere in the store, and what referred to it still does.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use support::{Ran, TestRepo};

const PEOPLE: usize = 300;
/// In every value that must not be found again, and in nothing else.
const MARK: &str = "zqoriginal";

const RULES: &str = r#"
[masking.columns]
"public.users.email" = "fake-email"
"public.users.name" = "fake-name"
"public.users.phone" = "fake-phone"
"public.users.note" = { fixed = "(gone)" }
"public.users.tax" = "hash"
"public.users.born" = "null"
"public.events.who" = "hash"
"public.users.nick" = "keep"
"#;

const SCHEMA: &str = "SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.users (
    id integer NOT NULL, email character varying(60) NOT NULL, name text NOT NULL, phone text, note text, tax bigint,
    born date, nick text
);
CREATE TABLE public.orders (id integer NOT NULL, user_email character varying(60), amount integer);
CREATE TABLE public.events (at integer NOT NULL, who text) PARTITION BY RANGE (at);
CREATE TABLE public.events_1 (at integer NOT NULL, who text);
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_1 FOR VALUES FROM (0) TO (1000);
";

const KEYS: &str = "ALTER TABLE ONLY public.users ADD CONSTRAINT users_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users ADD CONSTRAINT users_email_key UNIQUE (email);
ALTER TABLE ONLY public.users ADD CONSTRAINT users_tax_key UNIQUE (tax);
CREATE UNIQUE INDEX users_lower ON public.users (lower(name));
CREATE INDEX events_who ON public.events USING btree (who);
ALTER TABLE ONLY public.orders ADD CONSTRAINT orders_user FOREIGN KEY (user_email) REFERENCES public.users(email);
";

fn rows() -> String {
    let mut text =
        "COPY public.users (id, email, name, phone, note, tax, born, nick) FROM stdin;\n".to_owned();
    for n in 0..PEOPLE {
        let phone = if n == 7 { "\\N".to_owned() } else { format!("+49 30 555{n:05}") };
        writeln!(
            text,
            "{n}\t{MARK}{n}@corp.test\t{MARK} Number{n}\t{phone}\tlikes {MARK}\\ttea\t77{:08}\t1980-01-01\tnick{n}",
            n * 3
        )
        .unwrap();
    }
    text.push_str("\\.\n\nCOPY public.orders (id, user_email, amount) FROM stdin;\n");
    for n in 0..PEOPLE * 2 {
        writeln!(text, "{n}\t{MARK}{}@corp.test\t{n}", n % PEOPLE).unwrap();
    }
    text.push_str("\\.\n\nCOPY public.events_1 (at, who) FROM stdin;\n");
    for n in 0..PEOPLE {
        writeln!(text, "{n}\t{MARK}-{n}").unwrap();
    }
    text.push_str("\\.\n");
    text
}

fn script() -> String {
    format!("{SCHEMA}{}{KEYS}", rows())
}

/// Files below `folder` in which `needle` is found.
fn files_with(folder: &Path, needle: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir().unwrap().map(Result::unwrap) {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_with(&path, needle));
        } else if entry.file_type().unwrap().is_file() {
            // The engine may be clearing away still.
            let Ok(bytes) = fs::read(&path) else { continue };
            if bytes.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

fn with_rules(rules: &str) -> TestRepo {
    let test = TestRepo::new();
    fs::write(test.repo.join("offshoot.toml"), rules).unwrap();
    test
}

fn init_from(test: &TestRepo, bin_dir: &Path, source: &str) -> Ran {
    test.run(&["init", "--from", source, "--bin-dir", bin_dir.to_str().unwrap()])
}

/// Writes the script beside the repository and makes the database of it.
fn init(test: &TestRepo, script: &str) -> Ran {
    let path = test.root().join("dump.sql");
    fs::write(&path, script).unwrap();
    init_from(test, &support::postgres_bin_dir(), path.to_str().unwrap())
}

#[track_caller]
fn is_masked(test: &TestRepo) {
    // One statement: each run of the program takes its time.
    let counts = test.value(
        "select concat_ws(' ', (select count(distinct email) from users where email like '%@example.%'),
            (select count(distinct name) from users where name <> ''),
            (select count(*) from users where phone ~ '^\\+49 [0-9]{2} [0-9]{8}$'),
            (select count(distinct phone) from users),
            (select count(*) from users where note = '(gone)' and born is null),
            (select count(distinct tax) from users where length(tax::text) = 10),
            (select count(*) from orders join users on email = user_email),
            (select count(distinct who) from events), (select nick from users where id = 5))",
    );
    assert_eq!(counts, format!("{PEOPLE} {PEOPLE} 299 299 {PEOPLE} {PEOPLE} 600 {PEOPLE} nick5"));
    let store = test.store();
    test.run(&["engine", "stop"]).ok();
    assert_eq!(files_with(&store, MARK), Vec::<PathBuf>::new());
    // The search would find it.
    assert!(!files_with(&store, "@example.").is_empty() && !files_with(&store, "(gone)").is_empty());
}

#[test]
fn no_original_value_is_anywhere_in_the_store_and_keys_hold() {
    let test = with_rules(RULES);
    let said = init(&test, &script()).ok();
    assert!(said.contains("masked public.users.email: 300 values, fake-email"), "{said}");
    assert!(said.contains("masked public.orders.user_email: 600 values, fake-email, as public.users.email"));
    assert!(said.contains("masked public.users.phone: 299 values"), "{said}");
    assert!(!said.contains("personal"), "each has its rule: {said}");
    assert!(said.contains("masked public.events_1.who: 300 values, hash, as public.events.who"), "{said}");
    is_masked(&test);
}

#[test]
fn archives_and_servers_are_masked_as_scripts_are() {
    let found = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = found
        .map(|entry| entry.path().join("bin"))
        .find(|bin| ["pg_dump", "postgres", "initdb"].iter().all(|program| bin.join(program).is_file()));
    let Some(bin_dir) = found else {
        eprintln!("SKIPPED: no Postgres with pg_dump on this machine");
        return;
    };
    let source = TestRepo::new();
    let path = source.root().join("dump.sql");
    fs::write(&path, script()).unwrap();
    init_from(&source, &bin_dir, path.to_str().unwrap()).ok();
    assert!(source.value("select email from users where id = 1").contains(MARK));
    let archive = source.root().join("a.dump");
    let archive = archive.to_str().unwrap();
    source.run(&["dump", "--format", "custom", "-o", archive]).ok();
    for from in [archive, &source.url()] {
        let test = with_rules(RULES);
        let told =
            test.run(&["--json", "init", "--from", from, "--bin-dir", bin_dir.to_str().unwrap()]).json();
        let masked = told["masked"].as_array().unwrap();
        assert!(
            masked.iter().any(|it| it["column"] == "public.orders.user_email" && it["values"] == 600),
            "{told}"
        );
        is_masked(&test);
    }
}

#[test]
fn what_cannot_be_masked_is_refused_and_nothing_is_left() {
    let refused = |rules: &str, script: &str| {
        let test = with_rules(rules);
        let said = init(&test, script).fails(128);
        let stores = test.root().join("home/stores");
        let left: Vec<_> =
            stores.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "{left:?}");
        said
    };
    let insert = format!("{SCHEMA}INSERT INTO public.users VALUES (1, '{MARK}', 'x');\n{KEYS}");
    let said = refused(RULES, &insert);
    assert!(said.contains("by INSERT") && said.contains("--inserts"), "{said}");
    let bare = format!("{SCHEMA}SET search_path = public;\nCOPY users FROM stdin;\n\\.\n{KEYS}");
    let said = refused(RULES, &bare);
    assert!(said.contains("names no schema"), "{said}");
    let said = refused("[masking.columns]\n'public.orders.user_email' = 'fake-email'\n", &script());
    assert!(said.contains("\"public.users.email\" = \"fake-email\""), "{said}");
    let said = refused("[masking.columns]\n'public.users.emial' = 'fake-email'\n", &script());
    assert!(said.contains("public.users.emial") && said.contains("has the columns id, email"), "{said}");
    let said = refused("[masking.columns]\n'public.users.name' = 'null'\n", &script());
    assert!(said.contains("cannot be null"), "{said}");
    let said = refused("[masking.column]\n'public.users.name' = 'null'\n", &script());
    assert!(said.contains("line 1") && said.contains("masking.columns"), "{said}");
}

#[test]
fn columns_that_look_personal_are_found_until_they_have_a_rule() {
    let test = with_rules("[restore]\nwindow = 'off'\n");
    let said = init(&test, &format!("{SCHEMA}{KEYS}")).ok();
    assert!(said.contains("note: 5 columns look personal and have no rule in offshoot.toml"), "{said}");
    let ran = test.run(&["masking", "check"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("public.users.email (varchar) looks like a mail address"), "{}", ran.out);
    assert!(ran.out.contains("\"public.users.email\" = \"fake-email\""), "{}", ran.out);
    let ran = test.run(&["masking", "check", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let found: Vec<_> = told["findings"].as_array().unwrap().iter().map(|it| it["column"].clone()).collect();
    assert_eq!(
        found,
        ["orders.user_email", "users.email", "users.name", "users.phone", "users.born"]
            .map(|column| format!("public.{column}"))
    );
    // What refers to a column follows it.
    let rules = "[masking.columns]\n'public.users.email' = 'fake-email'\n'public.users.name' = 'keep'\n'public.users.phone' = 'hash'\n'public.users.born' = 'null'\n";
    fs::write(test.repo.join("offshoot.toml"), rules).unwrap();
    let said = test.run(&["masking", "check"]).ok();
    assert!(said.contains("No column looks personal without a rule"), "{said}");
}
