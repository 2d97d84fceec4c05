//! One module for each tool, and what they share.

mod alembic;
mod atlas;
mod common;
mod dbmate;
mod diesel;
mod django;
mod drizzle;
mod efcore;
mod flyway;
mod golang_migrate;
mod goose;
mod knex;
mod kysely;
mod liquibase;
mod node_pg_migrate;
mod plain_sql;
mod prisma;
mod rails;
mod refinery;
mod seaorm;
mod sequelize;
mod sqitch;
mod sqlx;
mod supabase;
mod tern;
mod typeorm;

use std::collections::HashMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::Project;
use crate::scan::Context;
use crate::status::Reading;
use crate::tool::Tool;

/// What is particular to a tool.
pub(crate) trait Adapter: Sync {
    /// Finds its projects with their migrations, in order.
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project>;

    /// Makes sense of the rows of its history table. No rows mean that nothing was applied.
    fn read(&self, project: &Project, rows: &Rows) -> Reading;
}

pub(crate) fn adapter(tool: Tool) -> &'static dyn Adapter {
    match tool {
        Tool::Alembic => &alembic::Alembic,
        Tool::Atlas => &atlas::Atlas,
        Tool::Dbmate => &dbmate::Dbmate,
        Tool::Diesel => &diesel::Diesel,
        Tool::Django => &django::Django,
        Tool::Drizzle => &drizzle::Drizzle,
        Tool::EfCore => &efcore::EfCore,
        Tool::Flyway => &flyway::Flyway,
        Tool::GolangMigrate => &golang_migrate::GolangMigrate,
        Tool::Goose => &goose::Goose,
        Tool::Knex => &knex::Knex,
        Tool::Kysely => &kysely::Kysely,
        Tool::Liquibase => &liquibase::Liquibase,
        Tool::NodePgMigrate => &node_pg_migrate::NodePgMigrate,
        Tool::PlainSql => &plain_sql::PlainSql,
        Tool::Prisma => &prisma::Prisma,
        Tool::Rails => &rails::Rails,
        Tool::Refinery => &refinery::Refinery,
        Tool::SeaOrm => &seaorm::SeaOrm,
        Tool::Sequelize => &sequelize::Sequelize,
        Tool::Sqitch => &sqitch::Sqitch,
        Tool::Sqlx => &sqlx::Sqlx,
        Tool::Supabase => &supabase::Supabase,
        Tool::Tern => &tern::Tern,
        Tool::TypeOrm => &typeorm::TypeOrm,
    }
}

/// What is checked alike for all tools: that no two files claim one place in the history.
pub(crate) fn check(project: &mut Project) {
    let mut first: HashMap<&str, &str> = HashMap::new();
    let mut found = Vec::new();
    for migration in &project.migrations {
        let Some(other) = first.insert(&migration.key, &migration.path) else { continue };
        let message = format!("{} and {other} have the same version {}", migration.path, migration.key);
        let hint = "Give one of them another version before it is applied anywhere.";
        for path in [other, migration.path.as_str()] {
            found.push(Diagnostic::error(
                Code::DuplicateVersion,
                path,
                migration.line,
                message.clone(),
                hint,
            ));
        }
    }
    project.diagnostics.extend(found);
}
