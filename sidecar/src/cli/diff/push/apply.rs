//! Running a plan on another server: each part in its transaction, with limits on waiting and working.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use offshoot_postgres::Progress;
use offshoot_protocol::policy::Given;
use offshoot_schema::changes_counting;
use offshoot_schema::plan::{Part, SETTINGS};
use postgres::Client;

use super::super::comparison::Comparison;
use super::super::reading;
use crate::cli::args::PushArgs;
use crate::cli::output::Output;
use crate::cli::plain::plain;
use crate::cli::progress::Shown;
use crate::failure::{Failure, Result, chain};
use crate::sys;

const COMMIT: &str = "COMMIT";
const LOOK: Duration = Duration::from_millis(50);

/// Runs the plan and returns how many objects differ afterwards. Ctrl-C ends it after what is committed.
pub(super) fn run(args: &PushArgs, comparison: &Comparison, given: &Given, output: Output) -> Result<usize> {
    sys::catch_interrupts();
    let place = &comparison.from.name;
    let mut client = reading::connect(&args.to)?;
    let shown = Shown::new(output.json);
    let over = AtomicBool::new(false);
    let (token, tls) = (client.cancel_token(), reading::tls(&args.to)?);
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                if sys::interrupted() {
                    // If the request fails, the plan still ends after the running statement.
                    let _ = token.cancel_query(tls.maker());
                }
                thread::sleep(LOOK);
            }
        });
        let outcome = steps(args, comparison, &mut client, &shown);
        over.store(true, Ordering::Release);
        outcome
    });
    shown.finish();
    outcome?;
    // A session of its own: the plan has set things in the other one.
    let mut after = reading::facts(&mut reading::connect(&args.to)?, place)?;
    let mut to = comparison.to.facts.clone();
    let left_out = |facts: &mut offshoot_schema::Facts| {
        for one in &comparison.left_out {
            facts.facts.retain(|id, _| offshoot_schema::Object::of(id) != one.object);
        }
    };
    crate::given::leave_out(given, &mut to, &mut after, &mut []);
    left_out(&mut after);
    left_out(&mut to);
    super::without_rights(&mut after);
    super::keep_owners(&mut after, &mut to);
    Ok(changes_counting(&after, &to, &offshoot_schema::diff::Noise::default()).len())
}

fn steps(args: &PushArgs, comparison: &Comparison, client: &mut Client, shown: &Shown) -> Result<()> {
    let place = &comparison.from.name;
    let limits = format!(
        "SET lock_timeout = {}; SET statement_timeout = {}; SET idle_in_transaction_session_timeout = '1min'",
        args.lock_timeout.as_millis(),
        args.statement_timeout.as_millis()
    );
    let settings = [SETTINGS.join("; "), limits].join("; ");
    let fault = |e: &postgres::Error| Failure::engine(format!("cannot begin on {place}: {}", chain(e)));
    client.batch_execute(&settings).map_err(|e| fault(&e))?;
    let total: usize = super::statements(&comparison.plan);
    let mut done = 0_usize;
    let mut committed = 0;
    for part in &comparison.plan.parts {
        let outcome = run_part(part, client, &mut |_| {
            shown.step("Push", done as u64, Some(total as u64));
            done += 1;
        });
        if let Err((statement, error)) = outcome {
            if part.transactional {
                // If it is broken, the server has taken it back already.
                let _ = client.batch_execute("ROLLBACK");
            } else {
                committed = done.saturating_sub(1);
            }
            // What a transaction did is taken back with the connection, unless that breaks in the commit.
            let is_lost = error.as_ref().is_some_and(|error| error.as_db_error().is_none());
            let is_unsure = is_lost && (statement == COMMIT || !part.transactional);
            return Err(stopped(place, &statement, error.as_ref(), (committed, total), is_unsure));
        }
        committed = done;
    }
    Ok(())
}

/// Runs a part; on a failure returns the statement, and the error unless it is the person's wish.
fn run_part(
    part: &Part,
    client: &mut Client,
    begun: &mut dyn FnMut(&str),
) -> std::result::Result<(), (String, Option<postgres::Error>)> {
    let mut run = |statement: &str| {
        if sys::interrupted() {
            return Err((statement.to_owned(), None));
        }
        client.batch_execute(statement).map_err(|error| (statement.to_owned(), Some(error)))
    };
    if part.transactional {
        run("BEGIN")?;
    }
    for statement in part.steps.iter().flat_map(|step| &step.statements) {
        begun(statement);
        run(statement)?;
    }
    if part.transactional { run(COMMIT) } else { Ok(()) }
}

/// What ended it, and what stands.
fn stopped(
    place: &str,
    statement: &str,
    error: Option<&postgres::Error>,
    (committed, total): (usize, usize),
    is_unsure: bool,
) -> Failure {
    let stands = if is_unsure {
        // The server may have done what it was asked last, and could not say so.
        format!(
            "The connection broke, so that it is not known whether that was still done on {place}. Push again: only what is \
             missing is planned then."
        )
    } else if committed == 0 {
        format!("Nothing of the plan was kept on {place}.")
    } else {
        format!(
            "{committed} of {total} statements stand on {place}: what came before in transactions of their own. Push again: \
             only the rest is planned then."
        )
    };
    let first = plain(statement.trim().lines().next().unwrap_or_default()).into_owned();
    let Some(error) = error.filter(|_| !sys::interrupted()) else {
        return Failure::cancelled().hint(stands);
    };
    let why = match error.code().map(postgres::error::SqlState::code) {
        Some("55P03") => {
            "\nA lock was not to be had in time: try when it is quiet, or with a longer --lock-timeout."
        }
        Some("57014") => "\nIt took too long: --statement-timeout gives it more time, --online other ways.",
        Some("42501") => "\nThe user of the URL has not the right to do this.",
        _ => "",
    };
    let failure = Failure::user(format!("{}\n  in: {first}", chain(error)));
    failure.hint(format!("{stands}{why}"))
}
