//! A blocking client.

use std::collections::VecDeque;
use std::io::{ErrorKind as Io, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::RpcError;
use crate::frame::{self, FrameError, Id, LineBuffer, Message};
use crate::method::{CancelNotification, Method, Notification, ProgressNotification};
use crate::types::{CancelRequest, Progress};

/// How often a waiting client looks at whether its person has cancelled.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Notifications kept for [`Client::next_notification`]; older ones are dropped.
const KEPT_NOTIFICATIONS: usize = 256;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens at the socket.
    #[error("cannot connect to the engine: {0}")]
    Unreachable(#[source] std::io::Error),
    /// The engine went away in mid-call.
    #[error("the engine closed the connection")]
    Closed,
    /// No answer in time.
    #[error("the engine did not answer within {0:?}")]
    TimedOut(Duration),
    /// The engine sent what the client does not understand.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The engine answered with an error.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The socket failed.
    #[error("the connection to the engine failed: {0}")]
    Io(#[source] std::io::Error),
}

/// What a caller does while a call is under way.
pub struct Watch<'a> {
    /// Called with every progress report.
    pub progress: &'a mut dyn FnMut(&Progress),
    /// Asked every few tens of milliseconds; the first `true` sends a cancellation, and the call ends as the engine
    /// answers.
    pub cancelled: &'a dyn Fn() -> bool,
}

/// Ends a [`Client`]'s connection from another thread: whatever it waits for ends with [`ClientError::Closed`].
#[derive(Debug)]
pub struct HangUp(UnixStream);

impl HangUp {
    /// Ends the connection.
    pub fn now(&self) {
        // One that has ended already needs no ending.
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

/// A connection to an engine. One call at a time.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    buffer: LineBuffer,
    notifications: VecDeque<(String, serde_json::Value)>,
    next_id: Id,
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`].
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path).map_err(ClientError::Unreachable)?;
        Ok(Self { stream, buffer: LineBuffer::default(), notifications: VecDeque::new(), next_id: 1 })
    }

    /// A way to end this connection while it is waited on elsewhere.
    ///
    /// # Errors
    /// [`ClientError::Io`] if the process has too many files open.
    pub fn hang_up(&self) -> Result<HangUp, ClientError> {
        self.stream.try_clone().map(HangUp).map_err(ClientError::Io)
    }

    /// Calls `M` and waits for its result.
    ///
    /// # Errors
    /// Any [`ClientError`] but `Unreachable`. After `TimedOut` the connection may be used on: a late answer is
    /// dropped.
    pub fn call<M: Method>(
        &mut self,
        params: &M::Params,
        timeout: Duration,
    ) -> Result<M::Result, ClientError> {
        self.call_watched::<M>(params, timeout, Watch { progress: &mut |_| (), cancelled: &|| false })
    }

    /// Calls `M`, reports its progress and lets the caller cancel.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn call_watched<M: Method>(
        &mut self,
        params: &M::Params,
        timeout: Duration,
        watch: Watch<'_>,
    ) -> Result<M::Result, ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        let deadline = Instant::now() + timeout;
        match self.send(&Message::request::<M>(id, params)?, timeout) {
            Err(ClientError::Closed) => return Err(self.parting_word()),
            sent => sent?,
        }
        let mut cancel_sent = false;
        loop {
            if !cancel_sent && (watch.cancelled)() {
                cancel_sent = true;
                self.send(&Message::notification::<CancelNotification>(&CancelRequest { id })?, timeout)?;
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(ClientError::TimedOut(timeout));
            }
            let Some(line) = self.receive_line((deadline - now).min(LOOK_INTERVAL))? else { continue };
            if let Some(result) = frame::answer(id, &line) {
                return Ok(result);
            }
            match Message::parse(&line)? {
                Message::Response { id: of, outcome } if of == id => {
                    return serde_json::from_value(outcome?)
                        .map_err(|e| FrameError::Malformed(format!("result of {}: {e}", M::NAME)).into());
                }
                Message::Notification { method, params } if method == ProgressNotification::NAME => {
                    if let Ok(progress) = serde_json::from_value::<Progress>(params)
                        && progress.id == id
                    {
                        (watch.progress)(&progress);
                    }
                }
                Message::Notification { method, params } => self.keep(method, params),
                Message::Refusal { error, .. } => return Err(error.into()),
                // An answer to an earlier call that timed out; requests never come from an engine.
                Message::Response { .. } | Message::Written { .. } | Message::Request { .. } => (),
            }
        }
    }

    /// Waits for the next notification of type `N`; `None` after `timeout`.
    ///
    /// # Errors
    /// [`ClientError::Closed`], [`ClientError::Frame`], [`ClientError::Io`].
    pub fn next_notification<N: Notification>(
        &mut self,
        timeout: Duration,
    ) -> Result<Option<N::Params>, ClientError> {
        let deadline = Instant::now() + timeout;
        loop {
            while let Some((method, params)) = self.notifications.pop_front() {
                if method == N::NAME {
                    return serde_json::from_value(params)
                        .map(Some)
                        .map_err(|e| FrameError::Malformed(e.to_string()).into());
                }
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(None);
            }
            if let Some(Message::Notification { method, params }) = self.receive(deadline - now)? {
                self.keep(method, params);
            }
        }
    }

    /// Waits until the engine closes the connection; false after `timeout`.
    ///
    /// # Errors
    /// [`ClientError::Frame`], [`ClientError::Io`].
    pub fn wait_closed(&mut self, timeout: Duration) -> Result<bool, ClientError> {
        let deadline = Instant::now() + timeout;
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Ok(false);
            }
            match self.receive(deadline - now) {
                Err(ClientError::Closed) => return Ok(true),
                Err(other) => return Err(other),
                Ok(_) => (),
            }
        }
    }

    /// What the engine said before it closed the connection.
    fn parting_word(&mut self) -> ClientError {
        loop {
            match self.receive(LOOK_INTERVAL) {
                Ok(Some(Message::Refusal { error, .. })) => return error.into(),
                Ok(Some(_)) => (),
                Ok(None) => return ClientError::Closed,
                Err(other) => return other,
            }
        }
    }

    fn keep(&mut self, method: String, params: serde_json::Value) {
        if self.notifications.len() == KEPT_NOTIFICATIONS {
            self.notifications.pop_front();
        }
        self.notifications.push_back((method, params));
    }

    fn send(&mut self, message: &Message, timeout: Duration) -> Result<(), ClientError> {
        self.stream.set_write_timeout(Some(at_least_a_moment(timeout))).map_err(ClientError::Io)?;
        self.stream.write_all(&message.to_line()?).map_err(|e| match e.kind() {
            Io::BrokenPipe | Io::ConnectionReset => ClientError::Closed,
            Io::WouldBlock | Io::TimedOut => ClientError::TimedOut(timeout),
            _ => ClientError::Io(e),
        })
    }

    /// The next message; `None` if none came in time.
    fn receive(&mut self, timeout: Duration) -> Result<Option<Message>, ClientError> {
        let line = self.receive_line(timeout)?;
        line.map(|line| Message::parse(&line)).transpose().map_err(Into::into)
    }

    /// The next line; `None` if none, or only a part, came in time.
    fn receive_line(&mut self, timeout: Duration) -> Result<Option<Vec<u8>>, ClientError> {
        if let Some(line) = self.buffer.next_line()? {
            return Ok(Some(line));
        }
        self.stream.set_read_timeout(Some(at_least_a_moment(timeout))).map_err(ClientError::Io)?;
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(ClientError::Closed),
            Ok(length) => {
                self.buffer.push(&chunk[..length]);
                Ok(self.buffer.next_line()?)
            }
            Err(e) => match e.kind() {
                Io::WouldBlock | Io::TimedOut | Io::Interrupted => Ok(None),
                Io::ConnectionReset | Io::BrokenPipe => Err(ClientError::Closed),
                _ => Err(ClientError::Io(e)),
            },
        }
    }
}

/// A timeout of zero would mean none at all.
fn at_least_a_moment(timeout: Duration) -> Duration {
    timeout.max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;
    use crate::method::{BranchDelete, ChangedNotification, EngineStop};
    use crate::types::{Changed, GuardedParams, StopParams, Subject};

    /// A server that answers each line with the lines of `script`, in which `ID` stands for the request's id.
    fn serve(
        script: Vec<Vec<String>>,
    ) -> (tempfile::TempDir, std::path::PathBuf, thread::JoinHandle<Vec<String>>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let mut seen = Vec::new();
            let mut id = 0;
            for answers in script {
                let Some(Ok(line)) = lines.next() else { break };
                if let Ok(Message::Request { id: of, .. }) = Message::parse(line.as_bytes()) {
                    id = of;
                }
                seen.push(line);
                for answer in answers {
                    (&stream).write_all(answer.replace("ID", &id.to_string()).as_bytes()).unwrap();
                    (&stream).write_all(b"\n").unwrap();
                }
            }
            seen
        });
        (dir, path, server)
    }

    const OK: &str = r#"{"jsonrpc":"2.0","id":ID,"result":{}}"#;
    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn a_late_answer_does_not_answer_the_next_call() {
        let error = r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32001,"message":"x","data":{"kind":"user","message":"no such branch","hint":"h"}}}"#;
        let late = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        let (_dir, path, server) = serve(vec![vec![], vec![late.into(), error.into()]]);
        let mut client = Client::connect(&path).unwrap();
        let first = client.call::<EngineStop>(&StopParams::default(), Duration::from_millis(20));
        assert!(matches!(first, Err(ClientError::TimedOut(_))), "{first:?}");
        let second =
            client.call::<BranchDelete>(&GuardedParams { name: "b".into(), override_rules: false }, PATIENCE);
        let Err(ClientError::Rpc(error)) = second else { panic!("{second:?}") };
        assert_eq!(error, RpcError::user("no such branch").hint("h"));
        server.join().unwrap();
    }

    #[test]
    fn a_client_that_is_refused_before_it_speaks_hears_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let mut client = Client::connect(&path).unwrap();
        let refusal = Message::Refusal { code: -32003, error: RpcError::engine("full").hint("h") };
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&refusal.to_line().unwrap()).unwrap();
        drop(stream);
        let said = client.call::<EngineStop>(&StopParams::default(), PATIENCE);
        let Err(ClientError::Rpc(error)) = said else { panic!("{said:?}") };
        assert_eq!(error, RpcError::engine("full").hint("h"));
    }

    #[test]
    fn cancelling_is_sent_once_and_the_engine_has_the_last_word() {
        let progress = r#"{"jsonrpc":"2.0","method":"$/progress","params":{"id":ID,"message":"m","done":1}}"#;
        let (_dir, path, server) = serve(vec![vec![progress.into()], vec![OK.into()]]);
        let mut client = Client::connect(&path).unwrap();
        let reports = Cell::new(0);
        client
            .call_watched::<EngineStop>(
                &StopParams::default(),
                PATIENCE,
                Watch { progress: &mut |_| reports.set(reports.get() + 1), cancelled: &|| reports.get() > 0 },
            )
            .unwrap();
        assert_eq!(reports.get(), 1);
        assert!(server.join().unwrap()[1].contains("$/cancelRequest"));
    }

    #[test]
    fn a_connection_is_ended_while_it_is_waited_on() {
        let (_dir, path, server) = serve(vec![vec![]]);
        let mut client = Client::connect(&path).unwrap();
        let hang_up = client.hang_up().unwrap();
        let waiting = thread::spawn(move || client.next_notification::<ChangedNotification>(PATIENCE));
        hang_up.now();
        assert!(matches!(waiting.join().unwrap(), Err(ClientError::Closed)));
        server.join().unwrap();
    }

    #[test]
    fn notifications_are_kept_during_a_call() {
        let changed = r#"{"jsonrpc":"2.0","method":"offshoot/changed","params":{"what":"branches"}}"#;
        let (_dir, path, server) = serve(vec![vec![changed.into(), OK.into()]]);
        let mut client = Client::connect(&path).unwrap();
        client.call::<EngineStop>(&StopParams::default(), PATIENCE).unwrap();
        let got = client.next_notification::<ChangedNotification>(PATIENCE).unwrap();
        assert_eq!(got, Some(Changed { what: Subject::Branches }));
        server.join().unwrap();
        assert!(client.wait_closed(PATIENCE).unwrap());
    }
}
