//! The few settings that decide how a repository's files are laid out.
//!
//! Git reads these from the repository's own configuration alone, without includes and without the user's or the
//! system's, so reading that one file is exact. Syntax: git-config(1).

use std::path::Path;
use std::{fs, io};

use crate::error::GitError;

/// The settings of one configuration file, in its order.
#[derive(Debug, Default)]
pub(crate) struct Config {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Config {
    /// Reads `<common_dir>/config` and, where that asks for it, `config.worktree` of the main work tree.
    pub(crate) fn of_main(common_dir: &Path) -> Result<Self, GitError> {
        let mut config = Self::of_repository(common_dir)?;
        if config.flag("extensions.worktreeconfig") {
            config.entries.extend(read(&common_dir.join("config.worktree"))?.entries);
        }
        Ok(config)
    }

    /// Reads `<common_dir>/config`.
    pub(crate) fn of_repository(common_dir: &Path) -> Result<Self, GitError> {
        read(&common_dir.join("config"))
    }

    /// The last value of `key` (`section.name`, lower case).
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        let found = self.entries.iter().rev().find(|(k, _)| k == key.as_bytes());
        found.map(|(_, value)| value.as_slice())
    }

    /// Whether `key` is set to something true.
    pub(crate) fn flag(&self, key: &str) -> bool {
        let value = self.get(key).map(<[u8]>::to_ascii_lowercase);
        matches!(value.as_deref(), Some(b"true" | b"yes" | b"on" | b"1"))
    }

    /// Whether references lie in plain files; otherwise only git can read them.
    pub(crate) fn has_ref_files(&self) -> bool {
        self.get("extensions.refstorage").is_none_or(|value| value.eq_ignore_ascii_case(b"files"))
    }

    /// The names of the remotes that the file defines.
    pub(crate) fn remotes(&self) -> Vec<&[u8]> {
        let named = self.entries.iter().filter_map(|(key, _)| {
            let rest = key.strip_prefix(b"remote.")?;
            let end = rest.iter().rposition(|b| *b == b'.')?;
            Some(&rest[..end])
        });
        named.collect()
    }
}

fn read(path: &Path) -> Result<Config, GitError> {
    match fs::read(path) {
        Ok(bytes) => Ok(parse(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Config::default()),
        Err(source) => Err(GitError::io("read", path)(source)),
    }
}

fn parse(bytes: &[u8]) -> Config {
    let mut config = Config::default();
    let mut section = Vec::new();
    let mut lines = bytes.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    while let Some(line) = lines.next() {
        let mut line = line.trim_ascii_start();
        if line.starts_with(b"[")
            && let Some((name, rest)) = header(line)
        {
            section = name;
            line = rest.trim_ascii_start();
        }
        let end = line.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'-').unwrap_or(line.len());
        if end == 0 {
            continue;
        }
        let (key, rest) = line.split_at(end);
        let key = [&section[..], b".", &key.to_ascii_lowercase()].concat();
        let value = match rest.trim_ascii_start().strip_prefix(b"=") {
            Some(first) => value(first, &mut lines),
            None => b"true".to_vec(),
        };
        config.entries.push((key, value));
    }
    config
}

/// Splits `[section "sub"] rest` into `section.sub` and `rest`.
fn header(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut name = Vec::new();
    let mut quoted = false;
    let mut at = 1;
    loop {
        match *line.get(at)? {
            b'\\' if quoted => {
                at += 1;
                name.push(*line.get(at)?);
            }
            b'"' => {
                quoted = !quoted;
                if quoted {
                    name.push(b'.');
                }
            }
            b']' if !quoted => return Some((name, &line[at + 1..])),
            b' ' | b'\t' if !quoted => {}
            byte => name.push(if quoted { byte } else { byte.to_ascii_lowercase() }),
        }
        at += 1;
    }
}

/// Reads a value: quotes, escapes, comments, and lines that a backslash continues.
fn value<'a>(first: &'a [u8], lines: &mut impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut value = Vec::new();
    // White space at the end does not belong to the value unless it is quoted.
    let mut kept = 0;
    let mut quoted = false;
    let mut line = first.trim_ascii_start();
    loop {
        let mut bytes = line.iter().copied();
        let mut continued = false;
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => quoted = !quoted,
                b'#' | b';' if !quoted => break,
                b'\\' => match bytes.next() {
                    None => continued = true,
                    Some(b'n') => value.push(b'\n'),
                    Some(b't') => value.push(b'\t'),
                    Some(b'b') => value.push(8),
                    Some(other) => value.push(other),
                },
                byte => value.push(byte),
            }
            if quoted || !byte.is_ascii_whitespace() {
                kept = value.len();
            }
        }
        match continued.then(|| lines.next()).flatten() {
            Some(next) => line = next,
            None => break,
        }
    }
    value.truncate(kept);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_git_reads_them() {
        let text = b"# note\n[core]\n\tbare = false ; no\n\tworktree = \"../a b\" \n[Extensions] refStorage=reftable\n\
            [remote \"o.x\\\"y\"]\r\n\turl = a\\\n b\r\n[core]\n\tBare\n";
        let config = parse(text);
        assert!(config.flag("core.bare"));
        assert_eq!(config.get("core.worktree"), Some(&b"../a b"[..]));
        assert!(!config.has_ref_files());
        assert_eq!(config.remotes(), [b"o.x\"y"]);
        assert_eq!(config.get("remote.o.x\"y.url"), Some(&b"a b"[..]));
    }

    #[test]
    fn nonsense_is_passed_over() {
        let config = parse(b"[core\n= 3\n\xff\n[a]\nx = \\");
        assert_eq!(config.get("a.x"), Some(&b""[..]));
        assert!(config.has_ref_files());
    }
}
