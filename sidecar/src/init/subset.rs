//! Which rows of a server are wanted: what the command line says, or else `[subset]` of the file.

use std::time::Duration;

use offshoot_postgres::subset::{Condition, Subset, SubsetReport};
use offshoot_storage::Source;

use crate::config::{Config, FILE_NAME};
use crate::failure::{Failure, Result};

/// What was asked for beside the file. Everything absent is the file's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Tables that are taken whole.
    pub(crate) tables: Vec<String>,
    /// Tables that are left empty.
    pub(crate) without_rows: Vec<String>,
    /// `TABLE=CONDITION`.
    pub(crate) conditions: Vec<String>,
    /// All rows, whatever the file says.
    pub(crate) all_rows: bool,
    /// How long a query at the source may wait for a lock.
    pub(crate) lock_timeout: Option<Duration>,
    /// How long it may take.
    pub(crate) statement_timeout: Option<Duration>,
}

/// Puts into `source` which rows are wanted. Returns what is to be told of it.
///
/// # Errors
/// A user error if a part is asked for of what is no running server.
pub(crate) fn choose(source: &mut Source, asked: &Asked, config: &Config) -> Result<Option<String>> {
    let own = asked_for(asked)?;
    let Source::Server { subset, .. } = source else {
        if !own.is_everything() {
            return Err(Failure::user("tables and rows can be chosen from a running server only").hint(
                "Name it: `--from postgres://USER:PASSWORD@HOST/DATABASE`, without --physical. A dump has what it has.",
            ));
        }
        let unused = !config.subset.is_everything() && !matches!(source, Source::Empty);
        return Ok(unused.then(|| {
            format!("[subset] in {FILE_NAME} holds for the rows of a server; all of this source was taken")
        }));
    };
    let chosen = if asked.all_rows || !own.is_everything() { own } else { config.subset.clone() };
    let lock_timeout = asked.lock_timeout.unwrap_or(chosen.lock_timeout);
    let statement_timeout = asked.statement_timeout.unwrap_or(chosen.statement_timeout);
    *subset = Subset { lock_timeout, statement_timeout, ..chosen };
    Ok(None)
}

fn asked_for(asked: &Asked) -> Result<Subset> {
    let conditions = asked.conditions.iter().map(|text| {
        Condition::parse(text).ok_or_else(|| {
            Failure::user(format!("--where {text:?} is not TABLE=CONDITION"))
                .hint("Such as `--where \"public.orders=created_at > now() - interval '30 days'\"`.")
        })
    });
    Ok(Subset {
        tables: asked.tables.clone(),
        without_rows: asked.without_rows.clone(),
        conditions: conditions.collect::<Result<_>>()?,
        ..Subset::default()
    })
}

/// What was taken, for people: a line for each table.
pub(crate) fn lines(report: &SubsetReport) -> Vec<String> {
    let rows = |count: u64| if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
    let mut lines: Vec<String> = report
        .tables
        .iter()
        .map(|one| {
            let followed =
                (one.followed > 0).then(|| format!("{} as others refer to them", rows(one.followed)));
            let chosen = match one.taken.as_str() {
                "followed" => None,
                "where" => Some(format!("{} by its condition", rows(one.chosen))),
                _ => Some(format!("all {}", rows(one.chosen))),
            };
            let parts: Vec<String> = chosen.into_iter().chain(followed).collect();
            format!("{}: {}", one.table, parts.join(", "))
        })
        .collect();
    match report.empty_tables {
        0 => {}
        1 => lines.push("1 table without rows".to_owned()),
        more => lines.push(format!("{more} tables without rows")),
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Source {
        Source::Server { url: "postgres://h/d".into(), subset: Subset::default() }
    }

    fn of(source: &Source) -> &Subset {
        let Source::Server { subset, .. } = source else { panic!("no server") };
        subset
    }

    #[test]
    fn the_command_line_stands_in_the_place_of_the_file() {
        let file = Subset { tables: vec!["a".into()], ..Subset::default() };
        let config = Config { subset: file.clone(), ..Config::default() };
        let mut source = server();
        choose(&mut source, &Asked::default(), &config).unwrap();
        assert_eq!(of(&source), &file);
        let asked = Asked { conditions: vec!["b=true".into()], ..Asked::default() };
        choose(&mut source, &asked, &config).unwrap();
        assert!(of(&source).tables.is_empty() && of(&source).conditions[0].table == "b");
        choose(&mut source, &Asked { all_rows: true, ..Asked::default() }, &config).unwrap();
        assert!(of(&source).is_everything());
    }

    #[test]
    fn a_dump_is_taken_whole() {
        let config =
            Config { subset: Subset { tables: vec!["a".into()], ..Subset::default() }, ..Config::default() };
        let mut source = Source::Script("x.sql".into());
        assert!(choose(&mut source, &Asked::default(), &config).unwrap().unwrap().contains("[subset]"));
        let asked = Asked { tables: vec!["a".into()], ..Asked::default() };
        assert!(choose(&mut source, &asked, &config).unwrap_err().0.message.contains("running server"));
    }
}
