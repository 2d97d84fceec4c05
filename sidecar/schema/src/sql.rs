//! Writing SQL: quoting and names.

/// Quotes an identifier where Postgres needs it quoted.
pub fn quote(name: &str) -> String {
    let mut bytes = name.bytes();
    let plain = bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && KEYWORDS.binary_search(&name).is_err();
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Quotes a string.
pub fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// A schema and a name.
pub(crate) fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote(schema), quote(name))
}

/// Keeps casts of whole arrays what they are.
///
/// Postgres writes `(ARRAY['a'::character varying])::text[]` for an array that is cast, but reads it as an array of elements
/// that are cast. With a cast to the elements' own type in between it reads what it wrote.
pub(crate) fn keep_array_casts(statement: &str) -> String {
    const OPEN: &str = "(ARRAY[";
    const ELEMENT: &str = "::character varying";
    const CLOSE: &str = "])::text[]";
    let mut text = String::new();
    let mut rest = statement;
    while let Some(at) = rest.find(OPEN) {
        let (before, array) = rest.split_at(at);
        text.push_str(before);
        let end = array_end(array);
        let cast = end.filter(|end| array[*end..].starts_with(CLOSE) && array[..*end].ends_with(ELEMENT));
        if let Some(end) = cast {
            text.push_str(&format!("({}])::character varying[])::text[]", &array[..end]));
            rest = &array[end + CLOSE.len()..];
        } else {
            text.push_str(OPEN);
            rest = &array[OPEN.len()..];
        }
    }
    text.push_str(rest);
    text
}

/// Where the bracket that the first one opens is closed, outside of strings.
fn array_end(text: &str) -> Option<usize> {
    let (mut depth, mut quoted) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\'' => quoted = !quoted,
            b'[' if !quoted => depth += 1,
            b']' if !quoted && depth == 1 => return Some(at),
            b']' if !quoted => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The key words that are not allowed as a bare name of some object, sorted: all but the unreserved.
const KEYWORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "merge_action",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_words_are_sorted() {
        assert!(KEYWORDS.is_sorted());
    }

    #[test]
    fn names_are_quoted_where_they_must_be() {
        assert_eq!(quote("plain_1"), "plain_1");
        assert_eq!(quote("Mixed"), "\"Mixed\"");
        assert_eq!(quote("1st"), "\"1st\"");
        assert_eq!(quote("user"), "\"user\"");
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn casts_of_arrays_are_read_as_they_were_written() {
        let wrote =
            "CHECK (((a)::text = ANY ((ARRAY['x]'::character varying, 'y'::character varying])::text[])))";
        let kept = "CHECK (((a)::text = ANY (((ARRAY['x]'::character varying, 'y'::character varying])::character varying[])::text[])))";
        assert_eq!(keep_array_casts(wrote), kept);
        assert_eq!(keep_array_casts("SELECT (ARRAY[1, 2])[1]"), "SELECT (ARRAY[1, 2])[1]");
    }

    #[test]
    fn strings_with_backslashes_are_escaped() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\b"), r"E'a\\b'");
    }
}
