//! Pairs of schemas from public projects: plans between them run, and leave nothing different.
//!
//! The pairs lie in `*.jsonl` files, one object a line with `name`, `from` and `to`, in the folder that
//! `OFFSHOOT_CONFORMANCE` names, else in `../shared/conformance` beside the repository.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use offshoot_schema::diff::{Noise, diff};
use offshoot_schema::plan::SETTINGS;
use offshoot_schema::{Facts, Plan, PlanOptions, plan, read};
use support::Postgres;

/// Pairs that are known to fail, each with the reason: `suite/name direction`.
const KNOWN_MISSES: &[(&str, &str)] = &[
    ("migra/inherit2 forth", "a column that becomes the child's own stays where it was"),
    ("migra/inherit2 back", "a column of its own does not become an inherited one"),
    (
        "stripe/local_partition_index_cases_test.go:Delete columns and associated index back",
        "a new column belongs before the partition key, whose column cannot be made anew",
    ),
    (
        "stripe/partitioned_index_cases_test.go:Delete columns and associated index back",
        "a new column belongs before the partition key, whose column cannot be made anew",
    ),
    (
        "stripe/partitioned_index_cases_test.go:Local index and columns deleted (index dropped first) back",
        "a new column belongs before the partition key, whose column cannot be made anew",
    ),
    (
        "stripe/sequence_cases_test.go:Drop sequence via deleting column (partitioned table) back",
        "a new column belongs before the partition key, whose column cannot be made anew",
    ),
    (
        "stripe/partitioned_table_cases_test.go:Can handle scenario where partition is not attached forth",
        "of two like indexes Postgres attaches the other one",
    ),
];

/// Roles that pairs need. Roles belong to the whole server, so they are made once.
const ROLES: &[&str] = &[
    "admin_role",
    "admin_user",
    "api_role",
    "api_user",
    "app_role",
    "app_user",
    "appname_apiuser",
    "column_reader",
    "demouser",
    "manager_role",
    "old_role",
    "owner_role",
    "reader",
    "readonly_role",
    "readonly_user",
    "role_1",
    "role_2",
    "schemainspect_test_role",
    "test_admin",
    "testuser",
];

struct Pair {
    suite: String,
    name: String,
    from: String,
    to: String,
}

fn folder() -> PathBuf {
    std::env::var_os("OFFSHOOT_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    )
}

fn pairs(folder: &Path) -> Vec<Pair> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let only = std::env::var("OFFSHOOT_CONFORMANCE_ONLY").unwrap_or_default();
    let mut pairs = Vec::new();
    for file in files {
        let suite = file.file_stem().unwrap().to_string_lossy().into_owned();
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| without_roles(value[name].as_str().unwrap_or_default());
            let name = value["name"].as_str().unwrap_or_default().to_owned();
            if format!("{suite}/{name}").contains(&only) {
                pairs.push(Pair { suite: suite.clone(), name, from: text("from"), to: text("to") });
            }
        }
    }
    pairs
}

/// Roles are there already.
fn without_roles(sql: &str) -> String {
    let mut text = sql.to_owned();
    for role in ROLES {
        text = text.replace(&format!("CREATE ROLE {role};"), "");
    }
    text
}

/// Runs a plan as its parts say.
fn run(client: &mut postgres::Client, plan: &Plan) -> Result<(), String> {
    let fail = |sql: &str, error: &postgres::Error| {
        let message =
            error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
        format!("{message} in: {sql}")
    };
    for setting in SETTINGS {
        client.batch_execute(setting).map_err(|error| fail(setting, &error))?;
    }
    for part in &plan.parts {
        if part.transactional {
            client.batch_execute("BEGIN").unwrap();
        }
        for statement in part.steps.iter().flat_map(|step| &step.statements) {
            client.batch_execute(statement).map_err(|error| fail(statement, &error))?;
        }
        if part.transactional {
            client.batch_execute("COMMIT").map_err(|error| fail("COMMIT", &error))?;
        }
    }
    Ok(())
}

/// A database that pairs use one after the other.
struct Room<'a> {
    server: &'a Postgres,
    database: String,
    client: postgres::Client,
    pristine: Facts,
}

impl<'a> Room<'a> {
    fn new(server: &'a Postgres, database: String) -> Self {
        server.create(&database);
        let mut client = server.connect(&database);
        let pristine = read(&mut client).unwrap();
        Self { server, database, client, pristine }
    }

    /// Clears the database. One that does not become as it was is made anew.
    fn clear(&mut self) {
        let cleared = self.client.batch_execute(CLEAR).map_err(|error| format!("{error:?}"));
        let after = read(&mut self.client);
        if cleared.is_ok()
            && after
                .as_ref()
                .is_ok_and(|facts| differences(facts, &self.pristine, Noise::default()).is_empty())
        {
            return;
        }
        if std::env::var_os("OFFSHOOT_CONFORMANCE_ONLY").is_some() {
            let left = after.map(|after| differences(&after, &self.pristine, Noise::default()));
            eprintln!("{} is made anew: {cleared:?} {left:?}", self.database);
        }
        let drop = format!("DROP DATABASE \"{}\" WITH (FORCE)", self.database);
        self.server.connect("postgres").batch_execute(&drop).unwrap();
        self.server.create(&self.database);
        self.client = self.server.connect(&self.database);
    }

    fn load(&mut self, sql: &str) -> Result<Side, String> {
        self.clear();
        self.client.batch_execute(sql).map_err(|error| format!("the pair does not load: {error:?}"))?;
        self.client.batch_execute("RESET ALL").unwrap();
        let facts = read(&mut self.client).map_err(|error| error.to_string())?;
        Ok(Side { facts, dump: self.dump() })
    }

    fn dump(&self) -> Option<String> {
        let wanted = std::env::var_os("OFFSHOOT_CONFORMANCE_NO_DUMP").is_none();
        if wanted { self.server.dump(&self.database) } else { None }
    }
}

/// Drops whatever a pair has made, as far as that goes by a few rules.
const CLEAR: &str = "
ROLLBACK; RESET ALL; SET client_min_messages = error;
DO $$ DECLARE x record; BEGIN
  FOR x IN SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' LOOP EXECUTE format('DROP EXTENSION %I CASCADE', x.extname); END LOOP;
  FOR x IN SELECT DISTINCT grantee FROM (SELECT pg_get_userbyid((aclexplode(defaclacl)).grantee) AS grantee FROM pg_default_acl
      UNION SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres' AND EXISTS (SELECT FROM pg_default_acl)) y
      WHERE grantee <> 'postgres' AND EXISTS (SELECT FROM pg_roles WHERE rolname = grantee) LOOP
    EXECUTE format('DROP OWNED BY %I CASCADE', x.grantee); END LOOP;
  FOR x IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public') LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', x.nspname); END LOOP;
  FOR x IN SELECT c.oid::regclass AS name, CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
      WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END AS kind FROM pg_class c WHERE relnamespace = 'public'::regnamespace
      AND relkind IN ('r', 'p', 'v', 'm', 'S', 'c') ORDER BY relkind = 'S' LOOP
    IF EXISTS (SELECT FROM pg_class WHERE oid = x.name::oid) THEN EXECUTE format('DROP %s %s CASCADE', x.kind, x.name); END IF; END LOOP;
  FOR x IN SELECT oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace LOOP
    IF EXISTS (SELECT FROM pg_proc WHERE oid = x.oid) THEN EXECUTE format('DROP ROUTINE %s CASCADE', x.oid::regprocedure); END IF; END LOOP;
  FOR x IN SELECT collname FROM pg_collation WHERE collnamespace = 'public'::regnamespace LOOP
    EXECUTE format('DROP COLLATION public.%I CASCADE', x.collname); END LOOP;
  FOR x IN SELECT oid FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd', 'r') LOOP
    IF EXISTS (SELECT FROM pg_type WHERE oid = x.oid) THEN EXECUTE format('DROP TYPE %s CASCADE', x.oid::regtype); END IF; END LOOP;
END $$;
RESET ALL;
";

struct Side {
    facts: Facts,
    dump: Option<String>,
}

/// Goes from one side to the other and compares.
fn travel(room: &mut Room<'_>, from: &Side, to: &Side) -> Result<(), String> {
    // Dumps show the order of columns.
    let noise = Noise { column_order: true, ..Noise::default() };
    let plan = plan(&from.facts, &to.facts, &PlanOptions { noise, ..PlanOptions::default() });
    let script =
        || if std::env::var_os("OFFSHOOT_CONFORMANCE_ONLY").is_some() { plan.sql() } else { String::new() };
    if let [why, ..] = plan.unplanned.as_slice() {
        return Err(format!("no plan: {why}"));
    }
    run(&mut room.client, &plan).map_err(|error| format!("does not run: {error}\n{}", script()))?;
    room.client.batch_execute("RESET ALL").unwrap();
    let after = read(&mut room.client).map_err(|error| error.to_string())?;
    let left = differences(&after, &to.facts, Noise::default());
    if !left.is_empty() {
        return Err(format!("differs: {}\n{}", left.join("; "), script()));
    }
    let dump = if plan.is_empty() { from.dump.clone() } else { room.dump() };
    if dump != to.dump {
        let difference = first_difference(dump.as_deref(), to.dump.as_deref());
        return Err(format!("dump differs: {difference}\n{}", script()));
    }
    let all = Noise { column_order: true, ..Noise::default() };
    let order = differences(&after, &to.facts, all);
    if dump.is_none() && !order.is_empty() {
        return Err(format!("order differs: {}\n{}", order.join("; "), script()));
    }
    Ok(())
}

fn differences(is: &Facts, wanted: &Facts, noise: Noise) -> Vec<String> {
    diff(is, wanted, &noise).iter().map(|left| format!("{} {:?}", left.id, left.delta)).collect()
}

fn first_difference(is: Option<&str>, wanted: Option<&str>) -> String {
    let (is, wanted) = (is.unwrap_or_default(), wanted.unwrap_or_default());
    let lines = is.lines().zip(wanted.lines()).find(|(is, wanted)| is != wanted);
    lines.map_or_else(|| "one is longer".to_owned(), |(is, wanted)| format!("{is:?} should be {wanted:?}"))
}

fn check(rooms: &mut [Room<'_>; 2], pair: &Pair) -> Vec<(String, String)> {
    let [one, other] = rooms;
    let sides = one.load(&pair.from).and_then(|from| Ok((from, other.load(&pair.to)?)));
    let (from, to) = match sides {
        Ok(sides) => sides,
        Err(why) => return vec![("load".to_owned(), why)],
    };
    let forth = travel(one, &from, &to).err().map(|why| ("forth".to_owned(), why));
    let back = travel(other, &to, &from).err().map(|why| ("back".to_owned(), why));
    forth.into_iter().chain(back).collect()
}

#[test]
fn plans_between_public_schemas_leave_nothing_different() {
    let folder = folder();
    let pairs = pairs(&folder);
    if pairs.is_empty() {
        eprintln!(
            "SKIPPED: there are no conformance pairs in {}; set OFFSHOOT_CONFORMANCE",
            folder.display()
        );
        return;
    }
    let Some(server) = Postgres::start(15) else { return };
    for role in ROLES {
        server.connect("postgres").batch_execute(&format!("CREATE ROLE {role}")).unwrap();
    }
    if server.dump("postgres").is_none() {
        eprintln!("SKIPPED in part: there is no pg_dump of Postgres 15, so that dumps are not compared");
    }
    let next = AtomicUsize::new(0);
    let misses = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (server, next, pairs, misses) = (&server, &next, &pairs, &misses);
            scope.spawn(move || {
                let mut rooms = ["a", "b"].map(|side| Room::new(server, format!("{side}{worker}")));
                while let Some(pair) = take(next, pairs) {
                    for (direction, why) in check(&mut rooms, pair) {
                        let name = format!("{}/{} {direction}", pair.suite, pair.name);
                        eprintln!("MISS {name}: {why}");
                        misses.lock().unwrap().push((name, why));
                    }
                }
            });
        }
    });
    let mut misses = misses.into_inner().unwrap();
    misses.sort();
    let mut suites: BTreeMap<&str, usize> = BTreeMap::new();
    for pair in &pairs {
        *suites.entry(&pair.suite).or_default() += 2;
    }
    for (suite, count) in &suites {
        let failed = misses.iter().filter(|(name, _)| name.starts_with(&format!("{suite}/"))).count();
        eprintln!("conformance {suite}: {} of {count} directions pass", count - failed);
    }
    for (name, why) in KNOWN_MISSES {
        if misses.iter().any(|(miss, _)| miss == name) {
            eprintln!("KNOWN MISS {name}: {why}");
        }
    }
    let known = |name: &str| KNOWN_MISSES.iter().any(|(known, _)| *known == name);
    let new: Vec<&String> = misses.iter().map(|(name, _)| name).filter(|name| !known(name)).collect();
    assert!(new.is_empty(), "{} new misses: {new:#?}", new.len());
}

fn take<'a>(next: &AtomicUsize, pairs: &'a [Pair]) -> Option<&'a Pair> {
    pairs.get(next.fetch_add(1, Ordering::SeqCst))
}
