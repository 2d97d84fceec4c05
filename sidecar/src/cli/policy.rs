//! `offshoot policy …`.

mod trust;

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use offshoot_git::Environment;
use offshoot_protocol::method::{PolicyApply, PolicyExplain, PolicyGetPlan};
use offshoot_protocol::policy::{
    PolicyApplyParams, PolicyBy, PolicyChange, PolicyExplainParams, PolicyExplained, PolicyPlace, PolicyPlan,
    PolicySessions, PolicyUnmasked,
};
use offshoot_protocol::types::Nothing;
use serde_json::{Value, json};

use super::args::PolicyCommand;
use super::branch::until;
use super::connect::Session;
use super::output::Output;
use super::plain::plain;
use super::{NEGATIVE, OK, snapshot};
use crate::config::{self, ConfigError, FILE_NAME};
use crate::failure::{Failure, Result};
use crate::timestamp;

pub(super) fn run(command: PolicyCommand, output: Output) -> Result<u8> {
    match command {
        PolicyCommand::Explain { name } => explain(name, output),
        PolicyCommand::Check { file } => check(file, output),
        PolicyCommand::Plan => plan(output),
        PolicyCommand::Apply { yes } => apply(yes, output),
        PolicyCommand::Trust { yes, revoke } => trust::run(yes, revoke, output),
    }
}

fn explain(name: Option<String>, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    let name = match name {
        Some(name) => name,
        None => snapshot::current(&mut session, "offshoot policy explain BRANCH")?,
    };
    let params = PolicyExplainParams { name, path: session.path() };
    let explained = session.call::<PolicyExplain>(&params)?;
    if output.json {
        output.value(&explained)?;
    } else {
        output.lines(&explanation(&explained, output));
    }
    Ok(OK)
}

fn explanation(explained: &PolicyExplained, output: Output) -> String {
    let name = output.strong(&plain(&explained.name));
    let is_there = if explained.exists { "" } else { " (there is no such branch yet)" };
    let mut lines = vec![match &explained.rule {
        Some(rule) => {
            let pattern = rule.pattern.as_deref().unwrap_or_default();
            format!("{name}{is_there}: the rule `{}` in {} decides", plain(pattern), shown(rule))
        }
        None => format!("{name}{is_there}: no rule fits"),
    }];
    let keys = explained.settings.iter().map(|setting| setting.key.len()).max().unwrap_or(0);
    let values =
        explained.settings.iter().map(|setting| value(setting.value.as_deref()).chars().count()).max();
    let values = values.unwrap_or(0);
    for setting in &explained.settings {
        let by = match (&setting.place, setting.by) {
            (Some(place), _) => shown(place),
            (None, PolicyBy::Person) => "by hand".to_owned(),
            (None, _) => "default".to_owned(),
        };
        let note = setting.note.as_ref().map(|note| format!("; {}", plain(note))).unwrap_or_default();
        let shown = plain(&value(setting.value.as_deref())).into_owned();
        lines.push(format!(
            "  {:keys$}  {shown:values$}  {}",
            setting.key,
            output.faint(&format!("{by}{note}"))
        ));
    }
    lines.join("\n")
}

fn value(value: Option<&str>) -> String {
    value.unwrap_or("none").to_owned()
}

fn shown(place: &PolicyPlace) -> String {
    format!("{}:{}", plain(&place.file), place.line)
}

fn check(file: Option<PathBuf>, output: Output) -> Result<u8> {
    let is_named = file.is_some();
    let path = file.unwrap_or_else(default_file);
    if !path.exists() {
        if is_named {
            return Err(Failure::user(format!("there is no file {}", path.display())));
        }
        if output.json {
            output.value(&json!({ "file": path.to_string_lossy(), "problems": [] }))?;
        } else {
            output.line(format!("There is no {FILE_NAME}: all settings are the defaults."));
        }
        return Ok(OK);
    }
    let (text, errors) = match config::read(&path) {
        Ok(text) => {
            let (_, errors) = config::parse_all(&text);
            (text, errors)
        }
        Err(error) => (String::new(), vec![error]),
    };
    if output.json {
        let problems: Vec<Value> = errors.iter().map(|error| problem(&text, error)).collect();
        output.value(&json!({ "file": path.to_string_lossy(), "problems": problems }))?;
    } else if errors.is_empty() {
        output.line(format!("{} is good.", path.display()));
    }
    for error in errors.iter().filter(|_| !output.json) {
        let place = format!("{}:{}:{}", path.display(), error.line, error.column(&text));
        output.line(format!("{}: {}", output.strong(&place), error.message));
        for line in error.hint.iter().flat_map(|hint| hint.lines()) {
            output.line(format!("    {line}"));
        }
    }
    Ok(if errors.is_empty() { OK } else { NEGATIVE })
}

fn problem(text: &str, error: &ConfigError) -> Value {
    let mut value = json!({ "line": error.line, "column": error.column(text), "message": error.message });
    if let Some(hint) = &error.hint {
        value["hint"] = json!(hint);
    }
    value
}

/// The file at the top of the work tree; without git, of this folder.
fn default_file() -> PathBuf {
    let top = std::env::current_dir()
        .ok()
        .and_then(|folder| offshoot_git::discover_with(&folder, &Environment::inherited()).ok());
    let path = top.map(|worktree| worktree.path.join(FILE_NAME));
    match path.filter(|_| !Path::new(FILE_NAME).exists()) {
        Some(path) => path,
        None => PathBuf::from(FILE_NAME),
    }
}

fn plan(output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    let plan = session.call::<PolicyGetPlan>(&Nothing {})?;
    if output.json {
        output.value(&plan)?;
        return Ok(OK);
    }
    output.lines(&planned(&plan, timestamp::seconds(SystemTime::now()), output));
    if !plan.changes.is_empty() || !plan.sessions.is_empty() {
        output.line("`offshoot policy apply` does that.");
    }
    Ok(OK)
}

fn planned(plan: &PolicyPlan, now: u64, output: Output) -> String {
    let mut lines: Vec<String> = plan.changes.iter().map(|change| line(change, now, output)).collect();
    lines.extend(plan.sessions.iter().map(|of| ending(of, output)));
    if lines.is_empty() {
        lines.push("Every branch is as the rules have it.".to_owned());
    }
    for unmasked in &plan.unmasked {
        let PolicyUnmasked { name, why, place } = unmasked;
        let name = output.strong(&plain(name));
        lines.push(format!("{name} is to have masked data only ({}): {}", shown(place), plain(why)));
    }
    for kept in &plan.kept {
        let name = plain(kept);
        lines.push(
            output.faint(&format!("{name}: a person has set when it goes, or that it stays; left alone")),
        );
    }
    for guarded in &plan.guarded {
        let (name, place) = (plain(&guarded.name), shown(&guarded.place));
        lines.push(output.faint(&format!("{name}: protected by {place}; holds already")));
    }
    lines.join("\n")
}

fn ending(of: &PolicySessions, output: Output) -> String {
    let name = output.strong(&plain(&of.name));
    let (number, end) = if of.count == 1 { ("1 session", "ends") } else { ("sessions", "end") };
    let number = if of.count == 1 { number.to_owned() } else { format!("{} {number}", of.count) };
    let why = match &of.place {
        Some(place) => format!("who may write is said in {}", shown(place)),
        None => "no rule says any more who may write".to_owned(),
    };
    format!("{name}: {number} {end}, to connect again {}", output.faint(&format!("({why})")))
}

fn line(change: &PolicyChange, now: u64, output: Output) -> String {
    let name = output.strong(&plain(&change.name));
    let place = change.place.as_ref().map(|place| format!(", {}", shown(place))).unwrap_or_default();
    let what = match (change.from, change.to) {
        (Some(from), Some(to)) => {
            format!("goes to the trash {} instead of {}", until(to, now), until(from, now))
        }
        (None, Some(to)) => format!("goes to the trash {}", until(to, now)),
        (Some(from), None) => format!("stays; it would go to the trash {}", until(from, now)),
        (None, None) => "stays".to_owned(),
    };
    format!("{name} {what} {}", output.faint(&format!("({}{place})", plain(&change.why))))
}

fn apply(yes: bool, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    let plan = session.call::<PolicyGetPlan>(&Nothing {})?;
    let now = timestamp::seconds(SystemTime::now());
    if !output.json {
        output.lines(&planned(&plan, now, output));
    }
    let is_nothing = plan.changes.is_empty() && plan.sessions.is_empty();
    let question = || {
        let many = plan.changes.len()
            + plan.sessions.iter().filter(|of| !plan.changes.iter().any(|one| one.id == of.id)).count();
        format!("Change {}?", branches(many))
    };
    if !is_nothing && !yes && !agreed(&question(), "`offshoot policy plan`", output)? {
        return Ok(NEGATIVE);
    }
    let applied = if is_nothing {
        plan
    } else {
        session.call::<PolicyApply>(&PolicyApplyParams { changes: plan.changes, sessions: plan.sessions })?
    };
    if output.json {
        output.value(&applied)?;
    } else if !applied.changes.is_empty() {
        output.line(format!("Changed {}.", branches(applied.changes.len())));
    }
    let ended: u64 = applied.sessions.iter().map(|of| of.count).sum();
    if ended > 0 && !output.json {
        output.line(format!("Ended {ended} session{}.", if ended == 1 { "" } else { "s" }));
    }
    Ok(OK)
}

fn branches(count: usize) -> String {
    if count == 1 { "1 branch".to_owned() } else { format!("{count} branches") }
}

fn agreed(question: &str, shows: &str, output: Output) -> Result<bool> {
    if output.json || !std::io::stdin().is_terminal() {
        return Err(Failure::user("nobody is there to be asked")
            .hint(format!("Say `--yes`, or see what it would do: {shows}.")));
    }
    let fault = |e: &std::io::Error| Failure::io("ask a question", e);
    write!(std::io::stderr(), "{question} [y/N] ").map_err(|e| fault(&e))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| fault(&e))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use offshoot_protocol::policy::{PolicyGuarded, PolicySetting};

    use super::*;

    fn place(line: usize) -> PolicyPlace {
        PolicyPlace { file: FILE_NAME.into(), line, pattern: Some("feature/**".into()) }
    }

    #[test]
    fn an_explanation_names_the_line_of_each_value() {
        let setting = |key: &str, value: Option<&str>, by, place, note: Option<&str>| PolicySetting {
            key: key.into(),
            value: value.map(str::to_owned),
            by,
            place,
            note: note.map(str::to_owned),
        };
        let explained = PolicyExplained {
            name: "feature/x".into(),
            exists: true,
            rule: Some(place(5)),
            settings: vec![
                setting("parent", Some("main"), PolicyBy::File, Some(place(6)), None),
                setting("ttl", None, PolicyBy::Default, None, None),
                setting(
                    "protected",
                    Some("true"),
                    PolicyBy::Person,
                    None,
                    Some("`offshoot branch protect` did that"),
                ),
            ],
        };
        insta::assert_snapshot!(explanation(&explained, Output::new(false)), @r"
        feature/x: the rule `feature/**` in offshoot.toml:5 decides
          parent     main  offshoot.toml:6
          ttl        none  default
          protected  true  by hand; `offshoot branch protect` did that
        ");
    }

    #[test]
    fn a_plan_tells_what_changes_why_and_what_holds_already() {
        let change = |name: &str, from, to, why: &str, place| PolicyChange {
            id: 2,
            name: name.into(),
            from,
            to,
            why: why.into(),
            place,
        };
        let days = Duration::from_hours(24).as_secs();
        let plan = PolicyPlan {
            changes: vec![
                change("a", None, Some(12 * days), "14d after it was made", Some(place(6))),
                change("b", Some(3 * days), Some(days), "1d after it was made", Some(place(6))),
                change("c", Some(3 * days), None, "no rule gives it a time any more", None),
            ],
            guarded: vec![PolicyGuarded { name: "main".into(), place: place(3) }],
            kept: vec!["d".into()],
            unmasked: vec![PolicyUnmasked {
                name: "e".into(),
                why: "its data were imported without masking".into(),
                place: place(7),
            }],
            sessions: vec![PolicySessions { id: 1, name: "main".into(), count: 2, place: Some(place(4)) }],
        };
        insta::assert_snapshot!(planned(&plan, 0, Output::new(false)), @r"
        a goes to the trash in 12 d (14d after it was made, offshoot.toml:6)
        b goes to the trash in 1 d instead of in 3 d (1d after it was made, offshoot.toml:6)
        c stays; it would go to the trash in 3 d (no rule gives it a time any more)
        main: 2 sessions end, to connect again (who may write is said in offshoot.toml:4)
        e is to have masked data only (offshoot.toml:7): its data were imported without masking
        d: a person has set when it goes, or that it stays; left alone
        main: protected by offshoot.toml:3; holds already
        ");
    }
}
