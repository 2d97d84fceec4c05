//! A client that speaks the protocol byte by byte.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

pub struct Raw(pub TcpStream);

pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend_from_slice(&((body.len() + 4) as u32).to_be_bytes());
    message.extend_from_slice(body);
    message
}

/// A packet without a kind: startup, cancel, encryption.
pub fn packet(code: u32, body: &[u8]) -> Vec<u8> {
    let mut packet = ((8 + body.len()) as u32).to_be_bytes().to_vec();
    packet.extend_from_slice(&code.to_be_bytes());
    packet.extend_from_slice(body);
    packet
}

pub const SSL: u32 = 80_877_103;
pub const GSS: u32 = 80_877_104;
pub const CANCEL: u32 = 80_877_102;
pub const VERSION_3_0: u32 = 0x0003_0000;
pub const VERSION_3_2: u32 = 0x0003_0002;

impl Raw {
    pub async fn connect(port: u16) -> Self {
        Self(TcpStream::connect(("127.0.0.1", port)).await.unwrap())
    }

    /// Connects and sends a startup packet, without waiting for an answer.
    pub async fn start(port: u16) -> Self {
        let mut raw = Self::connect(port).await;
        raw.send(&packet(VERSION_3_2, b"user\0me\0database\0here\0\0")).await;
        raw
    }

    /// Connects and waits for the first `ReadyForQuery`.
    pub async fn login(port: u16) -> Self {
        let mut raw = Self::start(port).await;
        raw.until(b'Z').await;
        raw
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub async fn query(&mut self, sql: &str) {
        self.send(&message(b'Q', &[sql.as_bytes(), b"\0"].concat())).await;
    }

    /// The next message; none at the end of the stream.
    pub async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        timeout(PATIENCE, self.read()).await.expect("no message in time")
    }

    async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut header = [0; 5];
        self.0.read_exact(&mut header).await.ok()?;
        let length = u32::from_be_bytes(header[1..].try_into().unwrap());
        let mut body = vec![0; length as usize - 4];
        self.0.read_exact(&mut body).await.ok()?;
        Some((header[0], body))
    }

    /// Skips to the next message of `kind` and returns its body.
    pub async fn until(&mut self, kind: u8) -> Vec<u8> {
        loop {
            let (next, body) = self.next().await.expect("the connection ended early");
            if next == kind {
                return body;
            }
        }
    }

    /// Expects an error and then the end of the stream; returns the error's fields.
    pub async fn last_words(&mut self) -> Fields {
        let (kind, body) = self.next().await.expect("no error before the end");
        assert_eq!(char::from(kind), 'E');
        assert_eq!(self.next().await, None);
        Fields::parse(&body)
    }
}

#[derive(Debug)]
pub struct Fields(Vec<(char, String)>);

impl Fields {
    pub fn parse(body: &[u8]) -> Self {
        let fields = body.split(|&byte| byte == 0).filter(|field| !field.is_empty());
        Self(
            fields.map(|field| (char::from(field[0]), String::from_utf8_lossy(&field[1..]).into())).collect(),
        )
    }

    pub fn get(&self, kind: char) -> &str {
        self.0.iter().find(|(each, _)| *each == kind).map_or("", |(_, text)| text)
    }
}
