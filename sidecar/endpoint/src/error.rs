//! Errors as clients see them: SQLSTATEs and the FATAL error response.

use std::fmt;

use crate::upstream::UpstreamError;

/// A SQLSTATE: five digits and upper-case letters, as in Postgres's appendix of error codes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// 57P01: an administrator, here a branch switch, ended the connection. Pools reconnect on it.
    pub const ADMIN_SHUTDOWN: Self = Self::new(*b"57P01");
    /// 57P02: the server went down under the connection.
    pub const CRASH_SHUTDOWN: Self = Self::new(*b"57P02");
    /// 57P03: the server is not ready yet. Clients may try again.
    pub const CANNOT_CONNECT_NOW: Self = Self::new(*b"57P03");
    /// 53300: no room for one more connection.
    pub const TOO_MANY_CONNECTIONS: Self = Self::new(*b"53300");
    /// 08P01: the client broke the protocol.
    pub const PROTOCOL_VIOLATION: Self = Self::new(*b"08P01");
    /// 0A000: the client asked for something that is not supported.
    pub const FEATURE_NOT_SUPPORTED: Self = Self::new(*b"0A000");
    /// 28000: this user may not log in.
    pub const INVALID_AUTHORIZATION: Self = Self::new(*b"28000");
    /// 3D000: the database does not exist.
    pub const INVALID_CATALOG_NAME: Self = Self::new(*b"3D000");
    /// XX000: a fault of ours.
    pub const INTERNAL_ERROR: Self = Self::new(*b"XX000");

    /// A SQLSTATE of these five characters.
    ///
    /// # Panics
    /// If a character is neither a digit nor an upper-case ASCII letter.
    pub const fn new(code: [u8; 5]) -> Self {
        let mut at = 0;
        while at < code.len() {
            assert!(
                code[at].is_ascii_digit() || code[at].is_ascii_uppercase(),
                "a SQLSTATE has digits and upper-case letters"
            );
            at += 1;
        }
        Self(code)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&byte| fmt::Write::write_char(out, char::from(byte)))
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// The bytes of a FATAL error response: fields S, V, C, M, then D and H where given.
pub(crate) fn fatal(error: &UpstreamError) -> Vec<u8> {
    let mut message = vec![b'E', 0, 0, 0, 0];
    put_field(&mut message, b'S', b"FATAL");
    put_field(&mut message, b'V', b"FATAL");
    put_field(&mut message, b'C', error.sqlstate.as_bytes());
    put_field(&mut message, b'M', error.message.as_bytes());
    if let Some(detail) = &error.detail {
        put_field(&mut message, b'D', detail.as_bytes());
    }
    if let Some(hint) = &error.hint {
        put_field(&mut message, b'H', hint.as_bytes());
    }
    message.push(0);
    let length = (message.len() - 1) as u32;
    message[1..5].copy_from_slice(&length.to_be_bytes());
    message
}

/// Appends a field. A zero byte would end the field early, so it is left out of `text`.
fn put_field(message: &mut Vec<u8>, kind: u8, text: &[u8]) {
    message.push(kind);
    message.extend(text.iter().filter(|&&byte| byte != 0));
    message.push(0);
}

/// The SQLSTATE field in the body of an error response.
pub(crate) fn sqlstate_in(body: &[u8]) -> Option<&[u8]> {
    body.split(|&byte| byte == 0)
        .take_while(|field| !field.is_empty())
        .find_map(|field| field.strip_prefix(b"C"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fatal_carries_its_fields_in_order_and_its_length() {
        let error =
            UpstreamError::new(SqlState::ADMIN_SHUTDOWN, "gone\0 away").with_detail("d").with_hint("h");
        let bytes = fatal(&error);
        assert_eq!(&bytes[5..], b"SFATAL\0VFATAL\0C57P01\0Mgone away\0Dd\0Hh\0\0");
        assert_eq!(bytes[1..5], ((bytes.len() - 1) as u32).to_be_bytes());
    }

    #[test]
    fn sqlstate_is_found_only_as_a_field() {
        assert_eq!(sqlstate_in(b"SFATAL\0C57P03\0Mx\0\0"), Some(&b"57P03"[..]));
        assert_eq!(sqlstate_in(b"SFATAL\0MC57P03\0\0"), None);
        assert_eq!(sqlstate_in(b"\0C57P03\0"), None);
    }
}
