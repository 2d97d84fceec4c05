//! Results as tables, laid out as `psql` does.

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::session::Column;

const BOOL: u32 = 16;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const OID: u32 = 26;
const JSON: u32 = 114;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const MONEY: u32 = 790;
const NUMERIC: u32 = 1700;
const JSONB: u32 = 3802;

/// Header, rule, rows and count. No line ends with a space that was not in a cell.
pub(super) fn render(columns: &[Column], rows: &[Vec<Option<String>>]) -> String {
    let count = match rows.len() {
        1 => "(1 row)".to_owned(),
        many => format!("({many} rows)"),
    };
    if columns.is_empty() {
        return format!("--\n{count}\n");
    }
    let cells: Vec<Vec<Vec<String>>> =
        rows.iter().map(|row| row.iter().map(|cell| lines(cell.as_deref())).collect()).collect();
    let width = |index: usize| {
        let header = columns[index].name.width();
        let widest =
            cells.iter().filter_map(|row| row.get(index)?.iter().map(|line| line.width()).max()).max();
        header.max(widest.unwrap_or(0))
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let header =
        columns.iter().zip(&widths).map(|(column, width)| format!(" {} ", centred(&column.name, *width)));
    let mut out = vec![header.collect::<Vec<_>>().join("|").trim_end().to_owned()];
    out.push(widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("+"));
    for row in &cells {
        let height = row.iter().map(Vec::len).max().unwrap_or(1);
        out.extend((0..height).map(|line| row_line(row, line, columns, &widths)));
    }
    out.push(count);
    out.join("\n") + "\n"
}

/// One line of a row. A cell that goes on in the next line is marked with a plus.
fn row_line(row: &[Vec<String>], line: usize, columns: &[Column], widths: &[usize]) -> String {
    let parts = row.iter().zip(columns).zip(widths).map(|((cell, column), width)| {
        let text = cell.get(line).map_or("", String::as_str);
        let pad = " ".repeat(width - text.width());
        let mark = if line + 1 < cell.len() { "+" } else { " " };
        if is_number(column.type_oid) { format!(" {pad}{text}{mark}") } else { format!(" {text}{pad}{mark}") }
    });
    parts.collect::<Vec<_>>().join("|").trim_end().to_owned()
}

fn lines(cell: Option<&str>) -> Vec<String> {
    let visible = |line: &str| {
        line.chars()
            .map(|c| match c {
                '\t' => "        ".to_owned(),
                '\r' => "\\r".to_owned(),
                control if control.is_control() => format!("\\x{:02X}", u32::from(control)),
                plain => plain.to_string(),
            })
            .collect()
    };
    cell.unwrap_or_default().split('\n').map(visible).collect()
}

fn centred(text: &str, width: usize) -> String {
    let pad = width - text.width();
    let left = pad / 2;
    format!("{}{text}{}", " ".repeat(left), " ".repeat(pad - left))
}

fn is_number(type_oid: u32) -> bool {
    matches!(type_oid, INT2 | INT4 | INT8 | OID | FLOAT4 | FLOAT8 | NUMERIC | MONEY | 28 | 29)
}

/// A cell as JSON: numbers that JSON can hold exactly, truth values and JSON as themselves, everything else as text.
pub(super) fn json_cell(cell: Option<&str>, column: &Column) -> Value {
    let Some(text) = cell else { return Value::Null };
    let as_json = || serde_json::from_str(text).ok();
    let typed = match column.type_oid {
        BOOL => Some(Value::Bool(text == "t")),
        INT2 | INT4 | INT8 | OID | JSON | JSONB => as_json(),
        // `NaN` and `Infinity` have no JSON form.
        FLOAT4 | FLOAT8 => as_json().filter(Value::is_number),
        _ => None,
    };
    typed.unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, type_oid: u32) -> Column {
        Column { name: name.into(), type_oid }
    }

    fn row(cells: &[Option<&str>]) -> Vec<Option<String>> {
        cells.iter().map(|cell| cell.map(str::to_owned)).collect()
    }

    #[test]
    fn tables_look_like_those_of_psql() {
        let columns = [column("id", INT4), column("name", 25), column("price", NUMERIC)];
        let rows = [
            row(&[Some("1"), Some("bolt"), Some("0.05")]),
            row(&[Some("200"), Some("日本\nline two"), None]),
        ];
        insta::assert_snapshot!(render(&columns, &rows), @r"
         id  |   name   | price
        -----+----------+-------
           1 | bolt     |  0.05
         200 | 日本    +|
             | line two |
        (2 rows)
        ");
    }

    #[test]
    fn empty_results_have_a_shape_too() {
        assert_eq!(render(&[column("a", 25)], &[]), " a\n---\n(0 rows)\n");
        assert_eq!(render(&[], &[vec![]]), "--\n(1 row)\n");
    }

    #[test]
    fn cells_keep_their_types_where_json_has_them() {
        let cell = |text, oid| json_cell(Some(text), &column("c", oid)).to_string();
        assert_eq!(cell("9007199254740993", INT8), "9007199254740993");
        assert_eq!(cell("t", BOOL), "true");
        assert_eq!(cell("1.10", NUMERIC), "\"1.10\"");
        assert_eq!(cell("NaN", FLOAT8), "\"NaN\"");
        assert_eq!(cell("{\"a\": [1]}", JSONB), "{\"a\":[1]}");
        assert_eq!(json_cell(None, &column("c", BOOL)), Value::Null);
    }
}
