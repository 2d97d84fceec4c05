//! Our own rules: what a statement costs on this branch, by the sizes of its tables, or by what it cost on a throwaway.
//!
//! A rule of ours takes the place of the general ones about the same statement. Where the table is small the general ones
//! stay, as hints.

use squawk_syntax::SourceFile;

use super::known::{Known, Measurement, Size, TableSize};
use super::touch::{Rewrite, Touch, Work, touches};
use super::{Edit, Finding, Weight};
use crate::sql::split::{Piece, Statement};

/// A statement that took no longer is nobody's trouble.
const QUICK_US: u64 = 200_000;
/// One that took longer is.
const SLOW_US: u64 = 5_000_000;
/// How long a lock may keep others from writing before it is told by itself.
const LONG_LOCK_US: u64 = 1_000_000;
/// The major version since which foreign keys of partitioned tables can be added without a check.
const PARTITIONED_NOT_VALID: u32 = 18;

/// Our rules, and the general ones that each takes the place of.
const RULES: [(&str, &[&str]); 7] = [
    ("long-index-build", &["require-concurrent-index-creation"]),
    (
        "long-rewrite",
        &[
            "changing-column-type",
            "adding-field-with-default",
            "adding-serial-primary-key-field",
            "prefer-repack",
        ],
    ),
    ("long-not-null-check", &["adding-not-nullable-field"]),
    ("long-constraint-check", &["constraint-missing-not-valid"]),
    ("long-foreign-key-check", &["adding-foreign-key-constraint", "constraint-missing-not-valid"]),
    ("long-unique-build", &["disallowed-unique-constraint", "adding-serial-primary-key-field"]),
    ("long-lock", &[]),
];

/// Whether a comment that silences `name` silences `rule`.
pub(super) fn silences(name: &str, rule: &str) -> bool {
    name == rule || RULES.iter().any(|(ours, general)| *ours == rule && general.contains(&name))
}

fn rule_of(work: &Work) -> (&'static str, &'static [&'static str]) {
    RULES[match work {
        Work::Index => 0,
        Work::Rewrite(_) => 1,
        Work::NotNull(_) => 2,
        Work::Check => 3,
        Work::ForeignKey(_) => 4,
        Work::Unique => 5,
    }]
}

/// How a script runs.
pub(super) struct How<'a> {
    pub(super) statements: &'a [Statement],
    pub(super) in_transaction: bool,
    pub(super) postgres_major: u32,
}

/// Adds what is known of the database to what the general rules found.
pub(super) fn weigh(found: &mut Vec<Finding>, file: &SourceFile, known: &Known, how: &How<'_>) {
    let mut told = Vec::new();
    for touch in touches(file) {
        let statement = how.statement_at(touch.statement.start);
        let measured = statement.and_then(|statement| known.measured(statement.line));
        let table = known.table(touch.schema.as_deref(), &touch.table);
        let Some((weight, why)) = cost(&touch, table, measured) else { continue };
        let (rule, general) = rule_of(&touch.work);
        let of_statement = |finding: &Finding| {
            touch.statement.contains(&finding.range.start) && general.contains(&finding.rule.as_str())
        };
        if weight == Weight::Hint {
            for finding in found.iter_mut().filter(|finding| of_statement(finding)) {
                finding.weight = Weight::Hint;
                finding.message = format!("{} {why}", finding.message);
            }
            told.extend(statement.map(|statement| statement.line));
            continue;
        }
        found.retain(|finding| !of_statement(finding));
        told.extend(statement.map(|statement| statement.line));
        found.push(Finding {
            rule: rule.to_owned(),
            range: touch.range.clone(),
            message: why,
            help: Some(help(&touch, table, how)),
            fix: fix(&touch, table, statement, how),
            weight,
            alone: touch.work == Work::Index,
        });
    }
    let sql = how.statements.iter().filter(|statement| statement.piece == Piece::Sql);
    for statement in sql.filter(|statement| !told.contains(&statement.line)) {
        let Some(measured) = known.measured(statement.line) else { continue };
        found.extend(long_lock(statement, measured));
    }
}

impl How<'_> {
    fn statement_at(&self, offset: usize) -> Option<&Statement> {
        self.statements.iter().rev().find(|statement| statement.range.start <= offset)
    }
}

/// How bad it is, and a sentence about it: measured if it was, by the size of the table otherwise.
fn cost(
    touch: &Touch,
    table: Option<&TableSize>,
    measured: Option<&Measurement>,
) -> Option<(Weight, String)> {
    if let Some(measured) = measured {
        let weight = match measured.elapsed_us {
            0..QUICK_US => Weight::Hint,
            QUICK_US..SLOW_US => Weight::Warning,
            _ => Weight::Error,
        };
        let words = measured.words();
        let why =
            if weight == Weight::Hint { words } else { format!("{} {words}", consequence(touch, table)) };
        return Some((weight, why));
    }
    let table = table?;
    Some(match table.size() {
        Size::Small => {
            let words = format!(
                "`{}` is small on this branch ({}): this is done at once.",
                touch.written,
                table.words()
            );
            (Weight::Hint, words)
        }
        Size::Middle => (Weight::Warning, consequence(touch, Some(table))),
        Size::Large => (Weight::Error, consequence(touch, Some(table))),
    })
}

/// What others wait for.
fn consequence(touch: &Touch, table: Option<&TableSize>) -> String {
    let table = match table {
        Some(table) => format!("`{}` ({})", touch.written, table.words()),
        None => format!("`{}`", touch.written),
    };
    match &touch.work {
        Work::Index => format!("Writes to {table} wait for the whole build of the index."),
        Work::Rewrite(Rewrite::Type) => format!(
            "Nobody reads or writes {table} while it is written anew with its indexes, unless the new type takes the old values as they are."
        ),
        Work::Rewrite(Rewrite::Column) => format!(
            "Nobody reads or writes {table} while it is written anew with its indexes: the column gets a value of its own in each row."
        ),
        Work::Rewrite(Rewrite::Compact | Rewrite::Storage) => {
            format!("Nobody reads or writes {table} while it is written anew with its indexes.")
        }
        Work::NotNull(_) => {
            format!("Nobody reads or writes {table} while all its rows are searched for nulls.")
        }
        Work::Check => format!("Nobody reads or writes {table} while all its rows are checked."),
        Work::ForeignKey(other) => {
            format!("Writes to {table} and `{other}` wait while all rows of the former are looked up.")
        }
        Work::Unique => format!("Nobody reads or writes {table} while the index of the constraint is built."),
    }
}

/// What to do instead.
fn help(touch: &Touch, table: Option<&TableSize>, how: &How<'_>) -> String {
    let partitioned = table.is_some_and(|table| table.partitioned);
    let later = if how.in_transaction { "in a later migration" } else { "afterwards" };
    match &touch.work {
        Work::Index if partitioned => {
            "Create it ON ONLY the partitioned table, then CONCURRENTLY on each partition, and attach those.".to_owned()
        }
        Work::Index if how.in_transaction => {
            "Build it CONCURRENTLY, in a migration of its own that its tool runs outside of a transaction.".to_owned()
        }
        Work::Index => "Build it CONCURRENTLY.".to_owned(),
        Work::Rewrite(Rewrite::Type) => {
            "Add a column of the new type, fill it in portions, and change over to it. Measure Locks tells whether it is written anew.".to_owned()
        }
        Work::Rewrite(Rewrite::Column) => {
            "Add the column without the default, set the default by itself, and fill the rows in portions.".to_owned()
        }
        Work::Rewrite(Rewrite::Compact) => "VACUUM without FULL lets others go on.".to_owned(),
        Work::Rewrite(Rewrite::Storage) => "Do it while nobody works.".to_owned(),
        Work::NotNull(_) => format!(
            "Add CHECK (… IS NOT NULL) NOT VALID, VALIDATE it {later}, and then set NOT NULL: Postgres trusts the check and reads no rows."
        ),
        Work::ForeignKey(_) if partitioned && how.postgres_major < PARTITIONED_NOT_VALID => {
            "Add it to each partition as NOT VALID, VALIDATE those, and then add it to the partitioned table.".to_owned()
        }
        Work::Check | Work::ForeignKey(_) => {
            format!("Add it NOT VALID, which checks new rows only, and VALIDATE it {later}, while others go on.")
        }
        Work::Unique => {
            "Build a unique index CONCURRENTLY first, and add the constraint USING INDEX.".to_owned()
        }
    }
}

/// The safe form, where it follows from the words that are there.
fn fix(
    touch: &Touch,
    table: Option<&TableSize>,
    statement: Option<&Statement>,
    how: &How<'_>,
) -> Option<(String, Vec<Edit>)> {
    let partitioned = table.is_some_and(|table| table.partitioned);
    let statement = statement?;
    let mut edits = touch.edits.clone();
    let insert = |at: usize, text: String| Edit { range: at..at, text };
    let (start, end) = (statement.range.start, statement.range.end);
    let table = &touch.written;
    let title = match &touch.work {
        Work::Index if !partitioned && !edits.is_empty() => "Build the Index CONCURRENTLY",
        Work::ForeignKey(_) if partitioned && how.postgres_major < PARTITIONED_NOT_VALID => return None,
        Work::Check | Work::ForeignKey(_) if !edits.is_empty() => match &touch.constraint {
            Some(name) if !how.in_transaction => {
                let validate = format!(";\nALTER TABLE {table} VALIDATE CONSTRAINT {}", name.trim());
                match edits.iter_mut().find(|edit| edit.range.end == end) {
                    // Of two at one place an editor would have to guess which comes first.
                    Some(edit) => edit.text.push_str(&validate),
                    None => edits.push(insert(end, validate)),
                }
                "Add NOT VALID, and Validate Afterwards"
            }
            _ => "Add NOT VALID, to be Validated by a Later Migration",
        },
        Work::NotNull(column) if !column.is_empty() && !how.in_transaction => {
            let letters =
                |text: &str| text.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
            let name = format!("{}_{}_not_null", letters(&touch.table), letters(column)).to_lowercase();
            let before = format!(
                "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL) NOT VALID;\nALTER TABLE {table} VALIDATE CONSTRAINT {name};\n"
            );
            edits = vec![
                insert(start, before),
                insert(end, format!(";\nALTER TABLE {table} DROP CONSTRAINT {name}")),
            ];
            "Check Before, While Others Go On"
        }
        _ => return None,
    };
    Some((title.to_owned(), edits))
}

/// A lock that was held for long, by a statement that nothing else is told about.
fn long_lock(statement: &Statement, measured: &Measurement) -> Option<Finding> {
    let (relation, mode, held_us) = measured.longest()?;
    if held_us < LONG_LOCK_US {
        return None;
    }
    let others = if mode == "ACCESS EXCLUSIVE" { "read or write" } else { "write to" };
    Some(Finding {
        rule: "long-lock".to_owned(),
        range: statement.range.clone(),
        message: format!(
            "Others cannot {others} {relation} until the transaction ends. {}",
            measured.words()
        ),
        help: Some("Let fewer statements follow it in its transaction, or move it to the end.".to_owned()),
        fix: None,
        weight: if held_us < SLOW_US { Weight::Warning } else { Weight::Error },
        alone: false,
    })
}

#[cfg(test)]
mod tests;
