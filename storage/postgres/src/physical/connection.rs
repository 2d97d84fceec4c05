//! A connection in the replication protocol: TCP, with TLS or without, or a unix socket.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read as _, Write as _};
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use fallible_iterator::FallibleIterator as _;
use postgres::config::{ChannelBinding, Host};
use postgres_protocol::message::backend::{DataRowBody, ErrorFields, Message};
use postgres_protocol::message::frontend;

use super::PhysicalError;
use super::socket::{Place, Socket, cut, reach, unreachable};
use crate::load::Address as Source;
use crate::sys;
use crate::tls::{Tls, Way};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For each message while logging in.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
/// For a request to cancel, which nobody waits for.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
const BUFFER_BYTES: usize = 256 * 1024;
/// The most that a message other than of copied data can have.
const MESSAGE_BYTES: usize = 16 << 20;

/// What the source sent.
pub(super) enum Frame {
    /// Copied data of so many bytes, which [`Connection::read_data`] has to read next.
    Data(usize),
    /// Anything else but notices, settings and errors.
    Message(Message),
}

/// A connection that is logged in. If it is dropped before [`Connection::close`], what runs at the source is ended.
pub(super) struct Connection {
    reader: BufReader<Socket>,
    place: Place,
    tls: Tls,
    binding: ChannelBinding,
    parameters: BTreeMap<String, String>,
    key: Option<(i32, i32)>,
    user: String,
    closed: bool,
}

/// Ends what a connection does, from another thread.
pub(super) struct Stopper {
    socket: Socket,
    place: Place,
    tls: Tls,
    key: Option<(i32, i32)>,
}

impl Stopper {
    /// Asks the source to end what it does, and cuts the connection, so that whoever reads from it returns.
    pub(super) fn stop(&self) {
        cancel(&self.place, self.tls_of(), self.key);
        self.socket.cut();
    }
}

impl Stopper {
    /// How TLS is spoken, if it is.
    fn tls_of(&self) -> Option<&Tls> {
        matches!(self.socket, Socket::Tls(_)).then_some(&self.tls)
    }

    /// Cuts the connection, without a word to the source.
    pub(super) fn cut(&self) {
        self.socket.cut();
    }
}

fn cancel(place: &Place, tls: Option<&Tls>, key: Option<(i32, i32)>) {
    let Some((process, secret)) = key else { return };
    let mut request = BytesMut::new();
    frontend::cancel_request(process, secret, &mut request);
    // If it does not arrive, the source notices when it writes next.
    let Ok(socket) = Socket::open(place, CANCEL_TIMEOUT) else { return };
    let _ = socket.limit(Some(CANCEL_TIMEOUT));
    let socket = match tls {
        // The key is a secret too.
        Some(tls) => socket.secured(place, tls, Way::Secured),
        None => Ok(socket),
    };
    if let Ok(mut socket) = socket {
        let _ = socket.write_all(&request);
        let _ = socket.read(&mut [0]);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.closed {
            let has_tls = matches!(self.reader.get_ref(), Socket::Tls(_));
            cancel(&self.place, has_tls.then_some(&self.tls), self.key);
            self.reader.get_ref().cut();
        }
    }
}

impl Connection {
    /// Connects and logs in, as a client of physical replication.
    pub(super) fn open(source: &Source) -> Result<Self, PhysicalError> {
        let config = source.client_config().map_err(|message| PhysicalError::Unreachable { message })?;
        let tls = source.tls().map_err(PhysicalError::Tls)?;
        let is_unix = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let ways = tls.ways(is_unix);
        let mut first = None;
        for (index, way) in ways.iter().enumerate() {
            let error = match Self::open_by(*way, &tls, source, &config) {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            // A line of pg_hba.conf may be for the other way alone.
            let is_wrong_way = match &error {
                PhysicalError::Tls(_) => *way == Way::Offered,
                PhysicalError::NotAdmitted { .. } => true,
                _ => false,
            };
            let error = first.unwrap_or(error);
            if !is_wrong_way || index + 1 == ways.len() {
                return Err(error);
            }
            first = Some(error);
        }
        Err(unexpected("nothing"))
    }

    fn open_by(
        way: Way,
        tls: &Tls,
        source: &Source,
        config: &postgres::Config,
    ) -> Result<Self, PhysicalError> {
        let user = match config.get_user() {
            Some(user) => user.to_owned(),
            None => std::env::var("USER").unwrap_or_else(|_| "postgres".into()),
        };
        let timeout = config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
        let (place, mut socket) = reach(config, timeout)?;
        // Whoever answers there may be no Postgres.
        socket.limit(Some(LOGIN_TIMEOUT))?;
        if let Socket::Tcp(stream) = &socket {
            // Or a source that is gone without a word would be waited for without end.
            sys::keep_alive(stream).map_err(|e| unreachable(&e))?;
            if way != Way::Plain {
                socket = socket.secured(&place, tls, way)?;
            }
        }
        let reader = BufReader::with_capacity(BUFFER_BYTES, socket);
        let parameters = BTreeMap::new();
        let (tls, binding) = (tls.clone(), config.get_channel_binding());
        let mut connection = Self { reader, place, tls, binding, parameters, key: None, user, closed: false };
        let mut startup = BytesMut::new();
        let user = connection.user.clone();
        let options = config.get_options().map(|options| ("options", options));
        let all = [("user", user.as_str()), ("replication", "true"), ("application_name", "offshoot")];
        frontend::startup_message(all.into_iter().chain(options), &mut startup)?;
        connection.send(&startup)?;
        let password = source.password().map(str::as_bytes);
        super::login::log_in(&mut connection, &user, password)?;
        connection.reader.get_ref().limit(None)?;
        Ok(connection)
    }

    /// What ends this connection from elsewhere.
    pub(super) fn stopper(&self) -> io::Result<Stopper> {
        let socket = self.reader.get_ref().try_clone()?;
        Ok(Stopper { socket, place: self.place.clone(), tls: self.tls.clone(), key: self.key })
    }

    /// How long the source may take for each answer from now on.
    pub(super) fn be_patient(&self, patience: Duration) -> io::Result<()> {
        self.reader.get_ref().limit(Some(patience))
    }

    /// A way to write to the source while another thread reads.
    pub(super) fn writer(&self) -> io::Result<Socket> {
        self.reader.get_ref().try_clone()
    }

    /// Ends the connection at once; what runs at the source notices.
    pub(super) fn cut(mut self) {
        self.reader.get_ref().cut();
        self.closed = true;
    }

    /// Ends the connection in good order.
    pub(super) fn close(mut self) {
        let mut message = BytesMut::new();
        frontend::terminate(&mut message);
        let _ = self.send(&message);
        self.closed = true;
    }

    /// What the login is to be tied to: whether the URL wants that, and the digest of the server's certificate.
    pub(super) fn binding(&self) -> (ChannelBinding, Option<Vec<u8>>) {
        (self.binding, self.reader.get_ref().binding())
    }

    pub(super) fn set_key(&mut self, process: i32, secret: i32) {
        self.key = Some((process, secret));
    }

    /// A setting that the source told by itself.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// All settings that the source told by itself.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), PhysicalError> {
        self.reader.get_mut().write_all(bytes).map_err(|e| cut(&e))
    }

    pub(super) fn send_query(&mut self, text: &str) -> Result<(), PhysicalError> {
        let mut message = BytesMut::new();
        frontend::query(text, &mut message)?;
        self.send(&message)
    }

    /// Runs a command and returns its rows. A refusal leaves the connection usable.
    pub(super) fn query(&mut self, text: &str) -> Result<Vec<Vec<Option<String>>>, PhysicalError> {
        self.send_query(text)?;
        let (mut rows, mut refusal) = (Vec::new(), None);
        loop {
            match self.next() {
                Ok(Frame::Message(Message::ReadyForQuery(_))) => break,
                Ok(Frame::Message(Message::DataRow(row))) => rows.push(values(&row)?),
                Ok(Frame::Message(_)) => {}
                Ok(Frame::Data(_)) => return Err(unexpected("copied data")),
                // Nothing more comes on a connection that is gone.
                Err(error @ PhysicalError::Cut { .. }) => return Err(refusal.unwrap_or(error)),
                Err(error) => refusal = Some(error),
            }
        }
        refusal.map_or(Ok(rows), Err)
    }

    /// A setting of the source; `None` if this role may not see it, or there is none of this name.
    pub(super) fn show(&mut self, name: &str) -> Result<Option<String>, PhysicalError> {
        match self.query(&format!("SHOW {name}")) {
            Ok(rows) => Ok(rows.into_iter().flatten().next().flatten()),
            Err(PhysicalError::Refused { .. } | PhysicalError::NoReplication { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for what the source says next.
    ///
    /// # Errors
    /// What it refuses, as [`PhysicalError::of_server`] reads it.
    pub(super) fn next(&mut self) -> Result<Frame, PhysicalError> {
        loop {
            let mut header = [0_u8; 5];
            self.reader.read_exact(&mut header).map_err(|e| cut(&e))?;
            let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
            let Some(body) = length.checked_sub(4) else {
                return Err(unexpected("a message without a length"));
            };
            if header[0] == b'd' {
                return Ok(Frame::Data(body));
            }
            if body > MESSAGE_BYTES {
                return Err(unexpected("a message that is too long"));
            }
            let mut bytes = BytesMut::with_capacity(body + header.len());
            bytes.put_slice(&header);
            bytes.resize(header.len() + body, 0);
            self.reader.read_exact(&mut bytes[header.len()..]).map_err(|e| cut(&e))?;
            let message =
                Message::parse(&mut bytes).map_err(|_| unexpected("a message of an unknown kind"))?;
            match message {
                Some(Message::NoticeResponse(_) | Message::NotificationResponse(_)) => {}
                Some(Message::ParameterStatus(body)) => {
                    if let (Ok(name), Ok(value)) = (body.name(), body.value()) {
                        self.parameters.insert(name.to_owned(), value.to_owned());
                    }
                }
                Some(Message::ErrorResponse(body)) => return Err(self.refusal(body.fields())),
                Some(message) => return Ok(Frame::Message(message)),
                None => return Err(unexpected("half a message")),
            }
        }
    }

    /// Waits for what the source says next, and returns it as it came, with its header of 5 bytes.
    pub(super) fn next_raw(&mut self) -> Result<Vec<u8>, PhysicalError> {
        let mut frame = vec![0; 5];
        self.reader.read_exact(&mut frame).map_err(|e| cut(&e))?;
        let length = u32::from_be_bytes([frame[1], frame[2], frame[3], frame[4]]) as usize;
        if !(4..=MESSAGE_BYTES).contains(&length) {
            return Err(unexpected("a message that is too long"));
        }
        frame.resize(length + 1, 0);
        self.reader.read_exact(&mut frame[5..]).map_err(|e| cut(&e))?;
        Ok(frame)
    }

    /// What a message of [`Connection::next_raw`] refuses, if it refuses something.
    pub(super) fn refusal_in(&self, frame: &[u8]) -> Option<PhysicalError> {
        match Message::parse(&mut BytesMut::from(frame)) {
            Ok(Some(Message::ErrorResponse(body))) => Some(self.refusal(body.fields())),
            _ => None,
        }
    }

    /// Reads of the copied data that [`Frame::Data`] announced; the caller counts.
    pub(super) fn read_data(&mut self, into: &mut [u8]) -> Result<usize, PhysicalError> {
        match self.reader.read(into) {
            Ok(0) if !into.is_empty() => Err(PhysicalError::Cut { message: "the source ended it".into() }),
            Ok(count) => Ok(count),
            Err(error) => Err(cut(&error)),
        }
    }

    /// Reads all of the copied data that [`Frame::Data`] announced.
    pub(super) fn read_all(&mut self, length: usize) -> Result<Vec<u8>, PhysicalError> {
        if length > MESSAGE_BYTES {
            return Err(unexpected("a message that is too long"));
        }
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).map_err(|e| cut(&e))?;
        Ok(bytes)
    }

    fn refusal(&self, mut fields: ErrorFields<'_>) -> PhysicalError {
        let (mut code, mut message, mut detail) = (String::new(), String::new(), None);
        while let Ok(Some(field)) = fields.next() {
            let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'C' => code = text,
                b'M' => message = text,
                b'D' => detail = Some(text),
                _ => {}
            }
        }
        if let Some(detail) = detail {
            message = format!("{message}: {detail}");
        }
        PhysicalError::of_server(&code, message, &self.user)
    }
}

/// The columns of a row as text.
pub(super) fn values(row: &DataRowBody) -> Result<Vec<Option<String>>, PhysicalError> {
    let text = |range: Option<std::ops::Range<usize>>| {
        Ok(range.map(|range| String::from_utf8_lossy(&row.buffer()[range]).into_owned()))
    };
    row.ranges().map(text).collect().map_err(|_: io::Error| unexpected("a row that cannot be read"))
}

pub(super) fn unexpected(what: &str) -> PhysicalError {
    PhysicalError::Damaged { what: format!("the source sent {what}") }
}
