//! The engine's log: one JSON object a line, in a file that does not grow without end.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use crate::{sys, timestamp};

/// Size at which the file becomes `engine.log.1` and a new one begins.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// What is logged otherwise. The watcher of files complains about watches of folders that are gone.
const DEFAULT_LEVELS: &str = "info,notify=off";
/// Chooses what is logged, in the notation of `tracing`: `debug`, `info,offshoot_endpoint=debug`.
const LEVEL_VARIABLE: &str = "OFFSHOOT_LOG";

/// The log file of a store.
pub(crate) fn path(store: &Path) -> PathBuf {
    store.join("engine.log")
}

/// Where the log goes when it is full.
pub(crate) fn old_path(store: &Path) -> PathBuf {
    store.join("engine.log.1")
}

/// Opens the log file for appending; readable by its owner only.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Sends the events of this process to the log of `store`.
pub(crate) fn install(store: &Path, project: &str) -> io::Result<()> {
    let log = Rotating::open(path(store), old_path(store), MAX_BYTES)?;
    let filter = EnvFilter::try_from_env(LEVEL_VARIABLE).unwrap_or_else(|_| EnvFilter::new(DEFAULT_LEVELS));
    let layer = JsonLines { project: project.to_owned(), log: Mutex::new(log) };
    // A second subscriber in one process only happens in tests.
    let _ = Registry::default().with(filter).with(layer).try_init();
    Ok(())
}

struct Rotating {
    path: PathBuf,
    old: PathBuf,
    file: File,
    written: u64,
    limit: u64,
    /// Standard output and error go to the file too and have to follow it.
    carries_output: bool,
}

impl Rotating {
    fn open(path: PathBuf, old: PathBuf, limit: u64) -> io::Result<Self> {
        let file = open(&path)?;
        let written = file.metadata()?.len();
        let carries_output = sys::output_is(&file);
        Ok(Self { path, old, file, written, limit, carries_output })
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.written > 0 && self.written + line.len() as u64 > self.limit {
            std::fs::rename(&self.path, &self.old)?;
            self.file = open(&self.path)?;
            self.written = 0;
            if self.carries_output {
                sys::redirect_output(&self.file)?;
            }
        }
        self.written += line.len() as u64;
        self.file.write_all(line)
    }
}

struct JsonLines {
    project: String,
    log: Mutex<Rotating>,
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for JsonLines {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        id: &tracing::Id,
        context: Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.0.extend(of_span.0.clone());
            }
        }
        event.record(&mut fields);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = Map::new();
        line.insert("time".into(), json!(timestamp::utc(now)));
        line.insert("level".into(), json!(event.metadata().level().as_str().to_lowercase()));
        line.insert("project".into(), json!(self.project));
        line.insert("from".into(), json!(event.metadata().target()));
        line.extend(fields.0);
        let mut bytes = Value::Object(line).to_string().into_bytes();
        bytes.push(b'\n');
        // A log that cannot be written has nobody left to tell.
        let _ = self.log.lock().unwrap_or_else(PoisonError::into_inner).write_line(&bytes);
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_moves_aside_once() {
        let dir = tempfile::tempdir().unwrap();
        let (new, old) = (path(dir.path()), old_path(dir.path()));
        let mut log = Rotating::open(new.clone(), old.clone(), 30).unwrap();
        for number in 0..7 {
            log.write_line(format!("line {number:04}\n").as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&new).unwrap(), "line 0006\n");
        assert_eq!(std::fs::read_to_string(&old).unwrap().lines().count(), 3);
    }
}
