//! Which relations got a new file, and how large it is.

use std::collections::HashMap;

use offshoot_protocol::measure::MeasuredFile;
use postgres::{Client, Error};

/// The file number of each relation of the user's, by OID.
pub(super) type Files = HashMap<u32, u32>;

const FILES: &str = "
    SELECT c.oid, c.relfilenode FROM pg_catalog.pg_class c
    WHERE c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND c.relkind IN ('r', 'm', 't', 'i')
      AND c.relpersistence OPERATOR(pg_catalog.<>) 't' AND c.relfilenode OPERATOR(pg_catalog.<>) 0::pg_catalog.oid";

/// A table's TOAST is named by the table; its index is a part of it.
const DETAILS: &str = "
    SELECT c.oid, pg_catalog.concat(pg_catalog.quote_ident(n.nspname), '.', pg_catalog.quote_ident(COALESCE(o.relname, c.relname))),
           CASE c.relkind WHEN 'r' THEN 'table' WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index' ELSE 'toast table' END,
           pg_catalog.pg_relation_size(c.oid)
    FROM pg_catalog.pg_class c
    LEFT JOIN pg_catalog.pg_class o ON o.reltoastrelid OPERATOR(pg_catalog.=) c.oid AND c.relkind OPERATOR(pg_catalog.=) 't'
    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) COALESCE(o.relnamespace, c.relnamespace)
    WHERE c.oid OPERATOR(pg_catalog.=) ANY ($1) AND n.nspname OPERATOR(pg_catalog.<>) 'pg_toast'
    ORDER BY 2, 3";

/// A new index has one page without rows.
const EMPTY_INDEX_BYTES: i64 = 8192;

pub(super) fn read(client: &mut Client) -> Result<Files, Error> {
    Ok(client.query(FILES, &[])?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Files that relations of `before` have instead of theirs, and those of new relations that are not empty.
pub(super) fn compare(
    client: &mut Client,
    before: &Files,
) -> Result<(Vec<MeasuredFile>, Vec<MeasuredFile>), Error> {
    let now = read(client)?;
    let fresh: Vec<u32> =
        now.iter().filter(|(oid, file)| before.get(oid) != Some(file)).map(|(oid, _)| *oid).collect();
    let (mut rewritten, mut built) = (Vec::new(), Vec::new());
    if fresh.is_empty() {
        return Ok((rewritten, built));
    }
    for row in client.query(DETAILS, &[&fresh])? {
        let (oid, relation, kind, bytes): (u32, String, String, i64) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let empty = if kind == "index" { EMPTY_INDEX_BYTES } else { 0 };
        let file = MeasuredFile { relation, kind, bytes: bytes as u64 };
        if before.contains_key(&oid) {
            rewritten.push(file);
        } else if bytes > empty {
            built.push(file);
        }
    }
    Ok((rewritten, built))
}
