//! The script, a line at a time.

use std::io::{BufRead, ErrorKind, Read};
use std::time::{Duration, Instant};

use super::sizes::Sizes;
use super::{LoadError, gate};
use crate::progress::Progress;

/// Postgres takes no message longer than this, so no statement and no row can be.
pub(super) const MAX_BYTES: usize = 1 << 30;

/// How often progress is reported at most.
const REPORT_EVERY: Duration = Duration::from_millis(50);

const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Reads lines, counts lines and bytes, reports progress and refuses what is no text.
pub(super) struct Lines<'a> {
    reader: &'a mut dyn BufRead,
    progress: &'a dyn Progress,
    total_bytes: Option<u64>,
    reported: Option<Instant>,
    line: Vec<u8>,
    /// The number of the current line, counted from 1.
    pub(super) number: u64,
    /// Bytes read so far.
    pub(super) bytes: u64,
    /// The sizes of the tables, where they are known: they tell better than the bytes how far it is.
    pub(super) sizes: Option<Sizes>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(
        reader: &'a mut dyn BufRead,
        total_bytes: Option<u64>,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            reader,
            progress,
            total_bytes,
            reported: None,
            line: Vec::new(),
            number: 0,
            bytes: 0,
            sizes: None,
        }
    }

    /// The rows of a `COPY` begin.
    pub(super) fn begin_table(&mut self, sql: &str) {
        if let Some(sizes) = &mut self.sizes
            && let Some(copied) = gate::copied(sql)
        {
            sizes.begin(copied.table.schema.as_deref().unwrap_or_default(), &copied.table.name);
        }
    }

    /// They have ended.
    pub(super) fn end_table(&mut self) {
        self.sizes.iter_mut().for_each(Sizes::end);
    }

    /// Reads the next line; `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool, LoadError> {
        if self.progress.is_cancelled() {
            return Err(LoadError::Cancelled);
        }
        self.line.clear();
        self.number += 1;
        let read = (&mut *self.reader).take(MAX_BYTES as u64 + 1).read_until(b'\n', &mut self.line);
        let count = read.map_err(|error| match error.kind() {
            // Only a decompressor knows that there must be more.
            ErrorKind::UnexpectedEof => LoadError::Truncated { line: self.number },
            _ => error.into(),
        })?;
        self.bytes += count as u64;
        self.sizes.iter_mut().for_each(|sizes| sizes.read(count as u64));
        if count > MAX_BYTES {
            return Err(self.not_text("a line is longer than 1 GiB"));
        }
        if self.line.contains(&0) {
            return Err(self.not_text("it has a zero byte"));
        }
        if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
            self.line.drain(..BYTE_ORDER_MARK.len());
        }
        self.report(count == 0);
        Ok(count > 0)
    }

    /// The current line, with its line break.
    pub(super) fn current(&self) -> &[u8] {
        &self.line
    }

    fn not_text(&self, what: &str) -> LoadError {
        LoadError::NotText { line: self.number, what: what.to_owned() }
    }

    fn report(&mut self, at_end: bool) {
        if at_end || self.reported.is_none_or(|then| then.elapsed() >= REPORT_EVERY) {
            self.reported = Some(Instant::now());
            let (what, done, total) = match &self.sizes {
                Some(sizes) => sizes.progress(),
                None => ("Load", self.bytes, self.total_bytes),
            };
            self.progress.step(what, done, total);
        }
    }
}
