//! The tables that migration tools keep for themselves, and schemas without them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use offshoot_migrations::{DiskSource, Project, Scanner, Table, Tool};
use offshoot_schema::{Change, Fact, FactId, Facts, Kind, Object, changes};

/// The tables of a repository's migration tools.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histories {
    tables: Vec<Kept>,
    /// Schemas in which there is nothing else.
    schemas: Vec<(String, Tool)>,
}

#[derive(Clone, Debug)]
struct Kept {
    table: Table,
    tool: Tool,
}

/// A history table, or a part of one, that is left out of a comparison, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) object: Object,
    pub(crate) tool: &'static str,
}

impl Histories {
    /// Those of projects.
    pub(crate) fn of<'p>(projects: impl IntoIterator<Item = &'p Project>) -> Self {
        let mut found = Self::default();
        for project in projects {
            let Some(table) = &project.history else { continue };
            let tool = project.tool;
            if let Some(schema) = table.schema.as_deref().filter(|schema| is_own_schema(tool, schema)) {
                found.schemas.push((schema.to_owned(), tool));
            }
            let beside = match tool {
                Tool::Knex | Tool::Kysely => Some(format!("{}_lock", table.name)),
                Tool::Liquibase => Some(format!("{}lock", table.name)),
                Tool::Rails => Some("ar_internal_metadata".to_owned()),
                _ => None,
            };
            found.tables.push(Kept { table: table.clone(), tool });
            let beside = beside.map(|name| Table { schema: table.schema.clone(), name });
            found.tables.extend(beside.map(|table| Kept { table, tool }));
        }
        found
    }

    /// Those of the tools whose files lie below `root`. What cannot be read has none. Reads files.
    pub(crate) fn of_folder(root: &Path) -> Self {
        match Scanner::default().scan(&DiskSource::new(root)) {
            Ok(scan) => Self::of(&scan.projects),
            Err(error) => {
                tracing::debug!(%error, "cannot look for the history tables of migration tools");
                Self::default()
            }
        }
    }

    /// Those of both.
    pub(crate) fn extend(&mut self, other: Self) {
        self.tables.extend(other.tables);
        self.schemas.extend(other.schemas);
    }

    /// The tool that an object of `facts` belongs to, or would if the schema had it.
    pub(crate) fn owner(&self, object: &Object, facts: &Facts) -> Option<Tool> {
        let schema = if object.kind == Kind::Schema { Some(&object.name) } else { object.schema.as_ref() };
        let own = self.schemas.iter().find(|(own, _)| Some(own) == schema);
        if let Some((_, tool)) = own {
            return Some(*tool);
        }
        match object.kind {
            Kind::Table => self.of_table(object.schema.as_deref(), &object.name),
            Kind::Sequence => self.of_sequence(object, facts),
            _ => None,
        }
    }

    /// Takes them out of a schema, and returns what was taken.
    pub(crate) fn take(&self, facts: &mut Facts) -> Facts {
        let mut taken = Facts { major: facts.major, ..Facts::default() };
        if self.tables.is_empty() {
            return taken;
        }
        let roots = facts.objects().into_iter().filter(|object| self.owner(object, facts).is_some());
        let mut roots: Vec<FactId> = roots.map(|object| object.id()).collect();
        let left = |schema: &str| {
            let within = |id: &FactId| id.of.is_none() && id.schema.as_deref() == Some(schema);
            facts.facts.keys().any(|id| within(id) && !roots.contains(id))
        };
        let emptied = self.tables.iter().filter_map(|kept| kept.table.schema.as_deref());
        let emptied: Vec<&str> = emptied.filter(|schema| *schema != "public" && !left(schema)).collect();
        roots.extend(emptied.into_iter().map(|schema| FactId::top(Kind::Schema, None, schema)));
        taken.facts = extract(&mut facts.facts, |id| roots.contains(id.root()));
        taken
    }

    /// Takes them out of schemas that are compared, and names those that differ between the first one and another.
    pub(crate) fn leave_out(&self, first: &mut Facts, others: &mut [&mut Facts]) -> Vec<LeftOut> {
        let mut taken = self.take(first);
        let mut found: Vec<LeftOut> = Vec::new();
        for other in others {
            let mut theirs = self.take(other);
            // A schema that holds more on one side is compared on both.
            put_back(&mut taken, first, other);
            put_back(&mut theirs, other, first);
            for Change { object, .. } in changes(&taken, &theirs) {
                let tool = self.owner(&object, &taken).or_else(|| self.owner(&object, &theirs));
                let left_out = tool.map(|tool| LeftOut { object, tool: tool.name() });
                found.extend(left_out.filter(|one| !found.contains(one)));
            }
        }
        found.sort_by(|a, b| a.object.cmp(&b.object));
        found
    }

    fn of_table(&self, schema: Option<&str>, name: &str) -> Option<Tool> {
        let fits = |kept: &&Kept| {
            let is_there = kept.table.schema.is_none() || kept.table.schema.as_deref() == schema;
            is_there && kept.table.name == name
        };
        self.tables.iter().find(fits).map(|kept| kept.tool)
    }

    /// A sequence belongs to the table whose column owns it.
    fn of_sequence(&self, object: &Object, facts: &Facts) -> Option<Tool> {
        let parts = facts.parts(&object.id());
        let owner = parts.into_iter().find(|(part, _)| part.kind == Kind::SequenceOwner)?;
        let table = owner.1.references.iter().find_map(|id| {
            let root = id.root();
            (root.kind == Kind::Table).then_some(root)
        })?;
        self.of_table(table.schema.as_deref(), &table.name)
    }
}

/// Whether a tool makes a schema of that name for itself.
fn is_own_schema(tool: Tool, schema: &str) -> bool {
    match tool {
        Tool::Sqitch | Tool::Supabase => schema != "public",
        Tool::Drizzle => schema == "drizzle",
        Tool::Atlas => schema == "atlas_schema_revisions",
        _ => false,
    }
}

/// Gives a side the schemas back that were taken from it, and that the other side still has.
fn put_back(taken: &mut Facts, side: &mut Facts, other: &Facts) {
    let is_needed = |id: &FactId| id.root().kind == Kind::Schema && other.get(id.root()).is_some();
    side.facts.extend(extract(&mut taken.facts, is_needed));
}

fn extract(
    facts: &mut BTreeMap<Arc<FactId>, Fact>,
    is_meant: impl Fn(&FactId) -> bool,
) -> BTreeMap<Arc<FactId>, Fact> {
    let ids: Vec<Arc<FactId>> = facts.keys().filter(|id| is_meant(id)).cloned().collect();
    ids.into_iter().filter_map(|id| facts.remove_entry(&id)).collect()
}

#[cfg(test)]
mod tests {
    use offshoot_migrations::MemorySource;

    use super::*;

    fn histories(files: &[(&str, &str)]) -> Histories {
        let scan = Scanner::default().scan(&MemorySource::new(files.iter().copied())).unwrap();
        assert!(!scan.projects.is_empty(), "no tool was found");
        Histories::of(&scan.projects)
    }

    fn tables(names: &[(&str, &str)]) -> Facts {
        let table = |(schema, name): &(&str, &str)| FactId::top(Kind::Table, Some(schema), name);
        let schemas = names.iter().map(|(schema, _)| FactId::top(Kind::Schema, None, schema));
        let ids = names.iter().map(table).chain(schemas);
        Facts { facts: ids.map(|id| (Arc::new(id), Fact::default())).collect(), ..Facts::default() }
    }

    fn left(facts: &Facts) -> Vec<String> {
        facts.objects().iter().map(ToString::to_string).collect()
    }

    const KNEX: &[(&str, &str)] = &[("knexfile.js", "module.exports = {}"), ("migrations/1_a.js", "//")];
    const FLYWAY: &[(&str, &str)] =
        &[("flyway.toml", "[flyway]\ndefaultSchema = \"app\"\n"), ("sql/V1__a.sql", "select 1;")];

    #[test]
    fn a_table_is_left_out_by_its_name_and_no_other_that_begins_so() {
        let mut facts =
            tables(&[("public", "knex_migrations"), ("public", "knex_migrations_lock"), ("public", "item")]);
        facts.facts.extend(tables(&[("public", "knex_migrations_of_ours")]).facts);
        let taken = histories(KNEX).take(&mut facts);
        assert_eq!(left(&taken), ["table public.knex_migrations", "table public.knex_migrations_lock"]);
        assert_eq!(
            left(&facts),
            ["schema public", "table public.item", "table public.knex_migrations_of_ours"]
        );
    }

    #[test]
    fn what_lies_beside_a_table_in_a_schema_stays() {
        let mut facts =
            tables(&[("app", "flyway_schema_history"), ("app", "item"), ("b", "flyway_schema_history")]);
        histories(FLYWAY).take(&mut facts);
        assert_eq!(
            left(&facts),
            ["schema app", "schema b", "table app.item", "table b.flyway_schema_history"]
        );
    }

    #[test]
    fn a_schema_with_nothing_else_goes_with_the_table_unless_another_side_has_more_in_it() {
        let mut facts = tables(&[("app", "flyway_schema_history"), ("public", "item")]);
        let mut other = tables(&[("app", "flyway_schema_history"), ("app", "item")]);
        let mut alone = facts.clone();
        histories(FLYWAY).take(&mut alone);
        assert_eq!(left(&alone), ["schema public", "table public.item"]);
        assert_eq!(histories(FLYWAY).leave_out(&mut facts, &mut [&mut other]), []);
        assert_eq!(left(&facts), ["schema app", "schema public", "table public.item"]);
        assert_eq!(left(&other), ["schema app", "table app.item"]);
    }

    #[test]
    fn a_schema_that_the_tool_makes_goes_as_a_whole() {
        let sqitch: &[(&str, &str)] = &[
            ("sqitch.conf", "[core]\nengine = pg\n"),
            ("sqitch.plan", "%syntax-version=1.0.0\n%project=shop\n\n"),
        ];
        let mut facts = tables(&[("sqitch", "changes"), ("sqitch", "events"), ("public", "changes")]);
        histories(sqitch).take(&mut facts);
        assert_eq!(left(&facts), ["schema public", "table public.changes"]);
    }

    #[test]
    fn only_what_differs_is_told() {
        let (mut one, mut two) = (
            tables(&[("public", "knex_migrations"), ("public", "item")]),
            tables(&[("public", "knex_migrations")]),
        );
        assert_eq!(histories(KNEX).leave_out(&mut one, &mut [&mut two]), []);
        let (mut one, mut two) = (tables(&[("public", "item")]), tables(&[("public", "knex_migrations")]));
        let told = histories(KNEX).leave_out(&mut one, &mut [&mut two]);
        let told: Vec<_> = told.iter().map(|one| (one.object.to_string(), one.tool)).collect();
        assert_eq!(told, [("table public.knex_migrations".to_owned(), "Knex")]);
    }
}
