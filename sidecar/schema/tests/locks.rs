//! The locks that a plan names are those that Postgres takes, and the online forms do what they promise.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

#[path = "support/seed.rs"]
mod seed;
mod support;
#[path = "support/travel.rs"]
mod travel;

use offshoot_schema::plan::{HazardKind, LockLevel, SETTINGS};
use offshoot_schema::{Plan, PlanOptions, plan, read};
use support::Postgres;
use travel::run_or_panic;

const FROM: &str = "
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE t (id int NOT NULL, a int, b text, c int DEFAULT 1, d varchar(5), e text, g int NOT NULL, old int);
ALTER TABLE t ADD CONSTRAINT later CHECK (a > 0) NOT VALID;
CREATE INDEX gone ON t (g); CREATE INDEX kept ON t (a);
CREATE TRIGGER quiet AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE TRIGGER away AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE POLICY pol ON t USING (a > 0);
CREATE TABLE m (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE VIEW v AS SELECT a FROM t;
INSERT INTO p VALUES (1); INSERT INTO t VALUES (1, 1, 'b', 1, 'd', 'e', 1, 1), (2, 1, 'b', 1, 'd', 'e', 1, 1);
";

const TO: &str = "
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b text CHECK (b <> ''), c int DEFAULT 2, d varchar(9), e text, g int, fresh int) WITH (fillfactor = 60);
ALTER TABLE t ADD CONSTRAINT later CHECK (a > 0), ADD CONSTRAINT pair UNIQUE (id, b) INCLUDE (g) DEFERRABLE;
ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p;
ALTER TABLE t ALTER e SET STATISTICS 300, ALTER e SET STORAGE EXTERNAL, ALTER a SET (n_distinct = 4), REPLICA IDENTITY FULL, ENABLE ROW LEVEL SECURITY, CLUSTER ON kept_2;
CREATE INDEX kept ON t (a); CREATE UNIQUE INDEX fresh_i ON t (id, g);
CREATE TRIGGER quiet AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t DISABLE TRIGGER quiet;
CREATE TRIGGER made AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE POLICY pol ON t USING (a > 1);
CREATE STATISTICS st ON a, g FROM t;
COMMENT ON TABLE t IS 'tee'; COMMENT ON COLUMN t.a IS 'a';
CREATE TABLE m (id int, at date) PARTITION BY RANGE (at);
CREATE VIEW v AS SELECT a, b FROM t;
GRANT SELECT ON t TO PUBLIC;
";

const MODES: &[&str] = &[
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
];

fn mode(level: LockLevel) -> &'static str {
    match level {
        LockLevel::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
        LockLevel::Share => "ShareLock",
        LockLevel::ShareRowExclusive => "ShareRowExclusiveLock",
        LockLevel::AccessExclusive => "AccessExclusiveLock",
    }
}

fn plans(server: &Postgres, online: bool) -> (postgres::Client, Plan) {
    let to = TO.replace(", CLUSTER ON kept_2", "");
    let (mut one, mut other) =
        (server.database(&format!("from {online}"), FROM), server.database(&format!("to {online}"), &to));
    let (old, new) = (read(&mut one).unwrap(), read(&mut other).unwrap());
    let plan = plan(&old, &new, &PlanOptions { online, ..PlanOptions::default() });
    (one, plan)
}

#[test]
fn named_locks_are_those_that_postgres_takes() {
    let Some(server) = Postgres::start(15) else { return };
    let (mut client, plan) = plans(&server, false);
    for setting in SETTINGS {
        client.batch_execute(setting).unwrap();
    }
    let mut wrong = Vec::new();
    for step in plan.steps() {
        let oid: Option<u32> =
            client.query_one("SELECT to_regclass($1)::oid", &[&step.object.id().sql()]).unwrap().get(0);
        client.batch_execute("BEGIN").unwrap();
        for statement in &step.statements {
            client.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
        let rows = client
            .query(
                "SELECT mode FROM pg_catalog.pg_locks WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND relation OPERATOR(pg_catalog.=) $1",
                &[&oid],
            )
            .unwrap();
        client.batch_execute("COMMIT").unwrap();
        let taken =
            rows.iter().filter_map(|row| MODES.iter().position(|mode| *mode == row.get::<_, &str>(0))).max();
        let taken = taken.filter(|place| *place > 2).map(|place| MODES[place]);
        let named = step.lock.map(|lock| mode(lock.level));
        if oid.is_some() && taken != named {
            wrong.push(format!("{:?} takes {taken:?}, but {named:?} is named", step.statements));
        }
    }
    assert!(plan.steps().count() > 20);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn online_plan_holds_no_strong_lock_for_long() {
    let Some(server) = Postgres::start(15) else { return };
    let (mut client, plan) = plans(&server, true);
    let script = plan.sql();
    for wanted in [
        "CREATE UNIQUE INDEX CONCURRENTLY pair ON public.t USING btree (id, b) INCLUDE (g);",
        "ADD CONSTRAINT pair UNIQUE USING INDEX pair DEFERRABLE;",
        "ADD CONSTRAINT t_pkey PRIMARY KEY USING INDEX t_pkey;",
        "DROP INDEX CONCURRENTLY public.gone;",
        "ADD CONSTRAINT a__offshoot_not_null CHECK (a IS NOT NULL) NOT VALID;",
        "DETACH PARTITION public.m_1 CONCURRENTLY;",
        "VALIDATE CONSTRAINT t_a_fkey;",
    ] {
        assert!(script.contains(wanted), "{wanted}\n{script}");
    }
    for step in plan.steps() {
        let long = step.lock.is_some_and(|lock| !lock.brief && lock.level > LockLevel::ShareUpdateExclusive);
        assert!(!long, "{:?}", step.statements);
        assert!(!step.hazards.iter().any(|hazard| hazard.kind == HazardKind::BuildsIndex), "{step:?}");
    }
    run_or_panic(&mut client, &plan);
    client.batch_execute("RESET ALL").unwrap();
    let left = travel::differences(
        &read(&mut client).unwrap(),
        &read(&mut server.connect("to true")).unwrap(),
        offshoot_schema::diff::Noise::default(),
    );
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn validation_leaves_no_lock_that_stops_writers_for_long_on_18() {
    let Some(server) = Postgres::start(18) else { return };
    let (mut client, plan) = plans(&server, true);
    assert!(plan.sql().contains("ADD CONSTRAINT t_a_not_null NOT NULL a NOT VALID;"), "{}", plan.sql());
    run_or_panic(&mut client, &plan);
    client.batch_execute("RESET ALL").unwrap();
    let new = read(&mut server.connect("to true")).unwrap();
    let left =
        travel::differences(&read(&mut client).unwrap(), &new, offshoot_schema::diff::Noise::default());
    assert_eq!(left, Vec::<String>::new());
}
