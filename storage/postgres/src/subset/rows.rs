//! The rows that are wanted, and all that they refer to.

use std::collections::{HashMap, HashSet};

use super::catalog::{Catalog, ForeignKey, Table};
use super::choose::Rule;
use super::keys::{Known, Place, key_of, place_text};
use super::stream::{Ends, Layout, literal, quoted, source_failure};
use super::{SubsetReport, TableRows, Taken};
use crate::load::LoadError;
use crate::mask::{Plan, RowMask, decoded};
use crate::progress::Progress;

/// Keys or rows that are asked for at once.
const BATCH: usize = 2_000;

/// What is known of a table while its rows are taken.
struct Work {
    layout: Layout,
    /// The keys by which its rows refer to others that may be missing: number of the key, its group, and the fields.
    refers: Vec<(usize, usize, Vec<usize>)>,
    /// The keys by which others refer to it: group and fields.
    offers: Vec<(usize, Vec<usize>)>,
    mask: Option<RowMask>,
    /// The rows that are here, where only a part is taken.
    here: HashSet<Place>,
    wanted: Vec<Place>,
    chosen: u64,
    followed: u64,
}

/// Takes rows from the source to the new database.
pub(super) struct Walk<'a> {
    catalog: &'a Catalog,
    rules: &'a [Rule],
    work: Vec<Work>,
    /// The places of tables by number, and of those that are partitioned those of their partitions.
    places: HashMap<u32, Vec<usize>>,
    known: Known,
    /// Keys to look up, by foreign key.
    pending: Vec<Vec<Box<[u8]>>>,
    total_bytes: u64,
    done_bytes: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        catalog: &'a Catalog,
        rules: &'a [Rule],
        plan: Option<&Plan>,
    ) -> Result<Self, LoadError> {
        let mut places: HashMap<u32, Vec<usize>> = HashMap::new();
        for (at, table) in catalog.tables.iter().enumerate() {
            for oid in std::iter::once(table.oid).chain(table.above.iter().copied()) {
                places.entry(oid).or_default().push(at);
            }
        }
        // All rows of a table are there whoever refers to them.
        let may_miss = |key: &ForeignKey| {
            places.get(&key.other).is_some_and(|others| others.iter().any(|at| rules[*at] != Rule::All))
        };
        let mut groups: Vec<(u32, &[String])> = Vec::new();
        let keys: Vec<(usize, usize)> = catalog
            .keys
            .iter()
            .enumerate()
            .filter(|(_, key)| may_miss(key))
            .map(|(at, key)| {
                let group = (key.other, key.other_columns.as_slice());
                let known = groups.iter().position(|one| *one == group).unwrap_or_else(|| {
                    groups.push(group);
                    groups.len() - 1
                });
                (at, known)
            })
            .collect();
        let work = catalog.tables.iter().map(|table| prepare(table, catalog, &keys, &groups, plan));
        let work = work.collect::<Result<_, _>>()?;
        let taken = catalog.tables.iter().zip(rules).filter(|(_, rule)| **rule != Rule::Followed);
        let total_bytes = taken.map(|(table, _)| table.bytes).sum();
        let pending = catalog.keys.iter().map(|_| Vec::new()).collect();
        let known = Known::default();
        Ok(Self { catalog, rules, work, places, known, pending, total_bytes, done_bytes: 0 })
    }

    /// Takes all.
    pub(super) fn run(&mut self, ends: &mut Ends<'_>) -> Result<(), LoadError> {
        let mut order: Vec<usize> = (0..self.work.len()).collect();
        // What is here already is not asked for.
        order.sort_by_key(|at| matches!(self.rules[*at], Rule::All));
        for at in order {
            match &self.rules[at] {
                Rule::Followed => {}
                Rule::All => self.take(at, None, None, ends)?,
                Rule::Where(filters) => {
                    for filter in filters {
                        self.take(at, filter.alias.as_deref(), Some(&filter.sql), ends)?;
                    }
                }
            }
            if self.rules[at] != Rule::Followed {
                self.done_bytes += self.catalog.tables[at].bytes;
            }
        }
        while self.look_up(ends)? | self.fetch(ends)? {}
        for Work { layout, mask, .. } in &mut self.work {
            if let Some(mask) = mask.as_mut().filter(|mask| mask.holds_back()) {
                ends.finish(layout, mask)?;
            }
        }
        Ok(())
    }

    /// Takes the rows of a table that its rule wants.
    fn take(
        &mut self,
        at: usize,
        alias: Option<&str>,
        condition: Option<&str>,
        ends: &mut Ends<'_>,
    ) -> Result<(), LoadError> {
        let query = self.work[at].layout.query(alias, condition);
        let (size, base, total) = (self.catalog.tables[at].bytes, self.done_bytes, self.total_bytes);
        let progress = ends.progress;
        let mut streamed = 0;
        let report = |bytes: usize| {
            streamed += bytes as u64;
            progress.step("Load", base + streamed.min(size), Some(total));
        };
        let track = condition.is_some();
        self.work[at].chosen += self.copy(at, &query, track, ends, report)?;
        Ok(())
    }

    fn copy(
        &mut self,
        at: usize,
        query: &str,
        track: bool,
        ends: &mut Ends<'_>,
        mut report: impl FnMut(usize),
    ) -> Result<u64, LoadError> {
        let Self { work, known, pending, .. } = self;
        let Work { layout, refers, offers, mask, here, .. } = &mut work[at];
        ends.copy(layout, query, mask.as_mut(), |place, fields, bytes| {
            report(bytes);
            if track && !here.insert(place) {
                return false;
            }
            for (group, columns) in &*offers {
                if let Some(key) = key_of(fields, columns) {
                    known.insert(*group, &key);
                }
            }
            for (number, group, columns) in &*refers {
                if let Some(key) = key_of(fields, columns)
                    && known.insert(*group, &key)
                {
                    pending[*number].push(key);
                }
            }
            true
        })
    }

    /// Finds where the rows lie that are referred to. Whether there was anything to find.
    fn look_up(&mut self, ends: &mut Ends<'_>) -> Result<bool, LoadError> {
        let mut any = false;
        for number in 0..self.pending.len() {
            let keys = std::mem::take(&mut self.pending[number]);
            for batch in keys.chunks(BATCH) {
                any = true;
                self.look_up_batch(number, batch, ends)?;
            }
        }
        Ok(any)
    }

    fn look_up_batch(
        &mut self,
        number: usize,
        keys: &[Box<[u8]>],
        ends: &mut Ends<'_>,
    ) -> Result<(), LoadError> {
        if ends.progress.is_cancelled() {
            return Err(LoadError::Cancelled);
        }
        let key = &self.catalog.keys[number];
        let Some(others) = self.places.get(&key.other) else { return Ok(()) };
        let (table, only) = self.named(key.other, others);
        let sql = lookup(key, &table, only, keys);
        let rows = ends.source.query(&sql, &[]).map_err(|error| source_failure(&error, &table))?;
        for row in rows {
            let (oid, text): (u32, &str) = (row.get(0), row.get(1));
            let at = self.places.get(&oid).and_then(|places| places.first().copied());
            let (Some(at), Some(place)) = (at, super::keys::place(text)) else { continue };
            let work = &mut self.work[at];
            if self.rules[at] != Rule::All && work.here.insert(place) {
                work.wanted.push(place);
            }
        }
        Ok(())
    }

    /// The name of a table that is referred to, and whether it is one with rows of its own.
    fn named(&self, oid: u32, places: &[usize]) -> (String, bool) {
        match self.catalog.partitioned.get(&oid) {
            Some(one) => (format!("{}.{}", quoted(&one.schema), quoted(&one.name)), false),
            None => (self.work[places[0]].layout.table.clone(), true),
        }
    }

    /// Takes the rows that were found. Whether there were any.
    fn fetch(&mut self, ends: &mut Ends<'_>) -> Result<bool, LoadError> {
        let mut any = false;
        for at in 0..self.work.len() {
            let places = std::mem::take(&mut self.work[at].wanted);
            for batch in places.chunks(BATCH) {
                any = true;
                let list: Vec<String> =
                    batch.iter().map(|place| format!("\"{}\"", place_text(*place))).collect();
                let condition = format!("ctid = ANY ('{{{}}}'::pg_catalog.tid[])", list.join(","));
                let query = self.work[at].layout.query(None, Some(&condition));
                ends.progress.step("Follow foreign keys", 0, None);
                self.work[at].followed += self.copy(at, &query, false, ends, |_| {})?;
            }
        }
        Ok(any)
    }

    /// Tells the plan what was masked.
    pub(super) fn note(&self, plan: &mut Plan) {
        for mask in self.work.iter().filter_map(|work| work.mask.as_ref()) {
            mask.note(plan);
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.work.iter().map(|work| work.chosen + work.followed).sum()
    }

    pub(super) fn report(&self) -> SubsetReport {
        let mut report = SubsetReport::default();
        let mut places: HashMap<String, usize> = HashMap::new();
        for ((table, rule), work) in self.catalog.tables.iter().zip(self.rules).zip(&self.work) {
            let name = self.catalog.shown(table);
            let at = *places.entry(name.clone()).or_insert_with(|| {
                report.tables.push(TableRows { table: name, taken: rule.taken(), chosen: 0, followed: 0 });
                report.tables.len() - 1
            });
            let row = &mut report.tables[at];
            row.chosen += work.chosen;
            row.followed += work.followed;
            if row.taken == Taken::Followed {
                row.taken = rule.taken();
            }
        }
        let all = report.tables.len();
        report.tables.retain(|one| one.taken != Taken::Followed || one.followed > 0);
        report.tables.sort_by(|a, b| a.table.cmp(&b.table));
        report.empty_tables = all - report.tables.len();
        report
    }
}

fn prepare(
    table: &Table,
    catalog: &Catalog,
    keys: &[(usize, usize)],
    groups: &[(u32, &[String])],
    plan: Option<&Plan>,
) -> Result<Work, LoadError> {
    let mut names = table.columns.clone();
    let loaded = names.len();
    let mut fields = |columns: &[String]| -> Vec<usize> {
        let of = |column: &String| {
            names.iter().position(|name| name == column).unwrap_or_else(|| {
                // A column that is computed is not loaded, but may refer to something.
                names.push(column.clone());
                names.len() - 1
            })
        };
        columns.iter().map(of).collect::<Vec<_>>()
    };
    let is = |oid: u32| table.oid == oid || table.above.contains(&oid);
    let refers = keys.iter().filter(|(at, _)| is(catalog.keys[*at].table));
    let refers: Vec<_> =
        refers.map(|(at, group)| (*at, *group, fields(&catalog.keys[*at].columns))).collect();
    let offers = groups.iter().enumerate().filter(|(_, (other, _))| is(*other));
    let offers: Vec<_> = offers.map(|(group, (_, columns))| (group, fields(columns))).collect();
    let mask = match plan {
        None => None,
        Some(plan) => mask(plan, table, loaded)?,
    };
    let layout = Layout {
        table: format!("{}.{}", quoted(&table.schema), quoted(&table.name)),
        selected: names.iter().map(|name| selected(name, table, plan)).collect(),
        columns: table.columns.iter().map(|name| quoted(name)).collect(),
    };
    Ok(Work {
        layout,
        refers,
        offers,
        mask,
        here: HashSet::new(),
        wanted: Vec::new(),
        chosen: 0,
        followed: 0,
    })
}

/// A column, or what the source makes of it.
fn selected(column: &str, table: &Table, plan: Option<&Plan>) -> String {
    let found = plan.and_then(|plan| plan.table(&table.schema, &table.name));
    match found.and_then(|found| found.expression(column)) {
        Some(sql) => computed(column, sql),
        None => quoted(column),
    }
}

/// An expression in the place of a column, where null stays null.
pub(super) fn computed(column: &str, sql: &str) -> String {
    format!("CASE WHEN {} IS NULL THEN NULL ELSE ({sql}\n) END", quoted(column))
}

/// How the rows of a table are masked; `None` if they are not.
fn mask(plan: &Plan, table: &Table, loaded: usize) -> Result<Option<RowMask>, LoadError> {
    let columns = &table.columns[..loaded];
    let found = plan.table(&table.schema, &table.name);
    // Both are read in one snapshot, so that this cannot be.
    let known = found.filter(|found| columns.iter().all(|column| found.has(column))).ok_or_else(|| {
        let what = format!(
            "{}.{} is not as its schema was read, so that no rule is known for it",
            table.schema, table.name
        );
        LoadError::Unmaskable { line: 0, what }
    })?;
    Ok(known.is_masked().then(|| RowMask::new(plan, known, Some(columns))))
}

/// Asks where the rows lie that keys refer to.
fn lookup(key: &ForeignKey, table: &str, only: bool, keys: &[Box<[u8]>]) -> String {
    let mut lists: Vec<String> = key.columns.iter().map(|_| String::new()).collect();
    for one in keys {
        for (list, field) in lists.iter_mut().zip(one.split(|byte| *byte == b'\t')) {
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(&element(&String::from_utf8_lossy(&decoded(field))));
        }
    }
    let lists = lists
        .iter()
        .zip(&key.types)
        .map(|(list, kind)| format!("pg_catalog.unnest({}::{kind}[])", literal(&format!("{{{list}}}"))));
    let lists: Vec<String> = lists.collect();
    let names: Vec<String> = (0..lists.len()).map(|at| format!("k{at}")).collect();
    let equal = key.other_columns.iter().zip(&key.operators).zip(&names);
    let equal: Vec<String> =
        equal.map(|((column, operator), name)| format!("p.{} {operator} k.{name}", quoted(column))).collect();
    format!(
        "SELECT p.tableoid, p.ctid::text FROM {}{table} p JOIN ROWS FROM ({}) AS k({}) ON {}",
        if only { "ONLY " } else { "" },
        lists.join(", "),
        names.join(", "),
        equal.join(" AND "),
    )
}

/// A value within an array.
fn element(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Tells how far it is under another name.
pub(super) struct Named<'a>(pub(super) &'a dyn Progress, pub(super) &'static str);

impl Progress for Named<'_> {
    fn step(&self, _: &str, _: u64, _: Option<u64>) {
        // A few bytes of SQL tell nothing of how long it takes.
        self.0.step(self.1, 0, None);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}
