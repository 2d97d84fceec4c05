//! How long reading a big schema takes, by query.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a measurement for people")]

use std::time::{Duration, Instant};

#[path = "../../tests/support/mod.rs"]
mod support;

use super::{assemble::Assembly, queries, row};

/// Tables of ten columns with a key, a reference, an index, a check, a default and a comment each.
fn schema(tables: usize) -> String {
    format!(
        "DO $$ BEGIN FOR i IN 1..{tables} LOOP \
         EXECUTE format('CREATE TABLE t%s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent bigint, \
           name varchar(80) NOT NULL, state text DEFAULT ''new'', price numeric(12, 2) CHECK (price > 0), made timestamptz DEFAULT now(), \
           seen date, data jsonb, flags int[], code char(3), FOREIGN KEY (parent) REFERENCES t%s)', i, i); \
         EXECUTE format('CREATE INDEX t%s_name ON t%s (name, made)', i, i); \
         EXECUTE format('COMMENT ON TABLE t%s IS ''table''', i); \
         IF i % 200 = 0 THEN COMMIT; END IF; END LOOP; END $$"
    )
}

#[test]
#[ignore = "a measurement: run it by name, in a release build, with --nocapture"]
fn time_of_each_query() {
    let number =
        |name: &str, or: usize| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or);
    let tables = number("OFFSHOOT_SPEED_TABLES", 5_000);
    let major = number("OFFSHOOT_SPEED_MAJOR", 15) as u32;
    let Some(server) = support::Postgres::start(major) else { return };
    drop(server.database("big", &schema(tables)));
    let mut client = server.connect("big");
    for _ in 0..3 {
        let started = Instant::now();
        let facts = super::read(&mut client).unwrap();
        eprintln!("read {} facts of {tables} tables in {:?}", facts.facts.len(), started.elapsed());
    }
    client.batch_execute(super::BEGIN).unwrap();
    let mut assembly = Assembly::new(major);
    let mut sum = Duration::ZERO;
    for query in queries::all(major).into_iter().flat_map(|batch| batch.queries) {
        let started = Instant::now();
        let rows = row::fetch(&mut client, &query.sql).unwrap().pop().unwrap();
        let fetched = started.elapsed();
        let count = rows.len();
        assembly.take(&query, &rows);
        let taken = started.elapsed().saturating_sub(fetched);
        sum += fetched + taken;
        eprintln!("{:>9.1} ms {:>9.1} ms {count:>8} rows  {}", ms(fetched), ms(taken), query.what);
    }
    eprintln!("sum {sum:?}");
}

/// Two schemas that differ a little: read, compared and planned, and paired with `pg_dump` twice and a comparison of the texts.
#[test]
#[ignore = "a measurement: run it by name, in a release build, with --nocapture"]
fn time_of_a_comparison() {
    let tables =
        std::env::var("OFFSHOOT_SPEED_TABLES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000);
    let Some(server) = support::Postgres::start(15) else { return };
    drop(server.database("one", &schema(tables)));
    let more = "ALTER TABLE t7 ADD extra int; DROP INDEX t9_name; CREATE TABLE fresh (a int)";
    drop(server.database("other", &format!("{}; {more}", schema(tables))));
    let (mut one, mut other) = (server.connect("one"), server.connect("other"));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        let started = Instant::now();
        let (from, to) = std::thread::scope(|scope| {
            let from = scope.spawn(|| super::read(&mut one).unwrap());
            let to = super::read(&mut other).unwrap();
            (from.join().unwrap(), to)
        });
        let read = started.elapsed();
        let changes = crate::changes(&from, &to);
        let compared = started.elapsed();
        let plan = crate::plan(&from, &to, &crate::PlanOptions::default());
        ours.push((started.elapsed(), read, compared));
        assert_eq!((changes.len(), plan.unplanned.len()), (3, 0));
        let started = Instant::now();
        let dumps = std::thread::scope(|scope| {
            let one = scope.spawn(|| server.dump("one"));
            (server.dump("other"), one.join().unwrap())
        });
        if let (Some(one), Some(other)) = dumps {
            let lines: std::collections::HashSet<&str> = one.lines().collect();
            assert!(other.lines().any(|line| !lines.contains(line)));
            theirs.push(started.elapsed());
        }
    }
    ours.sort();
    theirs.sort();
    let (all, read, compared) = ours[ours.len() / 2];
    eprintln!(
        "{tables} tables, {} columns: read {read:?}, compared at {compared:?}, planned at {all:?}",
        tables * 10
    );
    if let Some(dumps) = theirs.get(theirs.len() / 2) {
        eprintln!("pg_dump --schema-only twice at once and text comparison: {dumps:?}");
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
