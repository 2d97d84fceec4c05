//! What a tool prints, without the password.

use crate::engine::server::Call;

/// What is kept of it: the end of it.
const LOG_BYTES: usize = 96 * 1024;

/// Leaves a secret out of a stream, also where it comes in several reads.
pub(in crate::engine) struct Filter {
    secret: Vec<u8>,
    /// What may be the beginning of the secret, or of a character.
    held: Vec<u8>,
}

impl Filter {
    /// One for a secret; those that are so short that they may be any word are left alone.
    pub(in crate::engine) fn new(secret: &str) -> Self {
        let secret = if secret.len() >= 8 { secret.as_bytes().to_vec() } else { Vec::new() };
        Self { secret, held: Vec::new() }
    }

    /// What is known to be no part of the secret, as text.
    pub(in crate::engine) fn pass(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let mut passed = Vec::with_capacity(self.held.len());
        let mut rest = self.held.as_slice();
        let length = self.secret.len();
        while length > 0
            && let Some(at) = rest.windows(length).position(|window| window == self.secret)
        {
            passed.extend_from_slice(&rest[..at]);
            passed.extend_from_slice(b"***");
            rest = &rest[at + length..];
        }
        let most = rest.len().min(length.saturating_sub(1));
        let kept = (1..=most).rev().find(|kept| self.secret.starts_with(&rest[rest.len() - kept..]));
        let mut end = rest.len() - kept.unwrap_or(0);
        if let Some(last) = rest[..end].utf8_chunks().last()
            && kept.is_none()
            && (1..4).contains(&last.invalid().len())
            && std::str::from_utf8(last.invalid()).is_err_and(|e| e.error_len().is_none())
        {
            end -= last.invalid().len();
        }
        passed.extend_from_slice(&rest[..end]);
        self.held = rest[end..].to_vec();
        String::from_utf8_lossy(&passed).into_owned()
    }

    /// What was kept back, at the end of the stream.
    pub(in crate::engine) fn rest(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.held)).into_owned()
    }
}

/// What a tool printed.
pub(super) struct Log {
    text: String,
    what: String,
    cut: bool,
}

impl Log {
    /// An empty one of the work that is called `what`.
    pub(super) fn new(what: &str) -> Self {
        Self { text: String::new(), what: what.to_owned(), cut: false }
    }

    /// Tells it to whoever waits, and keeps it.
    pub(super) async fn add(&mut self, text: String, call: &Call) {
        if text.is_empty() {
            return;
        }
        call.output(&self.what, &text).await;
        self.text.push_str(&text);
        if self.text.len() > 2 * LOG_BYTES {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        let mut from = self.text.len().saturating_sub(LOG_BYTES);
        while !self.text.is_char_boundary(from) {
            from += 1;
        }
        if from > 0 {
            self.text.drain(..from);
            self.cut = true;
        }
    }

    /// The end of it.
    pub(super) fn finish(mut self) -> String {
        self.shorten();
        if self.cut { format!("… the beginning is left out\n{}", self.text) } else { self.text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_left_out_wherever_reads_cut_it() {
        let said = "café s3cretpas s3cretpass, s3crs3cretpass!";
        for first in 0..said.len() {
            for second in first..said.len() {
                let bytes = said.as_bytes();
                let mut filter = Filter::new("s3cretpass");
                let parts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                let mut shown = parts.map(|part| filter.pass(part)).concat();
                shown.push_str(&filter.rest());
                assert_eq!(shown, "café s3cretpas ***, s3cr***!", "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn what_cannot_be_a_password_is_shown_at_once() {
        let mut filter = Filter::new("s3cretpass");
        assert_eq!(filter.pass(b"Applying: 1"), "Applying: 1");
        assert_eq!(filter.pass(b" s3"), " ");
        assert_eq!(filter.rest(), "s3");
    }
}
