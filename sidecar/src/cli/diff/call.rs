//! Long calls to the engine, with progress and a way to give them up.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use offshoot_postgres::Progress;
use offshoot_protocol::Method;
use offshoot_protocol::client::Watch;

use crate::cli::connect::Session;
use crate::cli::progress::Shown;
use crate::failure::{Failure, Result};
use crate::scratch::Scratch;
use crate::sys;

/// Longer than anybody waits: whoever has waited enough cancels.
const PATIENCE: Duration = Duration::from_hours(24);

/// Calls `M`. Ctrl-C has the engine give up and clear away.
pub(in crate::cli) fn long<M: Method>(
    session: &mut Session,
    params: &M::Params,
    quiet: bool,
) -> Result<M::Result> {
    sys::catch_interrupts();
    let shown = Shown::new(quiet);
    let watch = Watch {
        progress: &mut |progress| shown.step(&progress.message, progress.done, progress.total),
        cancelled: &sys::interrupted,
    };
    let outcome = session.client.call_watched::<M>(params, PATIENCE, watch);
    shown.finish();
    Ok(outcome?)
}

/// A private temporary folder. It goes with this value.
#[derive(Debug)]
pub(super) struct Folder(Scratch);

impl Folder {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(Scratch::new()?))
    }

    /// Writes a file and returns its path. `name` has no slashes.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let path = self.0.path().join(name);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(content));
        written.map_err(|e| Failure::io(format!("write {}", path.display()), &e))?;
        Ok(path)
    }
}

/// A path as the engine, which stands elsewhere, has to be told it.
pub(super) fn absolute(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path).map_err(|e| Failure::io("find the current folder", &e))?;
    absolute.into_os_string().into_string().map_err(|path| {
        Failure::user(format!("the path {} is not UTF-8", path.to_string_lossy()))
            .hint("Rename it, or copy the file.")
    })
}
