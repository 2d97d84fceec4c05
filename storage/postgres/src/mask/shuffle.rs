//! The values of a column, dealt anew to the rows that have one.
//!
//! Rows are held back in a window of bounded size and leave it in their order. The values of all rows in the window are a pool, from which
//! the row that leaves draws by a sequence that depends on the secret alone. What comes out is what went in, so that what was unique is so.

use std::collections::VecDeque;

use super::Key;

/// Rows in the window, and bytes of them, at most. Two rows are held in any case.
const WINDOW_ROWS: usize = 65_536;
const WINDOW_BYTES: usize = 64 << 20;

/// Deals the values of some columns anew.
#[derive(Debug)]
pub(super) struct Shuffle {
    key: Key,
    columns: Vec<Column>,
    held: VecDeque<Held>,
    /// Bytes of the rows that are held.
    bytes: usize,
    /// The number of the next row.
    next: u64,
    has_ended: bool,
}

#[derive(Debug)]
struct Column {
    at: usize,
    /// What its sequence depends on beside the secret.
    name: String,
    drawn: u64,
    /// Values, with the number of the row that each came with.
    pool: Vec<(u64, Vec<u8>)>,
}

#[derive(Debug)]
struct Held {
    number: u64,
    row: Vec<u8>,
}

impl Shuffle {
    /// For columns by their place in a row, each with its name.
    pub(super) fn new(key: Key, columns: Vec<(usize, String)>) -> Self {
        let column = |(at, name)| Column { at, name, drawn: 0, pool: Vec::new() };
        let columns = columns.into_iter().map(column).collect();
        Self { key, columns, held: VecDeque::new(), bytes: 0, next: 0, has_ended: false }
    }

    /// Takes a row, with or without its line break.
    pub(super) fn take(&mut self, row: &[u8]) {
        let number = self.next;
        self.next += 1;
        for column in &mut self.columns {
            let field = fields(row).nth(column.at).filter(|field| *field != b"\\N");
            column.pool.extend(field.map(|field| (number, field.to_vec())));
        }
        self.bytes += row.len();
        self.held.push_back(Held { number, row: row.to_vec() });
    }

    /// No row comes any more: those that are held may leave.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    /// Writes the row to `out` whose turn it is; whether there is one.
    pub(super) fn leave(&mut self, out: &mut Vec<u8>) -> bool {
        let is_full = self.held.len() > WINDOW_ROWS || (self.bytes > WINDOW_BYTES && self.held.len() > 2);
        if !is_full && !self.has_ended {
            return false;
        }
        let Some(Held { number, row }) = self.held.pop_front() else { return false };
        self.bytes -= row.len();
        let body = row.strip_suffix(b"\n").unwrap_or(&row);
        let body = body.strip_suffix(b"\r").unwrap_or(body);
        out.clear();
        for (at, field) in body.split(|byte| *byte == b'\t').enumerate() {
            if at > 0 {
                out.push(b'\t');
            }
            let column = self.columns.iter_mut().find(|column| column.at == at && field != b"\\N");
            match column.and_then(|column| column.draw(&self.key, number, &self.held)) {
                Some(drawn) => out.extend_from_slice(&drawn),
                None => out.extend_from_slice(field),
            }
        }
        out.extend_from_slice(&row[body.len()..]);
        true
    }
}

impl Column {
    /// A value for a row that leaves, which is not its own as long as there is another.
    fn draw(&mut self, key: &Key, number: u64, held: &VecDeque<Held>) -> Option<Vec<u8>> {
        let hash = key.hash("shuffle", &[self.name.as_bytes(), &self.drawn.to_le_bytes()]);
        self.drawn += 1;
        let random = u64::from_le_bytes(hash[..8].try_into().unwrap_or_default());
        let count = self.pool.len();
        let mut choice = usize::try_from(random.checked_rem(count as u64)?).ok()?;
        if count == 2 {
            // Of two rows the other one must not be left with its own.
            let has_value =
                |held: &&Held| fields(&held.row).nth(self.at).is_some_and(|field| field != b"\\N");
            let other = held.iter().find(has_value).map(|held| held.number);
            if let Some(at) = self.pool.iter().position(|(from, _)| Some(*from) == other) {
                choice = at;
            }
        }
        if self.pool[choice].0 == number {
            choice = (choice + 1) % count;
        }
        Some(self.pool.swap_remove(choice).1)
    }
}

fn fields(row: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = row.strip_suffix(b"\n").unwrap_or(row);
    body.strip_suffix(b"\r").unwrap_or(body).split(|byte| *byte == b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shuffled(rows: &[String], columns: &[usize]) -> Vec<String> {
        let columns = columns.iter().map(|at| (*at, format!("t.{at}"))).collect();
        let mut shuffle = Shuffle::new(Key::from_bytes([5; 32]), columns);
        let (mut done, mut out) = (Vec::new(), Vec::new());
        let mut leave = |shuffle: &mut Shuffle| {
            while shuffle.leave(&mut out) {
                done.push(String::from_utf8(out.clone()).unwrap());
            }
        };
        for row in rows {
            shuffle.take(row.as_bytes());
            leave(&mut shuffle);
        }
        shuffle.end();
        leave(&mut shuffle);
        done
    }

    fn column(rows: &[String], at: usize) -> Vec<String> {
        rows.iter().map(|row| row.trim_end().split('\t').nth(at).unwrap().to_owned()).collect()
    }

    #[test]
    fn values_are_dealt_anew_and_none_is_lost_or_stays() {
        for count in [2, 3, 4, 5, 50, WINDOW_ROWS + 1000] {
            let rows: Vec<String> = (0..count).map(|n| format!("{n}\ta{n}\tb{n}\n")).collect();
            let done = shuffled(&rows, &[1, 2]);
            assert_eq!(column(&done, 0), column(&rows, 0), "rows keep their order");
            for at in [1, 2] {
                let (before, mut after) = (column(&rows, at), column(&done, at));
                assert!(before.iter().zip(&after).all(|(a, b)| a != b), "{count} rows: one keeps its own");
                after.sort();
                let mut before = before;
                before.sort();
                assert_eq!(before, after);
            }
            assert_eq!(shuffled(&rows, &[1, 2]), done, "the same becomes the same");
        }
    }

    #[test]
    fn null_stays_where_it_is_and_a_single_value_too() {
        let rows = ["1\t\\N\n", "2\ta\n", "3\t\\N\n", "4\tb\r\n"].map(str::to_owned);
        assert_eq!(shuffled(&rows, &[1]), ["1\t\\N\n", "2\tb\n", "3\t\\N\n", "4\ta\r\n"]);
        assert_eq!(shuffled(&rows[..3], &[1]), rows[..3]);
    }
}
