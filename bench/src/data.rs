//! The databases that are branched: scripts for `offshoot init --from`.

/// Rows in a page of 8 KiB.
const ROWS_A_PAGE: u64 = 8;
const PAGE: u64 = 8192;

/// A script that makes `item`, whose rows are looked for by key, `marker`, and as many further tables of at most
/// 1 GB as it takes to fill `bytes`. Tables are made and filled in one statement, so that their rows need no WAL.
pub(crate) fn script(bytes: u64) -> String {
    const GB: u64 = 1_000_000_000;
    let mut text = String::from("CREATE TABLE marker (id bigserial PRIMARY KEY, note text);\n");
    text.push_str("INSERT INTO marker (note) VALUES ('first');\n");
    let mut left = bytes;
    for index in 0_u64.. {
        let part = left.min(GB);
        let name = if index == 0 { "item".to_owned() } else { format!("item_{index}") };
        text.push_str(&table(&name, part / PAGE * ROWS_A_PAGE));
        left -= part;
        if left == 0 {
            break;
        }
    }
    text.push_str("ALTER TABLE item ADD PRIMARY KEY (id);\nVACUUM (FREEZE, ANALYZE);\n");
    text
}

/// Eight rows of this width fill a page.
fn table(name: &str, rows: u64) -> String {
    format!(
        "CREATE TABLE {name} AS SELECT id, md5(id::text) AS code, repeat('x', 930) AS filler \
         FROM generate_series(1, {rows}) id;\n"
    )
}

/// A script that makes `loose`, of about `bytes`, whose pages have room for one more row.
pub(crate) fn loose(bytes: u64) -> String {
    // Of eight rows that would fill a page, six are there.
    let rows = bytes / PAGE * 6;
    format!(
        "CREATE TABLE loose (id bigint, code text, filler text) WITH (fillfactor = 80);\n\
         INSERT INTO loose SELECT id, md5(id::text), repeat('x', 930) FROM generate_series(1, {rows}) id;\n\
         VACUUM (FREEZE, ANALYZE) loose;\n"
    )
}

/// Reads one row by its key.
pub(crate) const ONE_ROW: &str = "SELECT code FROM item WHERE id = 4711";
/// The column that [`ONE_ROW`] finds.
pub(crate) const ONE_ROW_CODE: &str = "b52340b4de4566b804c9880aa0b4af5f";
/// A small committed change.
pub(crate) const SMALL_CHANGE: &str = "INSERT INTO marker (note) VALUES ('a small change')";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_gigabytes_are_ten_tables() {
        let text = script(10_000_000_000);
        assert_eq!(text.matches("repeat(").count(), 10);
        assert_eq!(script(150_000_000).matches("repeat(").count(), 1);
    }
}
