//! What the source answers to `BASE_BACKUP`: one tar archive, and a manifest of it.
//!
//! From 15 on both come in one stream of copied data, whose messages begin with a letter that says what they are. 14 sends two streams,
//! without letters. (Streaming Replication Protocol, in the documentation of Postgres.)

use std::io::{self, Read};

use postgres_protocol::message::backend::Message;

use super::PhysicalError;
use super::connection::{Connection, Frame, unexpected, values};

/// The first major whose messages have letters.
const LETTERS_SINCE: u32 = 15;

/// What the source says before it sends the first byte of a file.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// Where the backup begins, as text.
    pub(super) start: String,
    /// Bytes that the source expects to send.
    pub(super) bytes: Option<u64>,
    /// Where its tablespaces lie.
    pub(super) tablespaces: Vec<String>,
}

/// Where in the answer one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the archive.
    Before,
    Archive,
    Manifest,
    /// All is copied.
    End,
}

/// The answer; reading from it gives the archive.
pub(super) struct Answer<'a> {
    connection: &'a mut Connection,
    has_letters: bool,
    at: At,
    /// Bytes of the present message that are of the archive and not yet read.
    left: usize,
    manifest: Vec<u8>,
    /// Why reading ended early.
    failure: Option<PhysicalError>,
}

impl<'a> Answer<'a> {
    /// Sends `command` and reads what comes before the archive.
    pub(super) fn begin(
        connection: &'a mut Connection,
        command: &str,
        major: u32,
    ) -> Result<(Self, Opening), PhysicalError> {
        connection.send_query(command)?;
        let (mut opening, mut tables) = (Opening::default(), 0);
        loop {
            match connection.next()? {
                Frame::Message(Message::RowDescription(_)) => tables += 1,
                Frame::Message(Message::DataRow(row)) => opening.take(tables, values(&row)?)?,
                Frame::Message(Message::CopyOutResponse(_)) => break,
                Frame::Message(Message::CommandComplete(_)) => {}
                _ => return Err(unexpected("something else than a backup")),
            }
        }
        let has_letters = major >= LETTERS_SINCE;
        let at = if has_letters { At::Before } else { At::Archive };
        Ok((Self { connection, has_letters, at, left: 0, manifest: Vec::new(), failure: None }, opening))
    }

    /// Reads what is left, and returns the manifest.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, PhysicalError> {
        let mut rest = [0; 4096];
        while self.advance(&mut rest)? > 0 {}
        while self.at != At::End {
            self.take_message()?;
        }
        loop {
            if let Frame::Message(Message::ReadyForQuery(_)) = self.connection.next()? {
                return Ok(self.manifest);
            }
        }
    }

    /// What went wrong at the source or on the way, if reading failed.
    pub(super) fn failure(&mut self) -> Option<PhysicalError> {
        self.failure.take()
    }

    /// Bytes of the archive; 0 at its end.
    fn advance(&mut self, into: &mut [u8]) -> Result<usize, PhysicalError> {
        while self.left == 0 {
            if matches!(self.at, At::Manifest | At::End) {
                return Ok(0);
            }
            self.take_message()?;
        }
        let wanted = into.len().min(self.left);
        let count = self.connection.read_data(&mut into[..wanted])?;
        self.left -= count;
        Ok(count)
    }

    fn take_message(&mut self) -> Result<(), PhysicalError> {
        match self.connection.next()? {
            Frame::Data(length) if self.has_letters => self.take_lettered(length),
            Frame::Data(length) => self.take_data(length),
            Frame::Message(Message::CopyDone) if self.has_letters || self.at == At::Manifest => {
                self.at = At::End;
                Ok(())
            }
            Frame::Message(Message::CopyDone) => {
                self.at = At::Manifest;
                Ok(())
            }
            Frame::Message(Message::CopyOutResponse(_)) if self.at == At::Manifest => Ok(()),
            Frame::Message(_) => Err(unexpected("something else than a file")),
        }
    }

    fn take_lettered(&mut self, length: usize) -> Result<(), PhysicalError> {
        let mut letter = [0];
        if length == 0 || self.connection.read_data(&mut letter)? == 0 {
            return Err(unexpected("an empty part of a backup"));
        }
        let length = length - 1;
        match letter[0] {
            b'd' => return self.take_data(length),
            b'n' if self.at == At::Before => self.at = At::Archive,
            b'm' => self.at = At::Manifest,
            b'p' => {}
            _ => return Err(unexpected("a second archive")),
        }
        self.connection.read_all(length).map(drop)
    }

    fn take_data(&mut self, length: usize) -> Result<(), PhysicalError> {
        match self.at {
            At::Archive => self.left = length,
            At::Manifest => self.manifest.extend(self.connection.read_all(length)?),
            At::Before | At::End => return Err(unexpected("data of no file")),
        }
        Ok(())
    }
}

impl Read for Answer<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.advance(into).map_err(|failure| {
            let message = failure.to_string();
            self.failure = Some(failure);
            io::Error::other(message)
        })
    }
}

impl Opening {
    /// The first table has the start; the second the tablespaces, of which the data directory is the one without a number.
    fn take(&mut self, table: u32, row: Vec<Option<String>>) -> Result<(), PhysicalError> {
        let mut row = row.into_iter();
        match (table, row.next(), row.next(), row.next()) {
            (1, Some(Some(start)), ..) => self.start = start,
            (2, Some(number), Some(place), Some(kilobytes)) => {
                if number.is_some() {
                    self.tablespaces.push(place.unwrap_or_default());
                }
                if let Some(kilobytes) = kilobytes.and_then(|text| text.parse::<u64>().ok()) {
                    *self.bytes.get_or_insert(0) += kilobytes * 1024;
                }
            }
            _ => return Err(unexpected("a row that belongs to no backup")),
        }
        Ok(())
    }
}
