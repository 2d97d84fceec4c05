//! What `[seed]` runs on a fresh root.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use offshoot_protocol::error::Reason;
use offshoot_storage::{Seed, SeedCommand};

use crate::config::{Config, FILE_NAME};
use crate::failure::{Failure, Result};
use crate::libpq::IN_THE_WAY;
use crate::programs;

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
