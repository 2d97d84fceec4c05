//! A TCP port of this machine that leads to a server which listens on a unix socket only: not every program can use such a socket.
//!
//! The server asks for the password there as well. The port is open for as long as the command runs.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use offshoot_postgres::server::PORT;

/// An open port; closed when this is dropped. Connections end with the server.
pub(super) struct Forward {
    port: u16,
    is_closed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Forward {
    pub(super) fn begin(socket_dir: &Path) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let socket = socket_dir.join(format!(".s.PGSQL.{PORT}"));
        let is_closed = Arc::new(AtomicBool::new(false));
        let closed = is_closed.clone();
        let thread =
            Builder::new().name("forward".into()).spawn(move || accept(&listener, &socket, &closed))?;
        Ok(Self { port, is_closed, thread: Some(thread) })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Release);
        // Has the thread look.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, socket: &PathBuf, is_closed: &AtomicBool) {
    for stream in listener.incoming() {
        if is_closed.load(Ordering::Acquire) {
            return;
        }
        let pair = stream.and_then(|stream| Ok((stream, UnixStream::connect(socket)?)));
        // A connection that cannot be made is closed, which tells its program.
        if let Ok((stream, server)) = pair {
            let _ = relay(stream, server);
        }
    }
}

fn relay(stream: TcpStream, server: UnixStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut from_program, mut to_program) = (stream.try_clone()?, stream);
    let (mut from_server, mut to_server) = (server.try_clone()?, server);
    let thread = || Builder::new().name("forward".into()).stack_size(64 * 1024);
    thread().spawn(move || {
        let _ = io::copy(&mut from_program, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    })?;
    thread().spawn(move || {
        let _ = io::copy(&mut from_server, &mut to_program);
        let _ = to_program.shutdown(Shutdown::Both);
    })?;
    Ok(())
}
