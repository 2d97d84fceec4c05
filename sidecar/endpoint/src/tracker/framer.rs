//! Splits a stream of bytes into messages: one byte of kind, four bytes of length, body.

/// What a [`Framer`] tells about the messages that it passes.
pub(crate) trait Sink {
    /// A message of `kind` began; its body has `size` bytes. Says whether to collect the body, which must then be short.
    fn header(&mut self, kind: u8, size: u32) -> bool;
    /// The collected body of a message of `kind` is complete.
    fn body(&mut self, kind: u8, body: &[u8]);
}

const HEADER: usize = 5;

/// The longest message that Postgres sends or takes is below 1 GiB; a length with the sign bit set is none.
const MAX_LENGTH: u32 = i32::MAX as u32;

/// Follows message boundaries over any division of the stream into chunks, in constant memory.
#[derive(Default)]
pub(crate) struct Framer {
    header: [u8; HEADER],
    header_len: usize,
    /// Bytes of the current body that are still to come.
    remaining: usize,
    collecting: bool,
    collected: Vec<u8>,
    lost: bool,
}

impl Framer {
    /// Passes `bytes` and tells `sink` about them. Returns the offset of the last message boundary in `bytes`;
    /// 0 counts if the previous message was complete.
    pub(crate) fn feed(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Option<usize> {
        let mut boundary = self.at_boundary().then_some(0);
        let mut at = 0;
        while at < bytes.len() && !self.lost {
            at += if self.header_len < HEADER {
                self.take_header(&bytes[at..], sink)
            } else {
                self.take_body(&bytes[at..], sink)
            };
            if self.at_boundary() {
                boundary = Some(at);
            }
        }
        if self.lost { None } else { boundary }
    }

    /// Whether the stream so far ends with a whole message, or is empty.
    pub(crate) fn at_boundary(&self) -> bool {
        self.header_len == 0 && !self.lost
    }

    /// Whether the stream broke the format; nothing is known from there on.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    fn take_header(&mut self, bytes: &[u8], sink: &mut impl Sink) -> usize {
        let taken = bytes.len().min(HEADER - self.header_len);
        self.header[self.header_len..self.header_len + taken].copy_from_slice(&bytes[..taken]);
        self.header_len += taken;
        if self.header_len == HEADER {
            let [kind, length @ ..] = self.header;
            let length = u32::from_be_bytes(length);
            if !(4..=MAX_LENGTH).contains(&length) {
                self.lost = true;
                return taken;
            }
            self.remaining = length as usize - 4;
            self.collecting = sink.header(kind, length - 4);
            self.end_if_complete(sink);
        }
        taken
    }

    fn take_body(&mut self, bytes: &[u8], sink: &mut impl Sink) -> usize {
        let taken = bytes.len().min(self.remaining);
        if self.collecting {
            self.collected.extend_from_slice(&bytes[..taken]);
        }
        self.remaining -= taken;
        self.end_if_complete(sink);
        taken
    }

    fn end_if_complete(&mut self, sink: &mut impl Sink) {
        if self.remaining > 0 {
            return;
        }
        self.header_len = 0;
        if self.collecting {
            sink.body(self.header[0], &self.collected);
            self.collecting = false;
            self.collected.clear();
        }
    }
}
