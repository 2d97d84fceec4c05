//! `offshoot push`: the schema of a branch, brought to another server. Never data.

mod apply;

use std::io::{IsTerminal, Write};

use offshoot_protocol::policy::Given;
use offshoot_schema::plan::HazardKind;
use offshoot_schema::{ChangeKind, Facts, Kind, Plan, PlanOptions};
use serde_json::{Value, json};

use super::comparison::{Comparison, one_line, title};
use super::side::{Side, Sides};
use super::{histories, json as document, reading, text};
use crate::cli::args::PushArgs;
use crate::cli::output::Output;
use crate::cli::{NEGATIVE, OK};
use crate::failure::{Failure, Result};
use crate::renames;

pub(in crate::cli) fn run(args: &PushArgs, output: Output) -> Result<u8> {
    if !args.to.starts_with("postgres://") && !args.to.starts_with("postgresql://") {
        return Err(Failure::user("--to takes a postgres:// URL")
            .hint("Branches get each other's schemas by migrations: `offshoot migrations new`."));
    }
    if output.json && !args.yes && !args.dry_run {
        return Err(
            Failure::user("with --json nobody can be asked").hint("Say --yes, or --dry-run to see the plan.")
        );
    }
    let (comparison, given) = compare(args, output)?;
    let place = comparison.from.name.clone();
    let destructive = destructive(&comparison);
    if comparison.plan.is_empty() {
        return nothing(&comparison, output);
    }
    if !output.json {
        output.line(text::document(&comparison, output));
        output.line(format!("\n{}", text::script(&comparison).trim_end()));
    }
    if args.dry_run {
        if output.json {
            output.value(&told(&comparison, &destructive, None)?)?;
        }
        return Ok(OK);
    }
    if !destructive.is_empty() && !args.allow_hazards {
        let list: Vec<_> = destructive.iter().map(|line| format!("  {line}")).collect();
        return Err(Failure::user(format!("the plan takes away what {place} has:\n{}", list.join("\n"))).hint(
            "Nothing was changed. --allow-hazards runs it all the same; `offshoot diff --help` tells how renames are confirmed.",
        ));
    }
    if !args.yes && !agreed(&comparison.plan, &place)? {
        output.line("Nothing was changed.");
        return Ok(NEGATIVE);
    }
    if !args.yes && compare(args, output)?.0.plan.sql() != comparison.plan.sql() {
        return Err(Failure::user(format!(
            "the schema of {place} or of the branch changed while you were asked"
        ))
        .hint("Nothing was changed. Push again to see the new plan."));
    }
    let left = apply::run(args, &comparison, &given, output)?;
    if output.json {
        output.value(&told(&comparison, &destructive, Some(left))?)?;
        return Ok(OK);
    }
    let statements = match statements(&comparison.plan) {
        1 => "1 statement".to_owned(),
        more => format!("{more} statements"),
    };
    output.line(format!("{place} has the schema of {} now: {statements}.", comparison.to.name));
    if left > 0 {
        output.line(format!(
            "{left} objects still differ; `offshoot diff URL {}` shows them.",
            comparison.to.name
        ));
    }
    Ok(OK)
}

/// The server's schema as it is, the branch's as it is to be, and what rules gave the branch.
fn compare(args: &PushArgs, output: Output) -> Result<(Comparison, Given)> {
    let mut sides = Sides::new(output);
    let branch = match &args.branch {
        Some(name) => sides.named(name, "the name of a branch is wanted here")?.name,
        None => sides.current()?.name,
    };
    let is_here = sides.current().is_ok_and(|current| current.name == branch);
    let to = sides.find_or_current(Some(&branch))?;
    let lines = if is_here { sides.rename_lines()? } else { Vec::new() };
    let given = sides.given(&to)?;
    let (mut from, mut to) = reading::both(Side::Url(args.to.clone()), to, output)?;
    crate::given::leave_out(&given, &mut to.facts, &mut from.facts, &mut []);
    let left_out = histories::leave_out_all(&mut from, &mut [&mut to]);
    without_rights(&mut from.facts);
    without_rights(&mut to.facts);
    keep_owners(&mut from.facts, &mut to.facts);
    let mut options = PlanOptions { online: args.online, ..PlanOptions::default() };
    if !lines.is_empty() {
        options.renames = renames::confirmed(&lines)?.fitting(&from.facts, &to.facts).renames;
    }
    let mut comparison = Comparison::new(from, to, &options)?;
    comparison.left_out = left_out;
    Ok((comparison, given))
}

/// Rights are the server's own: a branch was made without them, and would take all away.
fn without_rights(facts: &mut Facts) {
    let rights = [
        Kind::Grant,
        Kind::DefaultPrivilege,
        Kind::Role,
        Kind::Membership,
        Kind::UserMapping,
        Kind::Subscription,
    ];
    facts.facts.retain(|id, _| !rights.contains(&id.kind));
}

/// Owners are the server's own as well: here one role has everything, which may not be there at all. What is made anew belongs to the role
/// of the URL.
fn keep_owners(server: &mut Facts, branch: &mut Facts) {
    for (id, fact) in &mut server.facts {
        let owner = fact.text("owner").map(str::to_owned);
        match (branch.facts.get_mut(id), owner) {
            (Some(wanted), Some(owner)) => wanted.set("owner", &owner),
            _ => drop(fact.attributes.remove("owner")),
        }
    }
    for (id, fact) in &mut branch.facts {
        if !server.facts.contains_key(id) {
            fact.attributes.remove("owner");
        }
    }
}

fn nothing(comparison: &Comparison, output: Output) -> Result<u8> {
    if output.json {
        output.value(&told(comparison, &[], Some(comparison.changes.len()))?)?;
        return Ok(OK);
    }
    if comparison.is_different() {
        output.line(text::document(comparison, output));
        output.line("\nNothing of this can be planned; nothing was changed.");
    } else {
        output.line(format!("{} has the schema of {} already.", comparison.from.name, comparison.to.name));
    }
    Ok(OK)
}

/// What would be gone, a line each: data, and what only the server has.
fn destructive(comparison: &Comparison) -> Vec<String> {
    let mut lines = Vec::new();
    for step in comparison.plan.steps() {
        let deletes = step.hazards.iter().filter(|hazard| hazard.kind == HazardKind::DeletesData);
        lines.extend(deletes.map(|hazard| one_line(&format!("{}: {hazard}", title(&step.object)))));
    }
    for changed in comparison.changes.iter().filter(|changed| changed.change.kind == ChangeKind::Removed) {
        let name = title(&changed.change.object);
        if !lines.iter().any(|line| line.starts_with(&format!("{name}:"))) {
            lines.push(format!("{name}: is dropped, as {} has it not", comparison.to.name));
        }
    }
    lines
}

fn statements(plan: &Plan) -> usize {
    plan.steps().map(|step| step.statements.len()).sum()
}

/// What was planned and done, for programs; `left` objects differ afterwards.
fn told(comparison: &Comparison, destructive: &[String], left: Option<usize>) -> Result<Value> {
    let mut value = document::document(comparison);
    value["destructive"] = serde_json::to_value(destructive).map_err(|e| Failure::internal(e.to_string()))?;
    value["applied"] = json!(left.is_some());
    value["statements"] = json!(statements(&comparison.plan));
    if let Some(left) = left {
        value["left"] = json!(left);
    }
    Ok(value)
}

fn agreed(plan: &Plan, place: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(
            Failure::user("nobody is there to be asked").hint("Say --yes, or --dry-run to see the plan.")
        );
    }
    let fault = |e: &std::io::Error| Failure::io("ask", e);
    let count = statements(plan);
    write!(std::io::stderr(), "\nRun these {count} statements on {place}? [y/N] ").map_err(|e| fault(&e))?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|e| fault(&e))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
