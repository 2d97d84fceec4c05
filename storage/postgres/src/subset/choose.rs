//! From what was asked for to what is taken of each table.

use super::catalog::{Catalog, Table};
use super::name::{Pattern, nearest};
use super::{Subset, SubsetError, Taken};

/// What is taken of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    /// Only what others refer to.
    Followed,
    All,
    Where(Vec<Filter>),
}

/// A condition for the rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    /// What the table is called in it, where that is not its own name.
    pub(super) alias: Option<String>,
    pub(super) sql: String,
    /// As it was asked for.
    pub(super) asked: String,
}

impl Rule {
    pub(super) fn taken(&self) -> Taken {
        match self {
            Self::Followed => Taken::Followed,
            Self::All => Taken::All,
            Self::Where(_) => Taken::Where,
        }
    }
}

/// The rules of the catalog's tables, in their order.
///
/// # Errors
/// If a name fits no table.
pub(super) fn choose(subset: &Subset, catalog: &Catalog) -> Result<Vec<Rule>, SubsetError> {
    let read = |names: &[String], asked: &str| -> Result<Vec<Pattern>, SubsetError> {
        names.iter().map(|name| known(name, asked, catalog)).collect()
    };
    let tables = read(&subset.tables, "the tables to take")?;
    let without = read(&subset.without_rows, "the tables to leave empty")?;
    let conditions = subset.conditions.iter().map(|one| known(&one.table, "a condition", catalog));
    let conditions: Vec<Pattern> = conditions.collect::<Result<_, _>>()?;
    // Who only says what to leave out wants the rest.
    let takes_rest = tables.is_empty() && conditions.is_empty();
    let rules = catalog.tables.iter().map(|table| {
        let names = names(table, catalog);
        let fits = |pattern: &Pattern| names.iter().any(|(schema, name)| pattern.matches(schema, name));
        if without.iter().any(fits) {
            return Rule::Followed;
        }
        let filters = conditions.iter().zip(&subset.conditions).filter_map(|(pattern, condition)| {
            let at = names.iter().position(|(schema, name)| pattern.matches(schema, name))?;
            let alias = (at > 0).then(|| names[at].1.to_owned());
            let asked = format!("{}={}", condition.table, condition.sql);
            Some(Filter { alias, sql: condition.sql.clone(), asked })
        });
        let filters: Vec<Filter> = filters.collect();
        if !filters.is_empty() {
            Rule::Where(filters)
        } else if takes_rest || tables.iter().any(fits) {
            Rule::All
        } else {
            Rule::Followed
        }
    });
    Ok(rules.collect())
}

/// The table's own name and those of the tables that it is a partition of.
fn names<'c>(table: &'c Table, catalog: &'c Catalog) -> Vec<(&'c str, &'c str)> {
    let above = table.above.iter().filter_map(|oid| catalog.partitioned.get(oid));
    let above = above.map(|one| (one.schema.as_str(), one.name.as_str()));
    std::iter::once((table.schema.as_str(), table.name.as_str())).chain(above).collect()
}

fn known(text: &str, asked: &str, catalog: &Catalog) -> Result<Pattern, SubsetError> {
    let pattern = Pattern::parse(text)?;
    let partitioned = catalog.partitioned.values().map(|one| (one.schema.as_str(), one.name.as_str()));
    let tables = catalog.tables.iter().map(|one| (one.schema.as_str(), one.name.as_str()));
    let all: Vec<(&str, &str)> = tables.chain(partitioned).collect();
    if all.iter().any(|(schema, name)| pattern.matches(schema, name)) {
        return Ok(pattern);
    }
    let is_other =
        |full: &&String| full.split_once('.').is_some_and(|(schema, name)| pattern.matches(schema, name));
    if let Some(other) = catalog.others.iter().find(is_other) {
        return Err(SubsetError::new(
            format!("{asked}: {other} is a view or a foreign table, which has no rows of its own"),
            "Name the tables that it is made of.",
        ));
    }
    let full: Vec<String> = all.iter().map(|(schema, name)| format!("{schema}.{name}")).collect();
    let hint = match nearest(text, full.iter().map(String::as_str)) {
        Some(near) => format!("Did you mean {near}?"),
        None if full.is_empty() => "The source has no table that this role can see.".to_owned(),
        None => {
            let some: Vec<&str> = full.iter().take(12).map(String::as_str).collect();
            let more = if full.len() > some.len() { ", …" } else { "" };
            format!("The source has {}{more}.", some.join(", "))
        }
    };
    Err(SubsetError::new(format!("{asked}: the source has no table {text}"), hint))
}

#[cfg(test)]
mod tests {
    use super::super::Condition;
    use super::super::catalog::Partitioned;
    use super::*;

    fn table(oid: u32, name: &str, above: &[u32]) -> Table {
        Table {
            oid,
            schema: "public".into(),
            name: name.into(),
            above: above.to_vec(),
            columns: Vec::new(),
            bytes: 0,
        }
    }

    fn catalog() -> Catalog {
        let events = Partitioned { schema: "public".into(), name: "events".into() };
        Catalog {
            tables: vec![table(1, "users", &[]), table(2, "events_1", &[3]), table(4, "logs", &[])],
            partitioned: [(3, events)].into(),
            others: vec!["public.report".into()],
            ..Catalog::default()
        }
    }

    fn of(tables: &[&str], without: &[&str], conditions: &[&str]) -> Result<Vec<Taken>, SubsetError> {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let subset = Subset {
            tables: own(tables),
            without_rows: own(without),
            conditions: conditions.iter().map(|text| Condition::parse(text).unwrap()).collect(),
            ..Subset::default()
        };
        Ok(choose(&subset, &catalog())?.iter().map(Rule::taken).collect())
    }

    #[test]
    fn what_is_named_is_taken_and_what_is_left_out_is_not() {
        use Taken::{All, Followed, Where};
        assert_eq!(of(&[], &[], &[]).unwrap(), [All, All, All]);
        assert_eq!(of(&[], &["logs"], &[]).unwrap(), [All, All, Followed]);
        assert_eq!(of(&["users"], &[], &[]).unwrap(), [All, Followed, Followed]);
        assert_eq!(of(&["*"], &["l*"], &["public.events=true"]).unwrap(), [All, Where, Followed]);
        assert_eq!(of(&[], &[], &["users=true"]).unwrap(), [Where, Followed, Followed]);
    }

    #[test]
    fn a_name_that_fits_nothing_is_told_with_the_one_that_was_meant() {
        let error = of(&["public.user"], &[], &[]).unwrap_err();
        assert!(
            error.message.contains("public.user") && error.hint == "Did you mean public.users?",
            "{error:?}"
        );
        assert!(of(&["report"], &[], &[]).unwrap_err().message.contains("view"));
        assert!(of(&[], &["nothing_like"], &[]).unwrap_err().hint.contains("public.events"));
    }
}
