//! The way to a source: TCP, with TLS or without, or a unix socket.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres::config::Host;
use postgres_protocol::message::frontend;

use super::PhysicalError;
use super::connection::unexpected;
use crate::tls::{Secure, Tls, TlsError, Way};

const DEFAULT_PORT: u16 = 5432;

/// Where the source is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// The address, and the name that it was found by.
    Tcp(std::net::SocketAddr, String),
    Unix(PathBuf),
}

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Tls(Arc<Secure>),
    Unix(UnixStream),
}

impl Socket {
    pub(crate) fn open(place: &Place, timeout: Duration) -> io::Result<Self> {
        Ok(match place {
            Place::Tcp(address, _) => {
                let stream = TcpStream::connect_timeout(address, timeout)?;
                stream.set_nodelay(true)?;
                Self::Tcp(stream)
            }
            Place::Unix(path) => Self::Unix(UnixStream::connect(path)?),
        })
    }

    /// Begins TLS, as the server is asked to. One that has none stays in the clear if that is allowed.
    pub(crate) fn secured(self, place: &Place, tls: &Tls, way: Way) -> Result<Self, PhysicalError> {
        let (Self::Tcp(mut stream), Place::Tcp(_, host)) = (self, place) else {
            return Err(unexpected("TLS on a unix socket"));
        };
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        stream.write_all(&request).map_err(|e| cut(&e))?;
        // Not a byte more: what follows has to be TLS.
        let mut answer = [0];
        stream.read_exact(&mut answer).map_err(|e| cut(&e))?;
        match answer {
            [b'S'] => {
                let secure = Secure::begin(stream, host, tls.config()).map_err(PhysicalError::Tls)?;
                Ok(Self::Tls(Arc::new(secure)))
            }
            [b'N'] if way == Way::Offered => Ok(Self::Tcp(stream)),
            [b'N'] => Err(PhysicalError::Tls(TlsError::NotOffered)),
            _ => Err(unexpected("no answer to a request for TLS")),
        }
    }

    /// What ties a login to this connection, if it has TLS.
    pub(crate) fn binding(&self) -> Option<Vec<u8>> {
        if let Self::Tls(secure) = self { secure.binding() } else { None }
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tls(secure) => Self::Tls(Arc::clone(secure)),
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
        })
    }

    /// Ends what is read from it, and written to it, by anybody.
    pub(crate) fn cut(&self) {
        // It may be gone already.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Tls(secure) => secure.stream().shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    pub(crate) fn limit(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(timeout),
            Self::Tls(secure) => secure.stream().set_read_timeout(timeout),
            Self::Unix(stream) => stream.set_read_timeout(timeout),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(secure) => secure.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Tls(secure) => secure.write(bytes).map(|()| bytes.len()),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The first of the addresses that answers.
pub(crate) fn reach(config: &postgres::Config, timeout: Duration) -> Result<(Place, Socket), PhysicalError> {
    let mut last = None;
    for (index, host) in config.get_hosts().iter().enumerate() {
        let ports = config.get_ports();
        let port = ports.get(index).or_else(|| ports.first()).copied().unwrap_or(DEFAULT_PORT);
        let places: Vec<Place> = match host {
            Host::Unix(folder) => vec![Place::Unix(folder.join(format!(".s.PGSQL.{port}")))],
            Host::Tcp(name) => match (name.as_str(), port).to_socket_addrs() {
                Ok(found) => found.map(|address| Place::Tcp(address, name.clone())).collect(),
                Err(error) => {
                    last = Some(PhysicalError::Unreachable { message: format!("{name}: {error}") });
                    continue;
                }
            },
        };
        for place in places {
            match Socket::open(&place, timeout) {
                Ok(socket) => return Ok((place, socket)),
                Err(error) => last = Some(unreachable(&error)),
            }
        }
    }
    Err(last.unwrap_or_else(|| PhysicalError::Unreachable { message: "the URL names no host".into() }))
}

pub(crate) fn cut(error: &io::Error) -> PhysicalError {
    if let Some(error) = TlsError::in_io(error) {
        return PhysicalError::Tls(error);
    }
    let message = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the source ended it".to_owned(),
        _ => error.to_string(),
    };
    PhysicalError::Cut { message }
}

pub(crate) fn unreachable(error: &io::Error) -> PhysicalError {
    PhysicalError::Unreachable { message: error.to_string() }
}
