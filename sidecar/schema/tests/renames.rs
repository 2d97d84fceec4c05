//! Renames that a person has confirmed: data stay, dependants follow, nothing differs afterwards.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

#[path = "support/seed.rs"]
mod seed;
mod support;
#[path = "support/travel.rs"]
mod travel;

use offshoot_schema::diff::Noise;
use offshoot_schema::plan::HazardKind;
use offshoot_schema::{Plan, PlanOptions, Renames, plan, read, renames};
use support::Postgres;
use travel::{differences, run_or_panic};

const FROM: &str = "
CREATE TYPE state AS ENUM ('new', 'old');
CREATE TABLE person (id serial PRIMARY KEY, name text NOT NULL UNIQUE, state state DEFAULT 'new' CHECK (state <> 'old'), boss int REFERENCES person (id));
CREATE INDEX person_lower ON person (lower(name)) WHERE name <> 'name';
CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, person int REFERENCES person ON DELETE CASCADE, n int CHECK (n > 0));
CREATE VIEW names AS SELECT p.name, i.n FROM person p JOIN item i ON i.person = p.id WHERE p.state = 'new';
CREATE FUNCTION whole(person) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.name';
CREATE VIEW wholes AS SELECT whole(person) AS whole FROM person;
CREATE TABLE log (at date NOT NULL, what text CHECK (what <> '')) PARTITION BY RANGE (at);
CREATE TABLE log_2024 PARTITION OF log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE INDEX ON log (what);
ALTER TABLE person ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON person USING (name = CURRENT_USER);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE OF name ON person FOR EACH ROW WHEN (new.name <> old.name) EXECUTE FUNCTION touch();
INSERT INTO person (name) VALUES ('a'), ('b'); INSERT INTO item (person, n) VALUES (1, 5); INSERT INTO log VALUES ('2024-02-02', 'x');
";

/// Each with what it does to the schema, and the line that confirms it.
const CASES: &[(&str, &str, &str)] = &[
    (
        "ALTER TABLE person RENAME TO \"Customer\"; ALTER SEQUENCE person_id_seq RENAME TO customer_id_seq; \
         ALTER TABLE \"Customer\" RENAME CONSTRAINT person_pkey TO customer_pkey; ALTER INDEX person_lower RENAME TO customer_lower;",
        "table public.person -> \"Customer\"",
        "table with its key, index and sequence",
    ),
    (
        "ALTER TABLE person RENAME name TO title",
        "column public.person.name -> title",
        "column with index, view, policy, trigger",
    ),
    ("ALTER TABLE person RENAME id TO number", "column public.person.id -> number", "column of foreign keys"),
    ("ALTER TABLE log RENAME at TO moment", "column public.log.at -> moment", "column of a partition key"),
    (
        "ALTER TYPE state RENAME VALUE 'new' TO 'it''s new'",
        "value public.state.new -> \"it's new\"",
        "value of an enum",
    ),
    ("ALTER TYPE state RENAME TO condition", "type public.state -> condition", "type"),
    ("ALTER VIEW names RENAME TO titles", "view public.names -> titles", "view"),
    (
        "ALTER FUNCTION whole(person) RENAME TO entire",
        "function public.whole(public.person) -> entire",
        "function in a view",
    ),
    ("ALTER INDEX person_lower RENAME TO lower_names", "index public.person_lower -> lower_names", "index"),
    (
        "ALTER TABLE item RENAME CONSTRAINT item_n_check TO positive",
        "constraint public.item.item_n_check -> positive",
        "constraint",
    ),
    ("ALTER POLICY mine ON person RENAME TO own", "policy public.person.mine -> own", "policy"),
    ("ALTER TRIGGER touched ON person RENAME TO seen", "trigger public.person.touched -> seen", "trigger"),
    ("ALTER VIEW names RENAME COLUMN n TO count", "column public.names.n -> count", "column of a view"),
    ("ALTER SCHEMA public RENAME TO shop", "schema public -> shop", "schema"),
    (
        "ALTER TABLE log RENAME TO journal; ALTER TABLE log_2024 RENAME TO journal_2024",
        "table public.log -> journal\n-- offshoot:rename table public.log_2024 -> journal_2024",
        "partitioned table and partition",
    ),
];

fn deletes(plan: &Plan) -> bool {
    plan.steps().any(|step| {
        step.hazards.iter().any(|hazard| hazard.kind == HazardKind::DeletesData)
            || step.statements.iter().any(|text| text.contains("DROP TABLE") || text.contains("DROP COLUMN"))
    })
}

#[test]
fn what_is_offered_can_be_confirmed_and_keeps_data_and_dependants() {
    for major in [15, 18] {
        let Some(server) = Postgres::start(major) else { continue };
        let every = if major == 15 { 1 } else { 4 };
        for (at, (change, line, what)) in CASES.iter().enumerate().step_by(every) {
            let mut client = server.database(&format!("old{at}"), FROM);
            let mut other = server.database(&format!("new{at}"), FROM);
            other.batch_execute(change).unwrap();
            let (old, new) = (read(&mut client).unwrap(), read(&mut other).unwrap());
            let offered = !["column of a view", "schema", "trigger", "index"].contains(what);
            if offered && !line.contains('\n') {
                let lines: Vec<String> = renames(&old, &new).into_iter().map(|found| found.line).collect();
                assert!(lines.contains(&format!("-- offshoot:rename {line}")), "{what}: {lines:?}");
                assert!(Renames::parse(&lines.join("\n")).is_ok());
            }
            let renames = Renames::parse(&format!("SELECT 1;\n-- offshoot:rename {line}\n")).unwrap();
            let options = PlanOptions { renames, ..PlanOptions::default() };
            let plan = plan(&old, &new, &options);
            assert_eq!(plan.unplanned, Vec::<String>::new(), "{what}");
            assert!(!deletes(&plan), "{what}\n{}", plan.sql());
            run_or_panic(&mut client, &plan);
            client.batch_execute("RESET ALL").unwrap();
            let left = differences(&read(&mut client).unwrap(), &new, Noise::default());
            assert_eq!(left, Vec::<String>::new(), "{what} {major}\n{}", plan.sql());
        }
    }
}

#[test]
fn rename_of_one_column_is_one_statement_whatever_depends_on_it() {
    let Some(server) = Postgres::start(15) else { return };
    let mut other = server.database("new", FROM);
    let old = read(&mut server.database("old", FROM)).unwrap();
    other.batch_execute("ALTER TABLE item RENAME n TO amount").unwrap();
    let new = read(&mut other).unwrap();
    let renames = Renames::parse("-- offshoot:rename column public.item.n -> amount").unwrap();
    let plan = plan(&old, &new, &PlanOptions { renames, ..PlanOptions::default() });
    let statements: Vec<&String> = plan.steps().flat_map(|step| &step.statements).collect();
    assert_eq!(statements[0], "ALTER TABLE public.item RENAME COLUMN n TO amount");
    // The view keeps the name of its column, which the text of Postgres says with `AS`.
    assert!(statements[1..].iter().all(|text| text.starts_with("CREATE OR REPLACE VIEW")), "{statements:?}");
}

#[test]
fn lines_that_are_wrong_are_named() {
    let error = |text: &str| Renames::parse(text).unwrap_err().to_string();
    assert_eq!(
        error("\n\n-- offshoot:rename table public.a b"),
        "line 3: `->` is missing; write it as `-- offshoot:rename table schema.old -> new`"
    );
    assert_eq!(
        error("-- offshoot:rename table a -> b"),
        "line 1: a table is named by schema.name; write it as `-- offshoot:rename table schema.old -> new`"
    );
    assert!(
        error("-- offshoot:rename tabel public.a -> b").starts_with("line 1: the kind of object is missing")
    );
    assert!(error("-- offshoot:rename table public.a -> public.b").contains("the new name has no schema"));
    assert_eq!(Renames::parse("-- rename a to b\nSELECT '-- no';").unwrap(), Renames::default());
}

#[test]
fn lines_in_literals_and_block_comments_confirm_nothing() {
    let line = "-- offshoot:rename table public.a -> b";
    let count = |text: &str| Renames::parse(text).unwrap().lines().len();
    for (open, close) in
        [("$$", "$$"), ("$f$ it's", "$f$"), ("'it''s", "'"), ("E'\\'", "'"), ("\"", "\""), ("/* /* */", "*/")]
    {
        let text = format!("SELECT {open}\n{line}\n{close};\n");
        assert_eq!(count(&text), 0, "{text}");
        assert_eq!(count(&format!("{text}{line}\n")), 1, "{text}");
    }
    for before in ["-- it's", "# don't", "SELECT 'a', $1;", "it's open", "a /* b", "-- $$"] {
        assert_eq!(count(&format!("{before}\n{line}\n")), 1, "{before}");
    }
}

#[test]
fn renames_that_do_not_fit_are_left_alone_and_named() {
    let Some(server) = Postgres::start(15) else { return };
    let old = read(&mut server.database("old", "CREATE TABLE a (x int); CREATE TABLE b (x int)")).unwrap();
    let options = |line: &str| {
        let mut renames = Renames::default();
        renames.add(line).unwrap();
        PlanOptions { renames, ..PlanOptions::default() }
    };
    let why = |line: &str| plan(&old, &old, &options(line)).unplanned;
    assert_eq!(why("table public.c -> d"), ["rename table public.c -> d: there is no such object to rename"]);
    assert_eq!(why("table public.a -> b"), ["rename table public.a -> b: table public.b is there already"]);
    assert_eq!(why("table public.a -> c"), ["rename table public.a -> c: table public.c is not wanted"]);
}

#[test]
fn renames_are_taken_back_by_their_reverse() {
    let there = Renames::parse(
        "-- offshoot:rename table public.a -> b\n-- offshoot:rename column public.b.x -> \"Y z\"\n",
    );
    let back = there.unwrap().reversed();
    assert_eq!(back.lines(), ["column public.b.\"Y z\" -> x", "table public.b -> a"]);
}
