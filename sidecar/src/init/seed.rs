//! What `[seed]` runs on a fresh root.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use offshoot_protocol::error::Reason;
use offshoot_storage::{Seed, SeedCache, SeedCommand};

use crate::config::{Config, FILE_NAME};
use crate::failure::{Failure, Result};
use crate::libpq::IN_THE_WAY;
use crate::paths::Paths;
use crate::{programs, sys};

/// So many files are compared before a seed.
const MOST_INPUTS: usize = 10_000;

/// The files, which have to be there, and the command, which somebody has to have agreed to: a file that came with a repository names it.
pub(crate) fn seeds(
    config: &Config,
    worktree: &Path,
    agreed: bool,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<Seed>> {
    let mut seeds = files(config, worktree)?;
    if let Some(command) = &config.seed_command {
        if !agreed {
            return Err(Failure::user(format!(
                "`seed.command` in {FILE_NAME} runs `{command}` on this machine, as you"
            ))
            .reason(Reason::NotAgreed)
            .hint("It comes with the repository: look at what it does first. `--run-seed` agrees to it."));
        }
        seeds.push(Seed::Command(SeedCommand {
            command: command.clone(),
            folder: worktree.to_owned(),
            environment: variables(worktree, environment),
        }));
    }
    Ok(seeds)
}

/// The files alone, which have to be there.
pub(crate) fn files(config: &Config, worktree: &Path) -> Result<Vec<Seed>> {
    config.seed_files.iter().map(|name| file(name, worktree)).collect()
}

fn file(name: &str, worktree: &Path) -> Result<Seed> {
    // A link must not lead out of the repository.
    let real = fs::canonicalize(worktree.join(name)).ok().filter(|real| real.is_file());
    let top = fs::canonicalize(worktree).unwrap_or_else(|_| worktree.to_owned());
    real.filter(|real| real.starts_with(&top)).map(Seed::Script).ok_or_else(|| {
        Failure::configuration(format!("the seed file {name} is not in the repository"))
            .hint(format!("`seed.files` in {FILE_NAME} names it; put it there, or take it out of the list."))
    })
}

/// Where what the seed makes is kept, unless the file says that it shall not be.
///
/// # Errors
/// A configuration error for an input that is not there.
pub(crate) fn cache(config: &Config, worktree: &Path, paths: &Paths) -> Result<Option<SeedCache>> {
    let Some(max_bytes) = config.seed_cache else { return Ok(None) };
    let cache = paths.make_cache()?;
    // A disk that tells nothing about itself has room.
    let reserve = || sys::disk(&cache).map_or(0, |disk| sys::reserve(disk.total_bytes));
    let inputs = config.seed_inputs.as_ref().map(|names| inputs(names, worktree)).transpose()?;
    let min_free_bytes = config.min_free_bytes.unwrap_or_else(reserve);
    Ok(Some(SeedCache { dir: paths.seeds(), max_bytes, min_free_bytes, inputs }))
}

/// The files that are named, and those below folders that are, each with its name.
fn inputs(names: &[String], worktree: &Path) -> Result<Vec<(String, PathBuf)>> {
    let top = fs::canonicalize(worktree).unwrap_or_else(|_| worktree.to_owned());
    let mut all = Vec::new();
    for name in names {
        let refused = |why: &str| {
            Failure::configuration(format!("{name}, on which the seed depends, {why}")).hint(format!(
                "`seed.inputs` in {FILE_NAME} names it; put it there, or take it out of the list."
            ))
        };
        let real = fs::canonicalize(worktree.join(name)).ok().filter(|real| real.starts_with(&top));
        let real = real.ok_or_else(|| refused("is not in the repository"))?;
        take_in(name, &real, &mut all).map_err(|error| refused(&format!("cannot be read: {error}")))?;
        if all.len() > MOST_INPUTS {
            return Err(refused(&format!("is one of more than {MOST_INPUTS} files")));
        }
    }
    Ok(all)
}

fn take_in(name: &str, path: &Path, all: &mut Vec<(String, PathBuf)>) -> std::io::Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let below = format!("{}/{}", name.trim_end_matches('/'), entry.file_name().to_string_lossy());
            if all.len() <= MOST_INPUTS {
                take_in(&below, &entry.path(), all)?;
            }
        }
    } else if kind.is_file() {
        all.push((name.to_owned(), path.to_owned()));
    } else {
        // Where a link leads to may change without it.
        return Err(std::io::Error::other(format!("{name} is neither a file nor a folder")));
    }
    Ok(())
}

/// The caller's variables without those that lead elsewhere, and with the project's own programs found.
fn variables(worktree: &Path, all: impl Iterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let is_fine = |name: &OsStr| !name.to_str().is_some_and(|name| IN_THE_WAY.contains(&name));
    let mut all: Vec<(OsString, OsString)> = all.filter(|(name, _)| is_fine(name)).collect();
    let inherited = all.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone());
    let inherited = inherited.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let own = programs::folders(worktree, worktree);
    // A colon in a folder's name would end it there.
    if let Ok(path) = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&inherited))) {
        all.retain(|(name, _)| name != "PATH");
        all.push(("PATH".into(), path));
    }
    all
}
