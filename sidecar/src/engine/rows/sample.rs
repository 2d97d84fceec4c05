//! Some of the rows that differ, for people to look at.

use offshoot_protocol::measure::{RowChange, SampleColumn, SampleRow, SampleValue};
use offshoot_schema::quote;

use super::Pair;
use super::compare::Outcome;
use super::side::{Place, Side, Table, Trouble};
use crate::failure::Result;

/// Characters of a value that are kept.
const MOST_LETTERS: usize = 1024;

/// The picked rows: updated, inserted, deleted. `letters` is what all may take together; it grows less.
pub(super) fn rows(
    ours: &mut Side,
    theirs: &mut Side,
    pair: &Pair,
    outcome: &Outcome,
    letters: &mut usize,
) -> Result<Vec<SampleRow>> {
    let mut sample = Vec::new();
    let (columns, other_columns) = &outcome.columns;
    for (old, new) in &outcome.picked.updated {
        let old = row(theirs, pair.theirs.as_ref(), other_columns, *old)?;
        let new = row(ours, pair.ours.as_ref(), columns, *new)?;
        if let (Some(old), Some(new)) = (old, new) {
            sample.push(SampleRow { change: RowChange::Updated, columns: differing(old, new, &outcome.key) });
        }
        if is_enough(&sample, letters) {
            return Ok(sample);
        }
    }
    for (side, table, columns, places, change) in [
        (ours, pair.ours.as_ref(), columns, &outcome.picked.inserted, RowChange::Inserted),
        (theirs, pair.theirs.as_ref(), other_columns, &outcome.picked.deleted, RowChange::Deleted),
    ] {
        for place in places {
            if let Some(values) = row(side, table, columns, *place)? {
                let columns = values.into_iter().map(|(name, value)| match change {
                    RowChange::Deleted => SampleColumn { name, old: Some(value), new: None },
                    _ => SampleColumn { name, old: None, new: Some(value) },
                });
                sample.push(SampleRow { change, columns: columns.collect() });
            }
            if is_enough(&sample, letters) {
                return Ok(sample);
            }
        }
    }
    Ok(sample)
}

/// Takes the last row off what is left.
fn is_enough(sample: &[SampleRow], letters: &mut usize) -> bool {
    let size = |value: &Option<SampleValue>| {
        value.as_ref().and_then(|value| value.text.as_ref()).map_or(0, String::len)
    };
    let last = sample.last().map_or(0, |row| {
        row.columns.iter().map(|column| column.name.len() + size(&column.old) + size(&column.new) + 60).sum()
    });
    *letters = letters.saturating_sub(last);
    *letters == 0
}

type Values = Vec<(String, SampleValue)>;

/// The values of a row; `None` if they cannot be read.
fn row(side: &mut Side, table: Option<&Table>, columns: &[String], place: Place) -> Result<Option<Values>> {
    let Some(table) = table else { return Ok(None) };
    side.next()?;
    // Output functions alone make the text: a cast could be somebody's function.
    let list: Vec<_> = columns
        .iter()
        .map(|name| {
            let name = quote(name);
            format!(
                "CASE WHEN t.{name} IS DISTINCT FROM NULL THEN \"left\"(concat(t.{name}), {}) END",
                MOST_LETTERS + 1
            )
        })
        .collect();
    let list = if list.is_empty() { "NULL::text".to_owned() } else { list.join(", ") };
    let sql = format!("SELECT {list} FROM ONLY {} AS t WHERE t.ctid = $1::text::tid", table.sql());
    let found = match side.client.query_opt(&sql, &[&place.text()]) {
        Ok(found) => found,
        Err(error) => {
            return match side.recover(&error) {
                Trouble::Table(_) => Ok(None),
                Trouble::Broken(failure) => Err(failure),
            };
        }
    };
    Ok(found.map(|row| {
        let value = |(at, name): (usize, &String)| (name.clone(), cut(row.get(at)));
        columns.iter().enumerate().map(value).collect()
    }))
}

fn cut(text: Option<String>) -> SampleValue {
    let end = text.as_ref().and_then(|text| text.char_indices().nth(MOST_LETTERS)).map(|(at, _)| at);
    let is_cut = end.is_some();
    let text = text.map(|mut text| {
        text.truncate(end.unwrap_or(text.len()));
        text
    });
    SampleValue { text, cut: is_cut }
}

/// The columns of the key and those that differ. Of a value that is cut, what is left out may differ: then it is shown as well.
fn differing(old: Values, new: Values, key: &[String]) -> Vec<SampleColumn> {
    let mut old = old;
    let mut columns = Vec::new();
    for (name, value) in new {
        let before = old.iter().position(|(other, _)| *other == name).map(|at| old.remove(at).1);
        let same = before.as_ref() == Some(&value) && !value.cut;
        if !same && before.is_some() || key.contains(&name) {
            columns.push(SampleColumn { name, old: before, new: Some(value) });
        }
    }
    columns
}
