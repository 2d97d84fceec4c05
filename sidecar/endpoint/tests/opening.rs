//! How connections to the endpoint begin, before any Postgres is involved.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::fake::Fake;
use common::raw::{CANCEL, GSS, Raw, SSL, VERSION_3_0, VERSION_3_2, packet};
use common::upstream::{Switch, until};
use common::{ANY_PORT, endpoint, short_dir};
use offshoot_endpoint::{BindError, Endpoint, EndpointOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

const KEY: &[u8] = &[0, 0, 0, 9, 1, 2, 3, 4];
const LONG: Duration = Duration::from_mins(1);

fn options() -> EndpointOptions {
    EndpointOptions::default()
}

#[tokio::test]
async fn a_taken_port_is_told_apart() {
    let dir = short_dir();
    let (first, upstream) = endpoint(dir.path(), options()).await;
    let address = ([127, 0, 0, 1], first.port()).into();
    let second = Endpoint::bind(address, upstream.clone(), options()).await;
    assert!(matches!(second, Err(BindError::Taken { port }) if port == first.port()));
    first.close().await;
    Endpoint::bind(address, upstream, options()).await.expect("a closed endpoint frees its port");
}

#[tokio::test]
async fn only_loopback_addresses_are_bound() {
    let upstream = Switch::new(1, "/nowhere".as_ref());
    let bound = Endpoint::bind(([0, 0, 0, 0], 0).into(), upstream.clone(), options()).await;
    assert!(matches!(bound, Err(BindError::NotLoopback { .. })));
    assert!(Endpoint::bind(ANY_PORT, upstream, options()).await.is_ok());
}

#[tokio::test]
async fn malformed_startup_packets_are_answered_and_closed() {
    let dir = short_dir();
    let (endpoint, upstream) = endpoint(dir.path(), options()).await;
    let cases: &[(&[u8], &str)] = &[
        (&[0, 0, 0, 4, 0, 0, 0, 0], "08P01"),
        (&[0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0], "08P01"),
        (b"GET / HTTP/1.1\r\n\r\n", "08P01"),
        (&packet(VERSION_3_0, b"user\0me"), "08P01"),
        (&packet(0x0002_0000, b"\0"), "0A000"),
        (&packet(CANCEL, b"short"), "08P01"),
    ];
    for (input, sqlstate) in cases {
        let mut raw = Raw::connect(endpoint.port()).await;
        raw.send(input).await;
        // More than the endpoint would ever keep: it must neither grow nor swallow its answer.
        let _ = raw.0.write_all(&vec![0; 200_000]).await;
        let error = raw.last_words().await;
        assert_eq!((error.get('C'), error.get('S'), error.get('V')), (*sqlstate, "FATAL", "FATAL"));
    }
    assert_eq!(upstream.calls.load(Ordering::SeqCst), 0, "nobody was woken");
}

#[tokio::test]
async fn a_slow_startup_is_ended() {
    let dir = short_dir();
    let quick = EndpointOptions { startup_timeout: Duration::from_millis(50), ..options() };
    let (endpoint, _upstream) = endpoint(dir.path(), quick).await;
    let mut raw = Raw::connect(endpoint.port()).await;
    raw.send(&[0, 0, 0]).await;
    assert_eq!(raw.last_words().await.get('C'), "08P01");
}

#[tokio::test]
async fn encryption_is_declined_and_the_session_goes_on() {
    let dir = short_dir();
    let server = Fake::start(&dir.path().join("s"), 0, KEY);
    let (endpoint, _upstream) = endpoint(&server.socket, options()).await;
    let mut raw = Raw::connect(endpoint.port()).await;
    for request in [GSS, SSL, SSL] {
        raw.send(&packet(request, b"")).await;
        assert_eq!(raw.0.read_u8().await.unwrap(), b'N');
    }
    raw.send(&packet(VERSION_3_2, b"user\0me\0\0")).await;
    raw.until(b'Z').await;
    raw.query("select").await;
    raw.until(b'Z').await;
}

#[tokio::test]
async fn a_full_endpoint_refuses_until_someone_leaves() {
    let dir = short_dir();
    let server = Fake::start(&dir.path().join("s"), 0, KEY);
    let (endpoint, upstream) =
        endpoint(&server.socket, EndpointOptions { max_connections: 2, ..options() }).await;
    let (first, _second) = (Raw::login(endpoint.port()).await, Raw::login(endpoint.port()).await);
    assert_eq!(endpoint.connections(), 2);
    assert_eq!(Raw::start(endpoint.port()).await.last_words().await.get('C'), "53300");
    drop(first);
    until(&upstream.open, 1).await;
    // The guard goes just before the place does.
    let port = endpoint.port();
    let admitted = timeout(LONG, async { while Raw::start(port).await.next().await.unwrap().0 != b'R' {} });
    admitted.await.unwrap();
}
