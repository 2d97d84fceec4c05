//! Parts that the tests of the endpoint share.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test uses a part of it"
)]

pub mod cluster;
pub mod fake;
pub mod raw;
pub mod upstream;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use offshoot_endpoint::{Endpoint, EndpointOptions};

pub const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A temporary folder with a path short enough for unix sockets.
pub fn short_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("off").tempdir_in("/tmp").unwrap()
}

/// An endpoint on a port of the system's choice that leads to `socket`, as target 1.
pub async fn endpoint(socket: &Path, options: EndpointOptions) -> (Endpoint, Arc<upstream::Switch>) {
    let upstream = upstream::Switch::new(1, socket);
    let endpoint = Endpoint::bind(ANY_PORT, upstream.clone(), options).await.unwrap();
    (endpoint, upstream)
}
