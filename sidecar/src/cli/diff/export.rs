//! `offshoot schema export`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::side::{EXTENSION, Sides};
use super::{exact, reading};
use crate::cli::args::SchemaCommand;
use crate::cli::output::Output;
use crate::failure::{Failure, Result};

pub(in crate::cli) fn run(command: SchemaCommand, output: Output) -> Result<u8> {
    let SchemaCommand::Export { source, file } = command;
    let side = Sides::new(output).find_or_current(source.as_deref())?;
    let read = reading::one(side, output)?;
    let text = read.facts.to_text();
    let objects = read.facts.objects().len();
    match file {
        None if output.json => {
            output.value(&json!({ "source": read.name, "objects": objects, "facts": text }))?;
        }
        None => exact(&text, output)?,
        Some(file) => {
            write(&file, &text)?;
            if output.json {
                output.value(&json!({ "source": read.name, "objects": objects, "file": file }))?;
            } else {
                output.aside(format!("{objects} objects of {} written to {}", read.name, file.display()));
                if file.extension().is_none_or(|extension| extension != EXTENSION) {
                    output.aside("`offshoot diff` takes a file for one of facts if its name ends in .facts.");
                }
            }
        }
    }
    Ok(crate::cli::OK)
}

/// Writes the file as a whole or not at all; what is no ordinary file, such as a pipe, as it comes.
fn write(file: &Path, text: &str) -> Result<()> {
    let failed = |e: &std::io::Error| Failure::user(format!("cannot write {}: {e}", file.display()));
    // A link stays one.
    let target = match fs::canonicalize(file) {
        Ok(target) => target,
        Err(error) if error.kind() == ErrorKind::NotFound => file.to_owned(),
        Err(error) => return Err(failed(&error)),
    };
    if target.exists() && !target.is_file() {
        return fs::write(&target, text).map_err(|e| failed(&e));
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let (file, folder) = (file.display(), folder.display());
        return Err(Failure::user(format!("cannot write {file}: there is no folder {folder}"))
            .hint(format!("Make it first: `mkdir -p {folder}`.")));
    }
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let draft: PathBuf = target.with_file_name(name);
    let written = fs::write(&draft, text).and_then(|()| fs::rename(&draft, &target));
    written.map_err(|error| {
        // It may not even have come to be.
        let _ = fs::remove_file(&draft);
        failed(&error)
    })
}
