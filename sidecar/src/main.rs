//! Offshoot: a database branch for every git branch.

mod address;
mod cli;
mod config;
mod draft;
mod engine;
mod env_file;
mod failure;
mod given;
mod histories;
mod init;
mod libpq;
mod log_line;
mod lsp;
mod names;
mod numbered;
mod paths;
mod programs;
mod project;
mod renames;
mod scratch;
mod session;
mod size;
mod sys;
mod timestamp;

use std::process::ExitCode;

/// The version of client and engine, which have to be the same.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> ExitCode {
    cli::main()
}
