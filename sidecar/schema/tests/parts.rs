//! The parts of plans: what runs together, in which order, and what is locked meanwhile.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

#[path = "support/seed.rs"]
mod seed;
mod support;
#[path = "support/travel.rs"]
mod travel;

use std::collections::BTreeMap;

use offshoot_schema::plan::{HazardKind, LockLevel, Part, SETTINGS, Step};
use offshoot_schema::{Facts, Plan, PlanOptions, Renames, plan, read, renames};
use support::Postgres;
use travel::{differences, run_or_panic};

/// A table that is used through a view, with all that hangs on both.
const SHOP: &str = "
CREATE TYPE state AS ENUM ('new', 'paid', 'gone');
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE customer (id int PRIMARY KEY, email text);
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customer, state state NOT NULL DEFAULT 'new',
  price numeric(8,2) DEFAULT 1, code varchar(5), a int, b int);
CREATE VIEW open AS SELECT id, price, state FROM orders WHERE state = 'new';
COMMENT ON VIEW open IS 'open ones'; GRANT SELECT ON open TO PUBLIC;
CREATE TRIGGER seen INSTEAD OF INSERT ON open FOR EACH ROW EXECUTE FUNCTION f();
CREATE INDEX orders_new ON orders (id) WHERE state = 'new';
INSERT INTO customer VALUES (1, 'x'); INSERT INTO orders VALUES (1, 1), (2, 1);
";

/// The plan from `SHOP` to `SHOP` with changes, and the database to run it in.
fn shop(
    server: &Postgres,
    name: &str,
    changes: &str,
    options: &PlanOptions,
) -> (postgres::Client, Facts, Plan) {
    let mut client = server.database(name, SHOP);
    let mut other = server.database(&format!("{name} to"), SHOP);
    other.batch_execute(changes).unwrap();
    let (old, new) = (read(&mut client).unwrap(), read(&mut other).unwrap());
    let plan = plan(&old, &new, options);
    (client, new, plan)
}

fn online() -> PlanOptions {
    PlanOptions { online: true, ..PlanOptions::default() }
}

fn arrives(client: &mut postgres::Client, plan: &Plan, new: &Facts) {
    run_or_panic(client, plan);
    client.batch_execute("RESET ALL").unwrap();
    assert_eq!(
        differences(&read(client).unwrap(), new, offshoot_schema::diff::Noise::default()),
        Vec::<String>::new()
    );
}

/// The place of the part that says this.
fn place(plan: &Plan, text: &str) -> usize {
    let says =
        |part: &Part| part.steps.iter().any(|step| step.statements.iter().any(|line| line.contains(text)));
    plan.parts.iter().position(says).unwrap_or_else(|| panic!("{text}\n{}", plan.sql()))
}

fn gaps(plan: &Plan) -> Vec<String> {
    let hazards = plan.steps().flat_map(|step| &step.hazards);
    hazards
        .filter(|hazard| hazard.kind == HazardKind::GoneMeanwhile)
        .map(|hazard| hazard.message.clone())
        .collect()
}

const NEW_STATE: &str = "
DROP VIEW open; DROP INDEX orders_new; ALTER TYPE state RENAME TO old; CREATE TYPE state AS ENUM ('new', 'gone');
ALTER TABLE orders ALTER state DROP DEFAULT, ALTER state TYPE state USING state::text::state, ALTER state SET DEFAULT 'new';
DROP TYPE old; CREATE INDEX orders_new ON orders (id) WHERE state = 'new';
CREATE VIEW open AS SELECT id, price, state FROM orders WHERE state = 'new';
COMMENT ON VIEW open IS 'open ones'; GRANT SELECT ON open TO PUBLIC;
CREATE TRIGGER seen INSTEAD OF INSERT ON open FOR EACH ROW EXECUTE FUNCTION f();
";

#[test]
fn what_an_online_plan_drops_comes_back_in_the_same_transaction() {
    let Some(server) = Postgres::start(15) else { return };
    let changes = format!(
        "{NEW_STATE} CREATE INDEX fresh ON orders (customer); ALTER TABLE customer ADD UNIQUE (email);"
    );
    let (mut client, new, plan) = shop(&server, "enum", &changes, &online());
    let at = place(&plan, "DROP VIEW public.open");
    for text in [
        "ALTER COLUMN state DROP DEFAULT",
        "RENAME TO state__offshoot_old",
        "ALTER COLUMN state TYPE public.state",
        "ALTER COLUMN state SET DEFAULT",
        "DROP TYPE public.state__offshoot_old",
        "CREATE VIEW public.open",
        "GRANT SELECT ON TABLE public.open",
        "CREATE TRIGGER seen",
    ] {
        assert_eq!(place(&plan, text), at, "{text}\n{}", plan.sql());
    }
    // The index cannot live through the change of its predicate's type.
    let [gap] = gaps(&plan).try_into().unwrap();
    assert!(gap.starts_with("index orders_new of table public.orders is not there until"), "{gap}");
    arrives(&mut client, &plan, &new);
}

#[test]
fn column_that_changes_its_type_takes_its_view_along_in_one_transaction() {
    let Some(server) = Postgres::start(15) else { return };
    let changes = "
        CREATE TEMP TABLE keep AS SELECT pg_get_viewdef('open'::regclass) AS text; DROP VIEW open;
        ALTER TABLE orders ALTER price TYPE bigint; CREATE INDEX priced ON orders (price);
        CREATE VIEW open AS SELECT id, price, state FROM orders WHERE state = 'new'; DROP TABLE keep;
        COMMENT ON VIEW open IS 'open ones'; GRANT SELECT ON open TO PUBLIC;
        CREATE TRIGGER seen INSTEAD OF INSERT ON open FOR EACH ROW EXECUTE FUNCTION f();";
    let (mut client, new, plan) = shop(&server, "type", changes, &online());
    assert_eq!(
        plan.parts.iter().map(|part| part.transactional).collect::<Vec<_>>(),
        [true, false],
        "{}",
        plan.sql()
    );
    assert_eq!(gaps(&plan), Vec::<String>::new());
    arrives(&mut client, &plan, &new);
}

#[test]
fn key_that_is_gone_until_its_index_is_built_is_named() {
    let Some(server) = Postgres::start(15) else { return };
    let changes = "ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD CONSTRAINT orders_pkey PRIMARY KEY (id, customer)";
    let (mut client, new, plan) = shop(&server, "key", changes, &online());
    assert!(gaps(&plan).iter().any(|gap| gap.contains("orders_pkey")), "{}", plan.sql());
    arrives(&mut client, &plan, &new);
    let (_, _, plan) = shop(&server, "offline key", changes, &PlanOptions::default());
    assert_eq!((gaps(&plan), plan.parts.len()), (Vec::new(), 1));
}

/// Changes whose steps lock other tables, and go through rows.
const LOCKS: &[&str] = &[
    "ALTER TABLE customer ADD x int; CREATE TABLE line (o int REFERENCES orders, c int REFERENCES customer);",
    "ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey",
    "DROP VIEW open; DROP TABLE orders",
    "ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey, ADD FOREIGN KEY (customer) REFERENCES customer ON DELETE CASCADE",
    "ALTER TABLE customer ALTER id TYPE bigint; ALTER TABLE orders ALTER a TYPE bigint, ALTER b TYPE bigint",
    "ALTER TABLE orders ADD x int, ADD CHECK (a > 0); CREATE MATERIALIZED VIEW m AS SELECT * FROM orders; CREATE INDEX ON customer (email)",
    NEW_STATE,
];

fn level(mode: &str) -> Option<LockLevel> {
    match mode {
        "ShareUpdateExclusiveLock" => Some(LockLevel::ShareUpdateExclusive),
        "ShareLock" => Some(LockLevel::Share),
        "ShareRowExclusiveLock" => Some(LockLevel::ShareRowExclusive),
        "ExclusiveLock" | "AccessExclusiveLock" => Some(LockLevel::AccessExclusive),
        _ => None,
    }
}

#[test]
fn locks_of_a_part_are_those_that_its_transaction_holds_at_its_end() {
    let Some(server) = Postgres::start(15) else { return };
    for (at, changes) in LOCKS.iter().enumerate() {
        let (mut client, _, plan) = shop(&server, &format!("locks {at}"), changes, &PlanOptions::default());
        for setting in SETTINGS {
            client.batch_execute(setting).unwrap();
        }
        for part in &plan.parts {
            let names: BTreeMap<u32, String> = client
                .query("SELECT oid, relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'p')", &[])
                .unwrap()
                .iter()
                .map(|row| (row.get(0), row.get(1)))
                .collect();
            client.batch_execute("BEGIN").unwrap();
            for statement in part.steps.iter().flat_map(|step| &step.statements) {
                client.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
            }
            let rows = client
                .query("SELECT relation, mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation IS NOT NULL", &[])
                .unwrap();
            client.batch_execute("COMMIT").unwrap();
            let mut taken: BTreeMap<String, LockLevel> = BTreeMap::new();
            for row in rows {
                if let (Some(name), Some(level)) = (names.get(&row.get(0)), level(row.get(1))) {
                    let entry = taken.entry(name.clone()).or_insert(level);
                    *entry = level.max(*entry);
                }
            }
            let mut told: BTreeMap<String, LockLevel> = BTreeMap::new();
            for held in part.locks() {
                let entry = told.entry(held.object.name).or_insert(held.lock.level);
                *entry = held.lock.level.max(*entry);
            }
            assert_eq!(told, taken, "{changes}\n{}", plan.sql());
        }
    }
}

#[test]
fn strong_lock_that_what_follows_prolongs_is_not_called_brief() {
    let Some(server) = Postgres::start(15) else { return };
    let brief = |plan: &Plan, name: &str| -> Vec<(LockLevel, bool)> {
        let locks = plan.locks().into_iter().filter(|held| held.object.name == name);
        locks.map(|held| (held.lock.level, held.lock.brief)).collect()
    };
    // The column is read by what is filled, so that the lock cannot come last.
    let changes = "ALTER TABLE customer ADD x int; CREATE MATERIALIZED VIEW m AS SELECT x FROM customer";
    let (_, _, plan) = shop(&server, "held", changes, &PlanOptions::default());
    assert_eq!(brief(&plan, "customer"), [(LockLevel::AccessExclusive, false)]);
    // A lock that need not come first comes last.
    let changes = "ALTER TABLE customer ADD x int; CREATE INDEX ON orders (a); ALTER TABLE orders ADD y int; ALTER TABLE orders ADD CHECK (a > 0)";
    let (mut client, new, plan) = shop(&server, "last", changes, &PlanOptions::default());
    assert_eq!(brief(&plan, "customer"), [(LockLevel::AccessExclusive, true)], "{}", plan.sql());
    assert_eq!(brief(&plan, "orders"), [(LockLevel::AccessExclusive, false)]);
    arrives(&mut client, &plan, &new);
}

#[test]
fn confirmed_renames_run_in_the_transaction_of_the_rest() {
    let Some(server) = Postgres::start(15) else { return };
    let changes = "ALTER TABLE orders RENAME a TO amount; ALTER TABLE orders ADD c int";
    let renames = Renames::parse("-- offshoot:rename column public.orders.a -> amount").unwrap();
    let options = PlanOptions { renames, ..PlanOptions::default() };
    let (mut client, new, plan) = shop(&server, "renames", changes, &options);
    assert_eq!(plan.sql().matches("BEGIN;").count(), 1, "{}", plan.sql());
    arrives(&mut client, &plan, &new);
}

#[test]
fn table_is_written_anew_once_for_several_types() {
    let Some(server) = Postgres::start(15) else { return };
    let changes = "ALTER TABLE orders ALTER a TYPE bigint, ALTER b TYPE text, ALTER b SET DEFAULT 'x'";
    let (mut client, new, plan) = shop(&server, "twice", changes, &PlanOptions::default());
    assert!(
        plan.sql()
            .contains("ALTER TABLE public.orders ALTER COLUMN a TYPE bigint,\n    ALTER COLUMN b TYPE text;"),
        "{}",
        plan.sql()
    );
    arrives(&mut client, &plan, &new);
}

#[test]
fn new_column_comes_before_the_old_one_goes() {
    let Some(server) = Postgres::start(15) else { return };
    let changes = "DELETE FROM orders; ALTER TABLE orders DROP a, ADD z text NOT NULL; DROP TRIGGER seen ON open; CREATE TABLE later (x int)";
    let (_, _, plan) = shop(&server, "columns", changes, &PlanOptions::default());
    let script = plan.sql();
    let at = |text: &str| script.find(text).unwrap_or_else(|| panic!("{text}\n{script}"));
    assert!(at("ADD COLUMN z") < at("DROP COLUMN a"), "{script}");
    assert!(at("CREATE TABLE") < at("DROP COLUMN a"), "{script}");
    assert!(
        script.contains("it fails if public.orders has rows: z has no default and may not be null"),
        "{script}"
    );
}

#[test]
fn wider_numbers_and_texts_write_nothing_anew() {
    let Some(server) = Postgres::start(15) else { return };
    let mut client = server.database("wide", SHOP);
    client.batch_execute("DROP VIEW open").unwrap();
    let mut old = read(&mut client).unwrap();
    let file = || -> u32 {
        let query = "SELECT pg_catalog.pg_relation_filenode('public.orders')";
        server.connect("wide").query_one(query, &[]).unwrap().get(0)
    };
    for (change, rewrites) in [
        ("code TYPE varchar(9)", false),
        ("code TYPE text", false),
        ("code TYPE varchar(3)", true),
        ("price TYPE numeric(12,2)", false),
        ("price TYPE numeric", false),
        ("price TYPE numeric(12,3)", true),
        ("price TYPE numeric(6,2)", true),
    ] {
        let before = file();
        client.batch_execute(&format!("ALTER TABLE public.orders ALTER {change}")).unwrap();
        assert_eq!(file() != before, rewrites, "{change}");
        let new = read(&mut client).unwrap();
        let plan = plan(&old, &new, &PlanOptions::default());
        assert_eq!(plan.steps().any(Step::goes_through_rows), rewrites, "{change}\n{}", plan.sql());
        old = new;
    }
}

#[test]
fn offered_rename_of_a_value_names_the_value() {
    let Some(server) = Postgres::start(15) else { return };
    let mut client = server.database("value", SHOP);
    let old = read(&mut client).unwrap();
    client.batch_execute("ALTER TYPE state RENAME VALUE 'paid' TO 'settled'").unwrap();
    let new = read(&mut client).unwrap();
    let reasons: Vec<String> = renames(&old, &new).into_iter().map(|found| found.reason).collect();
    assert_eq!(
        reasons,
        ["value paid -> settled of type public.state: one value of the enum went and one came in its place"]
    );
}

#[test]
fn column_that_was_renamed_and_not_confirmed_leaves_its_name_of_not_null_to_the_new_one() {
    let Some(server) = Postgres::start(18) else { return };
    let (mut client, new, plan) =
        shop(&server, "not null names", "ALTER TABLE orders RENAME state TO status", &PlanOptions::default());
    arrives(&mut client, &plan, &new);
}
