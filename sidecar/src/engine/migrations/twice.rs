//! Files of one run that make the same object.

use std::fs;
use std::path::Path;

use offshoot_migrations::sql::split;
use offshoot_migrations::{Project, forward};
use offshoot_protocol::migrations::MigrationsStep;

/// Words of statements and of calls that make something.
const MAKES: [&str; 3] = ["create", "add", "rename"];
/// Files that are looked at.
const MOST: usize = 200;

/// What a failed run says is there already.
pub(super) fn what_is_there(step: &MigrationsStep) -> Option<String> {
    let of_failure = step.failure.as_ref().map(|failure| failure.message.as_str());
    let line = of_failure.into_iter().chain(step.log.lines()).find(|line| line.contains("already exists"))?;
    let (before, _) = line.split_once(" already exists")?;
    // A column is named before its table.
    Some(before.split('"').nth(1)?.to_owned())
}

/// The first of these files that makes something of this name.
pub(super) fn maker<'p>(
    root: &Path,
    project: &'p Project,
    files: impl Iterator<Item = usize>,
    name: &str,
) -> Option<&'p str> {
    files.take(MOST).map(|place| project.migrations[place].path.as_str()).find(|path| {
        let text = fs::read_to_string(root.join(path)).unwrap_or_default();
        let text = forward(&text);
        if project.is_sql() {
            split(text).iter().any(|statement| makes(statement.text(text), name))
        } else {
            text.lines().any(|line| makes(line, name))
        }
    })
}

/// Whether a statement or a line has the name after a word that makes something.
fn makes(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let words: Vec<&str> = text.split(|letter| !is_part(letter)).filter(|word| !word.is_empty()).collect();
    let begins = words.iter().position(|word| {
        MAKES.iter().any(|makes| word.strip_prefix(makes).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
            // As JavaScript has it.
            || word.starts_with("createtable")
    });
    begins.is_some_and(|at| words[at + 1..].contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_a_name_is_told_from_what_uses_it() {
        for text in [
            "create table if not exists public.\"item\" (id int)",
            "alter table t add column item int",
            "alter table t rename to Item",
            "op.create_table('item', sa.Column('id'))",
            "await knex.schema.createTable('item', (t) => {",
        ] {
            assert!(makes(text, "item"), "{text}");
        }
        for text in ["insert into item values (1)", "drop table item", "create table items ()"] {
            assert!(!makes(text, "item"), "{text}");
        }
    }
}
