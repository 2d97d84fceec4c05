//! What holds and what does not, of reports made up.

use offshoot_protocol::measure::{MeasuredFile, MeasuredLock, MeasuredStep, MeasuredTotals};
use offshoot_protocol::migrations::MigrationsOutcome::{Failed, Passed, Skipped};

use super::*;

fn step(kind: MigrationsStepKind, outcome: MigrationsOutcome, message: &str) -> MigrationsStep {
    MigrationsStep {
        kind,
        project: None,
        title: "a step".into(),
        outcome,
        message: message.into(),
        hint: None,
        took_ms: 1,
        log: String::new(),
        failure: None,
    }
}

fn report(steps: Vec<MigrationsStep>, ran: &[&str], measured: Option<Measured>) -> MigrationsReport {
    MigrationsReport {
        worktree: String::new(),
        against: "main".into(),
        passed: true,
        steps,
        ran: ran.iter().map(|path| (*path).to_owned()).collect(),
        changes: Vec::new(),
        sql: String::new(),
        measured,
        took_ms: 1,
        markdown: String::new(),
    }
}

fn wanted(checks: &[Check]) -> Wanted {
    let place = PolicyPlace { file: "offshoot.toml".into(), line: 3, pattern: None };
    Wanted {
        branch: "main".into(),
        place: place.clone(),
        checks: checks.iter().map(|check| (*check, Some(place.clone()))).collect(),
        max_lock: Some((Duration::from_millis(2), place.clone())),
        max_rewrite: Some((1_000, place)),
        command: None,
        strict: None,
    }
}

fn outcomes(checks: &[PromoteCheck]) -> Vec<(&str, MigrationsOutcome)> {
    checks.iter().map(|check| (check.name.as_str(), check.outcome)).collect()
}

fn cost(held_us: u64, mode: &str, bytes: u64) -> Measured {
    let lock = MeasuredLock { relation: "public.item".into(), mode: mode.into(), held_us, sampled: false };
    let file = MeasuredFile { relation: "public.item".into(), kind: "table".into(), bytes };
    Measured {
        steps: vec![MeasuredStep {
            what: "alter table item".into(),
            locks: vec![lock],
            rewritten: vec![file],
            ..MeasuredStep::default()
        }],
        totals: MeasuredTotals { rewritten_bytes: bytes, ..MeasuredTotals::default() },
        ..Measured::default()
    }
}

const LACKED: [&str; 1] = ["1.sql"];

fn judge(report: &MigrationsReport, checks: &[Check]) -> Vec<PromoteCheck> {
    judged(&wanted(checks), report, &LACKED.map(str::to_owned), None, None)
}

#[test]
fn what_could_not_be_tried_does_not_hold() {
    use MigrationsStepKind as Kind;
    let steps = vec![
        step(Kind::Apply, Passed, ""),
        step(Kind::Again, Skipped, "only the tool can tell"),
        step(Kind::Down, Passed, ""),
        step(Kind::Cost, Skipped, "1.py is a program"),
    ];
    let all = judge(
        &report(steps, &LACKED, None),
        &[Check::Applies, Check::Idempotent, Check::Reversible, Check::Command],
    );
    assert_eq!(
        outcomes(&all),
        [
            ("applies", Passed),
            ("idempotent", Skipped),
            ("reversible", Passed),
            ("command", Skipped),
            ("max_lock", Skipped),
            ("max_rewrite", Skipped)
        ]
    );
    assert!(
        all[1].message.contains("only the tool") && all[4].message.contains("1.py is a program"),
        "{all:#?}"
    );
}

#[test]
fn where_they_do_not_apply_nothing_else_is_said_to_hold() {
    use MigrationsStepKind as Kind;
    let changed = step(Kind::Files, Failed, "1.sql was changed after main applied it");
    for steps in [
        vec![changed, step(Kind::Apply, Passed, ""), step(Kind::Down, Passed, "")],
        vec![step(Kind::Apply, Failed, "the tool ended with exit status 1"), step(Kind::Down, Passed, "")],
    ] {
        let all =
            judge(&report(steps, &LACKED, Some(cost(0, "SHARE", 0))), &[Check::Applies, Check::Reversible]);
        assert_eq!(all[0].outcome, Failed, "{all:#?}");
        assert!(all[1..].iter().all(|check| check.outcome == Skipped), "{all:#?}");
    }
    let some = judge(&report(vec![step(Kind::Apply, Passed, "")], &[], None), &[Check::Applies]);
    assert!(some[0].outcome == Failed && some[0].message.starts_with("1.sql did not run"), "{some:#?}");
}

#[test]
fn locks_and_rewrites_are_held_against_what_may_be() {
    let ran = || vec![step(MigrationsStepKind::Apply, Passed, "")];
    let of = |measured| {
        let all = judge(&report(ran(), &LACKED, Some(measured)), &[]);
        (all[0].outcome, all[1].outcome, all[0].message.clone(), all[1].message.clone())
    };
    let (lock, rewrite, told, files) = of(cost(2_500, "ACCESS EXCLUSIVE", 4_000));
    assert_eq!((lock, rewrite), (Failed, Failed));
    assert_eq!(told, "public.item is closed to writers for 2.5 ms (ACCESS EXCLUSIVE), and may be for 2ms");
    assert_eq!(files, "4.0 KB are written anew (table public.item), and may be 1.0 KB");
    let (lock, rewrite, ..) = of(cost(2_000, "SHARE", 1_000));
    assert_eq!((lock, rewrite), (Passed, Passed));
    // Whoever adds rows goes on beside this one.
    let (lock, _, told, _) = of(cost(9_000_000, "SHARE UPDATE EXCLUSIVE", 0));
    assert_eq!((lock, told.as_str()), (Passed, "no table is closed"));
}

#[test]
fn a_drift_that_cannot_be_told_does_not_hold_and_names_what_to_do() {
    let why = crate::failure::Failure::user("the history begins at a baseline")
        .hint("Compare with another branch.");
    let said = no_drift(&Err(why));
    assert_eq!((said.outcome, said.hint.as_deref()), (Skipped, Some("Compare with another branch.")));
    assert!(said.message.starts_with("it cannot be told: the history begins"), "{}", said.message);
}
