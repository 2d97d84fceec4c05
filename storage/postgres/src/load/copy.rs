//! The rows behind a `COPY ... FROM STDIN`.

use super::lines::Lines;
use super::target::{Refusal, Rows, Target};
use super::{LoadError, Masking, gate};
use crate::mask::{Plan, RowMask};

/// Streams the lines up to `\.` into the statement `sql`, which starts at line `start`, and returns the rows loaded. While data
/// are masked, the rows are replaced on their way, or passed over if only the schema is wanted.
pub(super) fn rows(
    target: &mut dyn Target,
    lines: &mut Lines<'_>,
    sql: &str,
    start: u64,
    masking: Option<&mut Masking<'_>>,
) -> Result<u64, LoadError> {
    let first_row = lines.number + 1;
    let mut block = Block { lines, first_row, mask: None, has_ended: false };
    let plan = match masking {
        None => None,
        Some(Masking::Schema) => {
            while block.next()?.is_some() {}
            return Ok(0);
        }
        Some(Masking::Rows(plan)) => {
            block.mask = mask(plan, sql, start)?;
            Some(plan)
        }
    };
    let loaded = target.copy_in(sql, &mut block)?;
    if let (Some(plan), Some(mask)) = (plan, block.mask.take()) {
        mask.note(plan);
    }
    loaded.map_err(|refusal| at_row(&refusal, sql, start, first_row))
}

/// How the rows of a `COPY` are masked; `None` if they are not.
fn mask(plan: &Plan, sql: &str, line: u64) -> Result<Option<RowMask>, LoadError> {
    let refused = |what: String| LoadError::Unmaskable { line, what };
    let copied = gate::copied(sql)
        .ok_or_else(|| refused("this COPY cannot be read, and so its rows cannot be masked".to_owned()))?;
    let table = gate::goal(plan, &copied.table).map_err(refused)?;
    gate::check_columns(plan, &copied).map_err(refused)?;
    let Some(table) = table else { return Ok(None) };
    if table.has_expressions() {
        let name = &copied.table.name;
        return Err(refused(format!(
            "the rows of {name} have a rule in SQL, which only a running server can work out"
        )));
    }
    if copied.has_options {
        let name = &copied.table.name;
        return Err(refused(format!(
            "the rows of {name} come in a format of their own, which cannot be masked"
        )));
    }
    Ok(Some(RowMask::new(plan, table, copied.columns.as_deref())))
}

/// The rows of one `COPY`.
struct Block<'a, 'r> {
    lines: &'a mut Lines<'r>,
    first_row: u64,
    mask: Option<RowMask>,
    has_ended: bool,
}

impl Rows for Block<'_, '_> {
    fn next(&mut self) -> Result<Option<&[u8]>, LoadError> {
        loop {
            // A mask may hold rows back.
            if self.mask.as_mut().is_some_and(RowMask::is_ready) {
                return Ok(self.mask.as_ref().map(RowMask::ready));
            }
            if self.has_ended {
                return Ok(None);
            }
            if !self.lines.advance()? {
                return Err(LoadError::Unfinished { line: self.first_row, what: "the rows of a COPY" });
            }
            if matches!(self.lines.current(), b"\\.\n" | b"\\.\r\n" | b"\\.") {
                self.has_ended = true;
                self.mask.iter_mut().for_each(RowMask::end);
                continue;
            }
            let Some(mask) = &mut self.mask else { break };
            let line = self.lines.number;
            let what = "a row has not the fields that its COPY says, so that it cannot be masked";
            mask.take(self.lines.current())
                .ok_or_else(|| LoadError::Unmaskable { line, what: what.to_owned() })?;
        }
        Ok(Some(self.lines.current()))
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
