//! `offshoot engine …`.

use std::path::PathBuf;

use offshoot_protocol::method::EngineGetStatus;
use offshoot_protocol::types::{EngineStatus, Nothing};
use serde_json::json;

use super::args::EngineCommand;
use super::connect::try_connect;
use super::output::{Output, bytes};
use crate::engine::Options;
use crate::failure::{Failure, Result};
use crate::paths::Paths;
use crate::project::Project;
use crate::session::stop_engine;

pub(super) fn run(command: EngineCommand, output: Output) -> Result<u8> {
    match command {
        EngineCommand::Run { store, common_dir } => {
            crate::engine::run(&Options { store, common_dir })?;
            Ok(super::OK)
        }
        EngineCommand::Status => status(output),
        EngineCommand::Stop { force } => stop_here(force, output),
        EngineCommand::Logs { lines, follow } => super::logs::run(&store()?, lines, follow, output),
    }
}

fn store() -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(|e| Failure::io("find the current folder", &e))?;
    Ok(Project::find(&here, &Paths::from_env()?)?.store)
}

/// Never starts an engine; exits with 1 if none runs.
fn status(output: Output) -> Result<u8> {
    let store = store()?;
    let Some(mut client) = try_connect(&store)? else {
        if output.json {
            output.value(&json!({ "running": false, "store": store }))?;
        } else {
            output.line(format!(
                "The engine does not run. The next command starts it.\n  store {}",
                store.display()
            ));
        }
        return Ok(super::NEGATIVE);
    };
    let status = client.call::<EngineGetStatus>(&Nothing {}, std::time::Duration::from_secs(20))?;
    if output.json {
        let mut value = serde_json::to_value(&status).map_err(|e| Failure::internal(e.to_string()))?;
        value["running"] = json!(true);
        output.value(&value)?;
    } else {
        output.line(human(&status, output));
    }
    Ok(super::OK)
}

fn human(status: &EngineStatus, output: Output) -> String {
    let memory = status.memory_bytes.map(|memory| format!(", {}", bytes(memory))).unwrap_or_default();
    let since = crate::timestamp::utc(std::time::Duration::from_secs(status.started_at));
    [
        format!(
            "The engine {} (version {}, process {}{memory})",
            output.good("runs"),
            status.version,
            status.pid
        ),
        format!("  since      {} UTC", since[..19].replace('T', " ")),
        format!("  repository {}", status.common_dir),
        format!("  store      {}", status.store),
        format!("  Postgres   {}", status.postgres),
        format!(
            "  branches   {}, {} awake, {} connections",
            status.branches, status.awake, status.connections
        ),
    ]
    .join("\n")
}

fn stop_here(force: bool, output: Output) -> Result<u8> {
    let was_running = stop_engine(&store()?, force)?;
    if output.json {
        output.value(&json!({ "stopped": was_running }))?;
    } else {
        output.line(if was_running { "Stopped the engine." } else { "The engine does not run." });
    }
    Ok(super::OK)
}
