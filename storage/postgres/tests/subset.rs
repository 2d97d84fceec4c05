//! Taking a part of a server's database, with all rows that it refers to.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::time::Duration;

use offshoot_postgres::load::{LoadError, Masking, load_masked};
use offshoot_postgres::mask::{ColumnName, Key, Plan, Rule, Transformer};
use offshoot_postgres::subset::{Condition, Session, Subset, SubsetReport, Taken};
use offshoot_postgres::{ClientTools, Locator, Progress, Silent};
use postgres::Client;
use support::Running;

/// Staff and stores refer to each other, people to their managers, payments lie in partitions and refer to rentals by two columns, notes
/// by a text, labels to payments, and a column that is computed to a country.
const SCHEMA: &str = r#"
CREATE TABLE country (id bigint PRIMARY KEY, name text);
CREATE TABLE city (id int PRIMARY KEY, name text, country_id int NOT NULL REFERENCES country);
CREATE TABLE store (id int PRIMARY KEY, manager int NOT NULL, city int REFERENCES city);
CREATE TABLE staff (id serial PRIMARY KEY, store int NOT NULL REFERENCES store, boss int REFERENCES staff, name text NOT NULL);
ALTER TABLE store ADD FOREIGN KEY (manager) REFERENCES staff DEFERRABLE;
CREATE TABLE rental (store int REFERENCES store, number int, customer text, PRIMARY KEY (store, number));
CREATE TABLE payment (id int, day date, store int, number int, amount numeric, PRIMARY KEY (id, day),
    FOREIGN KEY (store, number) REFERENCES rental) PARTITION BY RANGE (day);
CREATE TABLE payment_1 PARTITION OF payment FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE payment_2 PARTITION OF payment FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE label (payment int, day date, text text, FOREIGN KEY (payment, day) REFERENCES payment);
CREATE TABLE "Odd ""Name" (code text PRIMARY KEY, "next" text);
ALTER TABLE "Odd ""Name" ADD FOREIGN KEY ("next") REFERENCES "Odd ""Name";
CREATE TABLE computed (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED REFERENCES city);
CREATE TABLE audit (id int, what text);
CREATE VIEW cities AS SELECT * FROM city;
INSERT INTO country SELECT n, 'country ' || n FROM generate_series(1, 20) n;
INSERT INTO city SELECT n, 'city ' || n, 1 + n % 20 FROM generate_series(1, 100) n;
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO store SELECT n, n * 10, n FROM generate_series(1, 10) n;
INSERT INTO staff SELECT n, 1 + n % 10, nullif(n / 2, 0), 'person ' || n FROM generate_series(1, 100) n;
COMMIT;
INSERT INTO rental SELECT 1 + n % 10, n, 'customer ' || n FROM generate_series(1, 5000) n;
INSERT INTO payment SELECT n, '2026-01-01'::date + n % 59, 1 + n % 10, n, n FROM generate_series(1, 5000) n;
INSERT INTO label SELECT n, '2026-01-01'::date + n % 59, 'label ' || n FROM generate_series(1, 500) n;
INSERT INTO "Odd ""Name" SELECT E'a\t"\\,{}''' || n, E'a\t"\\,{}''' || (n + 1) % 50 FROM generate_series(0, 49) n;
INSERT INTO computed SELECT n FROM generate_series(1, 50) n;
INSERT INTO audit SELECT n, 'x' FROM generate_series(1, 100) n;
SELECT setval('staff_id_seq', 777);
ANALYZE;
"#;

struct Case {
    running: Running,
    tools: ClientTools,
}

struct Offline;

impl Progress for Offline {
    fn step(&self, _what: &str, _done: u64, _total: Option<u64>) {}
    fn is_cancelled(&self) -> bool {
        true
    }
}

fn case() -> Option<Case> {
    let running = Running::new()?;
    let locator = Locator { cache: running.cluster.dir.path().join("cache") };
    let Ok(tools) = locator.client_tools(running.cluster.installation.version.major, &Offline) else {
        eprintln!("SKIPPED: no pg_dump for this Postgres on this machine");
        return None;
    };
    running.database("source").batch_execute(SCHEMA).unwrap();
    Some(Case { running, tools })
}

fn subset(tables: &[&str], without: &[&str], conditions: &[&str]) -> Subset {
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Subset {
        tables: own(tables),
        without_rows: own(without),
        conditions: conditions.iter().map(|text| Condition::parse(text).unwrap()).collect(),
        ..Subset::default()
    }
}

impl Case {
    fn take(&self, name: &str, wanted: &Subset) -> (Client, SubsetReport) {
        let mut session = Session::open(&self.running.source("source"), wanted, &Silent).unwrap();
        let mut client = self.running.database(name);
        let report = session.load(&self.tools, &mut client, None, &Silent).unwrap();
        client.batch_execute("SET search_path = public").unwrap();
        (client, report.subset.unwrap())
    }

    fn refused(&self, wanted: &Subset) -> LoadError {
        Session::open(&self.running.source("source"), wanted, &Silent).unwrap_err()
    }
}

fn value(client: &mut Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).unwrap().get(0)
}

/// Every foreign key is there and holds, as Postgres itself checks it.
#[track_caller]
fn keys_hold(client: &mut Client) {
    let left = value(client, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated");
    assert_eq!(left, 0);
    let keys = value(client, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0");
    assert_eq!(keys, 9);
}

fn told(report: &SubsetReport, table: &str) -> Option<(Taken, u64, u64)> {
    report.tables.iter().find(|one| one.table == table).map(|one| (one.taken, one.chosen, one.followed))
}

fn what_chosen_rows_refer_to_comes_along_through_cycles_and_partitions(case: &Case) {
    let (mut client, report) = case.take("one", &subset(&[], &[], &["public.label=payment <= 3"]));
    keys_hold(&mut client);
    assert_eq!(told(&report, "public.label"), Some((Taken::Where, 3, 0)));
    assert_eq!(told(&report, "public.payment"), Some((Taken::Followed, 0, 3)));
    assert_eq!(told(&report, "public.rental"), Some((Taken::Followed, 0, 3)));
    // Stores 2, 3 and 4, their managers 20, 30 and 40, the bosses of these, the stores where those work, and so on.
    let reached = "WITH RECURSIVE s(kind, id) AS (
        SELECT 'store', store FROM generate_series(2, 4) store UNION
        SELECT x.kind, x.id FROM s, LATERAL (
            SELECT 'staff' kind, manager id FROM store WHERE s.kind = 'store' AND store.id = s.id UNION ALL
            SELECT 'store', store FROM staff WHERE s.kind = 'staff' AND staff.id = s.id UNION ALL
            SELECT 'staff', boss FROM staff WHERE s.kind = 'staff' AND staff.id = s.id AND boss IS NOT NULL) x)
        SELECT count(*) FROM s WHERE kind = ";
    let mut source = case.running.client_of("source");
    for table in ["store", "staff"] {
        let wanted = value(&mut source, &format!("{reached}'{table}'"));
        assert_eq!(value(&mut client, &format!("SELECT count(*) FROM {table}")), wanted, "{table}");
        assert!(wanted > 3 && wanted < 100, "{table}: {wanted}");
    }
    assert_eq!(value(&mut client, "SELECT count(*) FROM audit"), 0);
    assert_eq!(report.empty_tables, 3, "{report:?}");
    assert_eq!(value(&mut client, "SELECT nextval('staff_id_seq')"), 778);
}

fn tables_are_taken_whole_by_name_and_what_is_left_out_comes_only_as_far_as_it_is_needed(case: &Case) {
    let wanted =
        subset(&["*"], &["public.rental", "a*t"], &["payment=payment.day = '2026-02-03' OR amount < 3"]);
    let (mut client, report) =
        case.take("two", &Subset { without_rows: wanted.without_rows.clone(), ..wanted });
    keys_hold(&mut client);
    let mut source = case.running.client_of("source");
    let sql = "SELECT count(*) FROM payment WHERE day = '2026-02-03' OR amount < 3 OR (id, day) IN (SELECT payment, day FROM label)";
    let payments = value(&mut source, sql);
    assert_eq!(value(&mut client, "SELECT count(*) FROM payment"), payments);
    assert_eq!(value(&mut client, "SELECT count(*) FROM rental"), payments, "only what payments refer to");
    assert_eq!(told(&report, "public.city"), Some((Taken::All, 100, 0)));
    assert_eq!(value(&mut client, "SELECT count(*) FROM audit"), 0);
    assert_eq!(value(&mut client, "SELECT count(*) FROM computed WHERE twice = id * 2"), 50);
    let sum = "SELECT sum(hashtext(p::text))::bigint FROM public.payment p WHERE amount < 500";
    let ours = format!("{sum} AND (day = '2026-02-03' OR amount < 3 OR id <= 500)");
    assert_eq!(value(&mut client, sum), value(&mut source, &ours));
}

fn keys_of_any_text_and_columns_that_are_computed_are_followed(case: &Case) {
    let odd = "public.\"Odd \"\"Name\"=code LIKE '%''7'";
    let (mut client, report) = case.take("three", &subset(&[], &[], &[odd, "computed=id = 7 -- a comment"]));
    keys_hold(&mut client);
    assert_eq!(told(&report, "public.Odd \"Name"), Some((Taken::Where, 1, 49)), "the ring comes as a whole");
    assert_eq!(told(&report, "public.city"), Some((Taken::Followed, 0, 1)));
    assert_eq!(value(&mut client, "SELECT id::bigint FROM city"), 14);
    assert_eq!(value(&mut client, "SELECT id FROM country"), 15);
}

fn a_role_that_may_only_read_is_enough_and_all_is_of_one_moment(case: &Case) {
    let mut source = case.running.client_of("source");
    source
        .batch_execute(
            "CREATE ROLE reader LOGIN PASSWORD 'r'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
             ALTER ROLE reader SET default_transaction_read_only = on",
        )
        .unwrap();
    let sockets = case.running.cluster.dir.path().join("s");
    let url = format!("host={} user=reader password=r dbname=source", sockets.display());
    let mut session = Session::open(&url, &subset(&["staff"], &[], &[]), &Silent).unwrap();
    // From here on nothing changes for us.
    source
        .batch_execute("DELETE FROM label; DELETE FROM payment; DELETE FROM rental; DELETE FROM computed")
        .unwrap();
    source
        .batch_execute("UPDATE staff SET boss = NULL; UPDATE store SET city = NULL; DELETE FROM city")
        .unwrap();
    let mut client = case.running.database("read");
    let report = session.load(&case.tools, &mut client, None, &Silent).unwrap();
    drop(session);
    keys_hold(&mut client);
    assert_eq!(value(&mut client, "SELECT count(*) FROM public.city"), 10, "those of the stores");
    assert_eq!(value(&mut client, "SELECT count(*) FROM public.staff WHERE boss IS NOT NULL"), 99);
    assert_eq!(value(&mut client, "SELECT nextval('public.staff_id_seq')"), 101, "behind the last row");
    assert_eq!(report.subset.unwrap().tables.len(), 4);
    let open = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader'";
    support::wait_until("the source has no connection of ours", || value(&mut source, open) == 0);
}

fn what_cannot_be_taken_is_told_before_anything_is_made(case: &Case) {
    let text = |error: &LoadError| format!("{error} {}", error.hint());
    let said = text(&case.refused(&subset(&["public.paymnt"], &[], &[])));
    assert!(said.contains("public.paymnt") && said.contains("Did you mean public.payment?"), "{said}");
    let said = text(&case.refused(&subset(&["cities"], &[], &[])));
    assert!(said.contains("public.cities is a view"), "{said}");
    let said = text(&case.refused(&subset(&[], &[], &["staff=nmae = 'x'"])));
    assert!(said.contains("`staff=nmae = 'x'`") && said.contains("\"nmae\" does not exist"), "{said}");
    assert!(said.contains("has the columns id, store, boss, name"), "{said}");
    let said = text(&case.refused(&subset(&[], &[], &["staff=true); DELETE FROM audit; SELECT (1"])));
    assert!(said.contains("multiple commands"), "{said}");
    let mut source = case.running.client_of("source");
    assert_eq!(value(&mut source, "SELECT count(*) FROM audit"), 100);

    let taking = |wanted: &Subset, name: &str| {
        let mut session = Session::open(&case.running.source("source"), wanted, &Silent)?;
        session.load(&case.tools, &mut case.running.database(name), None, &Silent)
    };
    let slow = Subset {
        statement_timeout: Duration::from_millis(200),
        ..subset(&[], &[], &["audit=pg_sleep(60) IS NULL"])
    };
    let said = text(&taking(&slow, "slow").unwrap_err());
    assert!(said.contains("\"public\".\"audit\"") && said.contains("--statement-timeout"), "{said}");
    source
        .batch_execute(
            "CREATE FUNCTION w() RETURNS bool LANGUAGE sql AS 'INSERT INTO audit VALUES (1) RETURNING true'",
        )
        .unwrap();
    let said = text(&taking(&subset(&[], &[], &["audit=w()"]), "writes").unwrap_err());
    assert!(said.contains("only read"), "{said}");

    source.batch_execute("BEGIN; LOCK TABLE audit").unwrap();
    let waits = Subset { lock_timeout: Duration::from_millis(200), ..subset(&["audit"], &[], &[]) };
    let said = text(&taking(&waits, "waits").unwrap_err());
    assert!(said.contains("lock"), "{said}");
}

/// A plan for the rules, and the session that it is for.
fn planned(
    case: &Case,
    rules: &[(&str, Transformer)],
    wanted: &Subset,
) -> Result<(Session, Plan), LoadError> {
    let rules = rules
        .iter()
        .map(|(column, with)| Rule { column: ColumnName::parse(column).unwrap(), with: with.clone() });
    let rules: Vec<Rule> = rules.collect();
    let mut session = Session::open(&case.running.source("source"), wanted, &Silent)?;
    session.check_expressions(&rules)?;
    let mut admin = case.running.client();
    admin.batch_execute("DROP DATABASE IF EXISTS aside").unwrap();
    let mut aside = case.running.database("aside");
    session.schema(&case.tools, &mut aside, Some(Masking::Schema), &Silent)?;
    drop(aside);
    let plan = Plan::new(&rules, Key::from_bytes([9; 32]), &mut case.running.client_of("aside"))?;
    Ok((session, plan))
}

fn rows_are_masked_by_expressions_at_the_source_and_by_shuffling(case: &Case) {
    let sql = |text: &str| Transformer::Sql(text.to_owned());
    let rules = [
        ("public.staff.name", sql("left(name, 1) || length(name) -- no more")),
        ("public.payment.amount", Transformer::Shuffle),
        ("public.label.text", Transformer::Shuffle),
        ("public.rental.customer", Transformer::Shuffle),
    ];
    let (mut session, mut plan) = planned(case, &rules, &subset(&["label", "payment_2"], &[], &[])).unwrap();
    let mut client = case.running.database("masked");
    let report = session.load(&case.tools, &mut client, Some(&mut plan), &Silent).unwrap();
    let done = |column: &str| report.masked.iter().find(|one| one.column.to_string() == column).unwrap();
    assert_eq!((done("public.staff.name").with, done("public.label.text").values), ("sql", 500));
    assert_eq!(
        done("public.payment_1.amount").follows.as_ref().unwrap().to_string(),
        "public.payment.amount"
    );
    keys_hold(&mut client);
    let odd = "SELECT count(*) FROM public.staff WHERE name !~ '^p[0-9]+$'";
    assert_eq!(value(&mut client, odd), 0);
    let mut source = case.running.client_of("source");
    for (table, column) in [("label", "text"), ("payment_2", "amount")] {
        let sum = format!("SELECT sum(hashtext({column}::text))::bigint FROM public.{table}");
        assert_eq!(value(&mut client, &sum), value(&mut source, &sum), "the values are the same");
    }
    let kept = "SELECT count(*) FROM public.label WHERE text = 'label ' || payment";
    assert_eq!(value(&mut client, kept), 0, "none is where it was");
    let kept = "SELECT count(*) FROM public.payment WHERE amount = id";
    assert_eq!(value(&mut client, kept), 0, "rows that came along neither");
    let kept = "SELECT count(*) FROM public.rental WHERE customer = 'customer ' || number";
    assert_eq!(value(&mut client, kept), 0, "those that came in many parts neither");

    let refused = |column: &str, with: Transformer| {
        let error = planned(case, &[(column, with)], &subset(&[], &[], &[])).unwrap_err();
        format!("{error} {}", error.hint())
    };
    assert!(refused("public.staff.id", Transformer::Shuffle).contains("others refer to it"));
    assert!(refused("public.label.day", Transformer::Shuffle).contains("together with other columns"));
    assert!(refused("public.rental.number", Transformer::Shuffle).contains("others refer to it"));
    assert!(refused("public.staff.store", sql("1")).contains("it refers to another table"));
    let said = refused("public.staff.name", sql("upper(nmae)"));
    assert!(said.contains("`upper(nmae)`") && said.contains("id, store, boss, name"), "{said}");
    let said = refused("public.staff.name", sql("(SELECT 'x'); DELETE FROM audit"));
    assert!(said.contains("syntax error"), "{said}");

    let script = "CREATE TABLE public.t (id int PRIMARY KEY, code text UNIQUE);\nCOPY public.t (id, code) FROM stdin;\n\
                  1\ta\n2\tb\n3\t\\N\n4\tc\n\\.\n";
    let rule = Rule { column: ColumnName::parse("public.t.code").unwrap(), with: Transformer::Shuffle };
    let mut client = case.running.database("script");
    let schema = script.lines().next().unwrap();
    client.batch_execute(schema).unwrap();
    let mut plan = Plan::new(std::slice::from_ref(&rule), Key::from_bytes([9; 32]), &mut client).unwrap();
    client.batch_execute("DROP TABLE public.t").unwrap();
    let masking = Masking::Rows(&mut plan);
    let report = load_masked(&mut script.as_bytes(), &mut client, None, masking, &Silent).unwrap();
    assert_eq!((report.rows_copied, report.masked[0].values), (4, 3));
    let held = "SELECT count(*) FROM public.t WHERE (code IS NULL) = (id = 3) AND code IS DISTINCT FROM substr('ab_c', id, 1)";
    assert_eq!(value(&mut client, held), 4);
}

/// One cluster for all: making one takes longer than they do. The last changes the source.
#[test]
fn a_part_of_a_database_is_taken_with_what_it_refers_to() {
    let Some(case) = case() else { return };
    what_chosen_rows_refer_to_comes_along_through_cycles_and_partitions(&case);
    tables_are_taken_whole_by_name_and_what_is_left_out_comes_only_as_far_as_it_is_needed(&case);
    keys_of_any_text_and_columns_that_are_computed_are_followed(&case);
    rows_are_masked_by_expressions_at_the_source_and_by_shuffling(&case);
    what_cannot_be_taken_is_told_before_anything_is_made(&case);
    a_role_that_may_only_read_is_enough_and_all_is_of_one_moment(&case);
}
