//! Follows a conversation from its bytes: where messages end, and whether the connection is idle.
//!
//! Only headers are read. The bodies of two short server messages are kept: the transaction status and the cancel key.

mod framer;
mod ledger;

pub(crate) use framer::Framer;
use framer::Sink;
use ledger::Ledger;

use crate::cancel::{MAX_KEY, MIN_KEY};

/// Both directions of one connection, from the first message after the startup packet.
///
/// Bytes that are not the protocol never stop the relay: the conversation is then lost, and counts as busy for ever.
#[derive(Default)]
pub(crate) struct Conversation {
    client: Framer,
    server: Framer,
    ledger: Ledger,
    key: Option<Vec<u8>>,
    last_from_server: u8,
    terminated: bool,
    statement_ended: bool,
}

impl Conversation {
    /// Takes note of bytes from the client.
    pub(crate) fn client_sent(&mut self, bytes: &[u8]) {
        self.client
            .feed(bytes, &mut FromClient { ledger: &mut self.ledger, terminated: &mut self.terminated });
    }

    /// Takes note of bytes from the server. Returns the offset of the last message boundary in `bytes`, both ends included.
    pub(crate) fn server_sent(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut sink = FromServer {
            ledger: &mut self.ledger,
            key: &mut self.key,
            last: &mut self.last_from_server,
            ended: &mut self.statement_ended,
        };
        self.server.feed(bytes, &mut sink)
    }

    /// Whether the server waits for the client, outside of a transaction, and owes it nothing.
    pub(crate) fn is_idle(&self) -> bool {
        self.client.at_boundary() && self.server.at_boundary() && !self.terminated && self.ledger.is_idle()
    }

    /// Whether the server's bytes so far end with a whole message.
    pub(crate) fn server_at_boundary(&self) -> bool {
        self.server.at_boundary()
    }

    /// Whether the server's messages can no longer be told apart.
    pub(crate) fn server_is_lost(&self) -> bool {
        self.server.is_lost()
    }

    /// Whether the end of the connection needs no explanation: the client asked for it, or the server gave its reason.
    pub(crate) fn end_is_explained(&self) -> bool {
        self.terminated || self.last_from_server == b'E'
    }

    /// Whether a statement or transaction ended since the last call. The end of the login is none.
    pub(crate) fn take_statement_end(&mut self) -> bool {
        std::mem::take(&mut self.statement_ended)
    }

    /// The key for cancel requests (process id, then secret), once, after the server has sent it.
    pub(crate) fn take_key(&mut self) -> Option<Vec<u8>> {
        self.key.take()
    }
}

struct FromClient<'a> {
    ledger: &'a mut Ledger,
    terminated: &'a mut bool,
}

impl Sink for FromClient<'_> {
    fn header(&mut self, kind: u8, _size: u32) -> bool {
        match kind {
            b'Q' | b'F' => self.ledger.query(),
            b'S' => self.ledger.sync(),
            b'P' | b'B' | b'E' | b'D' | b'C' => self.ledger.unsynced(),
            b'c' | b'f' => self.ledger.copy_ended(),
            b'X' => *self.terminated = true,
            _ => {}
        }
        false
    }

    fn body(&mut self, _kind: u8, _body: &[u8]) {}
}

struct FromServer<'a> {
    ledger: &'a mut Ledger,
    key: &'a mut Option<Vec<u8>>,
    last: &'a mut u8,
    ended: &'a mut bool,
}

impl Sink for FromServer<'_> {
    fn header(&mut self, kind: u8, size: u32) -> bool {
        *self.last = kind;
        match kind {
            b'Z' => size == 1,
            b'K' => (MIN_KEY..=MAX_KEY).contains(&(size as usize)),
            b'G' | b'W' => {
                self.ledger.copy_began();
                false
            }
            b'E' => {
                self.ledger.failed();
                false
            }
            _ => false,
        }
    }

    fn body(&mut self, kind: u8, body: &[u8]) {
        match kind {
            b'Z' => {
                *self.ended |= self.ledger.is_logged_in() && body[0] == b'I';
                self.ledger.ready(body[0]);
            }
            _ => *self.key = Some(body.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests;
