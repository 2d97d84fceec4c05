//! `offshoot env …`.

use offshoot_protocol::env::{EnvAction, EnvParams, EnvState, EnvStatus};
use offshoot_protocol::method::WorktreeEnv;

use super::args::EnvCommand;
use super::connect::Session;
use super::output::Output;
use super::{NEGATIVE, OK};
use crate::config::FILE_NAME;
use crate::failure::Result;

pub(super) fn run(command: EnvCommand, output: Output) -> Result<u8> {
    let action = match command {
        EnvCommand::Show => EnvAction::Show,
        EnvCommand::Write => EnvAction::Write,
        EnvCommand::Undo => EnvAction::Undo,
    };
    let mut session = Session::open(output)?;
    let path = session.path();
    let status = session.call::<WorktreeEnv>(&EnvParams { path, action })?;
    if output.json {
        output.value(&status)?;
    } else {
        output.line(shown(&status));
        if let Some(hint) = &status.hint {
            output.aside(hint);
        }
    }
    let is_well = action != EnvAction::Show || !matches!(status.state, EnvState::ByHand | EnvState::Refused);
    Ok(if is_well { OK } else { NEGATIVE })
}

fn shown(status: &EnvStatus) -> String {
    let (Some(file), Some(line)) = (&status.file, status.line) else {
        return format!("{FILE_NAME} names no file for the address.");
    };
    let names = status.variables.join(", ");
    let why = status.why.as_deref().unwrap_or_default();
    let state = match status.state {
        EnvState::InStep => "in step".to_owned(),
        EnvState::Due => "about to be written".to_owned(),
        EnvState::ByHand => format!("not in step: {why}"),
        EnvState::None | EnvState::Off | EnvState::Refused => format!("not written: {why}"),
    };
    format!("{names} in {file} ({FILE_NAME}:{line}): {state}")
}
