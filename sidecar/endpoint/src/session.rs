//! One client's connection, from accept to end.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::endpoint::EndpointOptions;
use crate::error::{SqlState, fatal, sqlstate_in};
use crate::relay::{Ending, Relay};
use crate::roster::{NoEntry, Order, Outcome, Reason, Roster, Ticket};
use crate::startup::{Opening, Startup, StartupError, read_opening};
use crate::upstream::{Session, Target, Upstream, UpstreamError};

/// How long a closed client may take to read our last words before its socket goes.
const LINGER: Duration = Duration::from_secs(2);
/// The pauses between two tries at a Postgres that refuses for now.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// The least time between an answer and the last message to a client, and again until the end of its stream. Some drivers that find an answer and the
/// end in one read report the end only: a commit that succeeded then looks failed, or an error loses its SQLSTATE.
const SETTLE: Duration = Duration::from_millis(50);
/// The longest first message that is examined, in bytes. Postgres's refusals are far shorter.
const MAX_GREETING: usize = 8 * 1024;

/// What the connections of one endpoint share.
pub(crate) struct Shared {
    pub(crate) upstream: Arc<dyn Upstream>,
    pub(crate) options: EndpointOptions,
    pub(crate) roster: Arc<Roster>,
}

/// Serves one accepted client to its end.
pub(crate) async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    // Both sides send whole messages and wait for answers; delaying the last segment would only slow them.
    let _ = client.set_nodelay(true);
    match timeout(shared.options.startup_timeout, read_opening(&mut client)).await {
        Ok(Ok(Opening::Session(startup))) => session(client, &startup, &shared).await,
        Ok(Ok(Opening::Cancel(key))) => shared.options.cancel_keys.forward(&key).await,
        Ok(Err(StartupError::Gone)) => {}
        Ok(Err(StartupError::Malformed(error))) => {
            tracing::debug!(sqlstate = %error.sqlstate, "refused a startup packet");
            refuse(client, &error).await;
        }
        Err(_) => {
            let error = UpstreamError::new(SqlState::PROTOCOL_VIOLATION, "no startup packet arrived in time");
            refuse(client, &error).await;
        }
    }
}

async fn session(client: TcpStream, startup: &Startup, shared: &Shared) {
    // Made before the ticket, so that it is dropped after it.
    let told = Told(&*shared.upstream);
    let mut ticket = match shared.roster.enter(shared.options.max_connections) {
        Ok(ticket) => ticket,
        Err(no_entry) => {
            return refuse(client, &no_entry_error(no_entry, shared.options.max_connections)).await;
        }
    };
    shared.upstream.connections_changed();
    let opened = match open(&client, startup, shared, &mut ticket).await {
        Ok(opened) => opened,
        Err(NotOpened::ClientLeft) => return,
        Err(NotOpened::Refused(error)) => {
            drop(ticket);
            drop(told);
            return refuse(client, &error).await;
        }
    };
    let Opened { target, server, greeting } = opened;
    tracing::debug!(target = target.key, "connection opened");
    let keys = Arc::clone(&shared.options.cancel_keys);
    let relay = Relay::new(client, server, &greeting, target.socket, keys, target.pulse);
    let client = converse(relay, &mut ticket).await;
    tracing::debug!(target = target.key, outcome = ?ticket.outcome, "connection ended");
    // In this order: whoever waits for a drain finds the guards gone.
    drop(target.guard);
    drop(ticket);
    drop(told);
    linger(client).await;
}

/// Tells the upstream, when it is dropped, that a connection has ended.
struct Told<'a>(&'a dyn Upstream);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.0.connections_changed();
    }
}

/// Relays until the end, whoever brings it about, and says goodbye to both sides.
async fn converse(mut relay: Relay, ticket: &mut Ticket) -> TcpStream {
    let mut leaving: Option<(Instant, Reason)> = None;
    let mut was_idle = false;
    loop {
        let deadline = leaving.map(|(deadline, _)| deadline);
        tokio::select! {
            biased;
            order = ticket.order() => if let Order::Leave { deadline, reason } = order {
                was_idle |= leaving.is_none() && relay.is_idle();
                leaving = Some((deadline, reason));
            },
            ending = relay.run(leaving.is_some()) => {
                let reason = leaving.map_or(Reason::Switched, |(_, reason)| reason);
                if ending == Ending::Idle {
                    if was_idle {
                        ticket.outcome = Outcome::Idle;
                    }
                    sleep_until(relay.spoke_at() + SETTLE).await;
                }
                return end(relay, ending, reason).await;
            }
            reason = deadline_passed(deadline, leaving) => {
                ticket.outcome = Outcome::Cut;
                return cut(relay, reason).await;
            }
        }
    }
}

async fn deadline_passed(deadline: Option<Instant>, leaving: Option<(Instant, Reason)>) -> Reason {
    match (deadline, leaving) {
        (Some(deadline), Some((_, reason))) => {
            sleep_until(deadline).await;
            reason
        }
        _ => std::future::pending().await,
    }
}

async fn end(mut relay: Relay, ending: Ending, reason: Reason) -> TcpStream {
    match ending {
        Ending::ClientLeft => relay.into_client(),
        Ending::ServerLeft => {
            if relay.owes_explanation() {
                relay.tell_client(&fatal(&crash_error())).await;
            }
            relay.into_client()
        }
        Ending::Idle => {
            relay.tell_client(&fatal(&leave_error(reason))).await;
            relay.end_server().await
        }
    }
}

async fn cut(mut relay: Relay, reason: Reason) -> TcpStream {
    if relay.reach_boundary().await {
        relay.tell_client(&fatal(&leave_error(reason))).await;
    }
    relay.end_server().await
}

struct Opened {
    target: Target,
    server: UnixStream,
    greeting: Vec<u8>,
}

enum NotOpened {
    ClientLeft,
    Refused(UpstreamError),
}

/// Wakes the target and starts a session there, for as long as the client waits.
///
/// A Postgres that is only just starting or stopping is tried again, so the client never hears of it. A drain makes
/// this ask for the target anew.
async fn open(
    client: &TcpStream,
    startup: &Startup,
    shared: &Shared,
    ticket: &mut Ticket,
) -> Result<Opened, NotOpened> {
    let mut pause = Duration::ZERO;
    let mut give_up: Option<Instant> = None;
    let mut refused_by: Option<Target> = None;
    let user = startup.user();
    loop {
        let epoch = ticket.epoch();
        let held = refused_by.take();
        let attempt = async {
            sleep(pause).await;
            // Held over the pause, so that the branch does not look idle and fall asleep while it starts.
            drop(held);
            attempt(startup, &user, shared).await
        };
        let (target, greeted) = tokio::select! {
            biased;
            () = left(client) => return Err(NotOpened::ClientLeft),
            order = ticket.order() => match order {
                Order::AskAgain => {
                    (pause, give_up) = (Duration::ZERO, None);
                    continue;
                }
                Order::Leave { reason, .. } => {
                    ticket.outcome = Outcome::Idle;
                    return Err(NotOpened::Refused(leave_error(reason)));
                }
            },
            result = attempt => result.map_err(NotOpened::Refused)?,
        };
        let give_up_at = *give_up.get_or_insert_with(|| Instant::now() + shared.options.refusal_patience);
        let patient = Instant::now() < give_up_at;
        match greeted {
            Greeted::Server { server, greeting, not_now } if !(not_now && patient) => {
                let logged_in_as = target.log_in_as.clone();
                let session = Session { key: target.key, user: user.clone(), logged_in_as };
                if ticket.settle(epoch, session) {
                    return Ok(Opened { target, server, greeting });
                }
                // A drain began meanwhile; its order to ask again is on the way.
                continue;
            }
            Greeted::Nobody(error) if !patient => return Err(NotOpened::Refused(unreachable_error(&error))),
            Greeted::Server { .. } | Greeted::Nobody(_) => {}
        }
        refused_by = Some(target);
        pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
    }
}

/// How the target received us.
enum Greeted {
    /// It answered. `not_now` says that its answer is the refusal 57P03.
    Server { server: UnixStream, greeting: Vec<u8>, not_now: bool },
    /// Nobody listens there, or it closed without a word.
    Nobody(io::Error),
}

async fn attempt(startup: &Startup, user: &str, shared: &Shared) -> Result<(Target, Greeted), UpstreamError> {
    let target = shared.upstream.connect(user).await?;
    let packet = startup.packet(target.log_in_as.as_deref());
    let greeted = greet(&target.socket, &packet).await.unwrap_or_else(Greeted::Nobody);
    Ok((target, greeted))
}

async fn greet(socket: &Path, startup: &[u8]) -> io::Result<Greeted> {
    let mut server = UnixStream::connect(socket).await?;
    // A server that refuses may close before it has read this; its reason is still there to be read.
    let _ = server.write_all(startup).await;
    let mut greeting = Vec::with_capacity(512);
    loop {
        let enough = match first_message(&greeting) {
            None => false,
            Some((b'E', length)) => greeting.len() >= length.min(MAX_GREETING),
            Some(_) => true,
        };
        if enough {
            let body = greeting.get(5..).unwrap_or_default();
            let not_now =
                greeting[0] == b'E' && sqlstate_in(body) == Some(SqlState::CANNOT_CONNECT_NOW.as_bytes());
            return Ok(Greeted::Server { server, greeting, not_now });
        }
        if server.read_buf(&mut greeting).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The kind and whole length of the message at the start of `bytes`.
fn first_message(bytes: &[u8]) -> Option<(u8, usize)> {
    let (&[kind, ref length @ ..], _) = bytes.split_first_chunk::<5>()?;
    Some((kind, 1 + u32::from_be_bytes(*length) as usize))
}

/// Waits until the client is gone. A client that has sent something ahead of time counts as present.
async fn left(client: &TcpStream) {
    if matches!(client.peek(&mut [0]).await, Ok(1..)) {
        std::future::pending::<()>().await;
    }
}

async fn refuse(mut client: TcpStream, error: &UpstreamError) {
    if matches!(timeout(LINGER, client.write_all(&fatal(error))).await, Ok(Ok(()))) {
        linger(client).await;
    }
}

/// Closes gently: a socket that is closed over unread bytes is reset, and the client may then lose our last words.
async fn linger(mut client: TcpStream) {
    let close = async {
        let _ = timeout(SETTLE, waste(&mut client)).await;
        client.shutdown().await?;
        waste(&mut client).await
    };
    let _ = timeout(LINGER, close).await;
}

/// Reads and forgets up to the end of the stream.
async fn waste(client: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while client.read(&mut buffer).await? > 0 {}
    Ok(())
}

fn no_entry_error(no_entry: NoEntry, limit: usize) -> UpstreamError {
    match no_entry {
        NoEntry::Closed => leave_error(Reason::Closed),
        NoEntry::Full => UpstreamError::new(
            SqlState::TOO_MANY_CONNECTIONS,
            format!("the database endpoint has reached its limit of {limit} connections"),
        )
        .with_hint("Close connections that are no longer needed, or make the pools smaller."),
    }
}

fn leave_error(reason: Reason) -> UpstreamError {
    match reason {
        Reason::Switched => UpstreamError::new(
            SqlState::ADMIN_SHUTDOWN,
            "terminating connection because the database branch was switched or taken back to an earlier state",
        )
        .with_hint("Connect again at the same address to reach the database branch that is checked out, as it is now."),
        Reason::Ruled => UpstreamError::new(
            SqlState::ADMIN_SHUTDOWN,
            "terminating connection because a rule about who writes to the database branch changed",
        )
        .with_hint("Connect again at the same address: the session is what offshoot.toml says now."),
        Reason::Closed => UpstreamError::new(
            SqlState::ADMIN_SHUTDOWN,
            "terminating connection because the database endpoint was closed",
        )
        .with_hint("The endpoint is open again at the same address when Offshoot runs for this worktree."),
    }
}

fn crash_error() -> UpstreamError {
    UpstreamError::new(
        SqlState::CRASH_SHUTDOWN,
        "the database branch's Postgres closed the connection without a reason",
    )
    .with_hint("It may have stopped or crashed: see the branch's server log. Connecting again starts it.")
}

fn unreachable_error(error: &io::Error) -> UpstreamError {
    UpstreamError::new(SqlState::CANNOT_CONNECT_NOW, "the database branch's Postgres does not answer")
        .with_detail(format!("Connecting to its socket failed: {error}."))
        .with_hint("See the branch's server log, then try again.")
}
