//! What goes to the terminal.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use serde_json::json;

use super::plain::{plain, plain_coloured};
use crate::failure::{Failure, Result};
pub(super) use crate::size::show as bytes;

/// How to print: for people or for programs, with colours or without.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) json: bool,
    colour: bool,
    colour_errors: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            json,
            colour: wanted && !json && io::stdout().is_terminal(),
            colour_errors: wanted && !json && io::stderr().is_terminal(),
        }
    }

    /// A line for people, in which what could deceive them is escaped. Lines for programs stay as they are.
    pub(super) fn line(self, text: impl Display) {
        self.lines(&text.to_string());
    }

    /// As [`Output::line`], of what is text already.
    pub(super) fn lines(self, text: &str) {
        let text = match (self.json, self.colour) {
            (true, _) => text.into(),
            (false, true) => plain_coloured(text),
            (false, false) => plain(text),
        };
        // Whoever reads may have had enough.
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// An aside for people, beside the output.
    pub(super) fn aside(self, text: impl Display) {
        if !self.json {
            let _ = writeln!(io::stderr(), "{}", plain(&text.to_string()));
        }
    }

    /// A value for programs.
    #[expect(clippy::unused_self, reason = "all output goes one way")]
    pub(super) fn value(self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).map_err(|e| Failure::internal(e.to_string()))?;
        let _ = writeln!(io::stdout(), "{text}");
        Ok(())
    }

    pub(super) fn failure(self, failure: &Failure) {
        let error = &failure.0;
        let mut err = io::stderr();
        let written = if self.json {
            let kind = error.kind.as_str();
            let value = json!({ "error": { "kind": kind, "message": error.message, "hint": error.hint } });
            writeln!(err, "{value}")
        } else {
            let fatal = paint(self.colour_errors, "1;31", "fatal:");
            let hint = paint(self.colour_errors, "33", "hint:");
            let advice = plain(error.hint.as_deref().unwrap_or_default());
            let hints = advice.lines();
            let hints: Vec<_> = hints.map(|line| format!("{hint} {line}\n")).collect();
            write!(err, "{fatal} {}\n{}", plain(&error.message), hints.concat())
        };
        // Nobody is left to tell.
        let _ = written;
    }

    pub(super) fn strong(self, text: &str) -> String {
        paint(self.colour, "1", text)
    }

    pub(super) fn faint(self, text: &str) -> String {
        paint(self.colour, "2", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        paint(self.colour, "32", text)
    }

    pub(super) fn warn(self, text: &str) -> String {
        paint(self.colour, "33", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        paint(self.colour, "31", text)
    }
}

fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}
