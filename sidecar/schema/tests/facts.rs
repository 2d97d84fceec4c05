//! Facts and definitions of real databases.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

mod support;

use offshoot_schema::diff::{Noise, diff};
use offshoot_schema::{Change, ChangeKind, Facts, PlanOptions, changes, plan, read};
use support::Postgres;

const SHOP: &str = include_str!("shop.sql");

fn text(facts: &Facts) -> String {
    let texts = facts
        .objects()
        .into_iter()
        .map(|object| format!("-- {object}\n{}", facts.definition(&object).unwrap()));
    texts.collect::<Vec<_>>().join("\n")
}

#[test]
fn definitions_say_everything_of_an_object() {
    let Some(server) = Postgres::start(15) else { return };
    let facts = read(&mut server.database("shop", SHOP)).unwrap();
    insta::assert_snapshot!(text(&facts));
    assert!(facts.unreadable.is_empty());
    let json = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&json).unwrap(), facts);
}

#[test]
fn changes_name_the_objects_that_differ() {
    let Some(server) = Postgres::start(15) else { return };
    let mut client = server.database("shop", SHOP);
    let before = read(&mut client).unwrap();
    assert_eq!(changes(&before, &read(&mut client).unwrap()), Vec::<Change>::new());
    client
        .batch_execute(
            "CREATE TABLE shop.extra (a int); DROP VIEW shop.unpaid; \
             COMMENT ON COLUMN shop.customer.since IS 'x'; ALTER INDEX shop.orders_open SET (fillfactor = 50)",
        )
        .unwrap();
    let changes: Vec<String> = changes(&before, &read(&mut client).unwrap())
        .iter()
        .map(|Change { object, kind }| {
            let sign = match kind {
                ChangeKind::Added => '+',
                ChangeKind::Removed => '-',
                ChangeKind::Changed => '~',
            };
            format!("{sign} {object}")
        })
        .collect();
    assert_eq!(
        changes,
        ["~ table shop.customer", "+ table shop.extra", "~ table shop.orders", "- view shop.unpaid"]
    );
}

#[test]
fn every_version_and_kind_goes_away_and_comes_back() {
    for major in 14..=18 {
        let Some(server) = Postgres::start(major) else { continue };
        for (name, sql) in [("shop", SHOP), ("rare", include_str!("rare.sql"))] {
            let mut client = server.database(name, sql);
            let facts = read(&mut client).unwrap();
            assert!(facts.unreadable.is_empty(), "{:?}", facts.unreadable);
            let dump = server.dump(name);
            let empty = read(&mut server.database(&format!("{name} empty"), "")).unwrap();
            for (from, to) in [(&facts, &empty), (&empty, &facts)] {
                let script = plan(from, to, &PlanOptions::default()).sql();
                client
                    .batch_execute(&script)
                    .unwrap_or_else(|error| panic!("{major} {name}: {error:?}\n{script}"));
                let left: Vec<String> = diff(&read(&mut client).unwrap(), to, &Noise::default())
                    .iter()
                    .map(|left| format!("{} {:?}", left.id, left.delta))
                    .collect();
                assert_eq!(left, Vec::<String>::new(), "{major} {name}\n{script}");
            }
            if server.dump(name) != dump {
                assert_eq!(server.dump(name).unwrap(), dump.unwrap(), "{major} {name}");
            }
        }
    }
}
