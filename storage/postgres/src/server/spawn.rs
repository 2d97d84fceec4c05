//! Starting the process, from a thread that lives as long as this program.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};

use super::{PORT, ServerSpec};
use crate::{account, sys};

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// The one thread that starts servers. They are told when their parent *thread* ends, not when its process does, so
/// they must not be started by a worker that comes and goes.
static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();

fn spawner() -> &'static mpsc::Sender<Order> {
    SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            while let Ok((mut command, reply)) = inbox.recv() {
                // A requester that has gone gets its server killed, not leaked.
                if let Err(mpsc::SendError(Ok(mut child))) = reply.send(command.spawn()) {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        });
        orders
    })
}

/// Starts the server of `spec` with its output going to `log`.
pub(super) fn postgres(spec: &ServerSpec, log: File) -> io::Result<Child> {
    let mut command = Command::new(spec.installation.postgres());
    command.arg("-D").arg(&spec.data_dir);
    for (name, value) in own_settings(spec) {
        command.arg("-c").arg(assignment(&name, &value));
    }
    for (name, value) in &spec.settings {
        command.arg("-c").arg(assignment(name, OsStr::new(value)));
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    set_environment(&mut command, spec);
    account::apply(&mut command, spec.account.as_ref());
    command.current_dir("/");
    sys::detach_but_die_with_parent(&mut command);
    let (reply, answer) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts servers has ended");
    spawner().send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn own_settings(spec: &ServerSpec) -> [(String, OsString); 3] {
    [
        ("listen_addresses".to_owned(), OsString::new()),
        ("port".to_owned(), PORT.to_string().into()),
        ("unix_socket_directories".to_owned(), quoted(spec.socket_dir.as_os_str())),
    ]
}

/// A path as one element of a list setting: in double quotes, so that commas and blanks stay part of it.
fn quoted(path: &OsStr) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut bytes = vec![b'"'];
    for byte in path.as_bytes() {
        if *byte == b'"' {
            bytes.push(b'"');
        }
        bytes.push(*byte);
    }
    bytes.push(b'"');
    OsString::from_vec(bytes)
}

fn assignment(name: &str, value: &OsStr) -> OsString {
    let mut text = OsString::from(name);
    text.push("=");
    text.push(value);
    text
}

/// Passes on the environment without what would change the server's behaviour behind the caller's back.
fn set_environment(command: &mut Command, spec: &ServerSpec) {
    for (name, _) in std::env::vars_os() {
        let bytes = name.as_encoded_bytes();
        let changes =
            bytes.starts_with(b"PG") || matches!(bytes, b"LD_PRELOAD" | b"LD_AUDIT" | b"NOTIFY_SOCKET");
        if changes {
            command.env_remove(name);
        }
    }
    command.envs(spec.env.iter().map(|(name, value)| (name, value)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_folder_is_one_element_whatever_its_name() {
        assert_eq!(quoted(OsStr::new("/a, b/\"c\"")), OsString::from("\"/a, b/\"\"c\"\"\""));
    }
}
