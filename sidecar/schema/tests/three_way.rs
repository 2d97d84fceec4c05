//! What two sides made of one schema, on a real Postgres: whose a change is, and what collides.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::cell::RefCell;

use offshoot_schema::{Facts, ThreeWay, changes, read, three_way};
use postgres::Client;
use support::Postgres;

const BASE: &str = "
CREATE TYPE state AS ENUM ('new', 'done');
CREATE TABLE item (id bigint, code text, price numeric(8,2), note text, state state);
CREATE TABLE lot (id bigint, item bigint, amount integer);
CREATE VIEW codes AS SELECT id, code FROM item;
CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN $1 * 2;
CREATE SEQUENCE numbers;
CREATE SCHEMA extra;";

/// A server with two databases, and the facts of the base schema.
struct Base {
    fork: Facts,
    ours: RefCell<Client>,
    others: RefCell<Client>,
    _server: Postgres,
}

/// Makes a database the base schema again.
fn begin_again(client: &mut Client) {
    let clear = "DROP SCHEMA IF EXISTS extra CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public;";
    client.batch_execute(&format!("SET client_min_messages = error; {clear} {BASE}")).unwrap();
}

impl Base {
    fn start() -> Option<Self> {
        let server = Postgres::start(15)?;
        let (mut ours, others) = (server.database("ours", ""), server.database("others", ""));
        begin_again(&mut ours);
        let fork = read(&mut ours).unwrap();
        Some(Self { fork, ours: RefCell::new(ours), others: RefCell::new(others), _server: server })
    }

    /// The base schema after some statements.
    fn side(&self, sql: &str) -> Facts {
        let mut client = self.ours.borrow_mut();
        begin_again(&mut client);
        client.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        read(&mut client).unwrap()
    }

    /// What is found of each pair of sides.
    fn report(&self, pairs: &[(&str, &str)]) -> String {
        let one = |(mine, theirs): &(&str, &str)| {
            let found = three_way(&self.fork, &self.side(mine), &self.side(theirs));
            format!("mine: {mine}\ntheirs: {theirs}\n{}\n", summary(&found))
        };
        pairs.iter().map(one).collect::<Vec<_>>().join("\n")
    }
}

/// Conflicts a line each, then the objects of the lists.
fn summary(found: &ThreeWay) -> String {
    let mut lines: Vec<String> = found
        .conflicts
        .iter()
        .map(|conflict| format!("  ! {}: {}", conflict.object, conflict.reason))
        .collect();
    for (name, list) in [("mine", &found.mine), ("theirs", &found.theirs), ("both", &found.both)] {
        lines.extend(list.iter().map(|change| format!("  {name}: {:?} {}", change.kind, change.object)));
    }
    lines.join("\n")
}

#[test]
fn changes_belong_to_their_sides_unless_they_collide() {
    let Some(base) = Base::start() else { return };
    let report = base.report(&[
        ("ALTER TABLE item ADD mine int", "ALTER TABLE item ADD theirs int"),
        ("ALTER TABLE item ADD z int; CREATE TABLE own ()", "ALTER TABLE item ADD z int"),
        ("CREATE TABLE fresh (a int)", "CREATE TABLE fresh (a int); ALTER TABLE fresh ADD b int"),
        ("ALTER TABLE item RENAME note TO remark", "ALTER TABLE item RENAME note TO remark"),
        ("ALTER TYPE state ADD VALUE 'paid' AFTER 'new'", "ALTER TYPE state ADD VALUE 'gone'"),
        ("DROP TABLE lot", "DROP TABLE lot"),
    ]);
    insta::assert_snapshot!("changes_of_different_things_belong_to_their_sides", report);
    let report = base.report(&[
        ("ALTER TABLE item ALTER price TYPE numeric(12,2)", "ALTER TABLE item ALTER price TYPE float8"),
        ("ALTER TABLE item ALTER price SET DEFAULT 0", "ALTER TABLE item ALTER price SET DEFAULT 1"),
        ("CREATE TABLE fresh (a int)", "CREATE TABLE fresh (b text)"),
        (
            "ALTER TABLE lot ADD CONSTRAINT c CHECK (amount > 0)",
            "ALTER TABLE lot ADD CONSTRAINT c CHECK (amount > 1)",
        ),
        ("ALTER TYPE state ADD VALUE 'paid' AFTER 'new'", "ALTER TYPE state ADD VALUE 'sent' AFTER 'new'"),
        ("ALTER TABLE item RENAME note TO remark", "ALTER TABLE item RENAME note TO text"),
        ("CREATE INDEX shared ON item (id)", "CREATE INDEX shared ON lot (id)"),
        ("CREATE TABLE fresh ()", "CREATE VIEW fresh AS SELECT 1 AS one"),
        ("ALTER TABLE lot ADD PRIMARY KEY (id)", "ALTER TABLE lot ADD CONSTRAINT own PRIMARY KEY (id, item)"),
    ]);
    insta::assert_snapshot!("the_same_thing_changed_on_both_sides_collides", report);
    let report = base.report(&[
        ("ALTER TABLE item DROP note", "CREATE VIEW notes AS SELECT note FROM item"),
        ("CREATE INDEX notes ON item (note)", "ALTER TABLE item DROP note"),
        ("ALTER TABLE item RENAME note TO remark", "ALTER TABLE item ALTER note SET NOT NULL"),
        ("DROP TABLE lot", "ALTER TABLE lot ADD more int"),
        ("DROP SCHEMA extra", "CREATE TABLE extra.t ()"),
        ("DROP FUNCTION twice(int)", "CREATE VIEW two AS SELECT twice(1)"),
        ("ALTER TABLE item ALTER price TYPE float8", "ALTER TABLE item ALTER price SET DEFAULT 0"),
        ("ALTER TABLE item ALTER price TYPE float8", "CREATE VIEW prices AS SELECT price FROM item"),
        ("DROP VIEW codes", "COMMENT ON VIEW codes IS 'of items'"),
    ]);
    insta::assert_snapshot!("what_one_side_drops_and_the_other_needs_collides", report);
}

#[test]
fn what_postgres_does_not_let_stand_together_collides() {
    let Some(server) = Postgres::start(15) else { return };
    let base = "
        CREATE TYPE state AS ENUM ('new', 'done');
        CREATE TYPE pair AS (a int, b int);
        CREATE DOMAIN cost AS numeric(8,2);
        CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN $1 * 2;
        CREATE TABLE item (id bigint NOT NULL, code text UNIQUE, state state);
        CREATE TABLE lot (id bigint, item text);
        CREATE TABLE day (at date) PARTITION BY RANGE (at);
        CREATE TABLE sort (s state, h int) PARTITION BY LIST (s);
        CREATE TABLE slot (h int) PARTITION BY HASH (h);";
    let mut client = server.database("sides", "");
    let mut side = |sql: &str| {
        let clear = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;";
        let all = format!("SET client_min_messages = error; {clear} {base} {sql}");
        client.batch_execute(&all).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        read(&mut client).unwrap()
    };
    let fork = side("");
    let new_result = "DROP FUNCTION twice; CREATE FUNCTION twice(integer) RETURNS bigint LANGUAGE sql IMMUTABLE RETURN $1 * 2";
    let new_base = "DROP DOMAIN cost; CREATE DOMAIN cost AS numeric(12,3)";
    let renamed = "ALTER TYPE state RENAME VALUE 'new' TO 'fresh'";
    let key = "ALTER TABLE lot ADD FOREIGN KEY (item) REFERENCES item (code)";
    let day = |name: &str, from: &str, to: &str| {
        format!("CREATE TABLE {name} PARTITION OF day FOR VALUES FROM ('{from}') TO ('{to}')")
    };
    let (january, february) = (day("d1", "2024-01-01", "2024-02-01"), day("d2", "2024-02-01", "2024-03-01"));
    let overlapping = day("d3", "2024-01-31", "2024-02-02");
    let slot = |of: u32, at: u32| {
        format!("CREATE TABLE s{of}{at} PARTITION OF slot FOR VALUES WITH (MODULUS {of}, REMAINDER {at})")
    };
    let collide: &[(&str, &str)] = &[
        ("CREATE TABLE one PARTITION OF day DEFAULT", "CREATE TABLE two PARTITION OF day DEFAULT"),
        (&january, &overlapping),
        (
            "CREATE TABLE l1 PARTITION OF sort FOR VALUES IN ('new', 'done')",
            "CREATE TABLE l2 PARTITION OF sort FOR VALUES IN ('done')",
        ),
        (&slot(2, 1), &slot(4, 3)),
        ("ALTER TABLE item ALTER id DROP NOT NULL", "ALTER TABLE item ADD PRIMARY KEY (id)"),
        (new_result, "CREATE VIEW two AS SELECT twice(1)"),
        (new_result, "ALTER TABLE lot ALTER id SET DEFAULT twice(1)"),
        (new_result, "CREATE FUNCTION more() RETURNS integer LANGUAGE sql RETURN twice(2)"),
        ("ALTER TABLE item SET UNLOGGED", key),
        (new_base, "ALTER TABLE lot ADD price cost"),
        (new_base, "ALTER TABLE lot ALTER id SET DEFAULT 1::cost"),
        ("ALTER TYPE pair ALTER ATTRIBUTE a TYPE bigint", "ALTER TABLE lot ADD pair pair"),
        (renamed, "ALTER TABLE item ALTER state SET DEFAULT 'new'"),
        (renamed, "ALTER TABLE item ADD CHECK (state <> 'new')"),
        (renamed, "CREATE TABLE l1 PARTITION OF sort FOR VALUES IN ('new')"),
    ];
    for (mine, theirs) in collide {
        let (mine, theirs) = (side(mine), side(theirs));
        let found = three_way(&fork, &mine, &theirs);
        assert!(!found.conflicts.is_empty(), "no conflict: {}", summary(&found));
        assert_mirrored(&found, &three_way(&fork, &theirs, &mine), &summary(&found));
    }
    let fit: &[(&str, &str)] = &[
        (&january, &february),
        (&january, "CREATE TABLE rest PARTITION OF day DEFAULT"),
        (
            "CREATE TABLE l1 PARTITION OF sort FOR VALUES IN ('new')",
            "CREATE TABLE l2 PARTITION OF sort FOR VALUES IN ('done', NULL)",
        ),
        (&slot(2, 1), &slot(4, 2)),
        (new_result, "CREATE VIEW codes AS SELECT code FROM item"),
        ("ALTER TABLE lot SET UNLOGGED", key),
        (renamed, "ALTER TABLE item ALTER state SET DEFAULT 'done'; ALTER TABLE lot ADD state state"),
        (
            "CREATE OR REPLACE FUNCTION twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN $1 + $1",
            "CREATE VIEW two AS SELECT twice(1)",
        ),
    ];
    for (mine, theirs) in fit {
        let found = three_way(&fork, &side(mine), &side(theirs));
        assert!(found.conflicts.is_empty(), "{mine} and {theirs}: {}", summary(&found));
    }
}

/// Statements that the base takes, each by itself.
const EDITS: &[&str] = &[
    "ALTER TABLE item ADD mine int",
    "ALTER TABLE item ADD extra text DEFAULT 'x'",
    "ALTER TABLE item DROP note",
    "ALTER TABLE item ALTER price TYPE numeric(12,2)",
    "ALTER TABLE item ALTER price TYPE float8",
    "ALTER TABLE item ALTER price SET DEFAULT 0",
    "ALTER TABLE item ALTER price SET NOT NULL",
    "ALTER TABLE item RENAME note TO remark",
    "ALTER TABLE item RENAME note TO text",
    "CREATE INDEX item_note ON item (note)",
    "CREATE VIEW notes AS SELECT id, note FROM item",
    "CREATE VIEW prices AS SELECT price FROM item",
    "ALTER TABLE item ADD PRIMARY KEY (id)",
    "ALTER TABLE item ADD CONSTRAINT item_key PRIMARY KEY (id)",
    "ALTER TABLE lot ADD CONSTRAINT c CHECK (amount > 0)",
    "ALTER TABLE lot ADD CONSTRAINT c CHECK (amount >= 0)",
    "CREATE INDEX shared ON item (id)",
    "CREATE INDEX shared ON lot (id)",
    "ALTER TYPE state ADD VALUE 'paid' AFTER 'new'",
    "ALTER TYPE state ADD VALUE 'sent' AFTER 'new'",
    "ALTER TYPE state ADD VALUE 'gone' AFTER 'done'",
    "DROP VIEW codes",
    "COMMENT ON VIEW codes IS 'of items'",
    "CREATE OR REPLACE VIEW codes AS SELECT id, code, state FROM item",
    "DROP TABLE lot",
    "ALTER TABLE lot ADD more int",
    "ALTER TABLE lot ALTER item TYPE integer",
    "CREATE TABLE fresh (a int)",
    "CREATE TABLE fresh (b text)",
    "CREATE VIEW fresh AS SELECT 1 AS one",
    "CREATE FUNCTION fresh() RETURNS int LANGUAGE sql RETURN 1",
    "CREATE PROCEDURE fresh() LANGUAGE sql AS ''",
    "DROP FUNCTION twice(integer)",
    "CREATE VIEW doubled AS SELECT twice(1) AS two",
    "CREATE TABLE extra.t (id int)",
    "DROP SCHEMA extra",
    "DROP SEQUENCE numbers",
    "ALTER SEQUENCE numbers INCREMENT 2",
    "ALTER TABLE lot ALTER id SET DEFAULT nextval('numbers')",
    "ALTER TABLE lot ALTER id SET NOT NULL, ALTER id ADD GENERATED ALWAYS AS IDENTITY",
    "GRANT SELECT ON item TO PUBLIC",
    "ALTER TABLE item ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY p ON item USING (true)",
    "CREATE POLICY p ON item USING (id > 0)",
];

/// Runs what can be run. Returns that.
fn run_some(client: &mut Client, edits: Vec<&'static str>) -> Vec<&'static str> {
    edits.into_iter().filter(|edit| client.batch_execute(edit).is_ok()).collect()
}

#[test]
fn sides_without_a_conflict_fit_together_in_either_order() {
    let Some(base) = Base::start() else { return };
    let seed = std::env::var("OFFSHOOT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1u64);
    let rounds =
        std::env::var("OFFSHOOT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(12u32);
    let mut state = seed;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut fitting = 0;
    for round in 0..rounds {
        let mut pick = || (0..=random(3)).map(|_| EDITS[random(EDITS.len())]).collect::<Vec<_>>();
        let (mut ours, mut others) = (base.ours.borrow_mut(), base.others.borrow_mut());
        begin_again(&mut ours);
        begin_again(&mut others);
        let (mine, theirs) = (run_some(&mut ours, pick()), run_some(&mut others, pick()));
        let what = format!("OFFSHOOT_SEED={seed}, round {round}: {mine:?} and {theirs:?}");
        let (my_facts, their_facts) = (read(&mut ours).unwrap(), read(&mut others).unwrap());
        let found = three_way(&base.fork, &my_facts, &their_facts);
        assert_mirrored(&found, &three_way(&base.fork, &their_facts, &my_facts), &what);
        assert_eq!(
            three_way(&base.fork, &my_facts, &my_facts).both,
            changes(&base.fork, &my_facts),
            "{what}"
        );
        if !found.conflicts.is_empty() {
            continue;
        }
        fitting += 1;
        for (client, edits, had) in [(&mut *ours, &theirs, &mine), (&mut *others, &mine, &theirs)] {
            for edit in edits.iter().filter(|edit| !had.contains(edit)) {
                client.batch_execute(edit).unwrap_or_else(|error| panic!("{what}: {edit}: {error:?}"));
            }
        }
        let differences = changes(&read(&mut ours).unwrap(), &read(&mut others).unwrap());
        assert!(differences.is_empty(), "{what}: {differences:?}");
    }
    assert!(fitting > 0, "nothing was tried");
}

fn assert_mirrored(one: &ThreeWay, other: &ThreeWay, what: &str) {
    assert_eq!((&one.mine, &one.theirs, &one.both), (&other.theirs, &other.mine, &other.both), "{what}");
    let objects = |found: &ThreeWay| -> std::collections::BTreeSet<_> {
        found.conflicts.iter().map(|conflict| conflict.object.clone()).collect()
    };
    assert_eq!(objects(one), objects(other), "{what}");
}
