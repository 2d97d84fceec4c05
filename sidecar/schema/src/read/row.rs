//! Rows as text, whatever their types.

use postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::error::ReadError;

macro_rules! fields {
    ($($field:ident $name:literal $plain:literal;)*) => {
        /// A column that steers what becomes of a row.
        #[derive(Debug, Clone, Copy)]
        pub(super) enum Field { $($field,)* }

        /// The fields in order: the column's name, and whether it is an attribute as well.
        const FIELDS: &[(&str, bool)] = &[$(($name, $plain),)*];
    };
}

fields! {
    Class "class" false;
    Oid "oid" false;
    Sub "sub" false;
    Kind "kind" false;
    Schema "schema" false;
    Name "name" false;
    OfClass "of_class" false;
    OfOid "of_oid" false;
    OfSub "of_sub" false;
    AlsoClass "also_class" false;
    AlsoOid "also_oid" false;
    ToClass "to_class" false;
    ToOid "to_oid" false;
    ToSub "to_sub" false;
    Grantee "grantee" true;
    Grantor "grantor" true;
    Attribute "attribute" true;
    Value "value" true;
    Count "count" true;
    Number "server_version_num" true;
}

/// The answer to one query: where its columns are, and its rows.
#[derive(Debug)]
pub(super) struct Rows {
    layout: Layout,
    rows: Vec<SimpleQueryRow>,
}

/// Where the columns are. Looked up once, not once a row.
#[derive(Debug)]
struct Layout {
    fields: [Option<usize>; FIELDS.len()],
    /// Position, name, and whether it is a list.
    attributes: Vec<(usize, String, bool)>,
}

/// A row; what is null is as good as absent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    layout: &'a Layout,
    row: &'a SimpleQueryRow,
}

impl Layout {
    fn new<'a>(columns: impl Iterator<Item = &'a str>) -> Self {
        let mut layout = Self { fields: [None; FIELDS.len()], attributes: Vec::new() };
        for (at, column) in columns.enumerate() {
            let field = FIELDS.iter().position(|(name, _)| *name == column);
            if let Some(field) = field {
                layout.fields[field] = Some(at);
            }
            if field.is_none_or(|field| FIELDS[field].1) {
                let list = column.strip_suffix("[]");
                layout.attributes.push((at, list.unwrap_or(column).to_owned(), list.is_some()));
            }
        }
        layout
    }
}

impl Rows {
    pub(super) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|row| Row { layout: &self.layout, row })
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

impl<'a> Row<'a> {
    pub(super) fn get(self, field: Field) -> Option<&'a str> {
        self.row.get(self.layout.fields[field as usize]?)
    }

    pub(super) fn number<T: std::str::FromStr + Default>(self, field: Field) -> T {
        self.get(field).and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// The attributes that are not null: name, text, and whether the text is a JSON list.
    pub(super) fn attributes(self) -> impl Iterator<Item = (&'a str, &'a str, bool)> {
        let attributes = self.layout.attributes.iter();
        attributes.filter_map(move |(at, name, list)| Some((name.as_str(), self.row.get(*at)?, *list)))
    }
}

/// Runs queries in one round trip; one answer each, in order.
pub(super) fn fetch(client: &mut postgres::Client, sql: &str) -> Result<Vec<Rows>, ReadError> {
    let messages = client.simple_query(sql).map_err(|error| ReadError::new("catalog", &error))?;
    let mut answers: Vec<Rows> = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                #[allow(
                    clippy::redundant_closure_for_method_calls,
                    reason = "the crate gives the type of a column no name"
                )]
                let layout = Layout::new(columns.iter().map(|column| column.name()));
                answers.push(Rows { layout, rows: Vec::new() });
            }
            SimpleQueryMessage::Row(row) => {
                if (0..row.len()).any(|at| row.try_get(at).is_err()) {
                    return Err(ReadError::Encoding { what: "catalog".to_owned() });
                }
                if let Some(answer) = answers.last_mut() {
                    answer.rows.push(row);
                }
            }
            _ => {}
        }
    }
    Ok(answers)
}

/// Goes on after a query that the server refused.
pub(super) fn recover(client: &mut postgres::Client) -> Result<(), ReadError> {
    client.batch_execute("ROLLBACK TO SAVEPOINT q").map_err(|error| ReadError::new("catalog", &error))
}
