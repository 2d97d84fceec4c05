//! A server that behaves as badly as a test wants.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::raw::{CANCEL, message};

/// Listens on a unix socket and answers queries by what they say; see [`converse`].
pub struct Fake {
    pub socket: PathBuf,
    /// How many connections it has seen, cancel requests not counted.
    pub seen: Arc<AtomicUsize>,
    /// The keys of cancel requests that it has received.
    pub cancels: tokio::sync::watch::Receiver<Vec<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Fake {
    /// Refuses the first `refusals` connections as a Postgres that starts up does. Others get `key` as cancel key.
    pub fn start(socket: &Path, refusals: usize, key: &'static [u8]) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let seen = Arc::new(AtomicUsize::new(0));
        let (cancelled, cancels) = tokio::sync::watch::channel(Vec::new());
        let count = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            // Dropped with this task, which ends all connections.
            let mut talks = tokio::task::JoinSet::new();
            let cancelled = Arc::new(cancelled);
            loop {
                let (client, _) = listener.accept().await.unwrap();
                while talks.try_join_next().is_some() {}
                talks.spawn(serve(client, Arc::clone(&count), refusals, key, Arc::clone(&cancelled)));
            }
        });
        Self { socket: socket.to_path_buf(), seen, cancels, task }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut client: UnixStream,
    seen: Arc<AtomicUsize>,
    refusals: usize,
    key: &[u8],
    cancelled: Arc<tokio::sync::watch::Sender<Vec<Vec<u8>>>>,
) {
    let Ok(length) = client.read_u32().await else { return };
    let mut start = vec![0; length as usize - 4];
    if client.read_exact(&mut start).await.is_err() {
        return;
    }
    if start[..4] == CANCEL.to_be_bytes() {
        cancelled.send_modify(|keys| keys.push(start[4..].to_vec()));
        return;
    }
    if seen.fetch_add(1, Ordering::SeqCst) < refusals {
        let refusal = message(b'E', b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0");
        let _ = client.write_all(&refusal).await;
        return;
    }
    let ready = [message(b'R', &[0; 4]), message(b'K', key), message(b'Z', b"I")].concat();
    if client.write_all(&ready).await.is_ok() {
        let _ = converse(client).await;
    }
}

/// `begin`, `commit` and others are answered at once. `hang` is not answered. `half` is answered with half a message.
/// `crash` closes without a word. `flood N` sends one message of N bytes.
async fn converse(mut client: UnixStream) -> std::io::Result<()> {
    loop {
        let mut header = [0; 5];
        client.read_exact(&mut header).await?;
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize - 4;
        let mut body = vec![0; length];
        client.read_exact(&mut body).await?;
        if header[0] == b'X' {
            return Ok(());
        }
        let sql = String::from_utf8_lossy(&body[..length.saturating_sub(1)]).into_owned();
        let status: &[u8] = if sql == "begin" { b"T" } else { b"I" };
        match sql.as_str() {
            "hang" => continue,
            "crash" => return Ok(()),
            "half" => {
                client.write_all(b"D\0\0\x01\0half").await?;
                continue;
            }
            _ => {}
        }
        if let Some(size) = sql.strip_prefix("flood ") {
            let size: usize = size.parse().unwrap();
            client.write_all(b"d").await?;
            client.write_u32(size as u32 + 4).await?;
            let chunk = vec![b'Z'; 1 << 16];
            let mut left = size;
            while left > 0 {
                let part = left.min(chunk.len());
                client.write_all(&chunk[..part]).await?;
                left -= part;
            }
        }
        client.write_all(&[message(b'C', b"DONE\0"), message(b'Z', status)].concat()).await?;
    }
}
