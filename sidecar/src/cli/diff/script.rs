//! SQL files as a side: one, or those of a folder in the order in which they are numbered.

use std::fs;
use std::path::{Path, PathBuf};

use offshoot_migrations::forward;
use offshoot_protocol::measure::{LoadFile, LoadParams};
use offshoot_protocol::method::SchemaLoad;
use offshoot_schema::Facts;

use super::call::{self, Folder, absolute};
use crate::cli::connect::Session;
use crate::cli::output::Output;
use crate::failure::{Failure, Result};
use crate::numbered::numbered;

/// How deep folders may nest.
const MOST_DEPTH: usize = 8;
/// Files of one folder.
const MOST_FILES: usize = 10_000;
/// The file that stands for all of its folder.
const WHOLE: &str = "schema.sql";

/// Whether the name is that of an SQL script.
pub(super) fn is_script(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".sql", ".sql.gz"].iter().any(|end| name.ends_with(end))
}

/// Picks those that make a schema, from the paths of all files below a folder, in their order: `schema.sql` at its top alone,
/// otherwise all scripts but those that lead back.
pub(super) fn pick(mut paths: Vec<String>) -> Vec<String> {
    if paths.iter().any(|path| path == WHOLE) {
        return vec![WHOLE.to_owned()];
    }
    paths.retain(|path| is_script(path) && !leads_back(path));
    paths.sort_by(|a, b| numbered(a, b));
    paths
}

/// Whether it takes back what another one does, as `7_add.down.sql`, `7_add/down.sql` and `U7__add.sql` do.
fn leads_back(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_undo = name
        .strip_prefix('U')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains("__"));
    is_undo
        || name == "down.sql"
        || [".down.sql", ".undo.sql", "_down.sql"].iter().any(|end| name.ends_with(end))
}

/// The scripts of a file or folder, in order.
pub(super) fn of_path(path: &Path) -> Result<Vec<LoadFile>> {
    if !path.is_dir() {
        return Ok(vec![LoadFile { name: path.display().to_string(), path: absolute(path)? }]);
    }
    let mut found = Vec::new();
    list(path, "", 0, &mut found)
        .map_err(|e| Failure::user(format!("cannot read the folder {}: {e}", path.display())))?;
    let picked = pick(found);
    if picked.is_empty() {
        return Err(no_scripts(&path.display().to_string()));
    }
    let file = |name: &String| {
        let path: PathBuf = path.join(name);
        Ok(LoadFile { name: path.display().to_string(), path: absolute(&path)? })
    };
    picked.iter().map(file).collect()
}

pub(super) fn no_scripts(place: &str) -> Failure {
    Failure::user(format!("there is no SQL file in {place}"))
        .hint("Files whose names end in .sql are run in the order of their numbers; schema.sql stands for all of them.")
}

fn list(folder: &Path, below: &str, depth: usize, found: &mut Vec<String>) -> std::io::Result<()> {
    if depth > MOST_DEPTH {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') || found.len() >= MOST_FILES {
            continue;
        }
        let path = entry.path();
        let name = format!("{below}{name}");
        // Links to folders may lead round in circles; what is no file may never end.
        let is_link = entry.file_type()?.is_symlink();
        if path.is_dir() {
            if is_link {
                continue;
            }
            list(&path, &format!("{name}/"), depth + 1, found)?;
        } else if path.is_file() {
            found.push(name);
        }
    }
    Ok(())
}

/// Runs scripts in an empty database of the repository's Offshoot and reads what they make.
pub(super) fn facts(files: &[LoadFile], output: Output) -> Result<Facts> {
    let mut session = Session::open(output).map_err(|failure| {
        let hint = failure.0.hint.clone().unwrap_or_default();
        let text = format!("SQL files are run in a database of this repository's Offshoot: {failure}");
        Failure::user(text)
            .hint(format!("{hint}\nFiles of facts, which `offshoot schema export` writes, need none."))
    })?;
    let folder = Folder::new()?;
    let target = folder.write("schema.facts", b"")?;
    let files = files.iter().enumerate().map(|(at, file)| without_way_back(file, at, &folder));
    let params = LoadParams { files: files.collect::<Result<_>>()?, output: absolute(&target)? };
    call::long::<SchemaLoad>(&mut session, &params, output.json)?;
    super::reading::of_file(&target)
}

/// A file, or a copy without its way back where it has one. A larger file is a dump and has none.
fn without_way_back(file: &LoadFile, at: usize, folder: &Folder) -> Result<LoadFile> {
    const MOST_BYTES: u64 = 16 << 20;
    let is_small = fs::metadata(&file.path).is_ok_and(|facts| facts.is_file() && facts.len() <= MOST_BYTES);
    // One that cannot be read, or is no text, is for the loader to judge.
    let Some(text) = is_small.then(|| fs::read_to_string(&file.path).ok()).flatten() else {
        return Ok(file.clone());
    };
    let forward = forward(&text);
    if forward.len() == text.len() {
        return Ok(file.clone());
    }
    let copy = folder.write(&format!("{at}.sql"), forward.as_bytes())?;
    Ok(LoadFile { name: file.name.clone(), path: absolute(&copy)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(paths: &[&str]) -> Vec<String> {
        pick(paths.iter().map(|path| (*path).to_owned()).collect())
    }

    #[test]
    fn files_run_in_the_order_of_their_numbers() {
        let all = picked(&[
            "10_c.sql",
            "2_b.sql",
            "002_a.sql",
            "V1__x.sql",
            "notes.md",
            "2_b.down.sql",
            "U1__x.sql",
        ]);
        assert_eq!(all, ["2_b.sql", "002_a.sql", "10_c.sql", "V1__x.sql"]);
        assert_eq!(
            picked(&["2024_x/migration.sql", "2023_y/migration.sql", "2023_y/down.sql"]),
            ["2023_y/migration.sql", "2024_x/migration.sql"]
        );
    }

    #[test]
    fn one_file_may_stand_for_all() {
        assert_eq!(picked(&["1.sql", "schema.sql", "sub/2.sql"]), ["schema.sql"]);
        assert_eq!(picked(&["sub/schema.sql", "1.sql"]), ["1.sql", "sub/schema.sql"]);
    }
}
