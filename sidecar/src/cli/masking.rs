//! `offshoot masking …`.

use offshoot_postgres::mask::{self, ColumnName, Key, Plan, suspicion};
use offshoot_protocol::types::UrlResult;
use postgres::{Client, NoTls};
use serde_json::json;

use super::args::MaskingCommand;
use super::connect::Session;
use super::output::Output;
use super::url::address;
use crate::config::{ConfigFile, FILE_NAME, broken};
use crate::failure::{Failure, Result, chain};

/// Columns of tables, with the names of their base types.
const COLUMNS: &str = "
    WITH RECURSIVE base AS (
        SELECT t.oid AS domain, t.typname, t.typtype, t.typbasetype FROM pg_catalog.pg_type t
        UNION ALL
        SELECT base.domain, t.typname, t.typtype, t.typbasetype
        FROM base JOIN pg_catalog.pg_type t ON t.oid = base.typbasetype WHERE base.typtype = 'd')
    SELECT n.nspname::text, c.relname::text, a.attname::text, base.typname::text
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN base ON base.domain = a.atttypid AND base.typtype <> 'd'
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND c.relkind IN ('r', 'p')
      AND NOT c.relispartition
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
                      AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1, 2, a.attnum";

/// A column that looks personal.
struct Finding {
    column: ColumnName,
    type_name: String,
    found: mask::Suspicion,
}

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
    let findings = find(&mut client, &plan)?;
    if output.json {
        let findings: Vec<_> = findings
            .iter()
            .map(|finding| {
                json!({ "column": finding.column.to_string(), "type": finding.type_name,
                        "looksLike": finding.found.what, "suggestion": finding.found.suggestion })
            })
            .collect();
        output.value(&json!({ "branch": address.branch, "rules": rules.len(),
                              "masked": plan.report().len(), "findings": findings }))?;
    } else {
        tell(&findings, rules.len(), plan.report().len(), output);
    }
    Ok(if findings.is_empty() { super::OK } else { super::NEGATIVE })
}

fn tell(findings: &[Finding], rules: usize, masked: usize, output: Output) {
    if findings.is_empty() {
        output.line(format!(
            "No column looks personal without a rule. {rules} rules mask {masked} columns; a name does not tell everything."
        ));
        return;
    }
    output.line(format!("{} columns look personal and have no rule:", findings.len()));
    for Finding { column, type_name, found } in findings {
        output.line(format!("  {column} ({type_name}) looks like {}", found.what));
    }
    output.line(format!("Lines for [masking.columns] in {FILE_NAME}; \"keep\" leaves a column as it is:"));
    for Finding { column, found, .. } in findings {
        output.line(format!("  {} = \"{}\"", key(column), found.suggestion));
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

fn find(client: &mut Client, plan: &Plan) -> Result<Vec<Finding>> {
    let failed =
        |error: &postgres::Error| Failure::engine(format!("cannot read the schema: {}", chain(error)));
    let rows = client.query(COLUMNS, &[]).map_err(|e| failed(&e))?;
    let findings = rows.iter().filter_map(|row| {
        let column = ColumnName { schema: row.get(0), table: row.get(1), column: row.get(2) };
        let type_name: String = row.get(3);
        let found = suspicion(&column.table, &column.column, &type_name)?;
        (!plan.is_settled(&column)).then_some(Finding { column, type_name, found })
    });
    Ok(findings.collect())
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
