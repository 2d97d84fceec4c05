//! Our status beside that of the real tools, which are installed by `tests/tools/install.sh`.
//!
//! `cargo test -p offshoot-migrations --test real_tools -- --ignored` runs every scenario below `tests/scenarios`
//! whose tool is there; the others are named as skipped. `OFFSHOOT_TEST_MIGRATION_TOOLS` says where the tools are,
//! `OFFSHOOT_TEST_SCENARIO=knex` runs one. With `OFFSHOOT_UPDATE=1` the files and rows of each step are written to
//! `tests/recorded`, which `tests/recorded.rs` reads without tools and servers.
#![allow(missing_docs, clippy::unwrap_used, clippy::similar_names)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use offshoot_migrations::{DiskSource, Observed, Scanner};
use support::Postgres;

fn tools() -> PathBuf {
    std::env::var_os("OFFSHOOT_TEST_MIGRATION_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/migration-tools"),
        PathBuf::from,
    )
}

fn text<'a>(table: &'a toml::Table, name: &str) -> &'a str {
    table.get(name).and_then(toml::Value::as_str).unwrap_or_default()
}

fn texts(table: &toml::Table, name: &str) -> Vec<String> {
    let list = table.get(name).and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(toml::Value::as_str).map(str::to_owned).collect()
}

fn pairs(table: &toml::Table, name: &str) -> BTreeMap<String, String> {
    let entries = table.get(name).and_then(toml::Value::as_table).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

struct Stage<'a> {
    postgres: &'a Postgres,
    database: String,
    folder: PathBuf,
    env: BTreeMap<String, String>,
}

impl Stage<'_> {
    fn fill(&self, word: &str) -> String {
        word.replace("{url}", &self.postgres.url(&self.database))
            .replace("{port}", &self.postgres.port.to_string())
            .replace("{database}", &self.database)
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, self.fill(content)).unwrap();
    }

    /// Runs a command line in the project; whether it succeeded, and all that it printed.
    fn run(&self, line: &str) -> (bool, String) {
        let tools = tools();
        let path =
            ["node/node_modules/.bin", "venv/bin", "cargo/bin", "flyway"].map(|folder| tools.join(folder));
        let path = std::env::join_paths(
            path.into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
        );
        let output = Command::new("sh")
            .args(["-c", &self.fill(line)])
            .current_dir(&self.folder)
            .env("PATH", path.unwrap())
            .env("DATABASE_URL", self.postgres.url(&self.database))
            .env("PGPASSWORD", support::PASSWORD)
            .env("NO_COLOR", "1")
            .env("CI", "1")
            .envs(self.env.iter().map(|(name, value)| (name, self.fill(value))))
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }
}

/// All texts of a folder, for the record.
fn files(folder: &Path) -> BTreeMap<String, String> {
    use offshoot_migrations::Source as _;
    let source = DiskSource::new(folder);
    let mut files = BTreeMap::new();
    for file in source.files().unwrap().files {
        let built = file.path.contains("__pycache__")
            || file.path.contains("node_modules")
            || file.path.ends_with(".sqlite3");
        if !built && let Ok(content) = source.read(&file.path).map(String::from_utf8) {
            files.extend(content.ok().map(|content| (file.path, content)));
        }
    }
    files
}

fn play(postgres: &Postgres, name: &str, scenario: &toml::Table) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let database = format!("tool_{}", name.replace('-', "_"));
    postgres.create(&database);
    let stage = Stage { postgres, database, folder: dir.path().to_owned(), env: pairs(scenario, "env") };
    if !text(scenario, "node").is_empty() {
        std::os::unix::fs::symlink(tools().join(text(scenario, "node")), dir.path().join("node_modules"))
            .unwrap();
    }
    for (path, content) in pairs(scenario, "files") {
        stage.write(&path, &content);
    }
    let mut wrong = Vec::new();
    let mut recorded = Vec::new();
    let mut scanner = Scanner::default();
    for step in scenario["step"].as_array().unwrap().iter().filter_map(toml::Value::as_table) {
        let label = format!("{name}, {}", text(step, "name"));
        for path in texts(step, "delete") {
            std::fs::remove_file(dir.path().join(path)).unwrap();
        }
        for (path, content) in pairs(step, "write") {
            stage.write(&path, &content);
        }
        for line in texts(step, "sql") {
            postgres.connect(&stage.database).batch_execute(&line).unwrap();
        }
        for line in texts(step, "run") {
            let (done, said) = stage.run(&line);
            if !done {
                wrong.push(format!("{label}: `{line}` failed:\n{said}"));
            }
        }
        for line in texts(step, "fails") {
            let (done, said) = stage.run(&line);
            if done {
                wrong.push(format!("{label}: `{line}` did not fail:\n{said}"));
            }
        }
        let status =
            if step.contains_key("status") { text(step, "status") } else { text(scenario, "status") };
        let said = if status.is_empty() { String::new() } else { stage.run(status).1 };
        let squeezed = said.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in texts(step, "says") {
            if !squeezed.contains(&words) {
                wrong.push(format!("{label}: the tool does not say «{words}» but:\n{said}"));
            }
        }
        for words in texts(step, "never_says") {
            if squeezed.contains(&words) {
                wrong.push(format!("{label}: the tool says «{words}»:\n{said}"));
            }
        }
        let scan = scanner.scan(&DiskSource::new(dir.path())).unwrap();
        let Some(project) = scan.projects.iter().find(|project| project.tool.id() == text(scenario, "tool"))
        else {
            let found: Vec<_> = scan.projects.iter().map(|project| project.tool.id()).collect();
            wrong.push(format!("{label}: not detected among {found:?}"));
            continue;
        };
        let (history, rows) = support::history(&mut postgres.connect(&stage.database), project);
        let status = project.status(&history, &Observed::default());
        let ours = support::states(project, &status);
        let expected = pairs(step, "ours");
        if ours != expected {
            wrong.push(format!("{label}: ours is {ours:#?}\nrows: {rows:#?}\n{said}"));
        }
        recorded.push(serde_json::json!({
            "step": text(step, "name"), "files": files(dir.path()), "rows": rows, "ours": expected,
            "standing": format!("{:?}", status.standing),
        }));
    }
    if wrong.is_empty() && std::env::var_os("OFFSHOOT_UPDATE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/recorded/{name}.json"));
        // The address of the server of that day is nobody's business.
        let record = serde_json::json!({ "tool": text(scenario, "tool"), "by": text(scenario, "by"), "steps": recorded });
        let record =
            serde_json::to_string_pretty(&record).unwrap().replace(&postgres.port.to_string(), "5432");
        std::fs::write(path, record + "\n").unwrap();
    }
    wrong
}

#[test]
#[ignore = "needs the tools, which tests/tools/install.sh installs"]
fn our_status_is_that_of_the_real_tools() {
    let only = std::env::var("OFFSHOOT_TEST_SCENARIO").ok();
    let Some(postgres) = Postgres::start() else { return };
    let mut wrong = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if only.as_ref().is_some_and(|only| !only.split(',').any(|only| only == name)) {
            continue;
        }
        let scenario: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let needs = tools().join(text(&scenario, "needs"));
        if !needs.exists() && !Path::new(text(&scenario, "needs")).exists() {
            eprintln!("SKIPPED {name}: there is no {}; run tests/tools/install.sh", needs.display());
            continue;
        }
        let found = play(&postgres, &name, &scenario);
        eprintln!("{name}: {}", if found.is_empty() { "as the tool says" } else { "DIFFERENT" });
        wrong.extend(found);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
