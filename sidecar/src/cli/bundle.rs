//! `offshoot bundle …`: a branch as a file, for somebody else's store.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use offshoot_postgres::Progress as _;
use offshoot_protocol::bundle::{Bundle, BundleApplyParams, BundleCreateParams};
use offshoot_protocol::method::{BundleApply, BundleCreate};
use offshoot_storage::inspect_bundle;
use serde_json::json;

use super::args::BundleCommand;
use super::connect::Session;
use super::diff::long;
use super::output::{Output, bytes};
use super::plain::plain;
use super::progress::Shown;
use super::snapshot;
use crate::draft::Draft;
use crate::engine::bundle::on_the_wire;
use crate::failure::{Failure, Result};
use crate::sys;

/// Digits of a hash that people are shown.
const DIGITS: usize = 8;

pub(super) fn run(command: BundleCommand, output: Output) -> Result<u8> {
    match command {
        BundleCommand::Create { branch, file, full, force } => create(branch, file, full, force, output),
        BundleCommand::Apply { file, name, root, against } => {
            apply(&file, name, root, against.r#override, output)
        }
        BundleCommand::Inspect { file } => inspect(&file, output),
    }
}

fn create(
    branch: Option<String>,
    file: Option<PathBuf>,
    full: bool,
    force: bool,
    output: Output,
) -> Result<u8> {
    // From here on an interrupt has to clear away.
    sys::catch_interrupts();
    let mut session = Session::open(output)?;
    let branch = match branch {
        Some(branch) => branch,
        None => snapshot::current(&mut session, "offshoot bundle create BRANCH")?,
    };
    // A slash in a branch's name is none in a file's.
    let file = file.unwrap_or_else(|| format!("{}.bundle", branch.replace('/', "-")).into());
    // It has what the database has.
    let draft = Draft::begin(&file, force)?.for_its_owner()?;
    let params = BundleCreateParams { branch, file: absolute(draft.path())?, full };
    let made = long::<BundleCreate>(&mut session, &params, output.json)?;
    draft.finish()?;
    if output.json {
        let mut value = serde_json::to_value(&made).unwrap_or_default();
        value["file"] = json!(file);
        output.value(&value)?;
        return Ok(super::OK);
    }
    let bundle = &made.bundle;
    let name = plain(&bundle.branch);
    output.line(format!("Wrote {name} to {}: {}, {}.", file.display(), bytes(made.bytes), pages(bundle)));
    if let Some(base) = &bundle.base {
        output.line(format!(
            "It applies where there is its base: {} ({}).",
            plain(&base.label),
            short(&base.id)
        ));
    }
    if let Some(taken) = &made.snapshot {
        output.line(format!(
            "Bundles of {name} and its branches are small from now on, as long as there is the snapshot {name}@{taken}."
        ));
    }
    secrets(bundle, output);
    Ok(super::OK)
}

fn apply(file: &Path, name: Option<String>, root: bool, override_rules: bool, output: Output) -> Result<u8> {
    let params = BundleApplyParams { file: absolute(file)?, name, root, override_rules };
    let mut session = Session::open(output)?;
    let made = long::<BundleApply>(&mut session, &params, output.json)?;
    if output.json {
        output.value(&made)?;
        return Ok(super::OK);
    }
    let name = plain(&made.branch.name);
    let of = plain(&made.bundle.branch);
    if root {
        output.line(format!("Branch {name} has the data of {of} now: {}.", pages(&made.bundle)));
        output.line(format!(
            "What it had is in the trash for seven days: `offshoot undo {name}` brings it back."
        ));
    } else {
        let over =
            made.branch.parent.as_ref().map(|parent| format!(", over {}", plain(parent))).unwrap_or_default();
        output.line(format!("Made branch {name} of a bundle of {of}{over}: {}.", pages(&made.bundle)));
    }
    if let Some(taken) = &made.snapshot {
        output
            .line(format!("Small bundles from there apply as long as there is the snapshot {name}@{taken}."));
    }
    for note in &made.notes {
        output.line(format!("  note: {note}"));
    }
    Ok(super::OK)
}

fn inspect(file: &Path, output: Output) -> Result<u8> {
    let failed = |e: std::io::Error| {
        Failure::user(format!("cannot read {}: {e}", file.display()))
            .hint("Name a file that `offshoot bundle create` has made.")
    };
    let opened = File::open(file).map_err(failed)?;
    let size = opened.metadata().map_err(failed)?;
    if !size.is_file() {
        return Err(Failure::user(format!("{} is no file", file.display()))
            .hint("Name a file that `offshoot bundle create` has made."));
    }
    let shown = Shown::new(output.json);
    shown.step("Check the bundle", 0, None);
    let inspected = inspect_bundle(&mut BufReader::new(opened), &shown);
    shown.finish();
    let inspected = inspected?;
    let bundle = on_the_wire(inspected.facts, inspected.state);
    if output.json {
        let mut value = serde_json::to_value(&bundle).unwrap_or_default();
        value["bytes"] = json!(size.len());
        output.value(&value)?;
        return Ok(super::OK);
    }
    output.line(format!(
        "A bundle of {}: {}, {}. It is whole.",
        plain(&bundle.branch),
        bytes(size.len()),
        pages(&bundle)
    ));
    output.line(format!("  Postgres    {}", plain(&bundle.postgres)));
    output.line(format!(
        "  cluster     {}, timeline {}, checkpoint at {}",
        bundle.system_identifier, bundle.timeline, bundle.checkpoint
    ));
    match (&bundle.base, &bundle.state) {
        (Some(base), _) => output.line(format!("  base        {} ({})", plain(&base.label), short(&base.id))),
        (None, Some(state)) => {
            output.line(format!("  base        none is needed; it is one itself ({})", short(state)));
        }
        (None, None) => {}
    }
    output.line(format!("  extensions  {}", plain(&bundle.extensions.join(", "))));
    secrets(&bundle, output);
    Ok(super::OK)
}

/// What is in it that others must not have.
fn secrets(bundle: &Bundle, output: Output) {
    if !bundle.roles.is_empty() {
        output.line(format!(
            "In it are the password verifiers of roles (no passwords): {}; and the data of its pages, deleted rows among them.",
            plain(&bundle.roles.join(", "))
        ));
    }
}

fn pages(bundle: &Bundle) -> String {
    let what = if bundle.base.is_some() { "changed pages" } else { "pages, all that there are" };
    format!("{} {what}", bundle.pages)
}

fn short(hash: &str) -> &str {
    hash.get(..DIGITS).unwrap_or(hash)
}

/// A path as the engine, which stands elsewhere, has to be told it.
fn absolute(path: &Path) -> Result<String> {
    let path = std::path::absolute(path).map_err(|e| Failure::io("find the current folder", &e))?;
    path.into_os_string()
        .into_string()
        .map_err(|_| Failure::user("the path of the bundle is not UTF-8").hint("Name another file."))
}
