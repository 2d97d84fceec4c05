//! What statements do to tables that are there already, as far as it takes time in the size of the table.

use std::collections::HashSet;
use std::ops::Range;

use squawk_syntax::ast::{self, AstNode};
use squawk_syntax::{SourceFile, SyntaxNode};

use super::Edit;

/// Work in the size of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// An index is built while others cannot write.
    Index,
    /// The table is written anew.
    Rewrite(Rewrite),
    /// Its rows are read to look for nulls in this column.
    NotNull(String),
    /// Its rows are read for a check.
    Check,
    /// Its rows are looked up in this table.
    ForeignKey(String),
    /// An index is built while others can neither read nor write.
    Unique,
}

/// Why a table is written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rewrite {
    /// A column gets another type.
    Type,
    /// A column is added whose value has to be computed for each row.
    Column,
    /// `VACUUM FULL`, `CLUSTER`.
    Compact,
    /// It becomes logged or unlogged, or gets another access method.
    Storage,
}

/// A statement that works on a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Touch {
    pub(super) schema: Option<String>,
    pub(super) table: String,
    pub(super) work: Work,
    /// What to underline, in bytes.
    pub(super) range: Range<usize>,
    /// The whole statement.
    pub(super) statement: Range<usize>,
    /// What makes it the safe form, where that is a few words.
    pub(super) edits: Vec<Edit>,
    /// The constraint's name as it is written, if it has one.
    pub(super) constraint: Option<String>,
    /// The table as it is written.
    pub(super) written: String,
}

/// All such statements of a script. Tables that it makes itself are empty, and left out.
pub(super) fn touches(file: &SourceFile) -> Vec<Touch> {
    let mut made: HashSet<(Option<String>, String)> = HashSet::new();
    let mut all = Vec::new();
    for statement in file.stmts() {
        let whole = span(statement.syntax());
        match statement {
            ast::Stmt::CreateTable(create) => {
                made.extend(
                    create.table_name().and_then(|name| name.path()).map(|path| named(path.syntax())),
                );
            }
            ast::Stmt::CreateTableAs(create) => {
                made.extend(
                    create.table_name().and_then(|name| name.path()).map(|path| named(path.syntax())),
                );
            }
            ast::Stmt::CreateIndex(create) if create.concurrently_token().is_none() => {
                let Some(path) = create.table_relation_name().and_then(relation) else { continue };
                let concurrently = create.index_token().map(|index| {
                    let at = usize::from(index.text_range().end());
                    Edit { range: at..at, text: " CONCURRENTLY".to_owned() }
                });
                let mut touch = touch(&path, Work::Index, create.syntax(), &whole);
                touch.edits.extend(concurrently);
                all.push(touch);
            }
            ast::Stmt::AlterTable(alter) => {
                let Some(path) = alter.table_relation_name().and_then(relation) else { continue };
                for action in alter.actions() {
                    all.extend(of_action(&path, &action, &whole));
                }
            }
            ast::Stmt::Vacuum(vacuum) if is_full(&vacuum) => {
                let tables = vacuum.table_and_columns_list();
                for table in tables.into_iter().flat_map(|list| list.table_and_columnss()) {
                    let Some(path) = table.table_relation_name().and_then(relation) else { continue };
                    all.push(touch(&path, Work::Rewrite(Rewrite::Compact), vacuum.syntax(), &whole));
                }
            }
            ast::Stmt::Cluster(cluster) => {
                let legacy = cluster.cluster_legacy().and_then(|legacy| legacy.on_path());
                let table = cluster.table_name_ref().or_else(|| legacy.and_then(|on| on.table_name_ref()));
                let Some(path) = table.and_then(|table| table.path_ref()) else { continue };
                let work = Work::Rewrite(Rewrite::Compact);
                all.push(touch(path.syntax(), work, cluster.syntax(), &whole));
            }
            _ => {}
        }
    }
    all.retain(|touch| !made.contains(&(touch.schema.clone(), touch.table.clone())));
    all
}

fn relation(name: ast::TableRelationName) -> Option<SyntaxNode> {
    Some(name.table_name_ref()?.path_ref()?.syntax().clone())
}

fn span(node: &SyntaxNode) -> Range<usize> {
    usize::from(node.text_range().start())..usize::from(node.text_range().end())
}

fn touch(path: &SyntaxNode, work: Work, at: &SyntaxNode, statement: &Range<usize>) -> Touch {
    let (schema, table) = named(path);
    Touch {
        schema,
        table,
        work,
        range: span(at),
        statement: statement.clone(),
        edits: Vec::new(),
        constraint: None,
        written: path.text().to_string().trim().to_owned(),
    }
}

fn of_action(path: &SyntaxNode, action: &ast::AlterTableAction, whole: &Range<usize>) -> Vec<Touch> {
    let one = |work, at: &SyntaxNode| vec![touch(path, work, at, whole)];
    match action {
        ast::AlterTableAction::AlterColumn(alter) => match alter.option() {
            Some(ast::AlterColumnOption::SetType(set)) => one(Work::Rewrite(Rewrite::Type), set.syntax()),
            Some(ast::AlterColumnOption::SetNotNull(set)) => {
                let column = alter.column_name_ref().map(|name| name.syntax().text().to_string());
                one(Work::NotNull(column.unwrap_or_default().trim().to_owned()), set.syntax())
            }
            _ => Vec::new(),
        },
        ast::AlterTableAction::AddConstraint(add) => {
            let Some(constraint) = add.constraint().filter(|constraint| !constraint.is_not_valid()) else {
                return Vec::new();
            };
            let Some(work) = work_of(&constraint, false) else { return Vec::new() };
            let mut touch = touch(path, work, constraint.syntax(), whole);
            touch.constraint = constraint.constraint_name().map(|name| name.syntax().text().to_string());
            if matches!(touch.work, Work::Check | Work::ForeignKey(_)) {
                let end = touch.range.end;
                touch.edits = vec![Edit { range: end..end, text: " NOT VALID".to_owned() }];
            }
            vec![touch]
        }
        ast::AlterTableAction::AddColumn(add) => {
            let work = Work::Rewrite(Rewrite::Column);
            let mut anew =
                add.constraints().filter(is_computed).map(|constraint| constraint.syntax().clone());
            let serial = add.ty().map(|ty| ty.syntax().clone()).filter(is_serial);
            let computes = anew.next().or(serial).map(|at| touch(path, work, &at, whole));
            let others = add.constraints().filter_map(|constraint| {
                Some(touch(path, work_of(&constraint, true)?, constraint.syntax(), whole))
            });
            computes.into_iter().chain(others).collect()
        }
        ast::AlterTableAction::SetLogged(set) => one(Work::Rewrite(Rewrite::Storage), set.syntax()),
        ast::AlterTableAction::SetUnlogged(set) => one(Work::Rewrite(Rewrite::Storage), set.syntax()),
        ast::AlterTableAction::SetAccessMethod(set) => one(Work::Rewrite(Rewrite::Storage), set.syntax()),
        _ => Vec::new(),
    }
}

/// What adding a constraint takes; with `to_new`, one of a column that is added with it.
fn work_of(constraint: &ast::Constraint, to_new: bool) -> Option<Work> {
    let other = |table: Option<ast::TableNameRef>| {
        table.map(|table| table.syntax().text().to_string().trim().to_owned()).unwrap_or_default()
    };
    match constraint {
        ast::Constraint::ForeignKeyConstraint(key) => Some(Work::ForeignKey(other(key.table_name_ref()))),
        ast::Constraint::ReferencesConstraint(key) => Some(Work::ForeignKey(other(key.table()))),
        ast::Constraint::CheckConstraint(_) => Some(Work::Check),
        ast::Constraint::UniqueConstraint(unique) => unique.using_index().is_none().then_some(Work::Unique),
        ast::Constraint::PrimaryKeyConstraint(key) => key.using_index().is_none().then_some(Work::Unique),
        ast::Constraint::NotNullConstraint(_) if !to_new => Some(Work::NotNull(String::new())),
        ast::Constraint::ExcludeConstraint(_) => Some(Work::Unique),
        _ => None,
    }
}

fn is_serial(of: &SyntaxNode) -> bool {
    let name = of.text().to_string().trim().to_ascii_lowercase();
    ["serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"].contains(&name.as_str())
}

/// Whether Postgres computes the value of a new column for each row there is.
fn is_computed(constraint: &ast::Constraint) -> bool {
    match constraint {
        // Since Postgres 18 generated columns are virtual unless they say otherwise.
        ast::Constraint::GeneratedConstraint(generated) => {
            let text = generated.syntax().text().to_string().to_ascii_lowercase();
            text.contains("identity") || text.split_whitespace().any(|word| word == "stored")
        }
        ast::Constraint::DefaultConstraint(default) => default.expr().is_some_and(|expr| {
            let text = expr.syntax().text().to_string().to_ascii_lowercase();
            VOLATILE.iter().any(|function| {
                text.match_indices(function).any(|(at, _)| {
                    let before = text[..at].chars().next_back();
                    !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
                })
            })
        }),
        _ => false,
    }
}

/// Functions that give another value for each row. Those that nobody knows are left to the general rules.
const VOLATILE: [&str; 8] = [
    "random(",
    "gen_random_uuid(",
    "uuid_generate_v",
    "uuidv4(",
    "uuidv7(",
    "nextval(",
    "clock_timestamp(",
    "timeofday(",
];

fn is_full(vacuum: &ast::Vacuum) -> bool {
    let options =
        vacuum.vacuum_option_list().map(|list| list.syntax().text().to_string().to_ascii_lowercase());
    let full = options.is_some_and(|text| {
        let mut each = text.trim_matches(['(', ')']).split(',').map(str::trim);
        each.any(|one| one == "full" || one.strip_prefix("full ").is_some_and(|value| !is_off(value.trim())))
    });
    full || vacuum.full_token().is_some()
}

fn is_off(value: &str) -> bool {
    ["false", "off", "0", "no"].contains(&value)
}

/// Schema and name of a path, as the catalogs have them.
fn named(path: &SyntaxNode) -> (Option<String>, String) {
    let text = path.text().to_string();
    let mut parts: Vec<String> = vec![String::new()];
    let mut quoted = false;
    let mut letters = text.trim().chars().peekable();
    while let Some(letter) = letters.next() {
        let last = parts.len() - 1;
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => parts[last].push('"'),
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            letter if quoted => parts[last].push(letter),
            letter if letter.is_whitespace() => {}
            letter => parts[last].push(letter.to_ascii_lowercase()),
        }
    }
    let name = parts.pop().unwrap_or_default();
    (parts.pop(), name)
}
