//! A configuration file that is read again when it changes.

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::failure::Failure;

use super::{Config, ConfigError, FILE_NAME, parse};

/// A file that is longer cannot be meant.
pub(crate) const MAX_BYTES: u64 = 256 * 1024;

/// A file that was changed later than this ago may be changing still.
const YOUNG: Duration = Duration::from_millis(30);
const MOST_PAUSES: u32 = 10;

/// What tells two states of a file apart.
type Stamp = Option<(i64, i64, u64, u64)>;

/// `offshoot.toml` of one worktree, with the last good configuration.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    config: Config,
    /// Whether it could be read at some time; a file that is not there can.
    was_good: bool,
    error: Option<ConfigError>,
}

impl ConfigFile {
    /// The file at the root of `worktree`, read.
    pub(crate) fn open(worktree: &Path) -> Self {
        let path = worktree.join(FILE_NAME);
        let mut file = Self { path, stamp: None, config: Config::default(), was_good: false, error: None };
        file.refresh();
        file
    }

    /// Reads the file again if it changed. Returns whether it did.
    pub(crate) fn refresh(&mut self) -> bool {
        let stamp = stamp(&self.path);
        if self.stamp == Some(stamp) {
            return false;
        }
        settle(&self.path);
        self.stamp = Some(self::stamp(&self.path));
        match read(&self.path).and_then(|text| parse(&text)) {
            Ok(config) => (self.config, self.was_good, self.error) = (config, true, None),
            Err(error) => self.error = Some(error),
        }
        true
    }

    /// The last good configuration; the defaults without a file.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the file has this word, which may be in a comment. For a file with a mistake, of which no more is known.
    pub(crate) fn mentions(&self, word: &str) -> bool {
        read(&self.path).is_ok_and(|text| text.contains(word))
    }

    /// What is wrong with a file that could not be read since this process began: its rules are not known.
    pub(crate) fn never_read(&self) -> Option<&ConfigError> {
        self.error.as_ref().filter(|_| !self.was_good)
    }

    /// What is wrong with the file now.
    pub(crate) fn error(&self) -> Option<&ConfigError> {
        self.error.as_ref()
    }
}

/// What is said of a file with a mistake where the last good settings would not do.
pub(crate) fn broken(error: &ConfigError) -> Failure {
    let failure = Failure::configuration(format!("{FILE_NAME}, {error}"));
    let hint = error.hint.as_deref().unwrap_or("Correct that line: what the file says counts here.");
    failure.hint(hint)
}

/// Waits until nobody is about to write the file. Who saves a file mostly empties it first, and an empty one has no rules.
fn settle(path: &Path) {
    let is_young = || {
        let changed = fs::metadata(path).and_then(|facts| facts.modified()).ok();
        changed.and_then(|at| at.elapsed().ok()).is_some_and(|age| age < YOUNG)
    };
    for _ in 0..MOST_PAUSES {
        if !is_young() {
            return;
        }
        thread::sleep(YOUNG / 3);
    }
}

fn stamp(path: &Path) -> Stamp {
    let facts = fs::metadata(path).ok()?;
    Some((facts.mtime(), facts.mtime_nsec(), facts.size(), facts.ino()))
}

/// The text of the file; empty without one.
pub(crate) fn read(path: &Path) -> Result<String, ConfigError> {
    let fault = |message: String| ConfigError { line: 1, span: 0..0, message, hint: None };
    // Looked at before it is opened: opening a named pipe would wait for a writer.
    match fs::metadata(path) {
        Ok(facts) if facts.is_file() => (),
        Ok(_) => return Err(fault("is not a file".to_owned())),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(e) => return Err(fault(format!("cannot be read: {e}"))),
    }
    let file = fs::File::open(path).map_err(|e| fault(format!("cannot be read: {e}")))?;
    let mut text = String::new();
    match file.take(MAX_BYTES + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > MAX_BYTES => Err(fault(format!("is longer than {MAX_BYTES} bytes"))),
        Ok(_) => Ok(text),
        Err(e) => Err(fault(format!("cannot be read: {e}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OnCheckout;

    #[test]
    fn a_broken_file_keeps_the_last_good_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let mut file = ConfigFile::open(dir.path());
        assert_eq!(*file.config(), Config::default());
        fs::write(&path, "on_checkout = 'ask'").unwrap();
        assert!(file.refresh());
        assert_eq!(file.config().on_checkout, OnCheckout::Ask);
        assert!(!file.refresh(), "nothing changed");
        fs::write(&path, "on_checkout = ").unwrap();
        assert!(file.refresh());
        assert_eq!(file.config().on_checkout, OnCheckout::Ask);
        assert_eq!(file.error().unwrap().line, 1);
        fs::remove_file(&path).unwrap();
        assert!(file.refresh());
        assert_eq!((file.config(), file.error()), (&Config::default(), None));
        fs::create_dir(&path).unwrap();
        assert!(file.refresh());
        assert!(file.error().is_some());
    }
}
