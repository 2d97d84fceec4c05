//! What the source has: tables, columns, foreign keys, sequences.

use std::collections::HashMap;

use postgres::Client;

/// A table with rows of its own: no view, no partitioned table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    /// The tables that this is a partition of, from the nearest to the topmost.
    pub(super) above: Vec<u32>,
    /// Those that rows are loaded with, in their order.
    pub(super) columns: Vec<String>,
    /// Bytes, without indexes.
    pub(super) bytes: u64,
}

/// A partitioned table.
#[derive(Debug)]
pub(super) struct Partitioned {
    pub(super) schema: String,
    pub(super) name: String,
}

/// A foreign key.
#[derive(Debug)]
pub(super) struct ForeignKey {
    pub(super) table: u32,
    pub(super) columns: Vec<String>,
    /// The types of the columns, for casts.
    pub(super) types: Vec<String>,
    pub(super) other: u32,
    pub(super) other_columns: Vec<String>,
    /// The operators that compare the other's columns with these.
    pub(super) operators: Vec<String>,
}

/// A sequence.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) schema: String,
    pub(super) name: String,
    /// Whether the role may read it.
    pub(super) readable: bool,
    /// The table and column that it counts for.
    pub(super) owner: Option<(String, String, String)>,
}

/// What the source has.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub(super) tables: Vec<Table>,
    pub(super) partitioned: HashMap<u32, Partitioned>,
    pub(super) keys: Vec<ForeignKey>,
    pub(super) sequences: Vec<Sequence>,
    /// Views and the like, which have no rows to take.
    pub(super) others: Vec<String>,
}

/// Tables of extensions come with the extension, foreign tables have their rows elsewhere.
const TABLES: &str = "
    SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relispartition,
           CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_table_size(c.oid) ELSE 0 END,
           ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND n.nspname !~ '^pg_(toast|temp)'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY n.nspname, c.relname";
const PARENTS: &str = "
    SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    WHERE c.relispartition";
/// Those of partitions that come from their table's are left out. A key over periods has its last columns overlap.
const KEYS: &str = "
    SELECT k.conrelid, k.confrelid,
           ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u(n, at)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.at),
           ARRAY(SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u(n, at)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.at),
           ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY u(n, at)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.at),
           ARRAY(SELECT CASE WHEN u.at = pg_catalog.cardinality(k.conpfeqop)
                              AND COALESCE((pg_catalog.to_jsonb(k) ->> 'conperiod')::bool, false)
                        THEN 'OPERATOR(pg_catalog.&&)'
                        ELSE pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname) END
                 FROM pg_catalog.unnest(k.conpfeqop) WITH ORDINALITY u(o, at)
                 JOIN pg_catalog.pg_operator o ON o.oid = u.o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
                 ORDER BY u.at)
    FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0";
const SEQUENCES: &str = "
    SELECT n.nspname::text, c.relname::text, pg_catalog.has_sequence_privilege(c.oid, 'SELECT'),
           tn.nspname::text, t.relname::text, a.attname::text
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
    LEFT JOIN pg_catalog.pg_class t ON t.oid = d.refobjid
    LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE c.relkind = 'S' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND e.objid = c.oid AND e.deptype = 'e')
    ORDER BY 1, 2";

impl Catalog {
    /// Reads the catalogs of the database that `client` is connected to.
    pub(super) fn read(client: &mut Client) -> Result<Self, postgres::Error> {
        let mut catalog = Self::default();
        let mut parents: HashMap<u32, u32> = HashMap::new();
        for row in client.query(PARENTS, &[])? {
            parents.insert(row.get(0), row.get(1));
        }
        for row in client.query(TABLES, &[])? {
            let (oid, schema, name): (u32, String, String) = (row.get(0), row.get(1), row.get(2));
            match row.get::<_, &str>(3) {
                "p" => {
                    catalog.partitioned.insert(oid, Partitioned { schema, name });
                }
                "r" => {
                    let above = std::iter::successors(parents.get(&oid), |one| parents.get(one));
                    let table = Table {
                        oid,
                        schema,
                        name,
                        above: above.copied().collect(),
                        columns: row.get(6),
                        bytes: u64::try_from(row.get::<_, i64>(5)).unwrap_or(0),
                    };
                    catalog.tables.push(table);
                }
                _ => catalog.others.push(format!("{schema}.{name}")),
            }
        }
        for row in client.query(KEYS, &[])? {
            catalog.keys.push(ForeignKey {
                table: row.get(0),
                other: row.get(1),
                columns: row.get(2),
                types: row.get(3),
                other_columns: row.get(4),
                operators: row.get(5),
            });
        }
        for row in client.query(SEQUENCES, &[])? {
            let owner = |at| row.get::<_, Option<String>>(at);
            catalog.sequences.push(Sequence {
                schema: row.get(0),
                name: row.get(1),
                readable: row.get(2),
                owner: owner(3).zip(owner(4)).zip(owner(5)).map(|((a, b), c)| (a, b, c)),
            });
        }
        Ok(catalog)
    }

    /// Whether a table has this name, or is a partition of the one that has it.
    pub(super) fn is(&self, table: &Table, schema: &str, name: &str) -> bool {
        let above = table.above.iter().filter_map(|oid| self.partitioned.get(oid));
        (table.schema == schema && table.name == name)
            || above.into_iter().any(|one| one.schema == schema && one.name == name)
    }

    /// The name that a table goes by with people: that of the topmost that it is a partition of.
    pub(super) fn shown(&self, table: &Table) -> String {
        match table.above.last().and_then(|top| self.partitioned.get(top)) {
            Some(top) => format!("{}.{}", top.schema, top.name),
            None => format!("{}.{}", table.schema, table.name),
        }
    }
}
