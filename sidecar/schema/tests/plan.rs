//! Plans as text, three-way comparisons and files of facts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

mod support;

use offshoot_schema::plan::SETTINGS;
use offshoot_schema::{Facts, PlanOptions, literal, plan, quote, read, renames, three_way};
use support::Postgres;

const OLD: &str = "
CREATE TYPE state AS ENUM ('new', 'done');
CREATE TABLE customer (id serial PRIMARY KEY, name varchar(20), note text);
CREATE TABLE orders (id bigint PRIMARY KEY, customer integer REFERENCES customer, state state DEFAULT 'new', price integer);
CREATE INDEX ON orders (customer);
CREATE VIEW open_orders AS SELECT id, price FROM orders WHERE state = 'new';
";

const NEW: &str = "
CREATE TYPE state AS ENUM ('new', 'paid', 'done');
CREATE TABLE customer (id serial PRIMARY KEY, name text NOT NULL, email text UNIQUE);
CREATE TABLE orders (id bigint PRIMARY KEY, customer integer REFERENCES customer ON DELETE CASCADE,
  state state DEFAULT 'new', price numeric(10,2) CHECK (price >= 0));
CREATE VIEW open_orders AS SELECT id, price FROM orders WHERE state = 'new';
CREATE FUNCTION total(integer) RETURNS numeric LANGUAGE sql RETURN (SELECT sum(price) FROM orders WHERE customer = $1);
GRANT SELECT ON customer TO PUBLIC;
";

fn facts(server: &Postgres, name: &str, sql: &str) -> Facts {
    read(&mut server.database(name, sql)).unwrap()
}

#[test]
fn plan_orders_steps_and_names_hazards() {
    let Some(server) = Postgres::start(15) else { return };
    let (old, new) = (facts(&server, "old", OLD), facts(&server, "new", NEW));
    insta::assert_snapshot!(plan(&old, &new, &PlanOptions::default()).sql());
    assert!(plan(&new, &new, &PlanOptions::default()).is_empty());
}

#[test]
fn online_plan_leaves_the_same_schema() {
    let Some(server) = Postgres::start(15) else { return };
    let mut client = server.database("old", OLD);
    let (old, new) = (read(&mut client).unwrap(), facts(&server, "new", NEW));
    let options = PlanOptions { online: true, ..PlanOptions::default() };
    let there = plan(&old, &new, &options);
    let back = plan(&new, &old, &options);
    insta::assert_snapshot!(back.sql());
    for (plan, wanted) in [(there, &new), (back, &old)] {
        for setting in SETTINGS {
            client.batch_execute(setting).unwrap();
        }
        for part in &plan.parts {
            let edges = if part.transactional { ["BEGIN", "COMMIT"] } else { ["", ""] };
            client.batch_execute(edges[0]).unwrap();
            for statement in part.steps.iter().flat_map(|step| &step.statements) {
                client.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
            }
            client.batch_execute(edges[1]).unwrap();
        }
        assert!(nothing_is_left(&read(&mut client).unwrap(), wanted));
    }
}

fn nothing_is_left(is: &Facts, wanted: &Facts) -> bool {
    plan(is, wanted, &PlanOptions::default()).is_empty()
}

#[test]
fn rows_survive_a_change_of_the_order_of_columns() {
    let Some(server) = Postgres::start(15) else { return };
    let mut client = server.database(
        "a",
        "CREATE TABLE t (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b text NOT NULL DEFAULT 'x', c integer);
         CREATE INDEX ON t (b); INSERT INTO t (b, c) VALUES ('one', 1), ('two', 2);",
    );
    let new = "CREATE TABLE t (c bigint, id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int, b text NOT NULL DEFAULT 'x'); \
               CREATE INDEX ON t (b)";
    let (old, new) = (read(&mut client).unwrap(), facts(&server, "b", new));
    let mut options = PlanOptions::default();
    options.noise.column_order = true;
    client.batch_execute(&plan(&old, &new, &options).sql()).unwrap();
    client.batch_execute("INSERT INTO public.t (c) VALUES (3)").unwrap();
    let rows = client.query("SELECT t::text FROM public.t ORDER BY id", &[]).unwrap();
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(rows, ["(1,1,,one)", "(2,2,,two)", "(3,3,,x)"]);
    assert!(plan(&read(&mut client).unwrap(), &new, &options).is_empty());
}

#[test]
fn three_way_tells_mine_theirs_both_and_conflicts() {
    let Some(server) = Postgres::start(15) else { return };
    let base = "CREATE TABLE a (x int); CREATE TABLE b (x int); CREATE TABLE c (x int); CREATE TABLE d (x int, y int);";
    let mine = format!(
        "{base} ALTER TABLE a ADD z int; CREATE TABLE shared (i int); ALTER TABLE c ALTER x TYPE bigint; ALTER TABLE d DROP y;"
    );
    let theirs = format!(
        "{base} ALTER TABLE b ADD z int; CREATE TABLE shared (i int); ALTER TABLE c ALTER x TYPE text; CREATE VIEW v AS SELECT y FROM d;"
    );
    let side = |name: &str, sql: &str| facts(&server, name, sql);
    let result = three_way(&side("base", base), &side("mine", &mine), &side("theirs", &theirs));
    insta::assert_json_snapshot!(result);
}

#[test]
fn facts_survive_a_text_file_and_damage_is_named_by_line() {
    let Some(server) = Postgres::start(15) else { return };
    let facts = facts(&server, "new", NEW);
    let text = facts.to_text();
    assert_eq!(Facts::from_text(&text).unwrap(), facts);
    let damaged = text.replacen("= ", "<<<<<<< mine\n= ", 1);
    let line = 1 + damaged.lines().position(|line| line.starts_with('<')).unwrap();
    assert_eq!(Facts::from_text(&damaged).unwrap_err().line, line);
}

#[test]
fn names_with_quotes_and_dollars_are_kept() {
    let Some(server) = Postgres::start(15) else { return };
    let (table, column) = ("a \"b\" $$ 'c'; --", "Ünï\\code");
    let sql = format!(
        "CREATE TABLE {table} ({column} text DEFAULT {value} CHECK ({column} <> {value}));
         COMMENT ON COLUMN {table}.{column} IS {value}; CREATE INDEX {table2} ON {table} ({column});",
        table = quote(table),
        table2 = quote("select"),
        column = quote(column),
        value = literal("it's \\ $x$"),
    );
    let mut client = server.database("a", &sql);
    let (named, empty) = (read(&mut client).unwrap(), facts(&server, "b", ""));
    client.batch_execute(&plan(&named, &empty, &PlanOptions::default()).sql()).unwrap();
    let cleared = read(&mut client).unwrap();
    assert_eq!(cleared, empty);
    client.batch_execute(&plan(&cleared, &named, &PlanOptions::default()).sql()).unwrap();
    assert_eq!(read(&mut client).unwrap(), named);
}

#[test]
fn renames_are_offered_with_their_reason() {
    let Some(server) = Postgres::start(15) else { return };
    let old = facts(
        &server,
        "old",
        "CREATE TABLE person (id int, name text, age int); CREATE TABLE t (a int, b text);",
    );
    let new = facts(
        &server,
        "new",
        "CREATE TABLE customer (id int, name text, born date); CREATE TABLE t (c int, b text);",
    );
    let found: Vec<String> = renames(&old, &new)
        .into_iter()
        .map(|found| format!("{}: {}", found.statement, found.reason))
        .collect();
    assert_eq!(
        found,
        [
            "ALTER TABLE public.person RENAME TO customer: 2 of 3 columns have the same name and type",
            "ALTER TABLE public.t RENAME COLUMN a TO c: it has the same type, integer and stands in the same place",
        ]
    );
}

#[test]
fn column_that_becomes_serial_or_an_identity_goes_on_after_its_values() {
    let Some(server) = Postgres::start(15) else { return };
    let from = "CREATE TABLE a (id int NOT NULL, v text); CREATE TABLE b (id bigint NOT NULL, v text);
        CREATE TABLE c (id int NOT NULL PRIMARY KEY, v text); CREATE TABLE e (id int NOT NULL, v text);";
    let to = "CREATE TABLE a (id serial, v text);
        CREATE TABLE b (id bigint GENERATED BY DEFAULT AS IDENTITY, v text);
        CREATE TABLE c (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY (INCREMENT -1), v text);
        CREATE TABLE e (id serial, v text);";
    let mut client = server.database("from", from);
    let rows =
        "INSERT INTO a VALUES (7), (3); INSERT INTO b VALUES (41), (-5); INSERT INTO c VALUES (-9), (2);";
    client.batch_execute(rows).unwrap();
    let wanted = read(&mut server.database("to", to)).unwrap();
    for online in [false, true] {
        if online {
            client = server.database("online", from);
            client.batch_execute(rows).unwrap();
        }
        let options = PlanOptions { online, ..PlanOptions::default() };
        let plan = plan(&read(&mut client).unwrap(), &wanted, &options);
        for setting in SETTINGS {
            client.batch_execute(setting).unwrap();
        }
        for statement in plan.steps().flat_map(|step| &step.statements) {
            client.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
        for (table, next) in [("a", 8), ("b", 42), ("c", -10), ("e", 1)] {
            let insert = format!("INSERT INTO public.{table} (v) VALUES ('x') RETURNING id::bigint");
            let id: i64 = client.query_one(&insert, &[]).unwrap().get(0);
            assert_eq!(id, next, "{table}\n{}", plan.sql());
        }
        assert!(
            plan.sql().contains("SCANS TABLE: all rows of public.a are looked through"),
            "{}",
            plan.sql()
        );
    }
}
