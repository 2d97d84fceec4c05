//! The summary of a branch whose parent changed meanwhile, and one without a known fork point.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use offshoot_schema::{Facts, Kind, Object};
use offshoot_summary::{Filter, Group, Picture, Side, Sides, State, document, parts, picture};

const FORK: &str = include_str!("../../schema-wasm/tests/facts/fork.facts");
const MINE: &str = include_str!("../../schema-wasm/tests/facts/mine.facts");
const THEIRS: &str = include_str!("../../schema-wasm/tests/facts/theirs.facts");

fn with_sides<T>(fork: bool, work: impl FnOnce(&Sides<'_>) -> T) -> T {
    let [fork_facts, mine, theirs] = [FORK, MINE, THEIRS].map(|text| Facts::from_text(text).unwrap());
    work(&Sides {
        mine: Side { name: "feature", facts: &mine },
        theirs: Side { name: "main", facts: &theirs },
        fork: fork.then_some(&fork_facts),
    })
}

fn table<'p>(picture: &'p Picture, name: &str) -> &'p offshoot_summary::TableBox {
    picture.boxes.iter().find(|each| each.object.name == name).unwrap()
}

#[test]
fn verdict_and_risks_come_before_objects_and_plan() {
    let text = with_sides(true, |sides| document(sides, &Filter::default()));
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    let order = [
        "# Database diff: feature ← main\n# 2 conflicts, 6 changes on feature, 3 changes came in from main\n",
        "\n# risks: deletes data,",
        "\n! conflict: table sales.products: both change type",
        "\n! hazard: DELETES DATA: all rows of sales.stock are lost",
        "\n# Conflicts\n\n~ table sales.products\n",
        "\n# Tables\n\n+ table sales.addresses\n    + CREATE TABLE",
        "\n# From main\n",
        "\n# Plan: from main, as it was at the fork, to feature\n",
        "\n      COMMIT;",
    ]
    .map(at);
    assert!(order.is_sorted(), "{order:?}\n{text}");
}

#[test]
fn without_a_fork_point_the_parent_of_now_is_compared() {
    let text = with_sides(false, |sides| document(sides, &Filter::default()));
    assert!(text.starts_with("# Database diff: feature ← main\n# 3 added, 6 changed, 2 removed\n"), "{text}");
    assert!(text.contains("# Plan: from main, as it is now, to feature\n") && !text.contains("conflict"));
}

#[test]
fn equal_schemas_have_no_difference() {
    let facts = Facts::from_text(MINE).unwrap();
    let side = |name| Side { name, facts: &facts };
    let sides = Sides { mine: side("a\u{202e}b"), theirs: side("main"), fork: Some(&facts) };
    let text = document(&sides, &Filter::default());
    assert_eq!(text, "# Database diff: a\\u{202e}b ← main\n# no difference\n");
    assert!(picture(&sides, &Filter::default()).boxes.is_empty());
}

#[test]
fn a_picture_has_states_keys_and_whose_a_change_is() {
    let drawn = with_sides(true, |sides| picture(sides, &Filter::default()));
    let (products, orders) = (table(&drawn, "products"), table(&drawn, "orders"));
    assert_eq!((products.state, products.group), (State::Conflict, Some(Group::Conflict)));
    assert_eq!(table(&drawn, "customers").group, Some(Group::Theirs));
    assert_eq!(table(&drawn, "stock").state, State::Removed);
    let ship_to = orders.columns.iter().find(|column| column.name == "ship_to").unwrap();
    assert_eq!((ship_to.state, ship_to.foreign, ship_to.primary), (State::Added, true, false));
    let link = drawn.links.iter().find(|link| link.name == "orders_ship_to_fkey").unwrap();
    assert_eq!((link.state, link.columns.as_str()), (State::Added, "ship_to"));
    assert_eq!(drawn.boxes[link.to].object.name, "addresses");
    assert!(drawn.others.iter().any(|chip| chip.title == "type sales.channel"));
}

#[test]
fn a_filter_keeps_neighbours_as_they_are() {
    let filter =
        Filter { text: "PRODUCTS table".to_owned(), groups: vec![Group::Conflict], ..Filter::default() };
    let drawn = with_sides(true, |sides| picture(sides, &filter));
    assert_eq!(drawn.boxes[0].object.name, "products");
    assert_eq!(table(&drawn, "stock").state, State::Removed, "a neighbour that the filter leaves out");
    assert!(drawn.others.is_empty() && drawn.choices.groups.len() == 3);
    let text = with_sides(true, |sides| document(sides, &filter));
    assert!(text.contains("# 1 of 11 objects shown"), "{text}");
}

#[test]
fn parts_of_a_table_are_told_in_its_order() {
    let facts = Facts::from_text(MINE).unwrap();
    let object = Object { kind: Kind::Table, schema: Some("sales".into()), name: "order_lines".into() };
    let told: Vec<_> =
        parts(&facts, &object).into_iter().map(|part| format!("{} {}", part.kind, part.name)).collect();
    assert_eq!(told[..3], ["column order_id", "column line", "column product_id"]);
    assert!(told.contains(&"index order_lines_product".to_owned()), "{told:?}");
}
