//! From one schema to another and what is left: shared by the tests that run plans.
#![allow(dead_code, reason = "each test program uses a part of it")]

use offshoot_schema::diff::{Noise, diff};
use offshoot_schema::plan::{HazardKind, SETTINGS};
use offshoot_schema::{Facts, Plan, PlanOptions, plan, read};

use crate::seed;
use crate::support::Postgres;

/// How plans are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The order of columns counts, and dumps are equal byte by byte.
    Exact,
    /// As a person gets it: columns may stand in another order, and dumps are compared with the lines of each table sorted.
    Usual,
    /// The forms that let others go on, else like `Usual`.
    Online,
}

impl Mode {
    /// What `OFFSHOOT_CONFORMANCE_MODE` says: `exact`, `usual` or `online`.
    pub(crate) fn wanted_or(otherwise: Self) -> Self {
        match std::env::var("OFFSHOOT_CONFORMANCE_MODE").as_deref() {
            Ok("exact") => Self::Exact,
            Ok("usual") => Self::Usual,
            Ok("online") => Self::Online,
            _ => otherwise,
        }
    }

    fn options(self) -> PlanOptions {
        let noise = Noise { column_order: self == Self::Exact, ..Noise::default() };
        PlanOptions { noise, online: self == Self::Online, ..PlanOptions::default() }
    }

    fn comparable(self, dump: &str) -> String {
        if self == Self::Exact { dump.to_owned() } else { with_sorted_tables(dump) }
    }
}

/// A dump in which the lines within each `CREATE TABLE` are sorted: the order of columns is physical.
fn with_sorted_tables(dump: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut table: Option<Vec<String>> = None;
    for line in dump.lines() {
        match &mut table {
            None => {
                let begins = (line.starts_with("CREATE TABLE ")
                    || line.starts_with("CREATE UNLOGGED TABLE ")
                    || line.starts_with("CREATE FOREIGN TABLE "))
                    && line.ends_with('(');
                table = begins.then(Vec::new);
                lines.push(line.to_owned());
            }
            Some(inner) if line.starts_with(')') => {
                inner.sort();
                lines.append(inner);
                lines.push(line.to_owned());
                table = None;
            }
            Some(inner) => inner.push(line.trim_end_matches(',').to_owned()),
        }
    }
    lines.join("\n")
}

/// Why a plan did not run.
#[derive(Debug)]
struct Stop {
    message: String,
    /// Whether the step said that it may fail.
    announced: bool,
}

/// Runs a plan as its parts say.
fn run(client: &mut postgres::Client, plan: &Plan) -> Result<(), Stop> {
    let stop = |sql: &str, error: &postgres::Error, announced: bool| {
        let message =
            error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
        Stop { message: format!("{message} in: {sql}"), announced }
    };
    for setting in SETTINGS {
        client.batch_execute(setting).map_err(|error| stop(setting, &error, false))?;
    }
    for part in &plan.parts {
        if part.transactional {
            client.batch_execute("BEGIN").unwrap();
        }
        for step in &part.steps {
            let announced = step.hazards.iter().any(|hazard| hazard.kind == HazardKind::MayFail);
            for statement in &step.statements {
                client.batch_execute(statement).map_err(|error| stop(statement, &error, announced))?;
            }
        }
        if part.transactional {
            client.batch_execute("COMMIT").map_err(|error| stop("COMMIT", &error, false))?;
        }
    }
    Ok(())
}

/// Runs a plan; panics with the statement that fails.
pub(crate) fn run_or_panic(client: &mut postgres::Client, plan: &Plan) {
    run(client, plan).unwrap_or_else(|stop| panic!("{}\n{}", stop.message, plan.sql()));
}

/// A database that pairs use one after the other.
pub(crate) struct Room<'a> {
    server: &'a Postgres,
    database: String,
    client: postgres::Client,
    pristine: Facts,
    /// Whether nothing was done in it since it was made or cleared.
    clean: bool,
    dumps: bool,
    /// Whether tables get rows before a plan runs.
    pub(crate) seeded: bool,
}

impl<'a> Room<'a> {
    pub(crate) fn new(server: &'a Postgres, database: String) -> Self {
        server.create(&database);
        let mut client = server.connect(&database);
        let pristine = read(&mut client).unwrap();
        Self { server, database, client, pristine, clean: true, dumps: true, seeded: true }
    }

    /// One whose schemas are compared as facts only.
    pub(crate) fn without_dumps(server: &'a Postgres, database: String) -> Self {
        Self { dumps: false, ..Self::new(server, database) }
    }

    /// Clears the database. One that does not become as it was is made anew.
    fn clear(&mut self) {
        if std::mem::replace(&mut self.clean, false) {
            return;
        }
        let cleared = self.client.batch_execute(CLEAR).map_err(|error| format!("{error:?}"));
        let after = read(&mut self.client);
        let same = |facts: &Facts| differences(facts, &self.pristine, Noise::default()).is_empty();
        if cleared.is_ok() && after.as_ref().is_ok_and(same) {
            return;
        }
        if is_chatty() {
            let left = after.map(|after| differences(&after, &self.pristine, Noise::default()));
            eprintln!("{} is made anew: {cleared:?} {left:?}", self.database);
        }
        let drop = format!("DROP DATABASE \"{}\" WITH (FORCE)", self.database);
        self.server.connect("postgres").batch_execute(&drop).unwrap();
        self.server.create(&self.database);
        self.client = self.server.connect(&self.database);
    }

    /// Clears the database and runs a script in it.
    pub(crate) fn load(&mut self, sql: &str) -> Result<Side, String> {
        self.clear();
        self.client.batch_execute(sql).map_err(|error| format!("the pair does not load: {error:?}"))?;
        self.client.batch_execute("RESET ALL").unwrap();
        let facts = read(&mut self.client).map_err(|error| error.to_string())?;
        Ok(Side { sql: sql.to_owned(), facts, dump: self.dump() })
    }

    fn dump(&self) -> Option<String> {
        let wanted = std::env::var_os("OFFSHOOT_CONFORMANCE_NO_DUMP").is_none();
        if wanted && self.dumps { self.server.dump(&self.database) } else { None }
    }

    /// Goes from `from`, which is loaded here, to `to`, with rows in its tables, and compares.
    pub(crate) fn travel(&mut self, from: &Side, to: &Side, mode: Mode) -> Result<(), String> {
        let before = if self.seeded { seed::fill(&mut self.client) } else { seed::Contents::new() };
        let outcome = self.travel_once(from, to, mode, &before);
        match outcome {
            Err(Miss::Announced(why)) => {
                if is_chatty() {
                    eprintln!("the plan had said that it may fail: {why}");
                }
                let _ = self.client.batch_execute("ROLLBACK");
                self.clear();
                self.client.batch_execute(&from.sql).unwrap();
                self.client.batch_execute("RESET ALL").unwrap();
                let none = seed::contents(&mut self.client);
                self.travel_once(from, to, mode, &none).map_err(Miss::into_text)
            }
            outcome => outcome.map_err(Miss::into_text),
        }
    }

    fn travel_once(
        &mut self,
        from: &Side,
        to: &Side,
        mode: Mode,
        before: &seed::Contents,
    ) -> Result<(), Miss> {
        let plan = plan(&from.facts, &to.facts, &mode.options());
        let script = || if is_chatty() { plan.sql() } else { String::new() };
        if let [why, ..] = plan.unplanned.as_slice() {
            return Err(Miss::Real(format!("no plan: {why}")));
        }
        run(&mut self.client, &plan).map_err(|stop| {
            let text = format!("does not run: {}\n{}", stop.message, script());
            if stop.announced { Miss::Announced(text) } else { Miss::Real(text) }
        })?;
        self.client.batch_execute("RESET ALL").unwrap();
        let real = |text: String| Err(Miss::Real(format!("{text}\n{}", script())));
        let after = read(&mut self.client).map_err(|error| Miss::Real(error.to_string()))?;
        let left = differences(&after, &to.facts, mode.options().noise);
        if !left.is_empty() {
            return real(format!("differs: {}", left.join("; ")));
        }
        if !plan.is_empty() && self.seeded {
            let lost = seed::lost(before, &seed::contents(&mut self.client), &plan);
            if !lost.is_empty() {
                return real(format!("loses rows and does not say so: {}", lost.join("; ")));
            }
        }
        let dump = if plan.is_empty() { from.dump.clone() } else { self.dump() };
        let (is, wanted) = (dump.map(|text| mode.comparable(&text)), &to.dump);
        let wanted = wanted.as_ref().map(|text| mode.comparable(text));
        if is != wanted {
            let difference = first_difference(is.as_deref(), wanted.as_deref());
            return real(format!("dump differs: {difference}"));
        }
        Ok(())
    }
}

enum Miss {
    /// The plan had said that it may fail with such rows.
    Announced(String),
    Real(String),
}

impl Miss {
    fn into_text(self) -> String {
        match self {
            Self::Announced(text) | Self::Real(text) => text,
        }
    }
}

fn is_chatty() -> bool {
    std::env::var_os("OFFSHOOT_CONFORMANCE_ONLY").is_some()
}

/// Drops whatever a pair has made, as far as that goes by a few rules.
const CLEAR: &str = include_str!("clear.sql");

/// A loaded schema.
pub(crate) struct Side {
    sql: String,
    pub(crate) facts: Facts,
    dump: Option<String>,
}

/// What differs, a line each.
pub(crate) fn differences(is: &Facts, wanted: &Facts, noise: Noise) -> Vec<String> {
    diff(is, wanted, &noise).iter().map(|left| format!("{} {:?}", left.id, left.delta)).collect()
}

fn first_difference(is: Option<&str>, wanted: Option<&str>) -> String {
    let (is, wanted) = (is.unwrap_or_default(), wanted.unwrap_or_default());
    let lines = is.lines().zip(wanted.lines()).find(|(is, wanted)| is != wanted);
    lines.map_or_else(|| "one is longer".to_owned(), |(is, wanted)| format!("{is:?} should be {wanted:?}"))
}

/// Goes both ways between two scripts; the directions that fail, with the reason.
pub(crate) fn both_ways(
    rooms: &mut [Room<'_>; 2],
    from: &str,
    to: &str,
    mode: Mode,
) -> Vec<(String, String)> {
    let [one, other] = rooms;
    let sides = one.load(from).and_then(|from| Ok((from, other.load(to)?)));
    let (from, to) = match sides {
        Ok(sides) => sides,
        Err(why) => return vec![("load".to_owned(), why)],
    };
    let forth = one.travel(&from, &to, mode).err().map(|why| ("forth".to_owned(), why));
    let back = other.travel(&to, &from, mode).err().map(|why| ("back".to_owned(), why));
    forth.into_iter().chain(back).collect()
}
