//! `offshoot migrations …`.

mod apply;
pub(super) mod call;
mod check;
mod new;
mod status;
pub(super) mod text;
mod undo;

use super::args::MigrationsCommand;
use super::output::Output;
use crate::failure::Result;
pub(super) use call::environment;

pub(super) fn run(command: MigrationsCommand, output: Output) -> Result<u8> {
    match command {
        MigrationsCommand::Status(arguments) => status::run(&arguments, output),
        MigrationsCommand::Apply(arguments) => apply::apply(&arguments, output),
        MigrationsCommand::Down { tool, no_snapshot, against } => {
            apply::down(tool, no_snapshot, against.r#override, output)
        }
        MigrationsCommand::Undo { branch, snapshot, yes, against } => {
            undo::undo(branch, snapshot, yes, against.r#override, output)
        }
        MigrationsCommand::Check(arguments) => check::check(&arguments, output),
        MigrationsCommand::Drift { branch, tool, accept } => check::drift(branch, tool, accept, output),
        MigrationsCommand::Rehearse(arguments) => check::rehearse(arguments, output),
        MigrationsCommand::New(arguments) => new::new(arguments, output),
    }
}
