//! An address that stays while what stands behind it changes: another server, or none.
#![allow(clippy::unwrap_used, dead_code, reason = "a test fails by panicking")]

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The address. It is given up with this value; its thread ends with the test.
pub(crate) struct Wire {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Where it leads to; nowhere while it is cut.
    to: Option<u16>,
    open: Vec<TcpStream>,
}

impl Wire {
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::new(Mutex::new(State { to: Some(port), open: Vec::new() })),
        };
        let state = Arc::clone(&wire.state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut state = state.lock().unwrap();
                let Some(server) = state.to.and_then(|to| TcpStream::connect(("127.0.0.1", to)).ok()) else {
                    continue;
                };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    state.open.push(from.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                        let _ = from.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        wire
    }

    /// Leads somewhere else from now on; what is connected is cut.
    pub(crate) fn lead(&self, to: Option<u16>) {
        let mut state = self.state.lock().unwrap();
        state.to = to;
        for stream in state.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
