//! What can be compared: branches, servers and files of facts.

use std::path::{Path, PathBuf};

use offshoot_protocol::method::WorktreeGetStatus;
use offshoot_protocol::types::{Branch, UrlResult, WorktreeParams};

use crate::cli::connect::Session;
use crate::cli::output::Output;
use crate::cli::url::address;
use crate::failure::{Failure, Result};

/// How the names of files of facts end.
pub(super) const EXTENSION: &str = "facts";

/// One side of a comparison.
#[derive(Debug)]
pub(super) enum Side {
    /// A database branch and where it listens.
    Branch(UrlResult),
    /// A connection URL.
    Url(String),
    /// A file that `offshoot schema export` wrote.
    File(PathBuf),
}

impl Side {
    /// The name for people, without a password.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Branch(address) => address.branch.clone(),
            Self::Url(url) => shown(url),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// The word for programs.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Branch(_) => "branch",
            Self::Url(_) => "url",
            Self::File(_) => "file",
        }
    }
}

/// Finds sides. The engine is asked only for branches, so that files can be compared anywhere.
pub(super) struct Sides {
    output: Output,
    engine: Option<Session>,
}

impl Sides {
    pub(super) fn new(output: Output) -> Self {
        Self { output, engine: None }
    }

    /// Both sides, with the worktree's branch and its parent for what is not given.
    pub(super) fn pair(&mut self, from: Option<&str>, to: Option<&str>) -> Result<(Side, Side)> {
        if let (Some(from), Some(to)) = (from, to) {
            return Ok((self.find(from)?, self.find(to)?));
        }
        let branch = self.current()?;
        let from = match (from, &branch.parent) {
            (Some(from), _) => self.find(from)?,
            (None, Some(parent)) => self.branch(parent)?,
            (None, None) => {
                let failure = Failure::user(format!("database branch {} has no parent", branch.name));
                return Err(failure.hint("Name what to compare it with: `offshoot diff A`."));
            }
        };
        Ok((from, self.branch(&branch.name)?))
    }

    /// The side that a person named, or the worktree's branch.
    pub(super) fn find_or_current(&mut self, name: Option<&str>) -> Result<Side> {
        if let Some(name) = name {
            return self.find(name);
        }
        let branch = self.current()?;
        self.branch(&branch.name)
    }

    fn find(&mut self, name: &str) -> Result<Side> {
        let path = Path::new(name);
        if is_url(name) {
            return Ok(Side::Url(name.to_owned()));
        }
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            return Ok(Side::File(path.to_owned()));
        }
        self.branch(name).map_err(|failure| {
            if !path.is_file() {
                return failure;
            }
            Failure::user(format!("{name} is neither a branch nor a file of facts")).hint(
                "`offshoot schema export -o NAME.facts` writes such a file; its name has to end in .facts.",
            )
        })
    }

    fn branch(&mut self, name: &str) -> Result<Side> {
        Ok(Side::Branch(address(self.engine()?, Some(name))?))
    }

    fn current(&mut self) -> Result<Branch> {
        let engine = self.engine()?;
        let path = engine.path();
        let status = engine.call::<WorktreeGetStatus>(&WorktreeParams { path })?;
        status.branch.ok_or_else(|| {
            Failure::user("this worktree has no database branch")
                .hint("`offshoot status` tells why; or name both sides: `offshoot diff A B`.")
        })
    }

    fn engine(&mut self) -> Result<&mut Session> {
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => Session::open(self.output)?,
        };
        Ok(self.engine.insert(engine))
    }
}

fn is_url(name: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| name.starts_with(scheme))
}

/// A URL without password and parameters.
///
/// Rather too little is shown than a password whose author forgot to encode an `@`, a slash or a question mark in it.
pub(super) fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (place, parameters) = rest.split_at(end);
    match place.rsplit_once('@') {
        // Is it a password with a question mark, or a parameter with an `@`?
        None if parameters.contains('@') => format!("{scheme}://…"),
        _ if parameters.contains('@') && parameters.contains('/') => format!("{scheme}://…"),
        None => format!("{scheme}://{place}"),
        Some((user, place)) => {
            let user = user.split([':', '/']).next().unwrap_or_default();
            format!("{scheme}://{user}@{place}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn no_part_of_a_password_is_ever_shown() {
        for (url, expected) in [
            ("postgres://u:secret@h:5432/d", "postgres://u@h:5432/d"),
            ("postgres://u:se/cret@h/d", "postgres://u@h/d"),
            ("postgres://u:se@cret@h/d", "postgres://u@h/d"),
            ("postgres://u:secret@h/d?sslmode=require", "postgres://u@h/d"),
            ("postgres://u:se?cret@h/d", "postgres://…"),
            ("postgres://u:se#cret@h/d", "postgres://…"),
            ("postgres://u:se@cr?et@h/d", "postgres://…"),
            ("postgres://h/d?password=se@cret", "postgres://…"),
            ("postgresql://h/d?user=u&password=secret", "postgresql://h/d"),
            ("postgres://h", "postgres://h"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }
}
