//! A connection to Postgres that speaks the simple query protocol, as the manual's chapter "Frontend/Backend Protocol"
//! describes it, version 3.0: command tags, notices and `COPY` come through as they are.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use offshoot_postgres::load::{LoadError, Rows};
use offshoot_protocol::types::UrlResult;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};

use super::Outcome;
use super::fault::SqlFault;
use crate::failure::{Failure, Result};
use crate::sys;

const PROTOCOL: i32 = 196_608;
const CANCEL_CODE: i32 = 80_877_102;
/// How often a wait looks for Ctrl-C.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How long the end of a session is waited for.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(1);
/// A longer message is none of Postgres's.
const MAX_MESSAGE: usize = 1 << 30;
const CHUNK: usize = 64 * 1024;

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// Number of its type in Postgres's catalogue.
    pub(super) type_oid: u32,
}

/// The cells of a row, as text; `None` stands for null.
pub(super) type Row = Vec<Option<String>>;

/// What a statement came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Rows { columns: Vec<Column>, rows: Vec<Row>, tag: String },
    Done { tag: String },
    Empty,
}

/// Where `COPY … FROM STDIN` takes its rows.
pub(super) enum Feed<'r> {
    StandardInput,
    /// Of a script.
    Rows(&'r mut dyn Rows),
    /// The script could not be read on; the server has forgotten the rows.
    Failed(LoadError),
    /// At the prompt, lines are statements.
    Nothing,
}

/// An open connection.
pub(super) struct Session {
    stream: TcpStream,
    port: u16,
    key: Option<(i32, Vec<u8>)>,
    /// `I` outside a transaction, `T` in one, `E` in a failed one.
    pub(super) status: u8,
}

impl Session {
    /// Connects, and checks on the way that the server knows the password too.
    pub(super) fn open(address: &UrlResult) -> Result<Self> {
        let fault = |e: &io::Error| Failure::engine(format!("cannot connect to port {}: {e}", address.port));
        let stream = TcpStream::connect((address.host.as_str(), address.port)).map_err(|e| fault(&e))?;
        stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(LOOK_INTERVAL)))
            .map_err(|e| fault(&e))?;
        let mut session = Self { stream, port: address.port, key: None, status: b'I' };
        session.start(address)?;
        Ok(session)
    }

    fn start(&mut self, address: &UrlResult) -> Result<()> {
        let mut body = PROTOCOL.to_be_bytes().to_vec();
        let pairs = [
            ("user", address.user.as_str()),
            ("database", &address.database),
            ("application_name", "offshoot"),
            ("client_encoding", "UTF8"),
        ];
        for (name, value) in pairs {
            body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
        }
        body.push(0);
        self.send(None, &body)?;
        let mut scram = None;
        loop {
            // The prompt connects again while it catches Ctrl-C.
            let (kind, body) =
                self.receive(&mut || if sys::interrupted() { Err(Failure::cancelled()) } else { Ok(()) })?;
            match kind {
                b'R' => self.authenticate(&body, &mut scram, &address.password)?,
                b'K' if body.len() >= 8 => self.key = Some((int(&body, 0), body[4..].to_vec())),
                b'E' => {
                    let fault = SqlFault::parse(&body);
                    let failure = Failure::engine(fault.summary());
                    return Err(match fault.hint {
                        Some(hint) => failure.hint(hint),
                        None => failure,
                    });
                }
                b'Z' => return Ok(()),
                _ => (),
            }
        }
    }

    fn authenticate(&mut self, body: &[u8], scram: &mut Option<ScramSha256>, password: &str) -> Result<()> {
        let bad = |e: &io::Error| Failure::engine(format!("the password exchange with Postgres failed: {e}"));
        let data = body.get(4..).unwrap_or_default();
        match (if body.len() >= 4 { int(body, 0) } else { -1 }, scram) {
            (0, _) => Ok(()),
            (10, scram) => {
                let exchange = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
                let first = exchange.message().to_vec();
                *scram = Some(exchange);
                let length = first.len() as i32;
                self.send(
                    Some(b'p'),
                    &[SCRAM_SHA_256.as_bytes(), b"\0", &length.to_be_bytes(), &first].concat(),
                )
            }
            (11, Some(exchange)) => {
                exchange.update(data).map_err(|e| bad(&e))?;
                let answer = exchange.message().to_vec();
                self.send(Some(b'p'), &answer)
            }
            (12, Some(exchange)) => exchange.finish(data).map_err(|e| bad(&e)),
            (other, _) => Err(Failure::engine(format!(
                "Postgres asks for a password in a way that is not known: {other}"
            ))),
        }
    }

    /// Runs `sql` and gives each answer to `each`. Ctrl-C cancels the statement.
    pub(super) fn query(
        &mut self,
        sql: &str,
        feed: &mut Feed<'_>,
        each: &mut dyn FnMut(Answer),
    ) -> Result<Outcome> {
        if sql.contains('\0') {
            return Err(Failure::user("SQL cannot contain a zero byte"));
        }
        self.send(Some(b'Q'), &[sql.as_bytes(), b"\0"].concat())?;
        let mut outcome = Ok(());
        let mut result: Option<(Vec<Column>, Vec<Row>)> = None;
        let mut cancelled = false;
        loop {
            let way = (self.port, self.key.clone());
            let (kind, body) = self.receive(&mut || {
                if sys::interrupted() && !cancelled {
                    cancelled = true;
                    return cancel(&way);
                }
                Ok(())
            })?;
            match kind {
                b'T' => result = Some((columns(&body), Vec::new())),
                b'D' => {
                    if let Some((_, rows)) = &mut result {
                        rows.push(row(&body));
                    }
                }
                b'C' => {
                    let tag = text(&body, 0).0;
                    each(match result.take() {
                        Some((columns, rows)) => Answer::Rows { columns, rows, tag },
                        None => Answer::Done { tag },
                    });
                }
                b'I' => each(Answer::Empty),
                b'E' => outcome = Err(SqlFault::parse(&body)),
                b'N' => SqlFault::parse(&body).print_notice(),
                b'G' => self.feed(feed)?,
                b'd' => {
                    // Whoever reads may have had enough.
                    let _ = io::stdout().write_all(&body);
                }
                b'Z' => {
                    self.status = body.first().copied().unwrap_or(b'I');
                    return Ok(outcome);
                }
                _ => (),
            }
        }
    }

    /// Answers `COPY … FROM STDIN`.
    fn feed(&mut self, feed: &mut Feed<'_>) -> Result<()> {
        match feed {
            Feed::StandardInput => self.feed_input(),
            Feed::Rows(rows) => match self.feed_rows(*rows)? {
                Ok(()) => Ok(()),
                Err(error) => {
                    *feed = Feed::Failed(error);
                    self.send(Some(b'f'), b"the rows end too early\0")
                }
            },
            Feed::Nothing | Feed::Failed(_) => {
                self.send(Some(b'f'), b"COPY FROM STDIN works with -c and -f, not at the prompt\0")
            }
        }
    }

    /// Sends rows, many in one message.
    fn feed_rows(&mut self, rows: &mut dyn Rows) -> Result<Result<(), LoadError>> {
        let mut chunk = Vec::with_capacity(CHUNK);
        loop {
            match rows.next() {
                Ok(Some(row)) => chunk.extend_from_slice(row),
                Ok(None) => break,
                Err(error) => return Ok(Err(error)),
            }
            if chunk.len() >= CHUNK {
                self.send(Some(b'd'), &chunk)?;
                chunk.clear();
            }
        }
        if !chunk.is_empty() {
            self.send(Some(b'd'), &chunk)?;
        }
        self.send(Some(b'c'), b"")?;
        Ok(Ok(()))
    }

    fn feed_input(&mut self) -> Result<()> {
        let mut input = io::stdin().lock();
        let mut chunk = vec![0; CHUNK];
        loop {
            match input.read(&mut chunk) {
                Ok(0) => return self.send(Some(b'c'), b""),
                Ok(length) => self.send(Some(b'd'), &chunk[..length])?,
                Err(e) if e.kind() == ErrorKind::Interrupted && !sys::interrupted() => (),
                Err(e) => return self.send(Some(b'f'), format!("standard input: {e}\0").as_bytes()),
            }
        }
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) -> Result<()> {
        let length = i32::try_from(body.len() + 4).map_err(|_| Failure::user("the statement is too long"))?;
        let mut message = Vec::with_capacity(body.len() + 5);
        message.extend(kind);
        message.extend(length.to_be_bytes());
        message.extend(body);
        self.stream.write_all(&message).map_err(|e| lost(&e))
    }

    /// The next message. `look` is called whenever nothing came for a while.
    fn receive(&mut self, look: &mut dyn FnMut() -> Result<()>) -> Result<(u8, Vec<u8>)> {
        let mut header = [0; 5];
        self.fill(&mut header, look)?;
        let length = usize::try_from(int(&header, 1)).unwrap_or(0);
        if !(4..=MAX_MESSAGE).contains(&length) {
            return Err(Failure::engine("what answers on the port does not speak as Postgres does"));
        }
        let mut body = vec![0; length - 4];
        self.fill(&mut body, look)?;
        Ok((header[0], body))
    }

    fn fill(&mut self, mut buffer: &mut [u8], look: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        while !buffer.is_empty() {
            match self.stream.read(buffer) {
                Ok(0) => return Err(lost(&ErrorKind::UnexpectedEof.into())),
                Ok(length) => buffer = &mut buffer[length..],
                Err(e) => match e.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => look()?,
                    _ => return Err(lost(&e)),
                },
            }
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A goodbye; the connection closes in any case.
        if self.send(Some(b'X'), b"").is_err() {
            return;
        }
        // Postgres closes it as the last thing that its process does: who runs a command after this one does not meet this session.
        let deadline = Instant::now() + GOODBYE_PATIENCE;
        let mut rest = [0; 4096];
        while Instant::now() < deadline && !sys::interrupted() {
            match self.stream.read(&mut rest) {
                Ok(0) => return,
                Ok(_) => (),
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(_) => return,
            }
        }
    }
}

fn lost(error: &io::Error) -> Failure {
    Failure::engine(format!("the connection to the database was lost: {error}"))
        .hint("Another checkout or a reset closes connections; run the command again.")
}

/// Asks the server, by a connection of its own, to cancel the statement under way.
fn cancel((port, key): &(u16, Option<(i32, Vec<u8>)>)) -> Result<()> {
    let Some((pid, secret)) = key else { return Ok(()) };
    let mut body = CANCEL_CODE.to_be_bytes().to_vec();
    body.extend(pid.to_be_bytes());
    body.extend(secret);
    let length = (body.len() + 4) as i32;
    let sent = TcpStream::connect(("127.0.0.1", *port))
        .and_then(|mut stream| stream.write_all(&[&length.to_be_bytes()[..], &body].concat()));
    sent.map_err(|e| Failure::engine(format!("cannot cancel the statement: {e}")))
}

fn columns(body: &[u8]) -> Vec<Column> {
    let mut at = 2;
    let mut columns = Vec::new();
    while at < body.len() {
        let (name, next) = text(body, at);
        if next + 18 > body.len() {
            break;
        }
        columns.push(Column { name, type_oid: int(body, next + 6) as u32 });
        at = next + 18;
    }
    columns
}

fn row(body: &[u8]) -> Row {
    let mut at = 2;
    let mut cells = Vec::new();
    while at + 4 <= body.len() {
        let length = int(body, at);
        at += 4;
        let Ok(length) = usize::try_from(length) else {
            cells.push(None);
            continue;
        };
        let bytes = body.get(at..at + length).unwrap_or_default();
        cells.push(Some(String::from_utf8_lossy(bytes).into_owned()));
        at += length;
    }
    cells
}

/// The four bytes at `at`, which the caller knows to be there.
fn int(body: &[u8], at: usize) -> i32 {
    body.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_be_bytes)
}

/// The text that ends with a zero byte, and where what follows begins.
pub(super) fn text(body: &[u8], at: usize) -> (String, usize) {
    let rest = body.get(at..).unwrap_or_default();
    let end = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
    (String::from_utf8_lossy(&rest[..end]).into_owned(), at + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_are_taken_apart() {
        let mut description = 2_i16.to_be_bytes().to_vec();
        for (name, oid) in [("id", 23_i32), ("größe", 25)] {
            description.extend(name.as_bytes());
            description.push(0);
            description.extend([0; 6]);
            description.extend(oid.to_be_bytes());
            description.extend([0; 8]);
        }
        let columns = columns(&description);
        assert_eq!(
            columns.iter().map(|c| (c.name.as_str(), c.type_oid)).collect::<Vec<_>>(),
            [("id", 23), ("größe", 25)]
        );
        let mut data = 2_i16.to_be_bytes().to_vec();
        data.extend(1_i32.to_be_bytes());
        data.extend(b"7");
        data.extend((-1_i32).to_be_bytes());
        assert_eq!(row(&data), [Some("7".to_owned()), None]);
    }

    #[test]
    fn what_is_cut_off_does_not_panic() {
        for length in 0..12 {
            let junk = vec![1_u8; length];
            let _ = (columns(&junk), row(&junk), text(&junk, length + 3), int(&junk, 9));
        }
    }
}
