//! Which Postgres a cancel request is for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::startup::cancel_packet;

/// How long one cancel request may take. Postgres answers by closing as soon as it has sent the signal.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// The longest key: a process id and 256 bytes of secret, the most that protocol 3.2 allows.
pub(crate) const MAX_KEY: usize = 4 + 256;

/// The shortest key: a process id and the 4 bytes of secret that protocol 3.0 knows.
pub(crate) const MIN_KEY: usize = 4 + 4;

/// The open connections of any number of endpoints, by what a cancel request quotes: process id and secret key.
///
/// Two branches' Postgres servers can have equal process ids; only the secret tells them apart. A request that quotes an unknown
/// key is ignored, as Postgres does.
#[derive(Default)]
pub struct CancelKeys {
    routes: Mutex<Routes>,
}

#[derive(Default)]
struct Routes {
    next: u64,
    by_key: HashMap<Box<[u8]>, Route>,
}

struct Route {
    registration: u64,
    socket: PathBuf,
}

impl CancelKeys {
    /// An empty registry. Endpoints share it through an `Arc`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers that `key` (process id, then secret) belongs to the server at `socket`, until the result is dropped.
    pub(crate) fn register(self: &Arc<Self>, key: &[u8], socket: &Path) -> Registration {
        let key: Box<[u8]> = key.into();
        let mut routes = self.lock();
        let id = routes.next;
        routes.next += 1;
        routes.by_key.insert(key.clone(), Route { registration: id, socket: socket.to_path_buf() });
        Registration { keys: Arc::clone(self), key, id }
    }

    /// Passes a cancel request on to the server that `key` belongs to and waits until that server has acted on it.
    pub(crate) async fn forward(&self, key: &[u8]) {
        let socket = self.lock().by_key.get(key).map(|route| route.socket.clone());
        if let Some(socket) = socket {
            send(&socket, key).await;
        } else {
            tracing::debug!("ignored a cancel request with an unknown key");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for CancelKeys {
    /// The number of keys only: each is a secret.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("CancelKeys").field("count", &self.lock().by_key.len()).finish()
    }
}

/// One connection's entry in [`CancelKeys`].
pub(crate) struct Registration {
    keys: Arc<CancelKeys>,
    key: Box<[u8]>,
    id: u64,
}

impl Registration {
    /// Cancels whatever this connection's backend is running.
    pub(crate) async fn cancel(&self) {
        self.keys.forward(&self.key).await;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut routes = self.keys.lock();
        if routes.by_key.get(&self.key).is_some_and(|route| route.registration == self.id) {
            routes.by_key.remove(&self.key);
        }
    }
}

async fn send(socket: &Path, key: &[u8]) {
    let exchange = async {
        let mut server = UnixStream::connect(socket).await?;
        server.write_all(&cancel_packet(key)).await?;
        // The end of the stream says that the signal is on its way; a client that waits for us relies on it.
        server.read_u8().await.map(drop)
    };
    match timeout(CANCEL_PATIENCE, exchange).await {
        Ok(Err(error)) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            tracing::debug!(%error, "pass on a cancel request");
        }
        Err(_) => tracing::debug!("a cancel request was not acted on in time"),
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_to_its_own_socket_until_dropped() {
        let keys = Arc::new(CancelKeys::new());
        let one = keys.register(&[0, 0, 0, 9, 1, 1, 1, 1], Path::new("/a"));
        let _two = keys.register(&[0, 0, 0, 9, 2, 2, 2, 2], Path::new("/b"));
        let socket_of = |key: &[u8]| keys.lock().by_key.get(key).map(|route| route.socket.clone());
        assert_eq!(socket_of(&[0, 0, 0, 9, 1, 1, 1, 1]), Some(PathBuf::from("/a")));
        assert_eq!(socket_of(&[0, 0, 0, 9, 2, 2, 2, 2]), Some(PathBuf::from("/b")));
        drop(one);
        assert_eq!(socket_of(&[0, 0, 0, 9, 1, 1, 1, 1]), None);
        assert_eq!(format!("{keys:?}"), "CancelKeys { count: 1 }");
    }

    #[test]
    fn a_reused_key_survives_the_end_of_its_first_owner() {
        let keys = Arc::new(CancelKeys::new());
        let old = keys.register(&[7; 8], Path::new("/a"));
        let _new = keys.register(&[7; 8], Path::new("/b"));
        drop(old);
        assert_eq!(keys.lock().by_key[&[7u8; 8][..]].socket, Path::new("/b"));
    }
}
