//! TLS for a `pg_dump` that has none: it connects to a unix socket of this process, which speaks TLS with the server.
//!
//! All is passed on as it is, but for one thing: that a login can be tied to the server's certificate. The tool does not see that, and libpq
//! takes such an offer without TLS for an attack. (Message formats and SASL authentication, in the documentation of Postgres.)

use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use postgres::Config;
use postgres::config::Host;

use super::LoadError;
use super::url::{Source, joined};
use crate::physical::{PhysicalError, Socket, reach};
use crate::sys;
use crate::tls::{Mode, Tls, Way};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const BUFFER_BYTES: usize = 64 << 10;
const PORT: u16 = 5432;
/// The most that a message of a login has.
const LOGIN_BYTES: usize = 64 << 10;
/// Numbers in messages of authentication.
const LOGGED_IN: u32 = 0;
const SASL: u32 = 10;
/// A socket's path has at most 107 bytes.
const FOLDER_BYTES: usize = 60;

/// A way for one connection. It ends with that, or when this is dropped before there is one.
pub(super) struct Tunnel {
    folder: PathBuf,
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    tls: Tls,
    over: AtomicBool,
    failure: Mutex<Option<PhysicalError>>,
}

impl Tunnel {
    /// Listens for a tool that is to read `source`; `None` if that is to be read without TLS.
    pub(super) fn start(source: &Source) -> Result<Option<Self>, LoadError> {
        let tls = source.tls()?;
        let config = source.client_config().map_err(|message| LoadError::SourceUnreachable { message })?;
        let is_unix = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        if is_unix || tls.mode() == Mode::Disable {
            return Ok(None);
        }
        let folder = private_folder()?;
        let address = address(&folder, &config, source);
        let shared =
            Arc::new(Shared { config, tls, over: AtomicBool::new(false), failure: Mutex::default() });
        let tunnel = Self { folder, address, shared: Arc::clone(&shared) };
        let listener = UnixListener::bind(tunnel.socket())?;
        let folder = tunnel.folder.clone();
        thread::Builder::new().name("tunnel".into()).spawn(move || {
            let client = listener.accept();
            // Nobody else is waited for, and nothing is left if this process is killed.
            let _ = fs::remove_dir_all(&folder);
            if let Ok((client, _)) = client
                && !shared.over.load(Ordering::Acquire)
                && let Err(error) = shared.serve(client)
            {
                *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        })?;
        Ok(Some(tunnel))
    }

    /// The connection string for the tool.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Why there was no way to the server.
    pub(super) fn failure(&self) -> Option<LoadError> {
        let failure = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(match failure {
            PhysicalError::Tls(error) => error.into(),
            other => LoadError::SourceUnreachable { message: other.to_string() },
        })
    }

    fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{PORT}"))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        // Who still waits for the tool gets this.
        let _ = UnixStream::connect(self.socket());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Shared {
    /// Serves the tool until one of the two sides ends.
    fn serve(&self, mut client: UnixStream) -> Result<(), PhysicalError> {
        let mut server = self.connect()?;
        let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
        let answering = thread::Builder::new().name("tunnel".into()).spawn(move || {
            let _ = pass_login(&mut answers, &mut back).and_then(|()| pump(&mut answers, &mut back));
            let _ = back.shutdown(Shutdown::Both);
        })?;
        // The tool tells what it misses of an answer.
        let _ = pump(&mut client, &mut server);
        server.cut();
        let _ = answering.join();
        Ok(())
    }

    /// Connects by the first way that the URL allows. TLS goes before none, also with `sslmode=allow`.
    fn connect(&self) -> Result<Socket, PhysicalError> {
        let ways = match self.tls.mode() {
            Mode::Allow => &[Way::Offered, Way::Plain],
            _ => self.tls.ways(false),
        };
        let mut ways = ways.iter().peekable();
        loop {
            let way = *ways.next().unwrap_or(&Way::Secured);
            match self.connect_by(way) {
                Err(PhysicalError::Tls(_)) if ways.peek().is_some() => {}
                done => return done,
            }
        }
    }

    fn connect_by(&self, way: Way) -> Result<Socket, PhysicalError> {
        let (place, mut socket) = reach(&self.config, CONNECT_TIMEOUT)?;
        socket.limit(Some(CONNECT_TIMEOUT))?;
        if let Socket::Tcp(stream) = &socket {
            sys::keep_alive(stream)?;
            if way != Way::Plain {
                socket = socket.secured(&place, &self.tls, way)?;
            }
        }
        socket.limit(None)?;
        Ok(socket)
    }
}

fn pump(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Passes on what the server says until it has let the tool in, or has not.
fn pass_login(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    loop {
        let mut head = [0; 5];
        from.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if !(4..=LOGIN_BYTES).contains(&length) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no message of a login"));
        }
        let mut body = vec![0; length - 4];
        from.read_exact(&mut body)?;
        let code = body.first_chunk().map(|code| u32::from_be_bytes(*code)).filter(|_| kind == b'R');
        if code == Some(SASL) {
            body = without_binding(&body);
        }
        let mut message = vec![kind];
        message.extend(u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
        message.extend(body);
        to.write_all(&message)?;
        // Which version of the protocol is spoken may come before.
        if code.is_none_or(|code| code == LOGGED_IN) && kind != b'v' {
            return Ok(());
        }
    }
}

/// The offer of ways to log in, without those that are tied to TLS.
fn without_binding(body: &[u8]) -> Vec<u8> {
    let (code, names) = body.split_at(4);
    let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty() && !name.ends_with(b"-PLUS"));
    let mut kept = code.to_vec();
    for name in names {
        kept.extend_from_slice(name);
        kept.push(0);
    }
    kept.push(0);
    kept
}

/// A folder that nobody else may enter.
fn private_folder() -> io::Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let temporary = std::env::temp_dir();
    let is_short = temporary.as_os_str().len() <= FOLDER_BYTES;
    let parent = if is_short { temporary.as_path() } else { Path::new("/tmp") };
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("offshoot-tls-{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// What leads the tool here, to whom and what it wants there.
fn address(folder: &Path, config: &Config, source: &Source) -> String {
    let mut words = vec![
        ("host", folder.display().to_string()),
        ("port", PORT.to_string()),
        ("sslmode", "disable".to_owned()),
        ("gssencmode", "disable".to_owned()),
    ];
    let known =
        [("user", config.get_user()), ("dbname", config.get_dbname()), ("options", config.get_options())];
    words.extend(known.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned()))));
    // Not to be dropped without a word: the tool refuses what it cannot do.
    words.extend(
        ["channel_binding", "target_session_attrs", "require_auth"]
            .into_iter()
            .filter_map(|name| Some((name, source.parameter(name)?))),
    );
    joined(words.into_iter().map(|(name, value)| (name.to_owned(), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32 + 4).to_be_bytes();
        [&[kind][..], &length, body].concat()
    }

    #[test]
    fn a_login_is_passed_on_but_for_what_ties_it_to_tls() {
        let offer = |names: &[u8]| message(b'R', &[&[0, 0, 0, 10], names].concat());
        let (go_on, done) = (message(b'R', b"\0\0\0\x0bmore"), message(b'R', &[0; 4]));
        let (after, both) = (b"Z\0\0\0\x05I".to_vec(), offer(b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"));
        let version = message(b'v', &[0, 3, 0, 0, 0, 0, 0, 0]);
        let said = [&version[..], &both, &go_on, &done, &after].concat();
        let (mut from, mut to) = (said.as_slice(), Vec::new());
        pass_login(&mut from, &mut to).unwrap();
        assert_eq!(to, [&version[..], &offer(b"SCRAM-SHA-256\0\0"), &go_on, &done].concat());
        assert_eq!(from, after, "what comes behind is read by others");

        let refused = message(b'E', b"SFATAL\0\0");
        let (mut from, mut to) = (refused.as_slice(), Vec::new());
        pass_login(&mut from, &mut to).unwrap();
        assert_eq!(to, refused);
        assert!(pass_login(&mut &b"HTTP/1.1 400"[..], &mut Vec::new()).is_err());
    }
}
