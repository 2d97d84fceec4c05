//! `offshoot engine logs`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::output::Output;
use crate::engine::log;
use crate::failure::{Failure, Result};
use crate::log_line::human;

const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// Prints the last `count` lines of a store's log, and those to come if `follow`.
pub(super) fn run(store: &Path, count: usize, follow: bool, output: Output) -> Result<u8> {
    let path = log::path(store);
    let show = |line: &str| if output.json { output.line(line) } else { output.line(human(line)) };
    let mut lines = read(&log::old_path(store));
    let newest = read(&path);
    let from = newest.len();
    lines.extend(newest);
    // The old file only matters if the new one is short.
    let start = lines.len().saturating_sub(count).max(if from >= count { lines.len() - count } else { 0 });
    lines[start..].iter().for_each(|line| show(line));
    if follow {
        return follow_file(&path, show);
    }
    Ok(super::OK)
}

fn read(path: &Path) -> Vec<String> {
    let Ok(file) = File::open(path) else { return Vec::new() };
    BufReader::new(file)
        .split(b'\n')
        .map_while(std::io::Result::ok)
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .collect()
}

/// Goes on until it is interrupted; goes over to the new file when the log is full.
fn follow_file(path: &Path, show: impl Fn(&str)) -> Result<u8> {
    let fault = |e: &std::io::Error| Failure::io(format!("read {}", path.display()), e);
    let mut file = log::open(path).and_then(|_| File::open(path)).map_err(|e| fault(&e))?;
    file.seek(SeekFrom::End(0)).map_err(|e| fault(&e))?;
    let mut pending = Vec::new();
    loop {
        let read = (&mut file).take(64 * 1024).read_to_end(&mut pending).map_err(|e| fault(&e))?;
        while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            show(String::from_utf8_lossy(&line).trim_end());
        }
        if read > 0 {
            continue;
        }
        let replaced = match (std::fs::metadata(path), file.metadata()) {
            (Ok(there), Ok(here)) => there.ino() != here.ino(),
            _ => false,
        };
        if replaced {
            file = File::open(path).map_err(|e| fault(&e))?;
        } else {
            thread::sleep(FOLLOW_INTERVAL);
        }
    }
}
