//! Counts this process's file descriptors and tasks, so it is alone in its process.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::fake::Fake;
use common::raw::{Raw, SSL, packet};
use common::{endpoint, short_dir};
use offshoot_endpoint::EndpointOptions;
use tokio::io::AsyncReadExt as _;

fn descriptors() -> usize {
    std::fs::read_dir("/dev/fd").unwrap().count()
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn a_closed_endpoint_leaves_no_task_and_no_descriptor() {
    let dir = short_dir();
    let (descriptors_before, tasks_before) = (descriptors(), tasks());
    let server = Fake::start(&dir.path().join("s"), 0, &[0, 0, 0, 9, 1, 2, 3, 4]);
    let (endpoint, upstream) = endpoint(&server.socket, EndpointOptions::default()).await;
    let mut clients = Vec::new();
    for at in 0..60 {
        let mut raw = match at % 6 {
            0 => Raw::connect(endpoint.port()).await,
            1 => Raw::start(endpoint.port()).await,
            _ => Raw::login(endpoint.port()).await,
        };
        match at % 6 {
            0 => raw.send(&packet(SSL, b"")).await,
            2 => {
                raw.query("begin").await;
                raw.until(b'Z').await;
            }
            3 => raw.query("hang").await,
            4 => {
                raw.query("half").await;
                raw.0.read_exact(&mut [0; 9]).await.unwrap();
            }
            _ => {}
        }
        clients.push(raw);
    }
    let drained = endpoint.drain(Duration::from_millis(50)).await;
    assert!(drained.idle >= 10 && drained.cut >= 20, "{drained:?}");
    let (again, _) = (Raw::login(endpoint.port()).await, Raw::login(endpoint.port()).await);
    endpoint.close().await;
    assert_eq!(*upstream.open.borrow(), 0);
    drop((clients, again, server, upstream));
    // The fake server's own tasks end when the runtime gets round to it.
    let settled = async {
        while tasks() > tasks_before || descriptors() > descriptors_before {
            tokio::task::yield_now().await;
        }
    };
    let settled = tokio::time::timeout(Duration::from_secs(10), settled).await;
    assert!(
        settled.is_ok(),
        "{} tasks, {} descriptors, at first {tasks_before}, {descriptors_before}",
        tasks(),
        descriptors()
    );
}
