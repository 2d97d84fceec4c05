//! Both sides give one table partitions whose bounds cannot stand beside each other.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::{Conflict, Side, conflict, shown};
use crate::diff::Delta;
use crate::fact::{Fact, FactId, Facts};
use crate::kind::Kind;
use crate::tokens::{Sort, Token, tokens};

/// Adds the partitions that collide.
pub(super) fn collisions(ours: &Side<'_>, others: &Side<'_>, conflicts: &mut BTreeSet<Conflict>) {
    let (mine, theirs) = (bounds(ours), bounds(others));
    for (id, link) in &mine {
        for (other, their_link) in &theirs {
            let (parent, bound) = (link.text("parent"), link.text("bound").unwrap_or_default());
            if id.owner() == other.owner() || parent != their_link.text("parent") {
                continue;
            }
            let theirs = their_link.text("bound").unwrap_or_default();
            let kinds = kinds(ours.facts, link);
            let what = match (bound, theirs) {
                ("DEFAULT", "DEFAULT") => "a table has one default partition",
                ("DEFAULT", _) | (_, "DEFAULT") => continue,
                _ => match overlap(bound, theirs, &kinds) {
                    Some(false) => continue,
                    Some(true) => "their bounds overlap",
                    None => "their bounds may overlap",
                },
            };
            let table = parent.unwrap_or_default();
            let (one, another) = (shown(id.owner()), shown(other.owner()));
            let reason = format!(
                "{} makes {one} a partition of {table}, {} makes {another} one: {what}",
                ours.name, others.name
            );
            for id in [id, other] {
                conflicts.insert(conflict(id, reason.clone()));
            }
        }
    }
}

/// The partitions that a side added or gave other bounds.
fn bounds<'a>(side: &'a Side<'_>) -> Vec<(&'a FactId, &'a Fact)> {
    let links = side.deltas.iter().filter(|(id, delta)| {
        id.kind == Kind::Attachment && id.owner().kind.is_relation() && **delta != Delta::Removed
    });
    links.filter_map(|(id, _)| Some((&**id, side.facts.get(id)?))).collect()
}

/// How the values of a bound compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    /// As numbers.
    Number,
    /// As they are written.
    Text,
    /// As a collation says, which is only known where all agree.
    Collation,
}

/// How the columns of the key that the parent of `link` is partitioned by compare, in order.
fn kinds(facts: &Facts, link: &Fact) -> Vec<Compare> {
    let Some(parent) = link.references.iter().find(|id| id.kind == Kind::Table) else { return Vec::new() };
    let key = facts.get(parent).and_then(|table| table.text("partition_key")).unwrap_or_default();
    let inner = key.split_once('(').map_or("", |(_, rest)| rest.trim_end().trim_end_matches(')'));
    let kind = |entry: String| {
        let name = tokens(&entry).iter().find_map(Token::name).unwrap_or_default();
        let column = FactId::part(parent.clone(), Kind::Column, &name);
        let plain = tokens(&entry).iter().filter(|token| !token.is_space()).count() == 1;
        let kind = facts.get(&column).and_then(|column| column.text("type")).filter(|_| plain);
        match kind.unwrap_or_default().split('(').next().unwrap_or_default() {
            "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => Compare::Number,
            name if matches!(name, "date" | "uuid") || name.starts_with("timestamp") => Compare::Text,
            _ => Compare::Collation,
        }
    };
    values(inner).into_iter().map(kind).collect()
}

/// The entries of a list, between commas that are in no parentheses.
fn values(list: &str) -> Vec<String> {
    let (mut found, mut depth) = (vec![String::new()], 0);
    for token in tokens(list) {
        match token.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            "," if depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = found.last_mut() {
            last.push_str(token.text);
        }
    }
    found.into_iter().map(|entry| entry.trim().to_owned()).collect()
}

/// What stands in the parentheses after `word`.
fn inside(bound: &str, word: &str) -> Option<String> {
    let all = tokens(bound);
    let at = all.iter().position(|token| token.text == word)?;
    let (mut depth, mut text) = (0, String::new());
    for token in &all[at + 1..] {
        match (token.sort, token.text) {
            (Sort::Other, ")") if depth == 1 => return Some(text),
            (Sort::Other, "(") => depth += 1,
            (Sort::Other, ")") => depth -= 1,
            _ => {}
        }
        if depth > 1 || depth == 1 && token.text != "(" {
            text.push_str(token.text);
        }
    }
    None
}

/// Whether one row could belong into both; `None` if that cannot be told.
fn overlap(one: &str, other: &str, kinds: &[Compare]) -> Option<bool> {
    if one == other {
        return Some(true);
    }
    let both = |word: &str| Some((values(&inside(one, word)?), values(&inside(other, word)?)));
    if let Some((mine, theirs)) = both("IN") {
        let kind = kinds.first().copied().unwrap_or(Compare::Collation);
        let same = |a: &String, b: &String| a == b || compare(a, b, kind) == Some(Ordering::Equal);
        return Some(mine.iter().any(|value| theirs.iter().any(|other| same(value, other))));
    }
    if let (Some((from, their_from)), Some((to, their_to))) = (both("FROM"), both("TO")) {
        let before = |end: &[String], start: &[String]| {
            compare_all(end, start, kinds).map(|order| order != Ordering::Greater)
        };
        let apart = [before(&to, &their_from), before(&their_to, &from)];
        return if apart.contains(&Some(true)) {
            Some(false)
        } else if apart.contains(&None) {
            None
        } else {
            Some(true)
        };
    }
    if let Some((mine, theirs)) = both("WITH") {
        let number = |list: &[String], at: usize| -> Option<u64> {
            list.get(at)?.split_whitespace().last()?.parse().ok()
        };
        let (mine, theirs) =
            ((number(&mine, 0)?, number(&mine, 1)?), (number(&theirs, 0)?, number(&theirs, 1)?));
        let ((small, rest), (large, more)) = if mine.0 <= theirs.0 { (mine, theirs) } else { (theirs, mine) };
        // Postgres wants each modulus to divide the next larger one.
        return Some(small == 0 || large % small != 0 || more % small == rest);
    }
    None
}

fn compare_all(one: &[String], other: &[String], kinds: &[Compare]) -> Option<Ordering> {
    for (at, (a, b)) in one.iter().zip(other).enumerate() {
        let order = compare(a, b, kinds.get(at).copied().unwrap_or(Compare::Collation))?;
        if order != Ordering::Equal {
            return Some(order);
        }
    }
    Some(Ordering::Equal)
}

fn compare(one: &str, other: &str, kind: Compare) -> Option<Ordering> {
    let end = |value: &str| match value {
        "MINVALUE" => -1,
        "MAXVALUE" => 1,
        _ => 0,
    };
    if one == other {
        return Some(Ordering::Equal);
    }
    if end(one) != 0 || end(other) != 0 {
        return Some(end(one).cmp(&end(other)));
    }
    let (one, other) = (one.trim_matches('\''), other.trim_matches('\''));
    match kind {
        Compare::Number => match (one.parse::<i64>(), other.parse::<i64>()) {
            (Ok(one), Ok(other)) => Some(one.cmp(&other)),
            _ => one.parse::<f64>().ok()?.partial_cmp(&other.parse::<f64>().ok()?),
        },
        // Years of four digits, as long as no time zone's offset differs.
        Compare::Text => {
            let zone = |text: &str| text.get(19..).unwrap_or_default().to_owned();
            let plain =
                |text: &str| !text.ends_with("BC") && text.find('-').is_some_and(|at| at == 4 || at == 8);
            (plain(one) && plain(other) && zone(one) == zone(other)).then(|| one.cmp(other))
        }
        Compare::Collation => {
            let lower = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
            (lower(one) && lower(other)).then(|| one.cmp(other))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Compare, overlap};

    #[test]
    fn bounds_are_compared_as_the_types_of_their_columns() {
        let range = |from: &str, to: &str| format!("FOR VALUES FROM ({from}) TO ({to})");
        let found = |one: (&str, &str), other: (&str, &str), kinds: &[Compare]| {
            overlap(&range(one.0, one.1), &range(other.0, other.1), kinds)
        };
        let number = &[Compare::Number, Compare::Number];
        assert_eq!(found(("1", "10"), ("10", "20"), number), Some(false));
        assert_eq!(found(("1", "10"), ("9", "20"), number), Some(true));
        assert_eq!(found(("MINVALUE", "'-5'"), ("'-5'", "MAXVALUE"), number), Some(false));
        assert_eq!(found(("1, 1", "1, 5"), ("1, 5", "2, MINVALUE"), number), Some(false));
        assert_eq!(
            found(("'2024-01-01'", "'2024-02-01'"), ("'2024-03-01'", "'2024-04-01'"), &[Compare::Text]),
            Some(false)
        );
        let text = &[Compare::Collation];
        assert_eq!(found(("'a'", "'c'"), ("'d'", "'f'"), text), Some(false));
        assert_eq!(found(("'A'", "'C'"), ("'d'", "'F'"), text), None);
        assert_eq!(found(("'A'", "'F'"), ("'F'", "'b'"), text), Some(false), "they touch");
        let list = |one: &str, other: &str| {
            overlap(&format!("FOR VALUES IN ({one})"), &format!("FOR VALUES IN ({other})"), text)
        };
        assert_eq!(list("'a', 'b, c'", "'b', 'c'"), Some(false));
        assert_eq!(list("'a', NULL", "'c', NULL"), Some(true));
        let hash = |one: (u32, u32), other: (u32, u32)| {
            let bound = |(modulus, rest)| format!("FOR VALUES WITH (modulus {modulus}, remainder {rest})");
            overlap(&bound(one), &bound(other), &[])
        };
        assert_eq!(hash((2, 1), (4, 0)), Some(false));
        assert_eq!(hash((2, 1), (4, 3)), Some(true));
        assert_eq!(hash((4, 1), (6, 2)), Some(true), "moduli that do not divide");
    }
}
