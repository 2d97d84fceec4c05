//! Broken files, foreign tables and missing rights: a diagnostic with file and line, never a crash or a wrong «applied».
#![allow(missing_docs, clippy::unwrap_used, clippy::similar_names)]

use offshoot_migrations::{
    Code, Diagnostic, History, MemorySource, Observed, Project, Rows, Scanner, Standing, State,
};

fn scan(files: &[(&str, &str)]) -> Vec<Project> {
    Scanner::default().scan(&MemorySource::new(files.iter().copied())).unwrap().projects
}

fn found(files: &[(&str, &str)]) -> Vec<(String, u32, Code)> {
    let all: Vec<Diagnostic> = scan(files).into_iter().flat_map(|project| project.diagnostics).collect();
    assert!(all.iter().all(|found| !found.hint.is_empty() && !found.message.is_empty()));
    all.into_iter().map(|found| (found.path, found.line, found.code)).collect()
}

const GOOD: (&str, &str) = ("migrations/1_a.sql", "select 1;\n");

#[test]
fn malformed_configurations_are_named_with_their_line() {
    assert_eq!(
        found(&[("Cargo.toml", "sqlx"), ("sqlx.toml", "[migrate]\ntable-name = \n"), GOOD])[0],
        ("sqlx.toml".into(), 2, Code::MalformedConfig)
    );
    assert_eq!(
        found(&[
            ("alembic.ini", "[alembic]\nnonsense\nscript_location = x\n"),
            ("x/versions/a.py", "revision = 'a'")
        ])[0],
        ("alembic.ini".into(), 2, Code::MalformedConfig)
    );
    assert_eq!(
        found(&[
            ("drizzle.config.ts", "export default { out: 'd' }"),
            ("d/meta/_journal.json", "{\n \"entries\": [\n"),
            ("d/0_a.sql", "select 1;")
        ])[0],
        ("d/meta/_journal.json".into(), 3, Code::MalformedConfig)
    );
    assert_eq!(
        found(&[
            ("knexfile.js", "module.exports = {\n  migrations: { tableName: process.env.T },\n}"),
            ("migrations/1.js", "//")
        ])[0],
        ("knexfile.js".into(), 2, Code::ComputedSetting)
    );
    assert_eq!(
        found(&[("knexfile.js", "module.exports = { migrations: { directory: 'nowhere' } }")])[0],
        ("knexfile.js".into(), 1, Code::MissingFolder)
    );
}

#[test]
fn merges_left_unfinished_in_configurations_are_named() {
    let journal = "{\n  \"entries\": [\n<<<<<<< HEAD\n    {}\n=======\n    {}\n>>>>>>> b\n  ]\n}\n";
    let found = found(&[
        ("drizzle.config.ts", "export default { out: 'd' }"),
        ("d/meta/_journal.json", journal),
        ("d/0_a.sql", "select 1;"),
    ]);
    assert_eq!(found[0], ("d/meta/_journal.json".into(), 3, Code::MalformedConfig));
}

#[test]
fn half_written_migrations_are_named() {
    let alembic = [
        ("alembic.ini", "[alembic]\nscript_location = x\n"),
        ("x/versions/a.py", "revision = 'a'\ndown_revision = (\n"),
    ];
    assert!(found(&alembic).contains(&("x/versions/a.py".into(), 2, Code::Incomplete)));
    let alembic = [("alembic.ini", "[alembic]\nscript_location = x\n"), ("x/versions/a.py", "revi")];
    assert!(found(&alembic).contains(&("x/versions/a.py".into(), 1, Code::Incomplete)));
    let prisma = [
        ("prisma/migrations/migration_lock.toml", "provider = \"postgresql\"\n"),
        ("prisma/migrations/1_a/steps.json", "{}"),
    ];
    assert!(found(&prisma).contains(&("prisma/migrations/1_a/steps.json".into(), 1, Code::Incomplete)));
    let dbmate =
        [("db/migrations/1_a.sql", "-- migrate:up\nselect 1;\n"), ("db/migrations/2_b.sql", "selec")];
    assert!(found(&dbmate).contains(&("db/migrations/2_b.sql".into(), 1, Code::Incomplete)));
    assert!(found(&[("Cargo.toml", "sqlx"), ("migrations/1_a.sql", "")]).contains(&(
        "migrations/1_a.sql".into(),
        1,
        Code::EmptyFile
    )));
}

#[test]
fn duplicates_heads_and_unknown_parents_are_named_on_each_file() {
    let twice =
        [("Cargo.toml", "sqlx"), ("migrations/1_a.sql", "select 1;"), ("migrations/1_b.sql", "select 1;")];
    let codes: Vec<_> = found(&twice)
        .into_iter()
        .filter(|found| found.2 == Code::DuplicateVersion)
        .map(|found| found.0)
        .collect();
    assert_eq!(codes, ["migrations/1_a.sql", "migrations/1_b.sql"]);
    let heads = [
        ("alembic.ini", "[alembic]\nscript_location = x\n"),
        ("x/versions/a.py", "revision = 'a'\ndown_revision = None\n"),
        ("x/versions/b.py", "# b\nrevision = 'b'\ndown_revision = 'a'\n"),
        ("x/versions/c.py", "revision = 'c'\ndown_revision = 'a'\n"),
        ("x/versions/d.py", "revision = 'd'\ndown_revision = 'gone'\n"),
    ];
    let all = found(&heads);
    assert!(all.contains(&("x/versions/b.py".into(), 2, Code::SeveralHeads)));
    assert!(all.contains(&("x/versions/d.py".into(), 1, Code::UnknownParent)));
    let circle = [
        ("alembic.ini", "[alembic]\nscript_location = x\n"),
        ("x/versions/a.py", "revision = 'a'\ndown_revision = 'b'\n"),
        ("x/versions/b.py", "revision = 'b'\ndown_revision = 'a'\n"),
    ];
    assert!(found(&circle).iter().any(|found| found.2 == Code::Cycle));
}

#[test]
fn a_table_of_another_version_or_tool_tells_nothing() {
    let files: [(&[(&str, &str)], &str); 4] = [
        // Flyway up to 3 ranked versions, not installations.
        (
            &[("flyway.conf", "flyway.locations=filesystem:sql\n"), ("sql/V1__a.sql", "select 1;")],
            "{\"version_rank\": 1, \"version\": \"1\", \"success\": true}",
        ),
        (&[("Cargo.toml", "sqlx"), GOOD], "{\"version\": 1}"),
        (&[("db/1_a.sql", "-- +goose Up\n")], "{\"version\": \"1\"}"),
        (&[("db/migrate/1_a.rb", "class A < ActiveRecord::Migration[7.1]\nend")], "{\"id\": 1}"),
    ];
    for (files, row) in files {
        let project = &scan(files)[0];
        let status = project.status(&History::Rows(Rows::parse([row]).unwrap()), &Observed::default());
        assert_eq!(status.entries[0].state, State::Unknown, "{}", project.tool.id());
        assert_eq!(status.standing, Standing::Unknown);
        assert_eq!(status.diagnostics[0].code, Code::HistoryShape);
    }
}

#[test]
fn no_permission_and_no_table_are_told_apart() {
    let project = &scan(&[("Cargo.toml", "sqlx"), GOOD])[0];
    let status = |state: &str| project.status(&History::from_error(state, "no"), &Observed::default());
    assert_eq!(status("42P01").entries[0].state, State::Pending);
    assert_eq!(status("3F000").entries[0].state, State::Pending);
    let denied = status("42501");
    assert_eq!((denied.entries[0].state, denied.standing), (State::Unknown, Standing::Unknown));
    assert_eq!(denied.diagnostics[0].code, Code::NoPermission);
    assert!(denied.diagnostics[0].hint.contains("grant select on \"_sqlx_migrations\""));
    assert_eq!(status("57014").diagnostics[0].code, Code::HistoryFailed);
    assert!(Rows::parse(["no json"]).is_err());
}

#[test]
fn a_file_that_cannot_be_read_is_unknown_and_not_missing() {
    struct Closed(MemorySource);
    impl offshoot_migrations::Source for Closed {
        fn files(&self) -> Result<offshoot_migrations::Listing, offshoot_migrations::SourceError> {
            self.0.files()
        }
        fn read(&self, path: &str) -> std::io::Result<Vec<u8>> {
            if path.ends_with("1_a.sql") {
                Err(std::io::ErrorKind::PermissionDenied.into())
            } else {
                self.0.read(path)
            }
        }
    }
    let source = Closed(MemorySource::new([("Cargo.toml", "sqlx"), GOOD]));
    let projects = Scanner::default().scan(&source).unwrap().projects;
    assert!(projects[0].diagnostics.iter().any(|found| found.code == Code::Unreadable));
    let status = projects[0].status(&History::Missing, &Observed::default());
    assert_eq!(status.entries[0].state, State::Unknown);
}
