//! What a statement does, by sqlparser. What it cannot parse is unknown, never an error.

use sqlparser::ast;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatementKind {
    /// Makes an object.
    Create,
    /// Changes an object.
    Alter,
    /// Removes an object.
    Drop,
    /// Makes or removes an index without blocking writers, which no transaction may hold.
    IndexConcurrently,
    /// Empties a table.
    Truncate,
    /// Adds, changes or removes rows.
    Write,
    /// Reads.
    Read,
    /// Begins or ends a transaction.
    Transaction,
    /// Changes a setting of the session.
    Setting,
    /// Grants or revokes.
    Grant,
    /// Sets a comment.
    Comment,
    /// Anything else that is understood.
    Other,
    /// It cannot be parsed.
    Unknown,
}

/// The longest statement that is looked at, in bytes: beyond it are data, not programs.
const BYTES_MAX: usize = 1 << 20;

/// What a statement does.
pub fn classify(statement: &str) -> StatementKind {
    if statement.len() > BYTES_MAX {
        return StatementKind::Unknown;
    }
    // Not every form of this is known to the parser, and it matters whether a transaction may hold it.
    let head: Vec<String> = statement.split_whitespace().take(3).map(str::to_ascii_lowercase).collect();
    if matches!(head.iter().map(String::as_str).collect::<Vec<_>>()[..], ["drop", "index", "concurrently"]) {
        return StatementKind::IndexConcurrently;
    }
    let parsed = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(50).try_with_sql(statement);
    let Ok(mut statements) = parsed.and_then(|mut parser| parser.parse_statements()) else {
        return StatementKind::Unknown;
    };
    let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
        return StatementKind::Unknown;
    };
    match &statement {
        ast::Statement::CreateIndex(index) if index.concurrently => return StatementKind::IndexConcurrently,
        ast::Statement::Query(query) => {
            let writes = matches!(
                *query.body,
                ast::SetExpr::Insert(_) | ast::SetExpr::Update(_) | ast::SetExpr::Delete(_)
            );
            return if writes { StatementKind::Write } else { StatementKind::Read };
        }
        ast::Statement::Insert(_)
        | ast::Statement::Update { .. }
        | ast::Statement::Delete(_)
        | ast::Statement::Merge { .. } => {
            return StatementKind::Write;
        }
        ast::Statement::Copy { to, .. } => {
            return if *to { StatementKind::Read } else { StatementKind::Write };
        }
        ast::Statement::Truncate { .. } => return StatementKind::Truncate,
        _ => {}
    }
    // The parser has some hundred kinds; their own first words tell enough of the others.
    let text = statement.to_string().to_ascii_uppercase();
    match text.split_whitespace().next().unwrap_or_default() {
        "CREATE" => StatementKind::Create,
        "ALTER" => StatementKind::Alter,
        "DROP" => StatementKind::Drop,
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" => {
            StatementKind::Transaction
        }
        "SET" | "RESET" => StatementKind::Setting,
        "GRANT" | "REVOKE" => StatementKind::Grant,
        "COMMENT" => StatementKind::Comment,
        _ => StatementKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart_and_nonsense_is_unknown() {
        let cases = [
            ("create table t (a int primary key)", StatementKind::Create),
            ("create unique index concurrently i on t (a)", StatementKind::IndexConcurrently),
            ("drop index concurrently i", StatementKind::IndexConcurrently),
            ("alter table t add column b text not null default ''", StatementKind::Alter),
            ("drop table if exists t cascade", StatementKind::Drop),
            ("insert into t values (1)", StatementKind::Write),
            ("with x as (select 1) select * from x", StatementKind::Read),
            ("update t set a = 2", StatementKind::Write),
            ("truncate t", StatementKind::Truncate),
            ("begin", StatementKind::Transaction),
            ("set lock_timeout = '1s'", StatementKind::Setting),
            ("comment on table t is 'x'", StatementKind::Comment),
            ("grant select on t to r", StatementKind::Grant),
            ("creat table t (a int)", StatementKind::Unknown),
            ("", StatementKind::Unknown),
        ];
        for (statement, kind) in cases {
            assert_eq!(classify(statement), kind, "{statement}");
        }
    }

    #[test]
    fn deep_nesting_is_unknown_and_does_not_overflow() {
        assert_eq!(
            classify(&format!("select {}1{}", "(".repeat(20_000), ")".repeat(20_000))),
            StatementKind::Unknown
        );
    }
}
