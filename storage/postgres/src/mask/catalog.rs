//! What the schema says of columns: their types, who refers to whom, what is unique, what is a part of what.

use std::collections::{BTreeMap, HashMap, HashSet};

use postgres::Client;

use super::ColumnName;
use super::transform::Kind;

/// A column of a table: the table's number and its own.
pub(super) type Id = (u32, i16);

/// A column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: ColumnName,
    pub(super) not_null: bool,
    /// Computed from others.
    pub(super) is_generated: bool,
    pub(super) kind: Kind,
    pub(super) max_chars: Option<usize>,
    pub(super) max_number: Option<u64>,
    pub(super) folds: bool,
    pub(super) trims: bool,
}

/// The columns of all tables of a database, and how they hang together.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    /// By table and place.
    pub(super) columns: BTreeMap<Id, Column>,
    /// A column and the one that it has to be found in.
    pub(super) references: Vec<(Id, Id)>,
    /// A column of a partition or a child table and the parent's of the same name.
    pub(super) inherits: Vec<(Id, Id)>,
    /// Those of them that are of partitions: rows may come to them by way of the parent.
    pub(super) partitions: Vec<(Id, Id)>,
    /// Columns that take part in something unique.
    pub(super) unique: HashSet<Id>,
    /// Those of them that are unique together with others, or under a condition only.
    pub(super) entangled: HashSet<Id>,
    /// Columns of foreign keys of several columns.
    pub(super) composite: HashSet<Id>,
}

const COLUMNS: &str = "
    WITH RECURSIVE base AS (
        SELECT t.oid AS domain, t.oid, t.typname, t.typtype, t.typbasetype, -1 AS modifier, t.typtypmod, t.typnotnull
        FROM pg_catalog.pg_type t
        UNION ALL
        SELECT base.domain, t.oid, t.typname, t.typtype, t.typbasetype,
               CASE WHEN base.modifier >= 0 THEN base.modifier ELSE base.typtypmod END, t.typtypmod,
               base.typnotnull OR t.typnotnull
        FROM base JOIN pg_catalog.pg_type t ON t.oid = base.typbasetype WHERE base.typtype = 'd')
    SELECT c.oid, a.attnum, n.nspname::text, c.relname::text, a.attname::text, a.attnotnull OR base.typnotnull,
           a.attgenerated <> '', base.typname::text,
           CASE WHEN a.atttypmod >= 0 THEN a.atttypmod ELSE base.modifier END
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN base ON base.domain = a.atttypid AND base.typtype <> 'd'
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'";
const REFERENCES: &str = "
    SELECT conrelid, confrelid, conkey, confkey FROM pg_catalog.pg_constraint WHERE contype = 'f'";
const INHERITS: &str = "
    SELECT i.inhrelid, i.inhparent, p.relkind = 'p' FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent";
/// The columns of keys, and those that expressions of indexes name.
const UNIQUE: &str = "
    SELECT i.indrelid, k.attnum::int2 FROM pg_catalog.pg_index i, pg_catalog.unnest(i.indkey::int2[]) k(attnum)
    WHERE i.indisunique
    UNION
    SELECT i.indrelid, d.refobjsubid::int2 FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
        AND d.refobjid = i.indrelid AND d.refobjsubid > 0
    WHERE i.indisunique";

/// As above, by index, and whether it is of one column and of all rows.
const ENTANGLED: &str = "
    SELECT i.indrelid, array_agg(DISTINCT c.attnum), bool_or(i.indnkeyatts > 1 OR i.indpred IS NOT NULL OR i.indisexclusion)
    FROM pg_catalog.pg_index i, LATERAL (
        SELECT k.attnum FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, at)
        WHERE k.attnum > 0 AND k.at <= i.indnkeyatts
        UNION
        SELECT d.refobjsubid::int2 FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid AND d.refobjid = i.indrelid
          AND d.refobjsubid > 0 AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)) c
    WHERE i.indisunique OR i.indisexclusion GROUP BY i.indexrelid, i.indrelid";

impl Catalog {
    /// Reads the catalogs of the database that `client` is connected to.
    pub(super) fn read(client: &mut Client) -> Result<Self, postgres::Error> {
        let mut catalog = Self::default();
        for row in client.query(COLUMNS, &[])? {
            let id = (row.get::<_, u32>(0), row.get::<_, i16>(1));
            let (schema, table, column) = (row.get(2), row.get(3), row.get(4));
            let (typname, modifier) = (row.get::<_, String>(7), row.get::<_, i32>(8));
            let column = Column {
                name: ColumnName { schema, table, column },
                not_null: row.get(5),
                is_generated: row.get(6),
                kind: kind(&typname),
                max_chars: max_chars(&typname, modifier),
                max_number: max_number(&typname),
                folds: typname == "citext",
                trims: typname == "bpchar",
            };
            catalog.columns.insert(id, column);
        }
        for row in client.query(REFERENCES, &[])? {
            let (table, other): (u32, u32) = (row.get(0), row.get(1));
            let (from, to): (Vec<i16>, Vec<i16>) = (row.get(2), row.get(3));
            if from.len() > 1 {
                catalog.composite.extend(from.iter().map(|column| (table, *column)));
            }
            catalog
                .references
                .extend(from.into_iter().zip(to).map(|(from, to)| ((table, from), (other, to))));
        }
        let mut numbers: HashMap<(u32, &str), Id> = HashMap::new();
        for (id, column) in &catalog.columns {
            numbers.insert((id.0, &column.name.column), *id);
        }
        let (mut inherits, mut partitions) = (Vec::new(), Vec::new());
        for row in client.query(INHERITS, &[])? {
            let (child, parent): (u32, u32) = (row.get(0), row.get(1));
            let of_parent = catalog.columns.range((parent, 0)..=(parent, i16::MAX));
            let pairs = of_parent.filter_map(|(id, column)| {
                numbers.get(&(child, column.name.column.as_str())).map(|child| (*child, *id))
            });
            let before = inherits.len();
            inherits.extend(pairs);
            if row.get(2) {
                partitions.extend_from_slice(&inherits[before..]);
            }
        }
        catalog.inherits = inherits;
        catalog.partitions = partitions;
        catalog.unique = client.query(UNIQUE, &[])?.iter().map(|row| (row.get(0), row.get(1))).collect();
        for row in client.query(ENTANGLED, &[])? {
            let (table, columns): (u32, Vec<i16>) = (row.get(0), row.get(1));
            if row.get(2) || columns.len() > 1 {
                catalog.entangled.extend(columns.into_iter().map(|column| (table, column)));
            }
        }
        Ok(catalog)
    }

    /// The column with this name.
    pub(super) fn find(&self, name: &ColumnName) -> Option<Id> {
        self.columns.iter().find(|(_, column)| column.name == *name).map(|(id, _)| *id)
    }
}

fn kind(typname: &str) -> Kind {
    match typname {
        "text" | "varchar" | "bpchar" | "citext" | "name" => Kind::Text,
        "int2" | "int4" | "int8" | "numeric" => Kind::Number,
        "uuid" => Kind::Uuid,
        _ => Kind::Other,
    }
}

/// A modifier of text is its length and four (`VARHDRSZ`).
fn max_chars(typname: &str, modifier: i32) -> Option<usize> {
    match typname {
        "varchar" | "bpchar" => usize::try_from(modifier - 4).ok(),
        "name" => Some(63),
        _ => None,
    }
}

fn max_number(typname: &str) -> Option<u64> {
    match typname {
        "int2" => Some(i16::MAX as u64),
        "int4" => Some(i32::MAX as u64),
        "int8" => Some(i64::MAX as u64),
        _ => None,
    }
}
