//! A TLS session over TCP that one thread reads while another writes.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::oid::db::rfc5912;

use super::TlsError;

const BUFFER_BYTES: usize = 64 << 10;

/// A session. Its lock is never held while the network is waited for.
pub(crate) struct Secure {
    stream: TcpStream,
    session: Mutex<ClientConnection>,
    /// What has arrived and is not decrypted; the reader has it.
    arrived: Mutex<Arrived>,
    /// Whoever holds it sends: what is encrypted goes out in its order.
    sending: Mutex<()>,
}

struct Arrived {
    bytes: Box<[u8]>,
    from: usize,
    to: usize,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Secure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secure").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Secure {
    /// Shakes hands with the server called `host`; the limits of `stream` hold for that.
    pub(crate) fn begin(
        mut stream: TcpStream,
        host: &str,
        config: Arc<ClientConfig>,
    ) -> Result<Self, TlsError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| TlsError::Handshake {
            message: format!("`{host}` is no name that a certificate can have: {error}"),
        })?;
        let mut session = ClientConnection::new(config, name).map_err(|error| TlsError::of(&error))?;
        session.set_buffer_limit(None);
        while session.is_handshaking() {
            session.complete_io(&mut stream).map_err(|error| {
                TlsError::in_io(&error).unwrap_or_else(|| TlsError::Handshake { message: error.to_string() })
            })?;
        }
        let arrived = Arrived { bytes: vec![0; BUFFER_BYTES].into(), from: 0, to: 0 };
        Ok(Self { stream, session: session.into(), arrived: arrived.into(), sending: Mutex::new(()) })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// What ties a login to this session: a digest of the server's certificate (`tls-server-end-point`, RFC 5929); `None` for a
    /// certificate whose signature has no digest for that.
    pub(crate) fn binding(&self) -> Option<Vec<u8>> {
        let session = locked(&self.session);
        let certificate = session.peer_certificates()?.first()?;
        let parsed = Certificate::from_der(certificate).ok()?;
        Some(match parsed.signature_algorithm.oid {
            rfc5912::SHA_1_WITH_RSA_ENCRYPTION
            | rfc5912::SHA_256_WITH_RSA_ENCRYPTION
            | rfc5912::ECDSA_WITH_SHA_256 => Sha256::digest(certificate).to_vec(),
            rfc5912::SHA_384_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_384 => {
                Sha384::digest(certificate).to_vec()
            }
            rfc5912::SHA_512_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_512 => {
                Sha512::digest(certificate).to_vec()
            }
            _ => return None,
        })
    }

    /// Reads as [`io::Read`] does.
    pub(crate) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut arrived = locked(&self.arrived);
        loop {
            {
                let mut session = locked(&self.session);
                match session.reader().read(into) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return done,
                }
                let Arrived { bytes, from, to } = &mut *arrived;
                if from < to {
                    let mut left = &bytes[*from..*to];
                    session.read_tls(&mut left)?;
                    *from = *to - left.len();
                    let processed = session.process_new_packets();
                    let answers = session.wants_write();
                    drop(session);
                    if answers {
                        self.send(|_| Ok(()))?;
                    }
                    processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                    continue;
                }
            }
            let count = (&self.stream).read(&mut arrived.bytes)?;
            if count == 0 {
                return Ok(0);
            }
            (arrived.from, arrived.to) = (0, count);
        }
    }

    /// Writes all of `bytes`.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.send(|session| session.writer().write_all(bytes))
    }

    /// Sends what `fill` puts into the session.
    fn send(&self, fill: impl FnOnce(&mut ClientConnection) -> io::Result<()>) -> io::Result<()> {
        let _sending = locked(&self.sending);
        let mut out = Vec::new();
        {
            let mut session = locked(&self.session);
            fill(&mut session)?;
            while session.wants_write() {
                session.write_tls(&mut out)?;
            }
        }
        (&self.stream).write_all(&out)
    }
}
