//! What is known of the database that a script is to run on: sizes of its tables, and what the statements cost on a throwaway.

use std::collections::HashMap;

/// Rows up to which a table is small: whatever is done to it is done at once.
const SMALL_ROWS: u64 = 10_000;
/// The same in bytes, where the rows were never counted.
const SMALL_BYTES: u64 = 1 << 20;
/// Rows from which on a table is large.
const LARGE_ROWS: u64 = 1_000_000;
/// Bytes from which on a table is large.
const LARGE_BYTES: u64 = 1 << 30;

/// How large a table of the branch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSize {
    /// Name of its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// How many rows it has, as Postgres estimates it; absent if they were never counted.
    pub rows: Option<u64>,
    /// Bytes of its rows, without indexes; of a partitioned table those of all partitions.
    pub bytes: u64,
    /// Whether it is partitioned.
    pub partitioned: bool,
    /// Whether its name alone means it.
    pub visible: bool,
}

/// What a statement did when it was run on a throwaway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    /// The line in the script on which the statement starts, from 1.
    pub line: u32,
    /// Microseconds that it took.
    pub elapsed_us: u64,
    /// Locks that it took on relations that were there before, and the microseconds until the end of the transaction.
    pub locks: Vec<(String, String, u64)>,
    /// Relations that were written anew, with their bytes.
    pub rewritten: Vec<(String, u64)>,
}

/// What is known of a database. Without anything the rules say what holds of any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    tables: HashMap<(String, String), TableSize>,
    visible: HashMap<String, (String, String)>,
    /// Of exactly this script.
    measured: Vec<Measurement>,
}

/// How large a table is for a lock on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Small,
    Middle,
    Large,
}

impl Known {
    /// What is known of these tables.
    pub fn of_tables(tables: impl IntoIterator<Item = TableSize>) -> Self {
        let mut known = Self::default();
        for table in tables {
            let key = (table.schema.clone(), table.name.clone());
            if table.visible {
                known.visible.insert(table.name.clone(), key.clone());
            }
            known.tables.insert(key, table);
        }
        known
    }

    /// Whether these are the same tables, as far as the rules tell them apart.
    pub fn is_alike(&self, other: &Self) -> bool {
        let words = |of: &Self| {
            let mut all: Vec<_> = of.tables.iter().map(|(key, table)| (key.clone(), table.words())).collect();
            all.sort();
            all
        };
        words(self) == words(other)
    }

    /// The same, with what the statements of a script cost.
    #[must_use]
    pub fn with_measured(mut self, measured: Vec<Measurement>) -> Self {
        self.measured = measured;
        self
    }

    /// A table by the name that a statement has for it.
    pub(super) fn table(&self, schema: Option<&str>, name: &str) -> Option<&TableSize> {
        match schema {
            Some(schema) => self.tables.get(&(schema.to_owned(), name.to_owned())),
            None => self.tables.get(self.visible.get(name)?),
        }
    }

    /// What the statement cost that starts on a line of the script.
    pub(super) fn measured(&self, line: u32) -> Option<&Measurement> {
        self.measured.iter().find(|step| step.line == line)
    }
}

impl TableSize {
    pub(super) fn size(&self) -> Size {
        let rows = self.rows.unwrap_or(0);
        if rows >= LARGE_ROWS || self.bytes >= LARGE_BYTES {
            Size::Large
        } else if rows > SMALL_ROWS || (self.rows.is_none() && self.bytes > SMALL_BYTES) {
            Size::Middle
        } else {
            Size::Small
        }
    }

    /// Such as `8.1 million rows, 1.2 GB`.
    pub(super) fn words(&self) -> String {
        match self.rows {
            Some(1) => format!("1 row, {}", bytes(self.bytes)),
            Some(rows) => format!("{} rows, {}", count(rows), bytes(self.bytes)),
            None => bytes(self.bytes),
        }
    }
}

/// Locks in which others cannot write.
const BLOCKS_WRITES: [&str; 4] = ["SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"];

impl Measurement {
    /// The relation, the lock and the time of the lock that keeps others from writing for longest.
    pub(super) fn longest(&self) -> Option<(&str, &str, u64)> {
        let blocking = self.locks.iter().filter(|(_, mode, _)| BLOCKS_WRITES.contains(&mode.as_str()));
        let longest = blocking.max_by_key(|(_, mode, held_us)| (*held_us, mode == "ACCESS EXCLUSIVE"))?;
        Some((&longest.0, &longest.1, longest.2))
    }

    /// Such as `Measured on a throwaway: 4.2 s, ACCESS EXCLUSIVE on public.orders for 4.3 s, 1.2 GB written anew.`
    pub(super) fn words(&self) -> String {
        let lock = self.longest();
        let lock =
            lock.map(|(relation, mode, held_us)| format!(", {mode} on {relation} for {}", time(held_us)));
        let anew: u64 = self.rewritten.iter().map(|(_, bytes)| bytes).sum();
        let anew = if self.rewritten.is_empty() {
            ", nothing written anew".to_owned()
        } else {
            format!(", {} written anew", bytes(anew))
        };
        format!("Measured on a throwaway: {}{}{anew}.", time(self.elapsed_us), lock.unwrap_or_default())
    }
}

fn count(number: u64) -> String {
    let short = |unit: u64, word: &str| {
        let tenths = (number * 10 + unit / 2) / unit;
        if tenths.is_multiple_of(10) {
            format!("{} {word}", tenths / 10)
        } else {
            format!("{}.{} {word}", tenths / 10, tenths % 10)
        }
    };
    match number {
        0..1_000 => number.to_string(),
        1_000..999_950 => format!("{},{:03}", number / 1_000, number % 1_000),
        999_950..999_950_000 => short(1_000_000, "million"),
        _ => short(1_000_000_000, "billion"),
    }
}

fn bytes(number: u64) -> String {
    let (mut tenths, mut unit) = (number.saturating_mul(10), 0);
    while tenths >= 10_235 && unit < 4 {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    let name = ["bytes", "kB", "MB", "GB", "TB"][unit];
    if unit == 0 || tenths >= 100 || tenths.is_multiple_of(10) {
        format!("{} {name}", (tenths + 5) / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    }
}

fn time(us: u64) -> String {
    match us {
        0..1_000 => "less than 1 ms".to_owned(),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_people_read_them() {
        let all = [12, 8_123, 999_949, 999_950, 8_100_000, 1_000_000_000, 2_340_000_000].map(count);
        let wanted = ["12", "8,123", "999,949", "1 million", "8.1 million", "1 billion", "2.3 billion"];
        assert_eq!(all, wanted);
        let all = [0, 8192, 1_288_490_189, 123 << 20, 1023, 1 << 40].map(bytes);
        assert_eq!(all, ["0 bytes", "8 kB", "1.2 GB", "123 MB", "1023 bytes", "1 TB"]);
        assert_eq!([900, 20_000, 4_250_000].map(time), ["less than 1 ms", "20 ms", "4.2 s"]);
    }
}
