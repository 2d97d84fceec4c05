//! How each tool is found, what its configuration says, and what it would run.
#![allow(missing_docs, clippy::unwrap_used, clippy::similar_names)]

use offshoot_migrations::{
    Down, History, Late, MemorySource, Observed, Project, Rows, Scan, Scanner, State, Tool,
};

fn scan(files: &[(&str, &str)]) -> Scan {
    Scanner::default().scan(&MemorySource::new(files.iter().copied())).unwrap()
}

/// The only project, and that it is this tool's.
fn only(files: &[(&str, &str)], tool: Tool) -> Project {
    let mut scan = scan(files);
    let found: Vec<_> =
        scan.projects.iter().map(|project| (project.tool.id(), project.root.clone())).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    let project = scan.projects.remove(0);
    assert_eq!(project.tool, tool);
    project
}

fn keys(project: &Project) -> Vec<&str> {
    project.migrations.iter().map(|migration| migration.key.as_str()).collect()
}

fn table(project: &Project) -> String {
    project.history.as_ref().unwrap().sql()
}

fn rows(rows: &[&str]) -> History {
    History::Rows(Rows::parse(rows).unwrap())
}

fn states(project: &Project, history: &History) -> Vec<&'static str> {
    project.status(history, &Observed::default()).entries.iter().map(|entry| entry.state.id()).collect()
}

#[test]
fn tools_of_one_repository_are_found_each_in_its_folder() {
    let scan = scan(&[
        ("api/knexfile.js", "module.exports = {}"),
        ("api/migrations/1_a.js", "//"),
        ("billing/alembic.ini", "[alembic]\nscript_location = db\n"),
        ("billing/db/versions/a.py", "revision = 'a'\ndown_revision = None\n"),
        ("jobs/Cargo.toml", "[dependencies]\nsqlx = \"0.9\"\n"),
        ("jobs/migrations/1_a.sql", "select 1;"),
        ("legacy/migrations/001_a.sql", "select 1;"),
        ("node_modules_not/x.txt", ""),
    ]);
    let found: Vec<_> =
        scan.projects.iter().map(|project| (project.root.as_str(), project.tool.id())).collect();
    assert_eq!(found, [("api", "knex"), ("billing", "alembic"), ("jobs", "sqlx"), ("legacy", "plain-sql")]);
}

#[test]
fn flyway_orders_versions_numerically_and_knows_baselines_repeatables_and_undos() {
    let project = only(
        &[
            (
                "flyway.toml",
                "[flyway]\nlocations = [\"filesystem:sql\"]\ndefaultSchema = \"app\"\ntable = \"log\"\n",
            ),
            ("sql/V1__one.sql", "select 1;\n"),
            ("sql/V2.1__two_one.sql", "select 1;\n"),
            ("sql/V10__ten.sql", "select 1;\n"),
            ("sql/U10__ten.sql", "select 1;\n"),
            ("sql/R__views.sql", "select 1;\n"),
            ("sql/readme.sql", ""),
        ],
        Tool::Flyway,
    );
    assert_eq!(keys(&project), ["1", "2.1", "10", "R views"]);
    assert_eq!(table(&project), "\"app\".\"log\"");
    assert_eq!(project.late, Late::Refuses);
    assert_eq!(project.migrations[2].down, Down::File("sql/U10__ten.sql".into()));
    let sum = &project.migrations[0].checksums[0];
    let row = |rank: u32, version: &str, kind: &str, sum: &str, success: bool| {
        format!(
            "{{\"installed_rank\": {rank}, \"version\": {version}, \"description\": \"views\", \"type\": \"{kind}\", \"script\": \"x\", \"checksum\": {sum}, \"installed_on\": \"2024-01-01T00:00:00\", \"execution_time\": 7, \"success\": {success}}}"
        )
    };
    let applied = row(1, "\"1.0\"", "SQL", sum, true);
    assert_eq!(states(&project, &rows(&[&applied])), ["applied", "pending", "pending", "pending"]);
    let edited = row(1, "\"1\"", "SQL", "5", true);
    assert_eq!(states(&project, &rows(&[&edited])), ["changed", "pending", "pending", "pending"]);
    let late = row(2, "\"10\"", "SQL", sum, true);
    assert_eq!(
        states(&project, &rows(&[&applied, &late])),
        ["applied", "out of order", "applied", "pending"]
    );
    let failed = row(2, "\"2.1\"", "SQL", sum, false);
    assert_eq!(states(&project, &rows(&[&applied, &failed])), ["applied", "failed", "pending", "pending"]);
    let baseline = row(1, "\"2.1\"", "BASELINE", "null", true);
    assert_eq!(states(&project, &rows(&[&baseline])), ["baseline", "baseline", "pending", "pending"]);
    let undone = row(3, "\"10\"", "UNDO_SQL", sum, true);
    assert_eq!(states(&project, &rows(&[&late, &undone])), ["pending", "pending", "pending", "pending"]);
    let view = row(4, "null", "SQL", sum, true);
    assert_eq!(states(&project, &rows(&[&applied, &view])), ["applied", "pending", "pending", "applied"]);
    let old_view = row(4, "null", "SQL", "5", true);
    assert_eq!(states(&project, &rows(&[&applied, &old_view])), ["applied", "pending", "pending", "pending"]);
}

#[test]
fn flyway_of_spring_is_found_without_a_configuration() {
    let project = only(
        &[
            ("app/pom.xml", "<project/>"),
            (
                "app/src/main/resources/application.properties",
                "spring.flyway.table=hist\nspring.flyway.out-of-order=true\n",
            ),
            ("app/src/main/resources/db/migration/V1__one.sql", "select 1;"),
        ],
        Tool::Flyway,
    );
    assert_eq!(
        (project.root.as_str(), table(&project).as_str(), project.late),
        ("app", "\"hist\"", Late::Runs)
    );
}

#[test]
fn rails_takes_versions_from_names() {
    let project = only(
        &[(
            "db/migrate/20240101000000_add_x.rb",
            "class AddX < ActiveRecord::Migration[7.1]\n def change\n end\nend",
        )],
        Tool::Rails,
    );
    assert_eq!(table(&project), "\"schema_migrations\"");
    assert_eq!(states(&project, &rows(&["{\"version\": \"20240101000000\"}"])), ["applied"]);
}

#[test]
fn liquibase_follows_inclusions_in_all_formats() {
    let project = only(
        &[
            ("liquibase.properties", "changeLogFile=db/changelog.xml\n"),
            (
                "db/changelog.xml",
                "<databaseChangeLog>\n<!-- <changeSet id=\"0\" author=\"x\"/> -->\n<changeSet id=\"1\" author=\"ann\">\n</changeSet>\n<include file=\"more.yaml\" relativeToChangelogFile=\"true\"/>\n<include file=\"db/last.sql\"/>\n</databaseChangeLog>",
            ),
            ("db/more.yaml", "databaseChangeLog:\n  - changeSet:\n      id: 2\n      author: bob\n"),
            ("db/last.sql", "--liquibase formatted sql\n--changeset cleo:3 runOnChange:false\nselect 1;\n"),
        ],
        Tool::Liquibase,
    );
    assert_eq!(keys(&project), ["db/changelog.xml::1::ann", "db/more.yaml::2::bob", "db/last.sql::3::cleo"]);
    assert_eq!(project.migrations[2].line, 2);
    let row = "{\"id\": \"1\", \"author\": \"ann\", \"filename\": \"db/changelog.xml\", \"orderexecuted\": 1, \"exectype\": \"EXECUTED\", \"dateexecuted\": \"2024-01-01T00:00:00\"}";
    assert_eq!(states(&project, &rows(&[row])), ["applied", "pending", "pending"]);
}

#[test]
fn kysely_seaorm_ef_core_and_tern_are_found() {
    let kysely = only(
        &[
            ("kysely.config.ts", "export default { migrations: { migrationFolder: 'db' } }"),
            ("db/1_a.ts", "export {}"),
        ],
        Tool::Kysely,
    );
    assert_eq!(states(&kysely, &rows(&["{\"name\": \"1_a\", \"timestamp\": \"2024\"}"])), ["applied"]);
    let sea = only(
        &[
            ("migration/Cargo.toml", "[dependencies]\nsea-orm-migration = \"1\"\n"),
            (
                "migration/src/lib.rs",
                "impl MigratorTrait for M { fn m() { vec![Box::new(m2_b::Migration), Box::new(m1_a::Migration)] } }",
            ),
            ("migration/src/m1_a.rs", "//"),
            ("migration/src/m2_b.rs", "//"),
            ("migration/src/m3_c.rs", "//"),
        ],
        Tool::SeaOrm,
    );
    assert_eq!(keys(&sea), ["m2_b", "m1_a"]);
    assert_eq!(sea.diagnostics.len(), 1);
    let ef = only(
        &[
            ("App/App.csproj", "<Project/>"),
            (
                "App/Migrations/20240101000000_Init.cs",
                "public partial class Init : Migration { void Down(M b) {} }",
            ),
            ("App/Migrations/20240101000000_Init.Designer.cs", "[Migration(\"20240101000000_Init\")]"),
        ],
        Tool::EfCore,
    );
    assert_eq!(
        states(&ef, &rows(&["{\"MigrationId\": \"20240101000000_Init\", \"ProductVersion\": \"9\"}"])),
        ["applied"]
    );
    let query = ef.history.unwrap().rows_query(&["MigrationId"]);
    assert!(
        query.ends_with("from (select \"MigrationId\" from \"__EFMigrationsHistory\") history"),
        "{query}"
    );
    let tern = only(
        &[
            ("tern.conf", "[database]\nversion_table = app.v\n"),
            ("001_a.sql", "select 1;"),
            ("002_b.sql", "select 1;"),
            ("004_d.sql", "select 1;"),
        ],
        Tool::Tern,
    );
    assert_eq!(states(&tern, &rows(&["{\"version\": 2}"])), ["applied", "applied", "pending"]);
    assert!(tern.diagnostics[0].message.contains("number 3 is missing"));
}

#[test]
fn goose_takes_the_last_row_of_a_version_and_golang_migrate_one_number() {
    let goose = only(
        &[("db/1_a.sql", "-- +goose Up\nselect 1;\n"), ("db/2_b.sql", "-- +goose Up\nselect 1;\n")],
        Tool::Goose,
    );
    let row = |id: u32, version: u32, applied: bool| {
        format!("{{\"id\": {id}, \"version_id\": {version}, \"is_applied\": {applied}}}")
    };
    let history = rows(&[&row(1, 0, true), &row(2, 1, true), &row(3, 2, true), &row(4, 2, false)]);
    assert_eq!(states(&goose, &history), ["applied", "pending"]);

    let files = [
        ("db/1_a.up.sql", "select 1;"),
        ("db/1_a.down.sql", ""),
        ("db/2_b.up.sql", "select 1;"),
        ("db/3_c.up.sql", "select 1;"),
    ];
    let migrate = only(&files, Tool::GolangMigrate);
    assert_eq!(
        states(&migrate, &rows(&["{\"version\": 2, \"dirty\": true}"])),
        ["applied", "failed", "pending"]
    );
    let mut observed = Observed::default();
    observed.note("2", &migrate.migrations[1].blob);
    let status = migrate.status(&rows(&["{\"version\": 2, \"dirty\": false}"]), &observed);
    assert_eq!(status.entries[0].state, State::OutOfOrder, "we saw 2 run, and never 1");
}

#[test]
fn commands_carry_the_address_and_the_package_manager() {
    let project = only(
        &[("knexfile.ts", "export default {}"), ("pnpm-lock.yaml", ""), ("migrations/1.ts", "//")],
        Tool::Knex,
    );
    assert_eq!(project.commands.apply, ["pnpm", "exec", "knex", "migrate:latest"]);
    assert_eq!(project.commands.env, [("DATABASE_URL".to_owned(), "{url}".to_owned())]);
    let project = only(
        &[("Cargo.toml", "[dependencies]\nsqlx = \"1\""), ("migrations/1_a.sql", "select 1;")],
        Tool::Sqlx,
    );
    assert_eq!(project.commands.apply, ["sqlx", "migrate", "run", "--database-url", "{bare_url}"]);
    assert!(project.commands.down.is_empty(), "there is no way down");
}

/// The least that each tool is found by.
const LEAST: &[(Tool, &[(&str, &str)])] = &[
    (
        Tool::Alembic,
        &[
            ("alembic.ini", "[alembic]\nscript_location = db\n"),
            ("db/versions/a.py", "revision = 'a'\ndown_revision = None\n"),
        ],
    ),
    (
        Tool::Django,
        &[
            ("manage.py", "import django"),
            (
                "shop/migrations/0001_initial.py",
                "class Migration(migrations.Migration):\n    dependencies = []\n",
            ),
        ],
    ),
    (Tool::Rails, &[("db/migrate/20240101000000_a.rb", "class A\nend\n")]),
    (
        Tool::Prisma,
        &[
            ("prisma/schema.prisma", "datasource db {\n  provider = \"postgresql\"\n}\n"),
            ("prisma/migrations/1_a/migration.sql", "select 1;"),
            ("prisma/migrations/migration_lock.toml", "provider = \"postgresql\"\n"),
        ],
    ),
    (
        Tool::Drizzle,
        &[
            ("drizzle.config.ts", "export default { out: './drizzle' }"),
            ("drizzle/meta/_journal.json", "{\"entries\": []}"),
        ],
    ),
    (Tool::Knex, &[("knexfile.js", "module.exports = {}"), ("migrations/1_a.js", "//")]),
    (
        Tool::TypeOrm,
        &[
            (
                "data-source.ts",
                "import { DataSource } from 'typeorm'\nnew DataSource({ migrations: ['m/*.ts'] })",
            ),
            ("m/1-a.ts", "export class A1 implements MigrationInterface {}"),
        ],
    ),
    (Tool::Sequelize, &[(".sequelizerc", "module.exports = {}"), ("migrations/1-a.js", "//")]),
    (
        Tool::NodePgMigrate,
        &[
            ("package.json", "{\"dependencies\": {\"node-pg-migrate\": \"8.0.0\"}}"),
            ("migrations/1_a.js", "//"),
        ],
    ),
    (Tool::Kysely, &[("kysely.config.ts", "export default {}"), ("migrations/1_a.ts", "//")]),
    (Tool::Supabase, &[("supabase/config.toml", ""), ("supabase/migrations/1_a.sql", "select 1;")]),
    (Tool::Atlas, &[("migrations/atlas.sum", "h1:=\n"), ("migrations/1_a.sql", "select 1;")]),
    (
        Tool::Sqitch,
        &[
            ("sqitch.conf", "[core]\nengine = pg\n"),
            ("sqitch.plan", "%syntax-version=1.0.0\n%project=shop\n"),
        ],
    ),
    (
        Tool::Liquibase,
        &[
            ("liquibase.properties", "changeLogFile=log.sql\n"),
            ("log.sql", "--liquibase formatted sql\n--changeset me:1\nselect 1;\n"),
        ],
    ),
    (
        Tool::EfCore,
        &[
            ("shop.csproj", "<Project/>"),
            ("Migrations/20240101000000_A.cs", "[Migration(\"20240101000000_A\")]\nclass A : Migration {}"),
        ],
    ),
    (
        Tool::SeaOrm,
        &[
            ("migration/Cargo.toml", "[dependencies]\nsea-orm-migration = \"1\"\n"),
            ("migration/src/lib.rs", "impl MigratorTrait for M { Box::new(m1_a::Migration) }"),
            ("migration/src/m1_a.rs", ""),
        ],
    ),
    (Tool::Diesel, &[("diesel.toml", ""), ("migrations/1_a/up.sql", "select 1;")]),
    (
        Tool::Refinery,
        &[("Cargo.toml", "[dependencies]\nrefinery = \"1\"\n"), ("migrations/V1__a.sql", "select 1;")],
    ),
    (Tool::Sqlx, &[("Cargo.toml", "[dependencies]\nsqlx = \"1\""), ("migrations/1_a.sql", "select 1;")]),
    (Tool::Flyway, &[("flyway.conf", ""), ("sql/V1__a.sql", "select 1;")]),
    (Tool::Dbmate, &[("db/migrations/1_a.sql", "-- migrate:up\nselect 1;\n")]),
    (Tool::Goose, &[("db/1_a.sql", "-- +goose Up\nselect 1;\n")]),
    (Tool::Tern, &[("tern.conf", ""), ("001_a.sql", "select 1;")]),
    (Tool::GolangMigrate, &[("db/1_a.up.sql", "select 1;"), ("db/1_a.down.sql", "select 1;")]),
    (Tool::PlainSql, &[("migrations/001_a.sql", "select 1;")]),
];

#[test]
fn no_word_of_a_command_line_holds_the_password() {
    let tools: Vec<_> = LEAST.iter().map(|(tool, _)| *tool).collect();
    assert_eq!(tools, Tool::ALL);
    for (tool, files) in LEAST {
        let scan = scan(files);
        let project = scan.projects.iter().find(|project| project.tool == *tool);
        let commands = &project.unwrap_or_else(|| panic!("{} is not found", tool.id())).commands;
        assert_eq!(commands.apply.is_empty(), *tool == Tool::PlainSql, "{}", tool.id());
        for word in [&commands.apply, &commands.status, &commands.down].into_iter().flatten() {
            assert!(!word.contains("{url}") && !word.contains("{password}"), "{}: {word}", tool.id());
        }
    }
}
