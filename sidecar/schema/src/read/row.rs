//! Rows as text, whatever their types.

use std::collections::HashMap;

use postgres::SimpleQueryMessage;

use super::error::ReadError;

/// A row: values by column name; what is null is left out.
#[derive(Debug, Default)]
pub(super) struct Row(HashMap<String, String>);

impl Row {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn number<T: std::str::FromStr + Default>(&self, name: &str) -> T {
        self.get(name).and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Runs a query in one round trip.
pub(super) fn fetch(client: &mut postgres::Client, sql: &str) -> Result<Vec<Row>, ReadError> {
    let messages = client.simple_query(sql).map_err(|error| ReadError::new("catalog", &error))?;
    Ok(messages.iter().filter_map(to_row).collect())
}

fn to_row(message: &SimpleQueryMessage) -> Option<Row> {
    let SimpleQueryMessage::Row(row) = message else { return None };
    let values = row.columns().iter().enumerate();
    let values = values.filter_map(|(at, column)| Some((column.name().to_owned(), row.get(at)?.to_owned())));
    Some(Row(values.collect()))
}

/// Goes on after a query that the server refused.
pub(super) fn recover(client: &mut postgres::Client) -> Result<(), ReadError> {
    client.batch_execute("ROLLBACK TO SAVEPOINT q").map_err(|error| ReadError::new("catalog", &error))
}
