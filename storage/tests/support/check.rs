//! Whether a branch is whole: indexes against heaps, page checksums, content, and where its files lie.

use std::path::Path;

use postgres::{Client, SimpleQueryMessage};

use super::TestStore;

/// Every row of a query as text, columns separated by `|`.
pub fn rows(client: &mut Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let render = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|column| row.get(column).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
        }
        _ => None,
    };
    messages.iter().filter_map(render).collect()
}

/// Checks every index and every table of a branch's database, and reads every page once.
pub fn assert_whole(test: &TestStore, branch: &str, database: &str) {
    let mut client = test.connect_to(branch, database);
    client
        .batch_execute("CREATE EXTENSION IF NOT EXISTS amcheck; CREATE EXTENSION IF NOT EXISTS pg_prewarm")
        .unwrap();
    let whole = "relpersistence <> 't' AND NOT (relpersistence = 'u' AND pg_is_in_recovery())";
    // Reads everything: a page with a wrong checksum is an error.
    let pages = rows(
        &mut client,
        &format!(
            "SELECT sum(pg_prewarm(oid, 'read') + pg_prewarm(oid, 'buffer')) FROM pg_class WHERE relkind IN ('r', 'i', 'm', 't', 'S') AND {whole}"
        ),
    );
    assert!(pages[0].parse::<u64>().unwrap() > 500, "{branch}: {pages:?}");
    let indexes = rows(
        &mut client,
        &format!(
            "SELECT c.oid::regclass, bt_index_check(c.oid, true) FROM pg_class c JOIN pg_am a ON a.oid = c.relam
             JOIN pg_index i ON i.indexrelid = c.oid
             WHERE a.amname = 'btree' AND c.relkind = 'i' AND i.indisvalid AND i.indisready AND {whole}"
        ),
    );
    assert!(indexes.len() > 100, "{branch}: {} indexes", indexes.len());
    let damaged = rows(
        &mut client,
        &format!(
            "SELECT c.oid::regclass, v.* FROM pg_class c, LATERAL verify_heapam(c.oid, check_toast => true) v
             WHERE c.relkind IN ('r', 'm', 't') AND {whole}"
        ),
    );
    assert!(damaged.is_empty(), "{branch}: {damaged:#?}");
}

/// The content of every table of a database: name, rows, hash.
pub fn content(client: &mut Client) -> Vec<String> {
    let tables = rows(
        client,
        "SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
         AND c.relpersistence = 'p' AND n.nspname NOT LIKE 'pg_t%' ORDER BY 1",
    );
    let hash = |table: String| {
        let sql =
            format!("SELECT count(*), md5(string_agg(md5(t::text), '' ORDER BY t::text)) FROM {table} t");
        format!("{table}|{}", rows(client, &sql)[0])
    };
    tables.into_iter().map(hash).collect()
}

/// No relation file lies in the data directory itself: all are in layers.
pub fn assert_no_relation_files(data_dir: &Path) {
    if super::driver() != offshoot_storage::DriverKind::Layers {
        return;
    }
    let mut open = vec![data_dir.join("base"), data_dir.join("global"), data_dir.join("pg_tblspc")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
                continue;
            }
            let name = entry.file_name();
            let relation = offshoot_pages::name::is_relation_file(name.as_encoded_bytes());
            assert!(!relation, "{}", entry.path().display());
        }
    }
}
