//! The rows behind a `COPY ... FROM STDIN`.

use std::io::Write;

use postgres::Client;

use super::LoadError;
use super::lines::Lines;

/// Streams the lines up to `\.` into the statement `sql`, which starts at line `start`, and returns the rows loaded.
pub(super) fn rows(
    client: &mut Client,
    lines: &mut Lines<'_>,
    sql: &str,
    start: u64,
) -> Result<u64, LoadError> {
    let first_row = lines.number + 1;
    let refused =
        |error: &postgres::Error| at_row(LoadError::from_server(error, start, sql), error, first_row);
    let mut writer = client.copy_in(sql).map_err(|error| refused(&error))?;
    loop {
        // Leaving early drops the writer, which tells the server to forget the rows.
        if !lines.advance()? {
            return Err(LoadError::Unfinished { line: first_row, what: "the rows of a COPY" });
        }
        if matches!(lines.current(), b"\\.\n" | b"\\.\r\n" | b"\\.") {
            break;
        }
        if writer.write_all(lines.current()).is_err() {
            // The server has given up; why comes with the end.
            break;
        }
    }
    writer.finish().map_err(|error| refused(&error))
}

/// Moves an error to the row that the server names: `COPY t, line 3, column a: "x"`.
fn at_row(error: LoadError, cause: &postgres::Error, first_row: u64) -> LoadError {
    let row = cause.as_db_error().and_then(|refusal| row_in(refusal.where_()?));
    match (error, row) {
        (LoadError::Statement { statement, message, code, hint, .. }, Some(row)) => {
            LoadError::Statement { line: first_row + row - 1, statement, message, code, hint }
        }
        (error, _) => error,
    }
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
