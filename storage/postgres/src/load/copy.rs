//! The rows behind a `COPY ... FROM STDIN`.

use super::LoadError;
use super::lines::Lines;
use super::target::{Refusal, Rows, Target};

/// Streams the lines up to `\.` into the statement `sql`, which starts at line `start`, and returns the rows loaded.
pub(super) fn rows(
    target: &mut dyn Target,
    lines: &mut Lines<'_>,
    sql: &str,
    start: u64,
) -> Result<u64, LoadError> {
    let first_row = lines.number + 1;
    let loaded = target.copy_in(sql, &mut Block { lines, first_row })?;
    loaded.map_err(|refusal| at_row(&refusal, sql, start, first_row))
}

/// The rows of one `COPY`.
struct Block<'a, 'r> {
    lines: &'a mut Lines<'r>,
    first_row: u64,
}

impl Rows for Block<'_, '_> {
    fn next(&mut self) -> Result<Option<&[u8]>, LoadError> {
        if !self.lines.advance()? {
            return Err(LoadError::Unfinished { line: self.first_row, what: "the rows of a COPY" });
        }
        let row = self.lines.current();
        Ok((!matches!(row, b"\\.\n" | b"\\.\r\n" | b"\\.")).then_some(row))
    }
}

/// The error, at the row that the server names: `COPY t, line 3, column a: "x"`.
fn at_row(refusal: &Refusal, sql: &str, start: u64, first_row: u64) -> LoadError {
    let row = refusal.said().and_then(|error| row_in(error.context.as_deref()?));
    LoadError::from_server(refusal, row.map_or(start, |row| first_row + row - 1), sql)
}

fn row_in(context: &str) -> Option<u64> {
    // The innermost context may be a trigger's; the COPY's own comes on a line of its own.
    let line = context.lines().find(|line| line.starts_with("COPY "))?;
    let number = line.split(", line ").nth(1)?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|row| *row > 0)
}

#[cfg(test)]
mod tests {
    use super::row_in;

    #[test]
    fn row_number_is_read_from_the_context() {
        assert_eq!(row_in("COPY t, line 3, column a: \"x\""), Some(3));
        assert_eq!(row_in("PL/pgSQL function f() line 9 at RAISE\nCOPY t, line 12"), Some(12));
        assert_eq!(row_in("SQL statement"), None);
    }
}
