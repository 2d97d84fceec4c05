//! Finding the columns of a database that look personal.

use postgres::Client;

use super::{ColumnName, Plan, Suspicion, suspicion};

/// Columns of tables, with the names of their base types.
const COLUMNS: &str = "
    WITH RECURSIVE base AS (
        SELECT t.oid AS domain, t.typname, t.typtype, t.typbasetype FROM pg_catalog.pg_type t
        UNION ALL
        SELECT base.domain, t.typname, t.typtype, t.typbasetype
        FROM base JOIN pg_catalog.pg_type t ON t.oid = base.typbasetype WHERE base.typtype = 'd')
    SELECT n.nspname::text, c.relname::text, a.attname::text, base.typname::text
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN base ON base.domain = a.atttypid AND base.typtype <> 'd'
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND c.relkind IN ('r', 'p')
      AND NOT c.relispartition
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
                      AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1, 2, a.attnum";

/// A column that looks personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Personal {
    /// Which.
    pub column: ColumnName,
    /// The name of its base type, as in `pg_type`.
    pub type_name: String,
    /// What it looks like.
    pub looks: Suspicion,
}

/// The columns that look personal and of which `plan` says nothing, by schema and table.
///
/// # Errors
/// If the catalogs cannot be read.
pub fn personal(client: &mut Client, plan: &Plan) -> Result<Vec<Personal>, postgres::Error> {
    let rows = client.query(COLUMNS, &[])?;
    let found = rows.iter().filter_map(|row| {
        let column = ColumnName { schema: row.get(0), table: row.get(1), column: row.get(2) };
        let type_name: String = row.get(3);
        let looks = suspicion(&column.table, &column.column, &type_name)?;
        (!plan.is_settled(&column)).then_some(Personal { column, type_name, looks })
    });
    Ok(found.collect())
}
