//! The packets a client sends before its first typed message.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::cancel::{MAX_KEY, MIN_KEY};
use crate::error::SqlState;
use crate::upstream::UpstreamError;

/// The longest startup packet, in bytes; the limit of Postgres itself.
const MAX_PACKET: usize = 10_000;
/// How often a client may ask for encryption before it starts. Well-behaved ones ask once for each kind.
const MAX_NEGOTIATIONS: usize = 16;

const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;

/// What a client wants of us.
#[derive(PartialEq, Eq)]
pub(crate) enum Opening {
    /// To start a session.
    Session(Startup),
    /// To cancel the statement of the connection with this key: process id, then secret.
    Cancel(Vec<u8>),
}

/// A startup packet.
#[derive(PartialEq, Eq)]
pub(crate) struct Startup {
    /// All of it, as received.
    packet: Vec<u8>,
}

impl Startup {
    /// Whom the client logs in as: the last that it names, as Postgres has it.
    pub(crate) fn user(&self) -> String {
        let named = self.parameters().filter(|(key, _)| *key == b"user").last();
        named.map(|(_, user)| String::from_utf8_lossy(user).into_owned()).unwrap_or_default()
    }

    /// The packet, with another user if there is one.
    pub(crate) fn packet(&self, user: Option<&str>) -> Vec<u8> {
        let Some(user) = user else { return self.packet.clone() };
        let mut packet = self.packet[..8].to_vec();
        let mut put = |key: &[u8], value: &[u8]| packet.extend([key, b"\0", value, b"\0"].concat());
        put(b"user", user.as_bytes());
        let (mut named, mut has_database) = (&b""[..], false);
        for (key, value) in self.parameters() {
            match key {
                b"user" => named = value,
                _ => put(key, value),
            }
            has_database |= key == b"database";
        }
        // To Postgres, the user's name is the database's where none is named.
        if !has_database {
            put(b"database", named);
        }
        packet.push(0);
        let length = (packet.len() as u32).to_be_bytes();
        packet[..4].copy_from_slice(&length);
        packet
    }

    /// Names and values, up to where Postgres would stop reading.
    fn parameters(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.packet.get(8..self.packet.len() - 1).unwrap_or_default().split(|byte| *byte == 0);
        std::iter::from_fn(move || Some((rest.next().filter(|key| !key.is_empty())?, rest.next()?)))
    }
}

/// Why there is no [`Opening`].
#[derive(Debug)]
pub(crate) enum StartupError {
    /// The client left; there is nobody to answer.
    Gone,
    /// The client sent what no server of ours understands.
    Malformed(UpstreamError),
}

/// Reads up to the packet that opens a session or cancels one, declining encryption on the way.
///
/// Never reads beyond that packet and never holds more than [`MAX_PACKET`] bytes. The caller bounds the time.
pub(crate) async fn read_opening<S>(client: &mut S) -> Result<Opening, StartupError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for _ in 0..=MAX_NEGOTIATIONS {
        let packet = read_packet(client).await?;
        match word(&packet, 4) {
            SSL_REQUEST | GSSENC_REQUEST if packet.len() == 8 => {
                client.write_all(b"N").await.map_err(|_| StartupError::Gone)?;
            }
            CANCEL_REQUEST => return cancel_key(&packet),
            version => return session(version, packet),
        }
    }
    Err(malformed("the client asked for encryption too many times"))
}

/// The cancel request packet for a key: process id, then secret.
pub(crate) fn cancel_packet(key: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(8 + key.len());
    packet.extend_from_slice(&((8 + key.len()) as u32).to_be_bytes());
    packet.extend_from_slice(&CANCEL_REQUEST.to_be_bytes());
    packet.extend_from_slice(key);
    packet
}

async fn read_packet(client: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, StartupError> {
    let mut length = [0; 4];
    client.read_exact(&mut length).await.map_err(|_| StartupError::Gone)?;
    let size = u32::from_be_bytes(length) as usize;
    if !(8..=MAX_PACKET).contains(&size) {
        return Err(malformed("the startup packet has an invalid length"));
    }
    let mut packet = vec![0; size];
    packet[..4].copy_from_slice(&length);
    client.read_exact(&mut packet[4..]).await.map_err(|_| StartupError::Gone)?;
    Ok(packet)
}

fn cancel_key(packet: &[u8]) -> Result<Opening, StartupError> {
    let key = &packet[8..];
    if !(MIN_KEY..=MAX_KEY).contains(&key.len()) {
        return Err(malformed("the cancel request has an invalid length"));
    }
    Ok(Opening::Cancel(key.to_vec()))
}

/// Checks only what the endpoint relies on. Postgres negotiates the minor version and judges the parameters.
fn session(version: u32, packet: Vec<u8>) -> Result<Opening, StartupError> {
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != 3 {
        let error = UpstreamError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("protocol version {major}.{minor} is not supported"),
        )
        .with_hint("The endpoint speaks version 3 of the Postgres protocol, without TLS.");
        return Err(StartupError::Malformed(error));
    }
    if packet.len() < 9 || packet.last() != Some(&0) {
        return Err(malformed("the startup packet has no terminator"));
    }
    Ok(Opening::Session(Startup { packet }))
}

fn malformed(message: &str) -> StartupError {
    StartupError::Malformed(UpstreamError::new(SqlState::PROTOCOL_VIOLATION, message))
}

fn word(packet: &[u8], at: usize) -> u32 {
    packet[at..at + 4].iter().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u32, body: &[u8]) -> Vec<u8> {
        let mut packet = ((8 + body.len()) as u32).to_be_bytes().to_vec();
        packet.extend_from_slice(&code.to_be_bytes());
        packet.extend_from_slice(body);
        packet
    }

    /// What comes of `input`, and what the client was told.
    async fn open(input: &[u8]) -> (Result<Opening, StartupError>, Vec<u8>) {
        let (mut client, mut ours) = tokio::io::duplex(64 * 1024);
        client.write_all(input).await.unwrap();
        client.shutdown().await.unwrap();
        let opening = read_opening(&mut ours).await;
        drop(ours);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        (opening, answer)
    }

    fn sqlstate(opening: Result<Opening, StartupError>) -> SqlState {
        match opening {
            Err(StartupError::Malformed(error)) => error.sqlstate,
            _ => panic!("the packet should have been refused"),
        }
    }

    #[tokio::test]
    async fn encryption_is_declined_however_often_it_is_asked_for() {
        let start = packet(0x0003_0002, b"user\0me\0\0");
        let input =
            [packet(GSSENC_REQUEST, b""), packet(SSL_REQUEST, b""), packet(SSL_REQUEST, b""), start.clone()]
                .concat();
        let (opening, answer) = open(&input).await;
        assert!(opening.is_ok_and(|opening| opening == Opening::Session(Startup { packet: start })));
        assert_eq!(answer, b"NNN");
        let (opening, _) = open(&packet(SSL_REQUEST, b"").repeat(30)).await;
        assert_eq!(sqlstate(opening), SqlState::PROTOCOL_VIOLATION);
    }

    #[test]
    fn another_user_takes_the_place_of_all_that_the_client_names() {
        let startup = |body: &[u8]| Startup { packet: packet(0x0003_0002, body) };
        let twice = startup(b"user\0reader\0options\0-c a=b\0user\0me\0application_name\0\0\0");
        assert_eq!(twice.user(), "me", "Postgres takes the last");
        assert!(
            twice.packet(Some("reader"))
                == packet(
                    0x0003_0002,
                    b"user\0reader\0options\0-c a=b\0application_name\0\0database\0me\0\0"
                )
        );
        let named = startup(b"database\0app\0user\0me\0\0");
        assert!(named.packet(Some("r")) == packet(0x0003_0002, b"user\0r\0database\0app\0\0"));
        assert!(named.packet(None) == named.packet);
        // What stands behind the end is not read by Postgres either.
        let hidden = startup(b"user\0me\0\0user\0reader\0\0");
        assert_eq!(hidden.user(), "me");
        assert!(hidden.packet(Some("r")) == packet(0x0003_0002, b"user\0r\0database\0me\0\0"));
        for odd in [&b"\0"[..], b"user\0", b"x\0"] {
            assert_eq!(startup(odd).user(), "");
        }
    }

    #[tokio::test]
    async fn cancel_keys_have_eight_to_260_bytes() {
        for length in [8, 36, 260] {
            let (opening, _) = open(&packet(CANCEL_REQUEST, &vec![7; length])).await;
            assert!(opening.is_ok_and(|opening| opening == Opening::Cancel(vec![7; length])));
        }
        for length in [0, 7, 261] {
            let (opening, _) = open(&packet(CANCEL_REQUEST, &vec![7; length])).await;
            assert_eq!(sqlstate(opening), SqlState::PROTOCOL_VIOLATION);
        }
    }

    #[tokio::test]
    async fn what_is_no_startup_packet_is_refused() {
        for input in
            [&[0; 8][..], &[0, 0, 0, 7, 0, 3, 0, 0], &[0x7f, 0xff, 0xff, 0xff], &[0x16, 3, 1, 2, 0, 1]]
        {
            assert_eq!(sqlstate(open(input).await.0), SqlState::PROTOCOL_VIOLATION);
        }
        let unterminated = packet(0x0003_0000, b"user\0me");
        assert_eq!(sqlstate(open(&unterminated).await.0), SqlState::PROTOCOL_VIOLATION);
        let old = packet(0x0002_0000, b"user\0");
        assert_eq!(sqlstate(open(&old).await.0), SqlState::FEATURE_NOT_SUPPORTED);
    }

    #[tokio::test]
    async fn a_client_that_leaves_midway_is_gone() {
        for input in [&b""[..], &[0, 0], &[0, 0, 0, 20, 0, 3, 0, 0, b'u']] {
            assert!(matches!(open(input).await.0, Err(StartupError::Gone)));
        }
    }
}
