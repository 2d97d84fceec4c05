//! `offshoot masking …`.

use offshoot_postgres::mask::{ColumnName, Key, Personal, Plan, personal};
use offshoot_protocol::types::UrlResult;
use postgres::{Client, NoTls};
use serde_json::json;

use super::args::MaskingCommand;
use super::connect::Session;
use super::output::Output;
use super::url::address;
use crate::config::{ConfigFile, FILE_NAME, broken};
use crate::failure::{Failure, Result, chain};
use crate::init::without_rule;

pub(super) fn run(command: &MaskingCommand, output: Output) -> Result<u8> {
    let MaskingCommand::Check { branch } = command;
    let mut session = Session::open(output)?;
    let file = ConfigFile::open(&session.project.worktree.path);
    if let Some(error) = file.error() {
        return Err(broken(error));
    }
    let address = address(&mut session, branch.as_deref())?;
    let mut client = connect(&address)?;
    // Nothing is replaced here, so that any key will do.
    let rules = &file.config().masking;
    let plan = Plan::new(rules, Key::from_bytes([0; 32]), &mut client)
        .map_err(|error| Failure::user(error.message).hint(error.hint))?;
    let findings = personal(&mut client, &plan)
        .map_err(|error| Failure::engine(format!("cannot read the schema: {}", chain(&error))))?;
    if output.json {
        let findings: Vec<_> = findings
            .iter()
            .map(|finding| {
                json!({ "column": finding.column.to_string(), "type": finding.type_name,
                        "looksLike": finding.looks.what, "suggestion": finding.looks.suggestion })
            })
            .collect();
        output.value(&json!({ "branch": address.branch, "rules": rules.len(),
                              "masked": plan.report().len(), "findings": findings }))?;
    } else {
        tell(&findings, rules.len(), plan.report().len(), output);
    }
    Ok(if findings.is_empty() { super::OK } else { super::NEGATIVE })
}

fn tell(findings: &[Personal], rules: usize, masked: usize, output: Output) {
    if findings.is_empty() {
        output.line(format!(
            "No column looks personal without a rule. {rules} rules mask {masked} columns; a name does not tell everything."
        ));
        return;
    }
    output.line(format!("{}:", without_rule(findings.len())));
    for Personal { column, type_name, looks } in findings {
        output.line(format!("  {column} ({type_name}) looks like {}", looks.what));
    }
    output.line(format!("Lines for [masking.columns] in {FILE_NAME}; \"keep\" leaves a column as it is:"));
    for Personal { column, looks, .. } in findings {
        output.line(format!("  {} = \"{}\"", key(column), looks.suggestion));
    }
}

/// The column as a key of the file.
fn key(column: &ColumnName) -> String {
    let parts = [&column.schema, &column.table, &column.column];
    let parts = parts.map(|part| {
        if part.contains(['.', '"']) { format!("\"{}\"", part.replace('"', "\"\"")) } else { part.clone() }
    });
    toml::Value::String(parts.join(".")).to_string()
}

fn connect(address: &UrlResult) -> Result<Client> {
    let mut config = postgres::Config::new();
    config.host(&address.host).port(address.port).user(&address.user).password(&address.password);
    config.dbname(&address.database).application_name("offshoot");
    let failed = |error: &postgres::Error| {
        Failure::engine(format!("cannot connect to {}: {}", address.branch, chain(error)))
    };
    config.connect(NoTls).map_err(|e| failed(&e))
}
