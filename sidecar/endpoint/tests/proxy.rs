//! The endpoint before a fake server: what a real Postgres does too rarely to wait for.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::fake::Fake;
use common::raw::{CANCEL, Fields, Raw, message, packet};
use common::upstream::until;
use common::{ANY_PORT, endpoint, short_dir};
use offshoot_endpoint::{Drained, Endpoint, EndpointOptions, SqlState, UpstreamError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

const KEY: &[u8] = &[0, 0, 0, 9, 1, 2, 3, 4];
const LONG: Duration = Duration::from_mins(1);
const NONE: Drained = Drained { idle: 0, finished: 0, cut: 0 };

fn options() -> EndpointOptions {
    EndpointOptions::default()
}

#[tokio::test]
async fn a_starting_postgres_is_tried_again_and_the_client_never_knows() {
    let dir = short_dir();
    let server = Fake::start(&dir.path().join("s"), 4, KEY);
    let (endpoint, upstream) = endpoint(&server.socket, options()).await;
    let mut raw = Raw::start(endpoint.port()).await;
    assert_eq!(raw.next().await.unwrap().0, b'R');
    assert_eq!(server.seen.load(Ordering::SeqCst), 5);
    assert_eq!(*upstream.open.borrow(), 1, "the guards of earlier tries are gone");
}

#[tokio::test]
async fn a_postgres_that_does_not_listen_yet_is_waited_for() {
    let dir = short_dir();
    let socket = dir.path().join("s");
    let (endpoint, upstream) = endpoint(&socket, options()).await;
    let mut raw = Raw::start(endpoint.port()).await;
    until(&upstream.open, 1).await;
    let _server = Fake::start(&socket, 0, KEY);
    raw.until(b'Z').await;
}

#[tokio::test]
async fn a_postgres_that_never_comes_up_is_given_up() {
    let dir = short_dir();
    let hasty = EndpointOptions { refusal_patience: Duration::from_millis(50), ..options() };
    let (gone, _upstream) = endpoint(&dir.path().join("none"), hasty.clone()).await;
    let error = Raw::start(gone.port()).await.last_words().await;
    assert_eq!(error.get('C'), "57P03");
    assert_ne!(error.get('D'), "");

    let server = Fake::start(&dir.path().join("s"), usize::MAX, KEY);
    let (starting, upstream) = endpoint(&server.socket, hasty).await;
    let error = Raw::start(starting.port()).await.last_words().await;
    assert_eq!((error.get('C'), error.get('M')), ("57P03", "the database system is starting up"));
    until(&upstream.open, 0).await;
}

#[tokio::test]
async fn an_upstreams_error_reaches_the_client_whole() {
    let dir = short_dir();
    let (endpoint, upstream) = endpoint(dir.path(), options()).await;
    let error = UpstreamError::new(SqlState::new(*b"58000"), "branch feature/x failed");
    upstream.refuse(error.with_detail("It did not start.").with_hint("Run offshoot status."));
    let error = Raw::start(endpoint.port()).await.last_words().await;
    assert_eq!(
        ['S', 'C', 'M', 'D', 'H'].map(|kind| error.get(kind)),
        ["FATAL", "58000", "branch feature/x failed", "It did not start.", "Run offshoot status."]
    );
}

#[tokio::test]
async fn a_client_that_leaves_while_its_branch_wakes_ends_the_wait() {
    let dir = short_dir();
    let (endpoint, upstream) = endpoint(dir.path(), options()).await;
    upstream.asleep.send_replace(true);
    let raw = Raw::start(endpoint.port()).await;
    until(&upstream.waking, 1).await;
    assert_eq!(endpoint.connections(), 1);
    drop(raw);
    until(&upstream.waking, 0).await;
    assert_eq!(endpoint.drain(LONG).await, NONE);
}

#[tokio::test]
async fn a_waking_connection_follows_the_switch() {
    let dir = short_dir();
    let new = Fake::start(&dir.path().join("new"), 0, KEY);
    let (endpoint, upstream) = endpoint(&dir.path().join("old"), options()).await;
    upstream.asleep.send_replace(true);
    let mut raw = Raw::start(endpoint.port()).await;
    until(&upstream.waking, 1).await;
    upstream.lead_to(2, &new.socket);
    assert_eq!(endpoint.drain(LONG).await, NONE, "nothing was opened yet");
    upstream.asleep.send_replace(false);
    raw.until(b'Z').await;
}

#[tokio::test]
async fn a_connection_already_at_the_new_target_can_be_spared() {
    let dir = short_dir();
    let old = Fake::start(&dir.path().join("old"), 0, KEY);
    let new = Fake::start(&dir.path().join("new"), 0, KEY);
    let (endpoint, upstream) = endpoint(&old.socket, options()).await;
    let mut before = Raw::login(endpoint.port()).await;
    upstream.lead_to(2, &new.socket);
    let mut after = Raw::login(endpoint.port()).await;
    assert_eq!(endpoint.drain_except(2, LONG).await, Drained { idle: 1, ..NONE });
    assert_eq!(before.last_words().await.get('C'), "57P01");
    after.query("select").await;
    after.until(b'Z').await;
}

#[tokio::test]
async fn an_idle_connection_is_told_why_it_ends() {
    let dir = short_dir();
    let server = Fake::start(&dir.path().join("s"), 0, KEY);
    let (endpoint, upstream) = endpoint(&server.socket, options()).await;
    let mut raw = Raw::login(endpoint.port()).await;
    assert_eq!(endpoint.drain(LONG).await, Drained { idle: 1, ..NONE });
    assert_eq!((*upstream.open.borrow(), endpoint.connections()), (0, 0));
    let error = raw.last_words().await;
    assert_eq!(
        error.get('M'),
        "terminating connection because the database branch was switched or taken back to an earlier state"
    );
    assert_eq!(['S', 'V', 'C'].map(|kind| error.get(kind)), ["FATAL", "FATAL", "57P01"]);
    assert_ne!(error.get('H'), "");
}

#[tokio::test]
async fn a_busy_connection_that_becomes_idle_is_finished() {
    let dir = short_dir();
    let server = Fake::start(&dir.path().join("s"), 0, KEY);
    let (endpoint, _upstream) = endpoint(&server.socket, options()).await;
    let mut raw = Raw::login(endpoint.port()).await;
    raw.query("begin").await;
    raw.until(b'Z').await;
    let work = async {
        raw.query("insert").await;
        raw.until(b'Z').await;
        raw.last_words().await
    };
    let (drained, error) = tokio::join!(endpoint.drain(LONG), work);
    assert_eq!((drained, error.get('C')), (Drained { finished: 1, ..NONE }, "57P01"));
}

#[tokio::test]
async fn a_cut_between_messages_is_explained_and_cancels_the_statement() {
    let dir = short_dir();
    let mut server = Fake::start(&dir.path().join("s"), 0, KEY);
    let (endpoint, _upstream) = endpoint(&server.socket, options()).await;
    let mut raw = Raw::login(endpoint.port()).await;
    raw.query("hang").await;
    // The server must have it before the drain begins, or the connection would still look idle.
    raw.query("begin").await;
    raw.until(b'Z').await;
    let patient = endpoint.drain(LONG);
    let hasty = endpoint.drain(Duration::from_millis(10));
    let (patient, hasty) = tokio::join!(patient, hasty);
    let cut = Drained { cut: 1, ..NONE };
    assert_eq!((patient, hasty), (cut, cut), "the shorter grace holds, and both drains hear of it");
    assert_eq!(raw.last_words().await.get('C'), "57P01");
    let cancels =
        timeout(LONG, server.cancels.wait_for(|cancels| !cancels.is_empty())).await.unwrap().unwrap();
    assert_eq!(*cancels, [KEY.to_vec()]);
}

#[tokio::test]
async fn a_cut_within_a_message_sends_no_error_into_it() {
    let dir = short_dir();
    let server = Fake::start(&dir.path().join("s"), 0, KEY);
    let (endpoint, _upstream) = endpoint(&server.socket, options()).await;
    let mut raw = Raw::login(endpoint.port()).await;
    raw.query("half").await;
    let mut start = [0; 9];
    raw.0.read_exact(&mut start).await.unwrap();
    assert_eq!(endpoint.drain(Duration::ZERO).await, Drained { cut: 1, ..NONE });
    let mut rest = Vec::new();
    raw.0.read_to_end(&mut rest).await.unwrap();
    assert_eq!((&start[..], &rest[..]), (&b"D\0\0\x01\0half"[..], &b""[..]));
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_server_back_and_is_cut_all_the_same() {
    let dir = short_dir();
    let server = Fake::start(&dir.path().join("s"), 0, KEY);
    let (endpoint, _upstream) = endpoint(&server.socket, options()).await;
    let mut raw = Raw::login(endpoint.port()).await;
    raw.query(&format!("flood {}", 256 << 20)).await;
    raw.0.peek(&mut [0]).await.unwrap();
    let drained = timeout(LONG, endpoint.drain(Duration::ZERO)).await.unwrap();
    assert_eq!(drained, Drained { cut: 1, ..NONE });
    let mut rest = Vec::new();
    let _ = raw.0.read_to_end(&mut rest).await;
    assert!(rest.len() < 64 << 20, "{} bytes were under way", rest.len());
    assert!(rest[5..].iter().all(|&byte| byte == b'Z'), "nothing was put into the message");
}

#[tokio::test]
async fn a_large_message_passes_whole() {
    let dir = short_dir();
    let server = Fake::start(&dir.path().join("s"), 0, KEY);
    let (endpoint, _upstream) = endpoint(&server.socket, options()).await;
    let mut raw = Raw::login(endpoint.port()).await;
    let size = 64 << 20;
    raw.query(&format!("flood {size}")).await;
    let body = raw.until(b'd').await;
    assert!(body.len() == size && body.iter().all(|&byte| byte == b'Z'));
    raw.until(b'Z').await;
    assert_eq!(endpoint.drain(LONG).await, Drained { idle: 1, ..NONE });
}

#[tokio::test]
async fn a_server_that_vanishes_is_explained_only_between_messages() {
    let dir = short_dir();
    let server = Fake::start(&dir.path().join("s"), 0, KEY);
    let (endpoint, upstream) = endpoint(&server.socket, options()).await;
    let mut between = Raw::login(endpoint.port()).await;
    between.query("crash").await;
    assert_eq!(between.last_words().await.get('C'), "57P02");

    let mut within = Raw::login(endpoint.port()).await;
    within.query("half").await;
    within.0.read_exact(&mut [0; 9]).await.unwrap();
    within.query("crash").await;
    let mut rest = Vec::new();
    within.0.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");

    let mut polite = Raw::login(endpoint.port()).await;
    polite.send(&message(b'X', b"")).await;
    assert_eq!(polite.next().await, None);
    until(&upstream.open, 0).await;
}

#[tokio::test]
async fn a_client_that_only_stops_writing_still_gets_its_answers() {
    let dir = short_dir();
    let server = Fake::start(&dir.path().join("s"), 0, KEY);
    let (endpoint, upstream) = endpoint(&server.socket, options()).await;
    let mut raw = Raw::login(endpoint.port()).await;
    raw.query("flood 1000000").await;
    raw.0.shutdown().await.unwrap();
    assert_eq!(raw.until(b'd').await.len(), 1_000_000);
    raw.until(b'Z').await;
    assert_eq!(raw.next().await, None);
    until(&upstream.open, 0).await;
}

#[tokio::test]
async fn a_cancel_request_finds_its_server_through_any_endpoint() {
    const OTHER: &[u8] = &[0, 0, 0, 9, 5, 5, 5, 5];
    static LONG_KEY: [u8; 260] = [7; 260];
    let dir = short_dir();
    let mut one = Fake::start(&dir.path().join("one"), 0, KEY);
    let two = Fake::start(&dir.path().join("two"), 0, OTHER);
    let mut three = Fake::start(&dir.path().join("three"), 0, &LONG_KEY);
    let shared = options();
    let (first, upstream) = endpoint(&one.socket, shared.clone()).await;
    let (second, _) = endpoint(&two.socket, shared.clone()).await;
    let (third, _) = endpoint(&three.socket, shared).await;
    let raw = Raw::login(first.port()).await;
    let _others = (Raw::login(second.port()).await, Raw::login(third.port()).await);
    for (key, through) in [(KEY, &second), (&LONG_KEY[..], &first), (&[9; 8], &first)] {
        let mut cancel = Raw::connect(through.port()).await;
        cancel.send(&packet(CANCEL, key)).await;
        assert_eq!(cancel.next().await, None);
    }
    assert_eq!(*one.cancels.borrow_and_update(), [KEY.to_vec()]);
    assert_eq!(*two.cancels.borrow(), Vec::<Vec<u8>>::new(), "an equal process id is not enough");
    assert_eq!(*three.cancels.borrow_and_update(), [LONG_KEY.to_vec()]);

    drop(raw);
    until(&upstream.open, 0).await;
    first.drain(Duration::ZERO).await;
    let mut late = Raw::connect(second.port()).await;
    late.send(&packet(CANCEL, KEY)).await;
    assert_eq!(late.next().await, None);
    assert_eq!(one.cancels.borrow().len(), 1, "the key went with its connection");
}

#[tokio::test]
async fn a_panic_of_the_upstream_costs_one_connection() {
    struct Panics;
    impl offshoot_endpoint::Upstream for Panics {
        fn connect<'a>(&'a self, _user: &'a str) -> offshoot_endpoint::Connecting<'a> {
            Box::pin(async { panic!("on purpose, by a test") })
        }
    }
    let endpoint = Endpoint::bind(ANY_PORT, Arc::new(Panics), options()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(Raw::start(endpoint.port()).await.next().await, None);
    }
    assert_eq!(endpoint.drain(LONG).await, NONE);
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test]
async fn closing_tells_everyone_and_dropping_ends_everything() {
    let dir = short_dir();
    let server = Fake::start(&dir.path().join("s"), 0, KEY);
    let (closed, upstream) = endpoint(&server.socket, options()).await;
    let (mut idle, mut busy) = (Raw::login(closed.port()).await, Raw::login(closed.port()).await);
    busy.query("begin").await;
    busy.until(b'Z').await;
    upstream.asleep.send_replace(true);
    let mut waking = Raw::start(closed.port()).await;
    until(&upstream.waking, 1).await;
    closed.close().await;
    assert_eq!((*upstream.open.borrow(), *upstream.waking.borrow()), (0, 0));
    for raw in [&mut idle, &mut busy, &mut waking] {
        let (kind, body) = raw.next().await.unwrap();
        assert_eq!((kind, Fields::parse(&body).get('C')), (b'E', "57P01"));
    }

    let (dropped, upstream) = endpoint(&server.socket, options()).await;
    let mut raw = Raw::login(dropped.port()).await;
    drop(dropped);
    assert_eq!(raw.next().await, None);
    until(&upstream.open, 0).await;
}

#[tokio::test]
async fn the_end_of_a_statement_beats_and_every_coming_and_going_is_told() {
    let dir = short_dir();
    let server = Fake::start(&dir.path().join("s"), 0, KEY);
    let (endpoint, upstream) = endpoint(&server.socket, options()).await;
    let mut raw = Raw::start(endpoint.port()).await;
    raw.until(b'Z').await;
    assert!(!upstream.pulse.has_beaten(), "a login is no statement");
    assert_eq!(upstream.changes.load(Ordering::SeqCst), 1);
    raw.send(&message(b'Q', b"anything\0")).await;
    raw.until(b'Z').await;
    timeout(LONG, upstream.beaten.notified()).await.unwrap();
    assert!(upstream.pulse.take() && !upstream.pulse.take());
    drop(raw);
    timeout(LONG, async {
        while upstream.changes.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(endpoint.connections(), 0, "it is told after the count has changed");
}
