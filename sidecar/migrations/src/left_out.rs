//! What is said of links, pipes and names that no file can be read from.

use crate::diagnostic::{Code, Diagnostic};
use crate::model::Project;
use crate::source::LeftOut;
use crate::text;

/// At most this many are named, so that a tree full of links cannot fill an answer.
const LEFT_OUT_NAMED: usize = 50;

/// Words in paths of folders and files that tools read.
const TOOLS_WORDS: &[&str] = &[
    "alembic",
    "changelog",
    "dbmate",
    "drizzle",
    "flyway",
    "knex",
    "liquibase",
    "migrat",
    "prisma",
    "sequelize",
    "sqitch",
    "supabase",
];

/// Diagnostics for what could hold migrations and was left out. Other links are nobody's business here.
pub(crate) fn diagnostics(mut all: Vec<LeftOut>, projects: &[Project]) -> Vec<Diagnostic> {
    let matters = |path: &str| {
        let lower = path.to_lowercase();
        lower.ends_with(".sql")
            || TOOLS_WORDS.iter().any(|word| lower.contains(word))
            || projects.iter().flat_map(|project| &project.folders).any(|folder| {
                text::split_path(path).0 == folder || (!folder.is_empty() && text::is_under(path, folder))
            })
    };
    all.retain(|found| matters(&found.path));
    all.sort_by(|a, b| a.path.cmp(&b.path));
    let named = |found: &LeftOut| {
        let message = format!("it is left out: {}", found.why);
        let hint = "If it holds a migration, put a regular file with a UTF-8 name there; the status does not count it.";
        Diagnostic::warning(Code::Unreadable, &found.path, 1, message, hint)
    };
    let mut found: Vec<_> = all.iter().take(LEFT_OUT_NAMED).map(named).collect();
    if let Some(last) = found.last_mut()
        && all.len() > LEFT_OUT_NAMED
    {
        last.message = format!("{}; {} more are left out", last.message, all.len() - LEFT_OUT_NAMED);
    }
    found
}
