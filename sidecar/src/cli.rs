//! The command line.

mod answer;
mod args;
mod branch;
mod bundle;
mod commit;
mod connect;
mod diff;
mod doctor;
mod du;
mod dump;
mod engine;
mod env;
mod exec;
mod follow;
mod hooks;
mod init;
mod leash;
mod log;
mod logs;
mod masking;
mod migrations;
mod moment;
mod output;
mod plain;
mod policy;
mod progress;
mod promote;
mod refresh;
mod restore;
mod seed;
mod snapshot;
mod sql;
mod status;
mod url;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use offshoot_protocol::error::Reason;

use crate::failure::{Failure, Result};
use crate::sys;
use args::{Args, Command, EngineCommand};
use output::Output;

/// Exit codes, as git has them.
const OK: u8 = 0;
const NEGATIVE: u8 = 1;
const FATAL: u8 = 128;
const USAGE: u8 = 129;
const INTERRUPTED: u8 = 130;

/// Runs the command that this process was started with.
pub(crate) fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let args = match Args::try_parse_from(&words) {
        Ok(args) => args,
        Err(error) => return usage(&error, &words),
    };
    // These two live long and clean up themselves.
    let is_server =
        matches!(args.command, Command::Engine { command: EngineCommand::Run { .. } } | Command::Lsp { .. });
    if !is_server {
        sys::end_on_broken_pipe();
    }
    let output = Output::new(args.json);
    match run(args, output) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(if failure.is(Reason::Cancelled) { INTERRUPTED } else { FATAL })
        }
    }
}

fn run(args: Args, output: Output) -> Result<u8> {
    for folder in &args.directory {
        std::env::set_current_dir(folder)
            .map_err(|e| Failure::user(format!("cannot change to {}: {e}", folder.display())))?;
    }
    match args.command {
        Command::Init(arguments) => init::run(&arguments, output),
        Command::Status { show_password, dismiss } => status::run(show_password, dismiss, output),
        Command::Url { branch, new_port } => url::run(branch.as_deref(), new_port, output),
        Command::Branch { command } => branch::run(command, output),
        Command::Answer { answer } => answer::run(answer, output),
        Command::Restore { branch, at, against } => restore::run(branch, &at, against.r#override, output),
        Command::Log(arguments) => log::run(arguments, output),
        Command::Undo { name, against } => branch::undo(name, against.r#override, output),
        Command::Policy { command } => policy::run(command, output),
        Command::Promote(arguments) => promote::run(arguments, output),
        Command::Sql(arguments) => sql::run(&arguments, output),
        Command::Diff(arguments) => diff::run(&arguments, output),
        Command::Dump(arguments) => dump::run(&arguments, output),
        Command::Bundle { command } => bundle::run(command, output),
        Command::Schema { command } => diff::schema(command, output),
        Command::Exec { branch, against, command } => {
            exec::run(branch.as_deref(), against.r#override, &command)
        }
        Command::Hooks { command } => hooks::run(&command, output),
        Command::Engine { command } => engine::run(command, output),
        Command::Snapshot { command } => snapshot::run(command, output),
        Command::Migrations { command } => migrations::run(command, output),
        Command::Push(arguments) => diff::push(&arguments, output),
        Command::Refresh(arguments) => refresh::run(&arguments, output),
        Command::Follow { command } => follow::run(command, output),
        Command::Masking { command } => masking::run(&command, output),
        Command::Env { command } => env::run(command, output),
        Command::Seed { command } => seed::run(&command, output),
        Command::Du => du::run(output),
        Command::Doctor => doctor::run(output),
        Command::Lsp { log } => Ok(if crate::lsp::run(log.as_deref())? { OK } else { NEGATIVE }),
        Command::Leash { command } => Ok(leash::run(&command)),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "offshoot", &mut std::io::stdout());
            Ok(OK)
        }
    }
}

/// Help and version go out as they are; everything else is an error of usage.
fn usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    if matches!(error.kind(), DisplayHelp | DisplayVersion) {
        // Nobody is left to tell if standard output is closed.
        let _ = error.print();
        return ExitCode::from(OK);
    }
    let help_only = error.kind() == DisplayHelpOnMissingArgumentOrSubcommand;
    if words.iter().any(|word| word == "--json") && !help_only {
        let text = error.to_string();
        // What is missing stands on lines of its own, up to the usage.
        let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
        let message = lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned();
        Output::new(true).failure(&Failure::user(message).hint("See `offshoot --help`."));
    } else {
        let _ = error.print();
    }
    ExitCode::from(USAGE)
}
