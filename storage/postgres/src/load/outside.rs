//! Whether a statement reads what is not in the script: a file, a program, another server.

/// What a statement can read something else by, in lower case.
const WAYS: [&str; 12] = [
    "pg_read_file",
    "pg_read_binary_file",
    "pg_ls_",
    "pg_stat_file",
    "lo_import",
    "dblink",
    "create server",
    "foreign data wrapper",
    "foreign schema",
    "foreign table",
    "create subscription",
    "http_get",
];

/// Whether the statement, whose first word is `first`, may read something else. Told by its words: one that only mentions such a thing
/// counts as well.
pub(super) fn reads_outside(first: Option<&str>, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    WAYS.iter().any(|way| text.contains(way)) || (may_copy(first) && copies_from_outside(&text))
}

/// Whether the statement can be a `COPY`, or have one in the body of a function.
fn may_copy(first: Option<&str>) -> bool {
    matches!(first, Some("COPY" | "DO" | "CREATE"))
}

fn copies_from_outside(text: &str) -> bool {
    let mut words = text.split(|letter: char| letter.is_whitespace() || letter == ';' || letter == ')');
    if !words.any(|word| word.ends_with("copy")) {
        return false;
    }
    let mut after_from = false;
    for word in words.filter(|word| !word.is_empty()) {
        if after_from && !word.starts_with("stdin") {
            return true;
        }
        after_from = word == "from";
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_from_elsewhere_is_seen_by_the_words() {
        let reads = |first: &str, text: &str| reads_outside(Some(first), text);
        assert!(reads("COPY", "COPY t (a, b) FROM '/srv/t.csv' WITH (FORMAT csv)"));
        assert!(reads("COPY", "copy t from program 'curl http://h/x'"));
        assert!(!reads("COPY", "COPY t (a, b) FROM stdin;"));
        assert!(!reads("COPY", "COPY t FROM STDIN WITH (FORMAT csv);"));
        assert!(reads("DO", "do $$ begin copy t from '/x'; end $$"));
        assert!(reads("INSERT", "insert into t select pg_read_file('/x')"));
        assert!(!reads("INSERT", "insert into t values ('a copy from me')"));
        assert!(!reads("ALTER", "alter table a add foreign key (b) references c"));
        assert!(reads("CREATE", "CREATE FOREIGN TABLE t (a int) SERVER s"));
        assert!(!reads("CREATE", "create table copy (a int)"));
    }
}
