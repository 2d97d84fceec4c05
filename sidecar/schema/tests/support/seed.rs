//! Rows for every table, and whether they are still there after a plan has run.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;

use offshoot_schema::Plan;
use offshoot_schema::plan::HazardKind;
use serde::Deserialize;

/// Puts up to two rows into every table, with values that are the same for the same type everywhere, so that foreign keys
/// find what they refer to. A table that takes none of the values that are tried stays empty.
const SEED: &str = include_str!("seed.sql");
const COUNT: &str = include_str!("count.sql");

/// The rows of one table.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Rows {
    kind: String,
    /// What it is a partition of at the top, if it is one or is partitioned itself.
    root: String,
    only: i64,
    all: i64,
    /// By column: its type, how many values are not null, a digest of all values, of the table alone and with its children.
    columns: BTreeMap<String, (String, i64, String, i64, String)>,
}

/// The rows of every table, by the table's qualified name.
pub(crate) type Contents = BTreeMap<String, Rows>;

/// Fills the tables of a database; returns what they hold then.
pub(crate) fn fill(client: &mut postgres::Client) -> Contents {
    client.batch_execute(SEED).unwrap();
    contents(client)
}

/// What the tables hold.
pub(crate) fn contents(client: &mut postgres::Client) -> Contents {
    client.batch_execute(COUNT).unwrap();
    let row = client.query_one("SELECT pg_catalog.current_setting('offshoot.contents')", &[]).unwrap();
    let text: String = row.get(0);
    client.batch_execute("RESET offshoot.contents").unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What is gone although the plan did not say that it deletes it.
pub(crate) fn lost(before: &Contents, after: &Contents, plan: &Plan) -> Vec<String> {
    let losses: Vec<(String, &str)> = plan
        .steps()
        .flat_map(|step| step.hazards.iter().map(|hazard| (step.object.id().sql(), hazard)))
        .filter(|(_, hazard)| hazard.kind == HazardKind::DeletesData)
        .map(|(table, hazard)| (table, hazard.message.as_str()))
        .collect();
    let mut lost = Vec::new();
    for (name, rows) in before {
        let said = |what: &str| losses.iter().any(|(table, text)| table == name && text.contains(what));
        let whole = said("all rows of");
        let Some(now) = after.get(name) else {
            let all = |contents: &Contents| contents.get(&rows.root).map(|root| root.all);
            let went_over = rows.root != *name && all(before).is_some() && all(before) == all(after);
            if rows.only > 0 && !whole && !went_over {
                lost.push(format!("{name} is gone"));
            }
            continue;
        };
        if rows.kind == "p" && now.kind == "p" {
            let less = rows.all > now.all;
            let members = |contents: &Contents| -> Vec<String> {
                contents.iter().filter(|(_, rows)| rows.root == *name).map(|(name, _)| name.clone()).collect()
            };
            if less && losses.is_empty() && members(before) == members(after) {
                lost.push(format!("{name} had {} rows and has {}", rows.all, now.all));
            }
            continue;
        }
        if whole {
            continue;
        }
        let alone = rows.kind == now.kind;
        let count = |rows: &Rows| if alone { rows.only } else { rows.all };
        if count(rows) != count(now) {
            lost.push(format!("{name} had {} rows and has {}", count(rows), count(now)));
        }
        for (column, (type_name, filled, digest, all_filled, all_digest)) in &rows.columns {
            let Some((new_type, is_filled, is, are_filled, are)) = now.columns.get(column) else { continue };
            let same = match (alone, type_name == new_type) {
                (true, true) => digest == is,
                (true, false) => filled == is_filled,
                (false, true) => all_digest == are,
                (false, false) => all_filled == are_filled,
            };
            if !same && !said(&format!("column {}", offshoot_schema::quote(column))) {
                lost.push(format!("column {column} of {name} ({type_name}, {new_type}) has other values"));
            }
        }
    }
    lost
}
