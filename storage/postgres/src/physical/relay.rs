//! Between a standby here and its source: the standby connects to a unix socket, and what it says is passed on.
//!
//! The standby's Postgres knows neither the address of its source nor the password: they are in no configuration, no list of processes
//! and no log. What passes by tells how far the standby is, and a refusal of the source is heard in its own words and with its code.
//! (Streaming Replication Protocol, in the documentation of Postgres.)

use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::PhysicalError;
use super::connection::{Connection, Stopper};
use crate::control::Lsn;
use crate::load::Address;

/// The port in the name of the relay's socket; that of the standby itself lies in the same folder.
pub const RELAY_PORT: u16 = 5433;

/// The longest message of a standby: it sends positions and short commands.
const STANDBY_MESSAGE_BYTES: usize = 64 << 10;
/// Numbers that stand where a startup message has its version: requests for encryption, and to cancel.
const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];
const CANCEL: u32 = 80_877_102;

/// How far a standby is, as far as it has said so.
#[derive(Debug, Default)]
pub struct Passed {
    /// The end of the source's WAL.
    pub source_end: Lsn,
    /// Up to where the standby has WAL on its disk.
    pub flushed: Lsn,
    /// Up to where the standby has replayed it.
    pub applied: Lsn,
    /// What went wrong last; gone when WAL flows again.
    pub failure: Option<PhysicalError>,
}

/// A relay; it ends when this is dropped.
pub struct Relay {
    shared: Arc<Shared>,
    socket: PathBuf,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    address: Address,
    passed: Mutex<Passed>,
    changed: Condvar,
    /// What ends the present connection; `None` in it when there is none.
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    over: bool,
    ends: Option<(UnixStream, Stopper)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Relay {
    /// Listens in `folder`, which nobody but the standby's account may enter, for the standby of the source at `url`.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(url: &str, folder: &Path) -> io::Result<Self> {
        let socket = folder.join(format!(".s.PGSQL.{RELAY_PORT}"));
        if let Err(error) = fs::remove_file(&socket)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let listener = UnixListener::bind(&socket)?;
        // The folder keeps others out; the standby may be another user than this process.
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666))?;
        let shared = Arc::new(Shared {
            address: Address::parse(url),
            passed: Mutex::default(),
            changed: Condvar::new(),
            line: Mutex::default(),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("relay".into()).spawn(move || {
            for client in listener.incoming() {
                if locked(&of_thread.line).over {
                    return;
                }
                if let Ok(client) = client {
                    of_thread.serve(client);
                }
            }
        })?;
        Ok(Self { shared, socket, thread: Some(thread) })
    }

    /// Looks at how far the standby is, when that changes or after `patience`.
    pub fn look<T>(&self, patience: Duration, look: impl FnOnce(&mut Passed) -> T) -> T {
        let passed = locked(&self.shared.passed);
        let waited = self.shared.changed.wait_timeout(passed, patience);
        look(&mut waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        {
            let mut line = locked(&self.shared.line);
            line.over = true;
            if let Some((client, source)) = line.ends.take() {
                let _ = client.shutdown(Shutdown::Both);
                source.cut();
            }
        }
        // Whoever waits for a client gets one.
        let _ = UnixStream::connect(&self.socket);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.socket);
    }
}

impl Shared {
    fn tell(&self, change: impl FnOnce(&mut Passed)) {
        change(&mut locked(&self.passed));
        self.changed.notify_all();
    }

    /// Serves one connection of the standby to its end.
    fn serve(&self, mut client: UnixStream) {
        if !matches!(begin(&mut client), Ok(true)) {
            return;
        }
        let failure = match Connection::open(&self.address) {
            Ok(mut source) => {
                let ended = self.pass(&mut client, &mut source);
                let _ = client.shutdown(Shutdown::Both);
                source.cut();
                ended.err()
            }
            Err(error) => {
                // The words go to the standby's log; they say nothing of the address.
                let _ = client.write_all(&refusal("the source cannot be reached"));
                Some(error)
            }
        };
        locked(&self.line).ends = None;
        if let Some(error) = failure {
            self.tell(|passed| passed.failure = Some(error));
        }
    }

    /// Passes on what both say.
    fn pass(&self, client: &mut UnixStream, source: &mut Connection) -> Result<(), PhysicalError> {
        let mut writer = source.writer()?;
        {
            let mut line = locked(&self.line);
            if line.over {
                return Ok(());
            }
            line.ends = Some((client.try_clone()?, source.stopper()?));
        }
        client.write_all(&welcome(source.parameters()))?;
        let mut reader = client.try_clone()?;
        let has_left = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while let Ok(frame) = read_message(&mut reader) {
                    if let Some((flushed, applied)) = positions(&frame) {
                        self.tell(|passed| {
                            passed.flushed = passed.flushed.max(flushed);
                            passed.applied = passed.applied.max(applied);
                        });
                    }
                    if writer.write_all(&frame).is_err() {
                        break;
                    }
                }
                has_left.store(true, Ordering::Release);
                writer.cut();
            });
            let ended = self.listen(client, source);
            let by_itself = has_left.load(Ordering::Acquire);
            let _ = client.shutdown(Shutdown::Both);
            if by_itself { Ok(()) } else { ended }
        })
    }

    /// Passes on what the source says.
    fn listen(&self, client: &mut UnixStream, source: &mut Connection) -> Result<(), PhysicalError> {
        loop {
            let frame = source.next_raw()?;
            if let Some(end) = end_of_source(&frame) {
                self.tell(|passed| {
                    passed.source_end = passed.source_end.max(end);
                    passed.failure = None;
                });
            }
            if frame[0] == b'E'
                && let Some(error) = source.refusal_in(&frame)
            {
                self.tell(|passed| passed.failure = Some(error));
            }
            if client.write_all(&frame).is_err() {
                // It has ended by itself.
                return Ok(());
            }
        }
    }
}

/// Reads the startup message. Whether it is one of a client that wants to be served.
fn begin(client: &mut UnixStream) -> io::Result<bool> {
    loop {
        let mut head = [0; 8];
        client.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let code = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        if ENCRYPTION.contains(&code) {
            client.write_all(b"N")?;
            continue;
        }
        if code == CANCEL || !(8..=STANDBY_MESSAGE_BYTES).contains(&length) {
            return Ok(false);
        }
        client.read_exact(&mut vec![0; length - 8])?;
        return Ok(true);
    }
}

/// A message of the standby, with its header.
fn read_message(from: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if !(4..=STANDBY_MESSAGE_BYTES).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = head.to_vec();
    frame.resize(length + 1, 0);
    from.read_exact(&mut frame[5..])?;
    Ok(frame)
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

/// What a server says to somebody who needs no password.
fn welcome<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut all = message(b'R', &0_u32.to_be_bytes());
    for (name, value) in parameters {
        all.extend(message(b'S', &[name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat()));
    }
    // Nobody can cancel by it.
    all.extend(message(b'K', &[0; 8]));
    all.extend(message(b'Z', b"I"));
    all
}

fn refusal(text: &str) -> Vec<u8> {
    message(b'E', &[b"SFATAL\0VFATAL\0C08006\0M", text.as_bytes(), b"\0\0"].concat())
}

fn lsn(bytes: &[u8], at: usize) -> Option<Lsn> {
    let bytes = bytes.get(at..at + 8)?;
    Some(Lsn(u64::from_be_bytes(bytes.try_into().ok()?)))
}

/// Where a standby is, in a message of its: what it has on its disk, and what it has replayed.
fn positions(frame: &[u8]) -> Option<(Lsn, Lsn)> {
    // The header has 5 bytes, then come a letter, and what is written, on the disk and replayed.
    (frame.first() == Some(&b'd') && frame.get(5) == Some(&b'r'))
        .then(|| Some((lsn(frame, 14)?, lsn(frame, 22)?)))
        .flatten()
}

/// The end of the source's WAL, in a message of its.
fn end_of_source(frame: &[u8]) -> Option<Lsn> {
    match (frame.first(), frame.get(5)) {
        // Where the WAL in it begins, and where the source's ends.
        (Some(b'd'), Some(b'w')) => lsn(frame, 14),
        (Some(b'd'), Some(b'k')) => lsn(frame, 6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_from_what_passes() {
        let body = [&b"r"[..], &1_u64.to_be_bytes(), &2_u64.to_be_bytes(), &3_u64.to_be_bytes(), &[0; 9]];
        assert_eq!(positions(&message(b'd', &body.concat())), Some((Lsn(2), Lsn(3))));
        assert_eq!(positions(&message(b'Q', b"r")), None);
        let wal = [&b"w"[..], &7_u64.to_be_bytes(), &9_u64.to_be_bytes(), &[0; 8], b"wal"].concat();
        assert_eq!(end_of_source(&message(b'd', &wal)), Some(Lsn(9)));
        let alive = [&b"k"[..], &8_u64.to_be_bytes(), &[0; 9]].concat();
        assert_eq!(end_of_source(&message(b'd', &alive)), Some(Lsn(8)));
        assert_eq!(end_of_source(&message(b'd', b"k")), None);
    }
}
