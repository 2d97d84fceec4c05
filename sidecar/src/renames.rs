//! The renames that the SQL files of a work tree confirm: those that `[schema] renames` of `offshoot.toml` names.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use offshoot_schema::Renames;

use crate::config::{Config, ConfigFile};
use crate::failure::{Failure, Result};
use crate::numbered::numbered;

/// Files of one folder; the last ones count.
const MOST_FILES: usize = 2_000;
/// What is looked at below a folder to find them.
const MOST_ENTRIES: usize = 20_000;
/// How deep folders may nest.
const MOST_DEPTH: usize = 8;
/// A longer file is no migration that a person wrote.
const MOST_BYTES: u64 = 1024 * 1024;
/// A longer line is none.
const LONGEST_LINE: usize = 1_000;
/// The last ones count.
const MOST_LINES: usize = 10_000;

/// A line that confirms a rename, if it can be understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// File, from the top of the work tree, and number of the line.
    pub(crate) place: String,
    /// Such as `table public.old -> new`.
    pub(crate) text: String,
}

/// The lines of a work tree, in the order of the files' numbers; none without the setting.
///
/// # Errors
/// If offshoot.toml, or what the setting names, cannot be read. Without the renames a plan would delete what was renamed.
pub(crate) fn of_worktree(worktree: &Path) -> Result<Vec<Line>> {
    let file = ConfigFile::open(worktree);
    match file.error() {
        // Any other mistake is told elsewhere, and no reason to compare nothing.
        Some(error) if file.mentions("renames") => {
            Err(Failure::user(format!("the renames that offshoot.toml names are not known: {error}"))
                .hint("Correct the file, or give the renames by `--renames`."))
        }
        _ => of_config(worktree, file.config()),
    }
}

fn of_config(worktree: &Path, config: &Config) -> Result<Vec<Line>> {
    let Some(setting) = &config.schema_renames else { return Ok(Vec::new()) };
    let unreadable = |error: io::Error| {
        Failure::user(format!("cannot read {setting}, which `schema.renames` of offshoot.toml names: {error}"))
            .hint("Name the SQL file or the folder of SQL files whose lines `-- offshoot:rename …` confirm renames.")
    };
    let top = worktree.join(setting);
    let mut files = Vec::new();
    if fs::metadata(&top).map_err(unreadable)?.is_dir() {
        list(&top, setting.trim_end_matches('/'), 0, &mut MOST_ENTRIES.clone(), &mut files)
            .map_err(unreadable)?;
        files.sort_by(|a, b| numbered(a, b));
        files.drain(..files.len().saturating_sub(MOST_FILES));
    } else {
        files.push(setting.clone());
    }
    let mut lines = Vec::new();
    for file in files {
        let Some(text) = text(&worktree.join(&file)).map_err(unreadable)? else { continue };
        for (number, rest) in Renames::marked(&text).filter(|(_, rest)| rest.len() <= LONGEST_LINE) {
            lines.push(Line { place: format!("{file}:{number}"), text: rest.trim().to_owned() });
        }
    }
    lines.drain(..lines.len().saturating_sub(MOST_LINES));
    Ok(lines)
}

/// The renames that the lines confirm, whether they fit or not.
///
/// # Errors
/// With the place of the first line that cannot be understood.
pub(crate) fn confirmed(lines: &[Line]) -> Result<Renames> {
    let mut renames = Renames::default();
    for Line { place, text } in lines {
        renames.add(text).map_err(|error| {
            Failure::user(format!("{place}: {}", error.what))
                .hint("Write it as `table public.old -> new` or `column public.table.old -> new`, or remove the line.")
        })?;
    }
    Ok(renames)
}

/// The text of a file; `None` for what is none, or is too long.
fn text(path: &Path) -> io::Result<Option<String>> {
    // Looked at before it is opened: opening a named pipe would wait for a writer.
    let facts = fs::metadata(path)?;
    if !facts.is_file() || facts.len() > MOST_BYTES {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The SQL files below a folder, from the top of the work tree. Links are not followed, so that none leads out of it.
fn list(
    folder: &Path,
    name: &str,
    depth: usize,
    entries: &mut usize,
    found: &mut Vec<String>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let Some(left) = entries.checked_sub(1) else { return Ok(()) };
        *entries = left;
        let entry = entry?;
        let Ok(own) = entry.file_name().into_string() else { continue };
        if own.starts_with('.') {
            continue;
        }
        let (kind, below) = (entry.file_type()?, format!("{name}/{own}"));
        if kind.is_dir() && depth < MOST_DEPTH {
            list(&entry.path(), &below, depth + 1, entries, found)?;
        } else if kind.is_file() && own.to_ascii_lowercase().ends_with(".sql") {
            found.push(below);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(worktree: &Path) -> Vec<String> {
        of_worktree(worktree)
            .unwrap()
            .into_iter()
            .map(|line| format!("{} {}", line.place, line.text))
            .collect()
    }

    #[test]
    fn lines_come_from_the_files_that_the_setting_names_in_the_order_of_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("db/10_b.sql", "select 1;\n-- offshoot:rename table public.b -> c\n");
        write("db/2/migration.sql", "--offshoot:rename table public.a -> b");
        write("db/notes.md", "-- offshoot:rename table public.x -> y");
        write("db/.hidden.sql", "-- offshoot:rename table public.x -> y");
        write("db/3.sql", &format!("-- offshoot:rename table public.x -> y\n{}", " ".repeat(1024 * 1024)));
        assert_eq!(texts(dir.path()), [""; 0], "nothing without the setting");
        write("offshoot.toml", "[schema]\nrenames = 'db'");
        let all = ["db/2/migration.sql:1 table public.a -> b", "db/10_b.sql:2 table public.b -> c"];
        assert_eq!(texts(dir.path()), all);
        write("offshoot.toml", "[schema]\nrenames = 'db/10_b.sql'");
        assert_eq!(texts(dir.path()), all[1..]);
        write("offshoot.toml", "[schema]\nrenames = 'elsewhere'");
        let failure = of_worktree(dir.path()).unwrap_err().to_string();
        assert!(
            failure.contains("cannot read elsewhere, which `schema.renames` of offshoot.toml"),
            "{failure}"
        );
    }
}
