//! Whether clients still find the engine.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use offshoot_protocol::types::EngineFile;

use crate::failure::{Failure, Result};
use crate::timestamp;

/// The two files by which an engine is found: its socket, and `engine.json`, which names it. Both can go while the
/// engine runs: by a cleaner of temporary files, at the end of a login session, by hand.
#[derive(Debug)]
pub(super) struct Presence {
    socket: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    file: PathBuf,
}

impl Presence {
    /// Tells clients of the socket at `socket`, which this process has just begun to listen at.
    pub(super) fn announce(socket: &Path, store: &Path, started_at: SystemTime) -> Result<Self> {
        let facts = fs::symlink_metadata(socket)
            .map_err(|e| Failure::io(format!("look at {}", socket.display()), &e))?;
        let identity = (facts.dev(), facts.ino());
        let presence = Self { socket: socket.to_owned(), identity, file: store.join("engine.json") };
        presence
            .write(started_at)
            .map_err(|e| Failure::io(format!("write {}", presence.file.display()), &e))?;
        Ok(presence)
    }

    /// All at once, so that nobody reads half a file.
    fn write(&self, started_at: SystemTime) -> io::Result<()> {
        let file = EngineFile {
            pid: std::process::id(),
            socket: self.socket.to_string_lossy().into_owned(),
            version: crate::VERSION.to_owned(),
            started_at: timestamp::seconds(started_at),
        };
        let draft = self.file.with_extension("json.new");
        let mut out =
            fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
        out.write_all(&serde_json::to_vec(&file)?)?;
        fs::rename(&draft, &self.file)
    }

    /// The file that is gone or is another engine's; `None` while clients find this one. A file that merely cannot be
    /// read counts as there.
    pub(super) fn lost(&self) -> Option<&Path> {
        if !self.owns_socket() {
            return Some(&self.socket);
        }
        (!self.owns_file()).then_some(self.file.as_path())
    }

    /// Removes both files unless they are another engine's by now.
    pub(super) fn remove(&self) {
        // What is gone already needs no removing.
        if self.owns_file() {
            let _ = fs::remove_file(&self.file);
        }
        if self.owns_socket() {
            let _ = fs::remove_file(&self.socket);
        }
    }

    fn owns_socket(&self) -> bool {
        match fs::symlink_metadata(&self.socket) {
            Ok(facts) => (facts.dev(), facts.ino()) == self.identity,
            Err(e) => !is_absence(&e),
        }
    }

    fn owns_file(&self) -> bool {
        match fs::read(&self.file) {
            Ok(bytes) => serde_json::from_slice::<EngineFile>(&bytes)
                .is_ok_and(|file| file.pid == std::process::id() && Path::new(&file.socket) == self.socket),
            Err(e) => !is_absence(&e),
        }
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_file_that_is_gone_or_anothers_is_noticed_and_anothers_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (socket, file) = (dir.path().join("s"), dir.path().join("engine.json"));
        let _listener = UnixListener::bind(&socket).unwrap();
        let presence = Presence::announce(&socket, dir.path(), SystemTime::now()).unwrap();
        assert_eq!(presence.lost(), None);

        let text = fs::read_to_string(&file).unwrap();
        let pid = format!("\"pid\":{}", std::process::id());
        fs::write(&file, text.replace(&pid, "\"pid\":1")).unwrap();
        assert_eq!(presence.lost(), Some(file.as_path()));
        fs::remove_file(&file).unwrap();
        assert_eq!(presence.lost(), Some(file.as_path()));
        fs::write(&file, text).unwrap();
        assert_eq!(presence.lost(), None);

        fs::rename(&socket, dir.path().join("old")).unwrap();
        assert_eq!(presence.lost(), Some(socket.as_path()));
        let _other = UnixListener::bind(&socket).unwrap();
        assert_eq!(presence.lost(), Some(socket.as_path()));
        presence.remove();
        assert!(socket.exists() && !file.exists());
    }
}
