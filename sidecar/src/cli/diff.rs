//! `offshoot diff` and `offshoot schema export`.

#![allow(clippy::format_push_string, reason = "writing text reads better so, and is never hot")]

mod call;
mod comparison;
mod export;
mod gitref;
mod given;
mod histories;
mod json;
mod lines;
mod markdown;
mod measure;
mod migration;
mod options;
mod parent;
mod push;
mod reading;
mod rows;
mod script;
mod side;
mod text;
mod three_way;

use std::io::{IsTerminal, Write};

use super::args::DiffArgs;
use super::output::Output;
use crate::failure::{Failure, Result};
use crate::renames;
use comparison::Comparison;
use side::{Side, Sides};

pub(super) use call::long;
pub(super) use export::run as schema;
pub(super) use push::run as push;
pub(super) use text::between;

pub(super) fn run(args: &DiffArgs, output: Output) -> Result<u8> {
    if let Some(sample) = args.rows {
        return rows::run(args, sample, output);
    }
    if args.three_way {
        return three_way::run(args, output);
    }
    if let Some(file) = &args.script {
        return migration::run(args, file, output);
    }
    let mut sides = Sides::new(output);
    let (from, to) = if args.from_fork {
        sides.fork_pair(args.from.as_deref())?
    } else {
        sides.pair(args.from.as_deref(), args.to.as_deref())?
    };
    let fork = sides.fork_of_child(&from, &to)?;
    let measured = measured_branch(&from, args.measure)?;
    let mut options = options::of(args)?;
    let asks_files = options.renames.is_empty() && sides.has_current(&from, &to);
    let lines = if asks_files { sides.rename_lines()? } else { Vec::new() };
    let given = given::of(args, &mut sides, [&from, &to])?;
    let (mut from, mut to) = reading::both(from, to, output)?;
    let mut fork = fork.map(|fork| reading::one(fork, output)).transpose()?;
    given.leave_out(&mut from, &mut to, fork.as_mut());
    let mut others = vec![&mut to];
    others.extend(&mut fork);
    let left_out = histories::leave_out(args, &mut from, &mut others);
    if !lines.is_empty() {
        options.renames = renames::confirmed(&lines)?.fitting(&from.facts, &to.facts).renames;
    }
    let mut comparison = Comparison::new(from, to, &options)?;
    comparison.left_out = left_out;
    if let Some(fork) = &fork {
        comparison.since(fork, &options);
    }
    if let Some(branch) = measured {
        comparison.measured = Some(measure::run(&branch, &comparison.plan, output)?);
    }
    if output.json {
        let mut document = json::document(&comparison);
        if let Some(measured) = &comparison.measured {
            document["measured"] = measure::value(measured);
        }
        output.value(&document)?;
    } else if args.sql {
        exact(&text::script(&comparison), output)?;
    } else if args.markdown {
        output.line(markdown::comment(&comparison));
    } else if args.stat {
        output.line(text::stat(&comparison, output));
    } else {
        output.line(text::document(&comparison, output));
    }
    if comparison.measured.as_ref().is_some_and(|measured| measured.failure.is_some()) {
        return Ok(super::NEGATIVE);
    }
    Ok(if args.exit_code && comparison.is_different() { super::NEGATIVE } else { super::OK })
}

/// The branch on whose data the plan is to be measured, if it is to be.
fn measured_branch(from: &Side, wanted: bool) -> Result<Option<String>> {
    match from {
        _ if !wanted => Ok(None),
        Side::Branch(address) => Ok(Some(address.branch.clone())),
        Side::Fork(..) | Side::Snapshot(..) => Ok(Some(from.name())),
        other => Err(Failure::user(format!(
            "{} is no database branch, so a plan cannot be measured on it",
            other.name()
        ))
        .hint(
            "The first side has to be one: `offshoot diff --measure main schema.sql`; a migration is measured by \
             `offshoot diff --measure --script FILE`.",
        )),
    }
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
