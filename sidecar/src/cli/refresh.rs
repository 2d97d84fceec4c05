//! `offshoot refresh`.

use std::path::Path;
use std::time::Duration;

use offshoot_postgres::subset::{SubsetReport, TableRows, Taken};
use offshoot_protocol::data::{MaskedColumn, RefreshParams, SubsetParams, SubsetResult};
use offshoot_protocol::method::BranchRefresh;

use super::args::{Against, FollowCommand, RefreshArgs};
use super::connect::Session;
use super::diff::long;
use super::follow;
use super::init::{agreed, asks, loaded};
use super::migrations::environment;
use super::output::{Output, bytes};
use super::plain::plain;
use crate::address::{with_absolute_files, with_known_password};
use crate::failure::{Failure, Result};
use crate::init::subset::{Asked, lines};

pub(super) fn run(args: &RefreshArgs, output: Output) -> Result<u8> {
    let from = args.from.as_deref().map(absolute).transpose()?;
    if let Some(from) = from.as_ref().filter(|_| args.following.follow) {
        let (from, every, max_rate) = (from.clone(), args.following.every, args.max_rate);
        let against = Against { r#override: args.against.r#override };
        return follow::run(FollowCommand::Start { from, every, max_rate, against }, output);
    }
    let mut session = Session::open(output)?;
    if from.is_none() && !args.empty {
        return follow::now(&mut session, output);
    }
    let mut params = RefreshParams {
        path: session.path(),
        from,
        physical: args.physical,
        max_rate_kb: args.max_rate,
        subset: params_of(&args.subset.asked()),
        drop_masking: args.drop_masking,
        run_seed: args.run_seed,
        environment: environment(),
        override_rules: args.against.r#override,
    };
    let done = match long::<BranchRefresh>(&mut session, &params, output.json) {
        Err(failure) if asks(&failure, output) => {
            if !agreed(&failure)? {
                return Ok(super::NEGATIVE);
            }
            params.run_seed = true;
            long::<BranchRefresh>(&mut session, &params, output.json)?
        }
        other => other?,
    };
    if output.json {
        output.value(&done)?;
        return Ok(super::OK);
    }
    let name = plain(&done.branch.name);
    output.line(format!("Branch {name} has new data: {} on disk.", bytes(done.bytes)));
    if args.physical {
        output.line(format!("  {} files of the cluster copied", done.files));
    } else if args.from.is_some() {
        output.line(format!("  {}", loaded(done.statements, done.rows)));
    }
    for line in done.subset.iter().flat_map(|taken| lines(&report_of(taken))) {
        output.line(format!("  {line}"));
    }
    for note in &done.notes {
        output.line(format!("  note: {note}"));
    }
    for masked in &done.masked {
        output.line(format!("  {}", masked_line(masked)));
    }
    if !done.stale.is_empty() {
        let first = &done.stale[0];
        output.line(format!("Still with the data from before: {}.", done.stale.join(", ")));
        output.line(format!("`offshoot branch reset {first}` gives a branch the new ones."));
    }
    output
        .line(format!("What it had is in the trash for seven days: `offshoot undo {name}` brings it back."));
    Ok(super::OK)
}

/// What was done to a column, for people.
pub(super) fn masked_line(masked: &MaskedColumn) -> String {
    let why = masked.follows.as_ref().map(|other| format!(", as {other}")).unwrap_or_default();
    format!("masked {}: {} values, {}{why}", masked.column, masked.values, masked.with)
}

/// The source as the engine, which stands elsewhere, has to be told it.
fn absolute(from: &str) -> Result<String> {
    if from.contains("://") {
        return Ok(with_known_password(&with_absolute_files(from)?));
    }
    let path =
        std::path::absolute(Path::new(from)).map_err(|e| Failure::io("find the current folder", &e))?;
    path.into_os_string().into_string().map_err(|_| {
        Failure::user("the path of the source is not UTF-8").hint("Rename the file, or copy it.")
    })
}

/// Which rows are wanted, for the engine.
fn params_of(asked: &Asked) -> SubsetParams {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    SubsetParams {
        tables: asked.tables.clone(),
        without_rows: asked.without_rows.clone(),
        conditions: asked.conditions.clone(),
        all_rows: asked.all_rows,
        lock_timeout_ms: asked.lock_timeout.map(ms),
        statement_timeout_ms: asked.statement_timeout.map(ms),
    }
}

/// What the engine took.
fn report_of(taken: &SubsetResult) -> SubsetReport {
    let tables = taken.tables.iter().map(|one| TableRows {
        table: one.table.clone(),
        taken: Taken::parse(&one.taken),
        chosen: one.chosen,
        followed: one.followed,
    });
    SubsetReport { tables: tables.collect(), empty_tables: taken.empty_tables }
}
