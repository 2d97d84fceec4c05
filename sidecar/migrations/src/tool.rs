//! The tools that are known.

macro_rules! tools {
    ($($variant:ident $id:literal $name:literal,)*) => {
        /// A migration tool.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Tool {
            $(#[doc = concat!($name, ".")] $variant,)*
        }

        impl Tool {
            /// All tools, in the order in which they are looked for.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name for settings and JSON, such as `node-pg-migrate`.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// The name for people, such as `Entity Framework Core`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

tools! {
    Alembic "alembic" "Alembic",
    Django "django" "Django",
    Rails "rails" "Rails",
    Prisma "prisma" "Prisma",
    Drizzle "drizzle" "Drizzle",
    Knex "knex" "Knex",
    TypeOrm "typeorm" "TypeORM",
    Sequelize "sequelize" "Sequelize",
    NodePgMigrate "node-pg-migrate" "node-pg-migrate",
    Kysely "kysely" "Kysely",
    Supabase "supabase" "Supabase",
    Atlas "atlas" "Atlas",
    Sqitch "sqitch" "Sqitch",
    Liquibase "liquibase" "Liquibase",
    EfCore "efcore" "Entity Framework Core",
    SeaOrm "seaorm" "SeaORM",
    Diesel "diesel" "Diesel",
    Refinery "refinery" "Refinery",
    Sqlx "sqlx" "sqlx",
    Flyway "flyway" "Flyway",
    Dbmate "dbmate" "dbmate",
    Goose "goose" "goose",
    Tern "tern" "tern",
    GolangMigrate "golang-migrate" "golang-migrate",
    PlainSql "plain-sql" "numbered SQL files",
}
