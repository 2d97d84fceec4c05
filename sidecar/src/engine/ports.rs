//! Which port an endpoint gets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use offshoot_endpoint::{BindError, Endpoint, EndpointOptions, Upstream};
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};

/// Below the ports that systems give to outgoing connections, above those of well-known servers.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// The ports to try for something of this `name`, in order: the first depends on the name alone, so that the choice
/// hardly ever collides with another project's.
pub(crate) fn candidates(name: &str) -> impl Iterator<Item = u16> {
    let hash = Sha256::digest(name.as_bytes());
    let start = u16::from_be_bytes([hash[0], hash[1]]) % COUNT;
    (0..COUNT).map(move |step| FIRST + (start + step) % COUNT)
}

/// Listens on `port` of the loopback address.
pub(crate) async fn listen(
    port: u16,
    upstream: Arc<dyn Upstream>,
    options: &EndpointOptions,
) -> Result<Endpoint, BindError> {
    Endpoint::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), upstream, options.clone()).await
}

/// Listens on the first port that is free, passing over those of `except`.
pub(crate) async fn listen_anywhere(
    name: &str,
    except: &[u16],
    upstream: &Arc<dyn Upstream>,
    options: &EndpointOptions,
) -> Result<Endpoint> {
    for port in candidates(name).filter(|port| !except.contains(port)) {
        match listen(port, Arc::clone(upstream), options).await {
            Ok(endpoint) => return Ok(endpoint),
            Err(BindError::Taken { .. }) => (),
            Err(other) => return Err(Failure::engine(crate::failure::chain(&other))),
        }
    }
    let last = FIRST + COUNT - 1;
    Err(Failure::configuration(format!("every port of 127.0.0.1 from {FIRST} to {last} is taken")))
}

/// What a person is told about a port that another program has.
pub(crate) fn taken(port: u16) -> Failure {
    Failure::configuration(format!("port {port} of 127.0.0.1 is taken by another program")).hint(format!(
        "Stop the program that listens on {port} (`ss -ltnp 'sport = :{port}'` names it), or run `offshoot url --new-port`."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_every_port_of_the_range_once() {
        let mut all: Vec<_> = candidates("a").collect();
        assert_ne!(all[0], candidates("b").next().unwrap());
        assert_eq!(all[0], candidates("a").next().unwrap(), "the same each time");
        all.sort_unstable();
        all.dedup();
        assert_eq!((all.len(), all[0], all[all.len() - 1]), (12_000, 20_000, 31_999));
    }
}
