//! One side of a comparison of rows: a session that sees one state and nothing that others do meanwhile.

use std::path::Path;
use std::time::Duration;

use offshoot_schema::quote;
use postgres::error::SqlState;
use postgres::types::{FromSql, Type};
use postgres::{Client, Statement};

use crate::engine::Engine;
use crate::engine::throwaway::{connect, options};
use crate::failure::{Failure, Result, chain};

/// Values are written alike on both sides, whatever their databases and roles are set to.
const ALIKE: &str = "-c search_path=pg_catalog -c datestyle=ISO -c timezone=UTC -c intervalstyle=postgres -c bytea_output=hex \
                     -c extra_float_digits=1 -c lc_monetary=C -c row_security=off -c default_transaction_read_only=on \
                     -c lock_timeout=2000";

const TABLES: &str = "
    SELECT c.oid, n.nspname::text, c.relname::text, pg_relation_filenode(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
      AND pg_relation_filenode(c.oid) IS NOT NULL
    ORDER BY 2, 3";

/// What is computed as it is read is not stored.
const COLUMNS: &str = "
    SELECT attname::text FROM pg_attribute
    WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated <> 'v' ORDER BY attnum";

const KEYS: &str = "
    SELECT k.names FROM pg_index i,
        LATERAL (SELECT array_agg(a.attname::text ORDER BY u.n) AS names, bool_and(a.attnotnull) AS filled
                 FROM unnest(i.indkey) WITH ORDINALITY AS u (attnum, n)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum WHERE u.n <= i.indnkeyatts) AS k
    WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
      AND i.indexprs IS NULL AND k.filled
    ORDER BY i.indisprimary DESC, i.indexrelid";

/// A table with rows of its own.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    /// Number of its file.
    pub(super) file: u32,
}

/// Stands for none.
pub(super) static NO_TABLE: Table = Table { oid: 0, schema: String::new(), name: String::new(), file: 0 };

impl Table {
    /// Schema and name, quoted.
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }
}

/// Columns and keys of a table.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) columns: Vec<String>,
    /// Columns whose values together are there and unique; the primary key first.
    pub(super) keys: Vec<Vec<String>>,
}

/// Why a table cannot be read on.
pub(super) enum Trouble {
    /// It alone: it takes too long, is locked, or an output function fails.
    Table(String),
    /// The whole work.
    Broken(Failure),
}

/// 16 bytes that stand for a row or a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Digest(pub(super) u128);

impl<'a> FromSql<'a> for Digest {
    fn from_sql(
        _: &Type,
        raw: &'a [u8],
    ) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(u128::from_be_bytes(raw.try_into()?)))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::UUID
    }
}

/// Where a row lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    block: u32,
    line: u16,
}

impl Place {
    /// As Postgres reads it.
    pub(super) fn text(self) -> String {
        format!("({},{})", self.block, self.line)
    }
}

impl<'a> FromSql<'a> for Place {
    fn from_sql(
        _: &Type,
        raw: &'a [u8],
    ) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let (block, line) = raw.split_at_checked(4).ok_or("a place is six bytes")?;
        Ok(Self { block: u32::from_be_bytes(block.try_into()?), line: u16::from_be_bytes(line.try_into()?) })
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TID
    }
}

/// A session in a transaction that sees one state. Every error of a statement leaves it usable.
pub(super) struct Side {
    pub(super) client: Client,
}

impl Side {
    /// `limit`: how long one statement may take.
    pub(super) fn open(engine: &Engine, socket: &Path, limit: Duration) -> Result<Self> {
        let major = engine.store.info().postgres.version.major;
        let triggers = if major >= 17 { " -c event_triggers=off" } else { "" };
        let options =
            format!("{} {ALIKE}{triggers} -c statement_timeout={}", options(major), limit.as_millis().max(1));
        let mut client = connect(engine, socket, None, &options)?;
        for statement in ["SET enable_seqscan = off", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"] {
            client.batch_execute(statement).map_err(|e| not_compared(&e))?;
        }
        Ok(Self { client })
    }

    /// All tables, as of the state that the session sees from now on.
    pub(super) fn tables(&mut self) -> Result<Vec<Table>> {
        let rows = self.client.query(TABLES, &[]).map_err(|e| not_compared(&e))?;
        let table = |row: &postgres::Row| Table {
            oid: row.get(0),
            schema: row.get(1),
            name: row.get(2),
            file: row.get(3),
        };
        Ok(rows.iter().map(table).collect())
    }

    /// The database's OID.
    pub(super) fn database(&mut self) -> Result<u32> {
        let sql = "SELECT oid FROM pg_database WHERE datname = current_database()";
        Ok(self.client.query_one(sql, &[]).map_err(|e| not_compared(&e))?.get(0))
    }

    /// Begins with another table.
    pub(super) fn next(&mut self) -> Result<()> {
        self.client.batch_execute("SAVEPOINT a_table").map_err(|e| not_compared(&e))
    }

    /// Makes the session usable again after a statement failed, and says what is the matter.
    pub(super) fn recover(&mut self, error: &postgres::Error) -> Trouble {
        let reason = match error.code() {
            Some(code) if *code == SqlState::QUERY_CANCELED => "it took too long".to_owned(),
            Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => "a transaction has locked it".to_owned(),
            Some(_) => chain(error),
            None => return Trouble::Broken(not_compared(error)),
        };
        match self.client.batch_execute("ROLLBACK TO SAVEPOINT a_table") {
            Ok(()) => Trouble::Table(reason),
            Err(error) => Trouble::Broken(not_compared(&error)),
        }
    }

    /// Columns and keys of `table`.
    pub(super) fn shape(&mut self, table: &Table) -> std::result::Result<Shape, postgres::Error> {
        let columns = self.client.query(COLUMNS, &[&table.oid])?;
        let keys = self.client.query(KEYS, &[&table.oid])?;
        Ok(Shape {
            columns: columns.iter().map(|row| row.get(0)).collect(),
            keys: keys.iter().map(|row| row.get(0)).collect(),
        })
    }

    /// Pages of `table`.
    pub(super) fn pages(&mut self, table: &Table) -> std::result::Result<u64, postgres::Error> {
        let row =
            self.client.query_one("SELECT pg_relation_size($1::oid::regclass) / 8192", &[&table.oid])?;
        Ok(row.get::<_, i64>(0) as u64)
    }

    /// Prepares the reading of ranges of pages: key, content and place of each row. Without `key` the content is the key.
    pub(super) fn prepare(
        &mut self,
        table: &Table,
        columns: &[String],
        key: &[String],
    ) -> std::result::Result<Statement, postgres::Error> {
        let digest = |columns: &[String]| {
            let list: Vec<_> = columns.iter().map(|name| format!("t.{}", quote(name))).collect();
            format!("md5(ROW({})::text)::uuid", list.join(", "))
        };
        let key = if key.is_empty() { columns } else { key };
        self.client.prepare(&format!(
            "SELECT {}, {}, t.ctid FROM ONLY {} AS t WHERE t.ctid >= $1::text::tid AND t.ctid < $2::text::tid",
            digest(key),
            digest(columns),
            table.sql()
        ))
    }
}

/// Has a running Postgres write all its pages to the files.
pub(super) fn checkpoint(engine: &Engine, socket: &Path) -> Result<()> {
    let options =
        format!("{} -c search_path=pg_catalog", options(engine.store.info().postgres.version.major));
    let mut client = connect(engine, socket, None, &options)?;
    client.batch_execute("CHECKPOINT").map_err(|e| not_compared(&e))
}

pub(super) fn not_compared(error: &postgres::Error) -> Failure {
    Failure::engine(format!("the rows cannot be compared: {}", chain(error)))
        .hint("`offshoot engine logs` tells more.")
}
