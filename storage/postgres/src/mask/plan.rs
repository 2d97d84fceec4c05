//! From rules and a schema to what is done to each table's rows.

use std::collections::{BTreeMap, HashMap, HashSet};

use postgres::Client;

use super::catalog::{Catalog, Id};
use super::transform::{Kind, Method};
use super::{ColumnName, Key, MaskError, MaskedColumn, Rule, Transformer};

/// What is done to the rows of every table.
#[derive(Debug)]
pub struct Plan {
    key: Key,
    /// All that there were when the schema was read.
    tables: HashMap<(String, String), Table>,
    /// In the order of the catalogs.
    done: Vec<MaskedColumn>,
    /// The columns that a rule holds for, be it to keep them.
    settled: HashSet<ColumnName>,
}

/// What is done to the rows of one table.
#[derive(Debug, Default)]
pub struct Table {
    /// All columns that rows can have, in their order.
    columns: Vec<String>,
    /// The masked ones, with their place in the report.
    methods: HashMap<String, (Method, usize)>,
    /// A column of a partition that has a rule of its own: rows that come by way of this table would miss it.
    misses: Option<ColumnName>,
}

/// Why a column is masked, and how.
#[derive(Debug, Clone)]
struct Choice {
    with: Transformer,
    follows: Option<Id>,
}

impl Plan {
    /// Makes the plan for the database of `client`, which has the schema but needs no rows.
    ///
    /// A rule holds for the partitions and children of its table as well, and for columns that refer to the column.
    ///
    /// # Errors
    /// [`MaskError`] if a rule names what is not there, cannot be met, or leaves a foreign key with only one end masked.
    pub fn new(rules: &[Rule], key: Key, client: &mut Client) -> Result<Self, MaskError> {
        let catalog = Catalog::read(client).map_err(|error| {
            MaskError::new(format!("cannot read the schema to mask it: {error}"), "Try again.")
        })?;
        let choices = choose(rules, &catalog)?;
        let methods = methods(&choices, &catalog)?;
        let settled = choices.keys().map(|id| catalog.columns[id].name.clone()).collect();
        let mut plan = Self { key, tables: HashMap::new(), done: Vec::new(), settled };
        for (id, column) in &catalog.columns {
            let name = &column.name;
            let table = plan.tables.entry((name.schema.clone(), name.table.clone())).or_default();
            if !column.is_generated {
                table.columns.push(name.column.clone());
            }
            let Some(method) = methods.get(id) else { continue };
            table.methods.insert(name.column.clone(), (method.clone(), plan.done.len()));
            plan.done.push(MaskedColumn {
                column: name.clone(),
                with: method.with.as_str(),
                follows: choices[id].follows.map(|other| catalog.columns[&other].name.clone()),
                values: 0,
            });
        }
        plan.note_partitions(&methods, &catalog);
        Ok(plan)
    }

    /// Notes for partitioned tables which rules of their partitions they do not have.
    fn note_partitions(&mut self, methods: &BTreeMap<Id, Method>, catalog: &Catalog) {
        let mut missed: BTreeMap<u32, ColumnName> = BTreeMap::new();
        for (child, parent) in &catalog.partitions {
            let with = |id| methods.get(id).map(|method: &Method| &method.with);
            if with(child).is_some_and(|ours| with(parent) != Some(ours)) {
                missed.entry(parent.0).or_insert_with(|| catalog.columns[child].name.clone());
            }
        }
        // Partitions have partitions.
        loop {
            let upwards = catalog.partitions.iter().find_map(|((child, _), (parent, _))| {
                let column = missed.get(child).filter(|_| !missed.contains_key(parent))?;
                Some((*parent, column.clone()))
            });
            let Some((parent, column)) = upwards else { break };
            missed.insert(parent, column);
        }
        for (id, column) in &catalog.columns {
            let table = self.tables.get_mut(&(column.name.schema.clone(), column.name.table.clone()));
            if let (Some(table), Some(misses)) = (table, missed.get(&id.0)) {
                table.misses = Some(misses.clone());
            }
        }
    }

    /// A table by its name, if it was there when the schema was read.
    pub(crate) fn table(&self, schema: &str, table: &str) -> Option<&Table> {
        self.tables.get(&(schema.to_owned(), table.to_owned()))
    }

    /// The tables of this name, in whatever schema, with their full names.
    pub(crate) fn tables_named<'p>(&'p self, table: &'p str) -> impl Iterator<Item = (String, &'p Table)> {
        let named = self.tables.iter().filter(move |((_, name), _)| name == table);
        named.map(|((schema, table), of)| (format!("{schema}.{table}"), of))
    }

    /// The secret.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Notes that values were replaced, by place in the report.
    pub(crate) fn count(&mut self, place: usize, values: u64) {
        self.done[place].values += values;
    }

    /// Whether a rule holds for the column, be it to keep it.
    pub fn is_settled(&self, column: &ColumnName) -> bool {
        self.settled.contains(column)
    }

    /// What was done.
    pub fn report(&self) -> &[MaskedColumn] {
        &self.done
    }
}

impl Table {
    /// The expression by which the source has to replace a column.
    pub(crate) fn expression(&self, column: &str) -> Option<&str> {
        match &self.methods.get(column)?.0.with {
            Transformer::Sql(sql) => Some(sql),
            _ => None,
        }
    }

    /// Whether the source has to replace any of its columns.
    pub(crate) fn has_expressions(&self) -> bool {
        self.columns.iter().any(|column| self.expression(column).is_some())
    }

    /// Whether any of its columns is masked.
    pub(crate) fn is_masked(&self) -> bool {
        !self.methods.is_empty()
    }

    /// A column of a partition whose rule rows would miss that come by way of this table.
    pub(crate) fn misses(&self) -> Option<&ColumnName> {
        self.misses.as_ref()
    }

    /// Whether rows can have this column.
    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|one| one == column)
    }

    /// The methods for rows with these columns, or with all, and the place of each in the report.
    pub(crate) fn for_columns(
        &self,
        columns: Option<&[String]>,
    ) -> (Vec<Option<Method>>, Vec<Option<usize>>) {
        let columns = columns.unwrap_or(&self.columns);
        let found = columns.iter().map(|column| self.methods.get(column));
        found.map(|found| (found.map(|(method, _)| method.clone()), found.map(|(_, place)| *place))).unzip()
    }
}

/// What becomes of which column: the rules, and what follows from them.
fn choose(rules: &[Rule], catalog: &Catalog) -> Result<BTreeMap<Id, Choice>, MaskError> {
    let mut choices: BTreeMap<Id, Choice> = BTreeMap::new();
    for rule in rules {
        let id = catalog.find(&rule.column).ok_or_else(|| no_column(&rule.column, catalog))?;
        if catalog.columns[&id].is_generated && rule.with != Transformer::Keep {
            return Err(MaskError::new(
                format!("{} is computed from other columns", rule.column),
                "Mask those; its values follow by themselves.",
            ));
        }
        choices.insert(id, Choice { with: rule.with.clone(), follows: None });
    }
    loop {
        let mut more = Vec::new();
        for (child, parent) in catalog.inherits.iter().chain(&catalog.references) {
            let Some(choice) = choices.get(parent) else { continue };
            let is_generated = catalog.columns.get(child).is_none_or(|column| column.is_generated);
            if !choices.contains_key(child) && !is_generated {
                more.push((*child, Choice { with: choice.with.clone(), follows: Some(*parent) }));
            }
        }
        if more.is_empty() {
            break;
        }
        for (child, choice) in more {
            choices.entry(child).or_insert(choice);
        }
    }
    for (id, choice) in &choices {
        entangled(*id, &choice.with, catalog)?;
    }
    for (child, parent) in &catalog.references {
        agree(*child, *parent, &choices, catalog)?;
    }
    Ok(choices)
}

/// Refuses to shuffle, or to compute, what others depend on.
fn entangled(id: Id, with: &Transformer, catalog: &Catalog) -> Result<(), MaskError> {
    let refers = || catalog.references.iter().any(|(child, _)| *child == id);
    let is_key = catalog.references.iter().any(|(_, parent)| *parent == id);
    let why = match with {
        Transformer::Shuffle if is_key => "others refer to it, and would refer to somebody else",
        Transformer::Shuffle if catalog.composite.contains(&id) => {
            "it refers to another table together with other columns"
        }
        Transformer::Shuffle if catalog.entangled.contains(&id) => {
            "it is unique together with others, or under a condition, and would not be any more"
        }
        Transformer::Sql(_) if is_key => "others refer to it",
        Transformer::Sql(_) if refers() => "it refers to another table",
        _ => return Ok(()),
    };
    let column = &catalog.columns[&id].name;
    Err(MaskError::new(
        format!("{column} cannot be masked with `{}`: {why}", with.as_str()),
        format!("Take another rule for it, such as `\"{column}\" = \"hash\"`."),
    ))
}

/// Refuses a foreign key whose two ends become different.
fn agree(child: Id, parent: Id, choices: &BTreeMap<Id, Choice>, catalog: &Catalog) -> Result<(), MaskError> {
    let with = |id: Id| choices.get(&id).map_or(&Transformer::Keep, |choice| &choice.with);
    let (ours, theirs) = (with(child), with(parent));
    // What refers to nothing is true.
    let stays_within = *ours == Transformer::Shuffle && *theirs == Transformer::Keep;
    if ours == theirs || *ours == Transformer::Null || stays_within {
        return Ok(());
    }
    let (child, parent) = (&catalog.columns[&child].name, &catalog.columns[&parent].name);
    let (said, other) = if *theirs == Transformer::Keep { (ours, parent) } else { (theirs, child) };
    Err(MaskError::new(
        format!(
            "{child} refers to {parent}: one becomes `{}` and the other `{}`, and the foreign key would not hold",
            ours.as_str(),
            theirs.as_str()
        ),
        format!("Give both the same rule: `\"{other}\" = \"{}\"` under [masking.columns].", said.as_str()),
    ))
}

/// The method of each masked column. Columns that share their values have the same one.
fn methods(choices: &BTreeMap<Id, Choice>, catalog: &Catalog) -> Result<BTreeMap<Id, Method>, MaskError> {
    let mut methods: BTreeMap<Id, Method> = BTreeMap::new();
    for (id, choice) in choices.iter().filter(|(_, choice)| choice.with != Transformer::Keep) {
        let column = &catalog.columns[id];
        let method = Method {
            with: choice.with.clone(),
            kind: column.kind,
            unique: catalog.unique.contains(id),
            max_chars: column.max_chars,
            max_number: column.max_number,
            folds: column.folds,
            trims: column.trims,
        };
        methods.insert(*id, method);
    }
    share(&mut methods, catalog);
    for (id, method) in &methods {
        let column = &catalog.columns[id];
        let objection = match &method.with {
            Transformer::Null if column.not_null => Some("cannot be null".to_owned()),
            _ => method.objection(),
        };
        if let Some(objection) = objection {
            let why = choices[id]
                .follows
                .map(|other| format!(" (its values are those of {})", catalog.columns[&other].name));
            let suggestion =
                if method.kind == Kind::Other { "`null` or a fixed value" } else { "another rule" };
            return Err(MaskError::new(
                format!("{}{} {objection}", column.name, why.unwrap_or_default()),
                format!("Take {suggestion} for it under [masking.columns] in offshoot.toml."),
            ));
        }
    }
    Ok(methods)
}

/// Spreads what holds for a column to all that share its values, until nothing changes.
fn share(methods: &mut BTreeMap<Id, Method>, catalog: &Catalog) {
    loop {
        let before = methods.clone();
        for (one, other) in catalog.inherits.iter().chain(&catalog.references) {
            let (Some(a), Some(b)) = (methods.get(one), methods.get(other)) else { continue };
            if a.with != b.with {
                continue;
            }
            let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
            let shared = Method {
                unique: a.unique || b.unique,
                max_chars: a.max_chars.into_iter().chain(b.max_chars).min(),
                max_number: least(a.max_number, b.max_number),
                folds: a.folds || b.folds,
                trims: a.trims || b.trims,
                ..a.clone()
            };
            methods.insert(*other, Method { kind: b.kind, ..shared.clone() });
            methods.insert(*one, shared);
        }
        if *methods == before {
            return;
        }
    }
}

fn no_column(name: &ColumnName, catalog: &Catalog) -> MaskError {
    let same_table = |other: &&ColumnName| other.schema == name.schema && other.table == name.table;
    let columns: Vec<&str> = catalog
        .columns
        .values()
        .map(|column| &column.name)
        .filter(same_table)
        .map(|column| column.column.as_str())
        .collect();
    let hint = if columns.is_empty() {
        "There is no such table. Rules name schema, table and column: `\"public.users.email\"`.".to_owned()
    } else {
        format!("{}.{} has the columns {}.", name.schema, name.table, columns.join(", "))
    };
    MaskError::new(format!("[masking.columns] names {name}, which is not there"), hint)
}
