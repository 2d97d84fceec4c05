//! `offshoot diff` and `offshoot schema export`.

#![allow(clippy::format_push_string, reason = "writing text reads better so, and is never hot")]

mod comparison;
mod export;
mod json;
mod lines;
mod markdown;
mod reading;
mod side;
mod text;

use std::io::{IsTerminal, Write};

use super::args::DiffArgs;
use super::output::Output;
use crate::failure::{Failure, Result};
use comparison::Comparison;
use side::Sides;

pub(super) use export::run as schema;

pub(super) fn run(args: &DiffArgs, output: Output) -> Result<u8> {
    let mut sides = Sides::new(output);
    let (from, to) = sides.pair(args.from.as_deref(), args.to.as_deref())?;
    let (from, to) = reading::both(from, to)?;
    let comparison = Comparison::new(from, to, args.online);
    if output.json {
        output.value(&json::document(&comparison))?;
    } else if args.sql {
        exact(&text::script(&comparison), output)?;
    } else if args.markdown {
        output.line(markdown::comment(&comparison));
    } else if args.stat {
        output.line(text::stat(&comparison, output));
    } else {
        output.line(text::document(&comparison, output));
    }
    Ok(if args.exit_code && comparison.is_different() { super::NEGATIVE } else { super::OK })
}

/// Prints what a program may read byte by byte: escaped only where a person reads it at a terminal.
fn exact(text: &str, output: Output) -> Result<()> {
    let mut out = std::io::stdout();
    if out.is_terminal() {
        output.line(text.trim_end());
        return Ok(());
    }
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|e| Failure::io("write to standard output", &e))
}
