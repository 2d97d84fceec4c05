//! How much of a server's rows has been read, in bytes that its tables have on its disk.
//!
//! Rows in a dump have other lengths than in their table. A table counts as what was read of its rows, at most as its size, and as its size
//! when its rows have ended.

use std::collections::HashMap;
use std::time::Duration;

use super::url::Source;

/// The sizes are not worth waiting for.
const PATIENCE: Duration = Duration::from_secs(10);
const SIZES: &str = "
    SELECT n.nspname::text, c.relname::text, pg_catalog.pg_table_size(c.oid)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND d.objid = c.oid AND d.deptype = 'e')";

/// The sizes of a server's tables.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    tables: HashMap<(String, String), u64>,
    total: u64,
    /// Of tables that are read.
    done: u64,
    /// The size of the one that is being read, and what was read of it.
    current: Option<(u64, u64)>,
}

impl Sizes {
    /// Asks the server. What keeps it from answering is no reason not to go on.
    pub(super) fn ask(source: &Source) -> Option<Self> {
        let mut config = source.client_config().ok()?;
        config.connect_timeout(PATIENCE);
        if config.get_application_name().is_none() {
            config.application_name("offshoot");
        }
        let mut client = source.tls().ok()?.connect(&config).ok()?;
        client.batch_execute("SET lock_timeout = '1s'; SET statement_timeout = '10s'").ok()?;
        let mut sizes = Self::default();
        for row in client.query(SIZES, &[]).ok()? {
            let bytes = u64::try_from(row.get::<_, i64>(2)).unwrap_or(0);
            sizes.tables.insert((row.get(0), row.get(1)), bytes);
            sizes.total += bytes;
        }
        Some(sizes)
    }

    /// The rows of a table begin.
    pub(super) fn begin(&mut self, schema: &str, table: &str) {
        self.end();
        let size = self.tables.remove(&(schema.to_owned(), table.to_owned()));
        self.current = Some((size.unwrap_or(0), 0));
    }

    /// So many bytes of them were read.
    pub(super) fn read(&mut self, bytes: u64) {
        if let Some((_, read)) = &mut self.current {
            *read += bytes;
        }
    }

    /// They have ended.
    pub(super) fn end(&mut self) {
        self.done += self.current.take().map_or(0, |(size, _)| size);
    }

    /// What to tell: what is done, how far it is, and of how much.
    pub(super) fn progress(&self) -> (&'static str, u64, Option<u64>) {
        let current = self.current.map_or(0, |(size, read)| read.min(size));
        if self.current.is_none() && self.tables.is_empty() {
            return ("Build indexes and check foreign keys", 0, None);
        }
        ("Load", self.done + current, Some(self.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_counts_as_its_size_however_long_its_rows_are() {
        let sizes = [("a", 100), ("b", 50)].map(|(name, size)| (("s".to_owned(), name.to_owned()), size));
        let mut sizes = Sizes { tables: sizes.into(), total: 150, ..Sizes::default() };
        assert_eq!(sizes.progress(), ("Load", 0, Some(150)));
        sizes.begin("s", "a");
        sizes.read(30);
        assert_eq!(sizes.progress().1, 30);
        sizes.read(900);
        assert_eq!(sizes.progress().1, 100);
        sizes.begin("s", "b");
        sizes.read(1);
        assert_eq!(sizes.progress().1, 101);
        sizes.begin("s", "unknown");
        sizes.read(7);
        assert_eq!(sizes.progress().1, 150);
        sizes.end();
        assert_eq!(sizes.progress().2, None, "what is left has no rows");
    }
}
