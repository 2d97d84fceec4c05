//! One look at the source, from its schema to its last row.

use postgres::{Client, NoTls};

use super::catalog::{Catalog, Sequence};
use super::choose::{Rule, choose};
use super::rows::{Named, Walk, computed};
use super::stream::{Ends, Layout, literal, quoted, source_failure};
use super::{Subset, SubsetError};
use crate::client::ClientTools;
use crate::load::{Address, LoadError, LoadReport, Masking, connect_failure, dump_part};
use crate::mask::{self, MaskError, Plan, Transformer};
use crate::progress::Progress;
use crate::tls::Tls;
use crate::watch;

/// The oldest server that the catalogs are read of.
const OLDEST: i32 = 120_000;
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// A connection to the source that holds a snapshot of it, which all readers share. The source takes all back when it is dropped.
pub struct Session {
    client: Client,
    tls: Tls,
    address: Address,
    snapshot: String,
    lock_timeout: std::time::Duration,
    catalog: Catalog,
    rules: Vec<Rule>,
    large_objects: i64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address has a password.
        f.debug_struct("Session").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

impl Session {
    /// Connects to the database at `url`, reads what it has and finds out what is wanted of it. Nothing is made anywhere.
    ///
    /// # Errors
    /// Those of connecting, as [`crate::load::dump_server`]; [`LoadError::Subset`] if a table is not there or a condition is no SQL
    /// that the source understands.
    pub fn open(url: &str, subset: &Subset, progress: &dyn Progress) -> Result<Self, LoadError> {
        progress.step("Read the catalogs of the source", 0, None);
        let address = Address::parse(url);
        let config = address.client_config().map_err(|message| LoadError::SourceUnreachable { message });
        let mut config = config?;
        let seconds = std::time::Duration::from_secs;
        config.connect_timeout(CONNECT_TIMEOUT).keepalives_idle(seconds(30)).keepalives_interval(seconds(10));
        config.keepalives_retries(6);
        if config.get_application_name().is_none() {
            config.application_name("offshoot");
        }
        let tls = address.tls()?;
        let mut client = tls.connect(&config).map_err(connect_failure)?;
        let (token, maker) = (client.cancel_token(), tls.maker());
        let cancel = move || {
            // If the request fails, the query still ends by its limit.
            let _ = token.cancel_query(maker);
        };
        let opened = watch::beside(progress, cancel, || begin(&mut client, subset));
        let (snapshot, catalog, rules, large_objects) = match opened {
            Err(_) if progress.is_cancelled() => return Err(LoadError::Cancelled),
            other => other?,
        };
        let lock_timeout = subset.lock_timeout;
        Ok(Self { client, tls, address, snapshot, lock_timeout, catalog, rules, large_objects })
    }

    /// Has the source read the expressions among the rules, and work out none.
    ///
    /// # Errors
    /// [`LoadError::Mask`] for one that it does not understand.
    pub fn check_expressions(&mut self, rules: &[mask::Rule]) -> Result<(), LoadError> {
        for mask::Rule { column: name, with } in rules {
            let Transformer::Sql(sql) = with else { continue };
            for table in
                self.catalog.tables.iter().filter(|table| self.catalog.is(table, &name.schema, &name.table))
            {
                let layout = Layout {
                    table: format!("{}.{}", quoted(&table.schema), quoted(&table.name)),
                    selected: vec![computed(&name.column, sql)],
                    columns: Vec::new(),
                };
                let Err(error) = self.client.prepare(&layout.query(None, None)) else { continue };
                let Some(refusal) = error.as_db_error() else {
                    return Err(source_failure(&error, &name.to_string()));
                };
                let hint = refusal.hint().map(|hint| format!("{hint} ")).unwrap_or_default();
                return Err(MaskError::new(
                    format!("the expression for {name}, `{sql}`, cannot be used: {}", refusal.message()),
                    format!(
                        "{hint}It is an expression in the source's SQL over the columns of its row: {}.",
                        table.columns.join(", ")
                    ),
                )
                .into());
            }
        }
        Ok(())
    }

    /// Makes the schema, and no row.
    ///
    /// # Errors
    /// As [`crate::load::dump_server`].
    pub fn schema(
        &self,
        tools: &ClientTools,
        client: &mut Client,
        masking: Option<Masking<'_>>,
        progress: &dyn Progress,
    ) -> Result<LoadReport, LoadError> {
        self.dump(tools, "--schema-only", client, masking, &Named(progress, "Read the schema"))
    }

    /// Makes the schema, loads the rows that are wanted and those that they refer to, and puts keys and indexes on them.
    ///
    /// # Errors
    /// As [`crate::load::dump_server`], and [`LoadError::Subset`] for what the source refuses.
    pub fn load(
        &mut self,
        tools: &ClientTools,
        client: &mut Client,
        mut plan: Option<&mut Plan>,
        progress: &dyn Progress,
    ) -> Result<LoadReport, LoadError> {
        let masking = plan.as_deref_mut().map(Masking::Rows);
        let named = Named(progress, "Make the tables");
        let mut report = self.dump(tools, "--section=pre-data", client, masking, &named)?;
        let notes = self.rows(client, plan.as_deref_mut(), &mut report, progress)?;
        report.notes.extend(notes);
        let masking = plan.as_deref_mut().map(Masking::Rows);
        let named = Named(progress, "Build indexes and check foreign keys");
        let rest = self.dump(tools, "--section=post-data", client, masking, &named)?;
        report.statements += rest.statements;
        report.bytes += rest.bytes;
        report.created_roles.extend(rest.created_roles);
        report.notes.extend(rest.notes);
        report.masked = plan.map(|plan| plan.report().to_vec()).unwrap_or_default();
        Ok(report)
    }

    fn dump(
        &self,
        tools: &ClientTools,
        part: &str,
        client: &mut Client,
        masking: Option<Masking<'_>>,
        progress: &dyn Progress,
    ) -> Result<LoadReport, LoadError> {
        let snapshot = format!("--snapshot={}", self.snapshot);
        dump_part(tools, &self.address, &[part, &snapshot], self.lock_timeout, client, masking, progress)
    }

    fn rows(
        &mut self,
        client: &mut Client,
        plan: Option<&mut Plan>,
        report: &mut LoadReport,
        progress: &dyn Progress,
    ) -> Result<Vec<String>, LoadError> {
        let mut walk = Walk::new(&self.catalog, &self.rules, plan.as_deref())?;
        let (source, target, maker) = (self.client.cancel_token(), client.cancel_token(), self.tls.maker());
        let cancel = move || {
            // If a request fails, the load still ends with the next row.
            let _ = target.cancel_query(NoTls);
            let _ = source.cancel_query(maker);
        };
        let mut ends = Ends { source: &mut self.client, target: client, progress };
        let done = watch::beside(progress, cancel, || {
            walk.run(&mut ends)?;
            sequences(&self.catalog.sequences, &mut ends)
        });
        let mut notes = match done {
            Err(_) if progress.is_cancelled() => return Err(LoadError::Cancelled),
            other => other?,
        };
        if let Some(plan) = plan {
            walk.note(plan);
        }
        report.rows_copied += walk.rows();
        let taken = walk.report();
        for table in taken.tables.iter().filter(|one| one.chosen == 0 && one.taken == super::Taken::Where) {
            notes.push(format!("no row of {} meets its condition", table.table));
        }
        if self.large_objects > 0 {
            notes.push(format!("{} large objects were left out", self.large_objects));
        }
        report.subset = Some(taken);
        Ok(notes)
    }
}

/// Takes the snapshot and reads what there is.
fn begin(client: &mut Client, subset: &Subset) -> Result<(String, Catalog, Vec<Rule>, i64), LoadError> {
    let said = |error: postgres::Error| source_failure(&error, "reading the catalogs");
    let row = client.query_one("SELECT pg_catalog.current_setting('server_version_num')::int", &[]);
    let version: i32 = row.map_err(said)?.get(0);
    if version < OLDEST {
        return Err(SubsetError::new(
            format!(
                "the source runs Postgres {}; a part of a database can be taken from 12 or newer",
                version / 10_000
            ),
            "Take the whole database, or a dump of it.",
        )
        .into());
    }
    if version >= 140_000 {
        // A query that waits or works would not notice that this process was killed. Not every system of a server knows how to look.
        let _ = client.batch_execute("SET client_connection_check_interval = '5s'");
    }
    client.batch_execute(&settings(subset)).map_err(said)?;
    let snapshot = client.query_one("SELECT pg_catalog.pg_export_snapshot()", &[]).map_err(said)?.get(0);
    let catalog = Catalog::read(client).map_err(said)?;
    let rules = choose(subset, &catalog)?;
    check_conditions(client, &catalog, &rules)?;
    let count = "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata";
    let large_objects = client.query_one(count, &[]).map_err(said)?.get(0);
    Ok((snapshot, catalog, rules, large_objects))
}

/// How values are written, as `pg_dump` has it, and what protects the source.
fn settings(subset: &Subset) -> String {
    format!(
        "SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET extra_float_digits = 3; SET bytea_output = 'hex'; \
         SET xmloption = 'content'; SET synchronize_seqscans = off; SET standard_conforming_strings = on; \
         SET row_security = off; SET idle_in_transaction_session_timeout = 0; \
         SET lock_timeout = '{}ms'; SET statement_timeout = '{}ms'; \
         BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        subset.lock_timeout.as_millis(),
        subset.statement_timeout.as_millis()
    )
}

/// Has the source read each condition, and run none.
fn check_conditions(client: &mut Client, catalog: &Catalog, rules: &[Rule]) -> Result<(), LoadError> {
    for (table, rule) in catalog.tables.iter().zip(rules) {
        let Rule::Where(filters) = rule else { continue };
        let name = format!("{}.{}", quoted(&table.schema), quoted(&table.name));
        let layout = Layout { table: name, selected: Vec::new(), columns: Vec::new() };
        for filter in filters {
            let query = layout.query(filter.alias.as_deref(), Some(&filter.sql));
            if let Err(error) = client.prepare(&query) {
                let Some(refusal) = error.as_db_error() else {
                    return Err(source_failure(&error, &filter.asked));
                };
                let hint = refusal.hint().map(|hint| format!("{hint} ")).unwrap_or_default();
                return Err(SubsetError::new(
                    format!("the condition `{}` cannot be used: {}", filter.asked, refusal.message()),
                    format!(
                        "{hint}It is what stands behind WHERE in the source's SQL; {} has the columns {}.",
                        catalog.shown(table),
                        table.columns.join(", ")
                    ),
                )
                .into());
            }
        }
    }
    Ok(())
}

/// Has sequences go on where those of the source are.
fn sequences(sequences: &[Sequence], ends: &mut Ends<'_>) -> Result<Vec<String>, LoadError> {
    let mut notes = Vec::new();
    for Sequence { schema, name, readable, owner } in sequences {
        let full = format!("{}.{}", quoted(schema), quoted(name));
        let sequence = format!("{}::pg_catalog.regclass", literal(&full));
        let sql = if *readable {
            let read = ends.source.query_one(&format!("SELECT last_value, is_called FROM {full}"), &[]);
            let row = read.map_err(|error| source_failure(&error, &full))?;
            let (value, is_called): (i64, bool) = (row.get(0), row.get(1));
            format!("SELECT pg_catalog.setval({sequence}, {value}, {is_called})")
        } else if let Some((schema, table, column)) = owner {
            let column = quoted(column);
            format!(
                "SELECT pg_catalog.setval({sequence}, pg_catalog.max({column})::bigint) FROM {}.{} HAVING pg_catalog.max({column}) >= 1",
                quoted(schema),
                quoted(table)
            )
        } else {
            notes.push(format!(
                "the sequence {schema}.{name} begins anew: the role may not read it (GRANT SELECT)"
            ));
            continue;
        };
        ends.target
            .batch_execute(&sql)
            .map_err(|error| LoadError::Connection(crate::load::causes(&error)))?;
    }
    Ok(notes)
}
