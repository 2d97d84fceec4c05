//! The state of two thousand migrations on twenty branches.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Bench, ms, repeat};
use crate::figure::{Figure, Unit};
use crate::language_server::{LanguageServer, uri};
use crate::project::Project;
use crate::sample::Sample;

/// Most milliseconds for all of it, as a whole command.
const TARGET_MS: f64 = 500.0;
/// Most milliseconds until an editor is told of a file that was saved in it.
const SAVED_TARGET_MS: f64 = 50.0;
const FILES: usize = 2000;
const BRANCHES: usize = 20;

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let project = Project::make(bench.workshop, "migrations", Some(&history()), &[])?;
    let folder = project.repository().join("db/migrations");
    fs::create_dir_all(&folder)?;
    for number in 1..=FILES {
        fs::write(folder.join(format!("{number:05}_step.sql")), migration(number))?;
    }
    for branch in 1..BRANCHES {
        let name = format!("b{branch}");
        project.create(&name, "main")?;
        let sql = format!("DELETE FROM schema_migrations WHERE version > '{:05}'", FILES - branch);
        project.offshoot(&["sql", "--branch", &name, "-c", &sql])?;
    }
    project.wake("main")?;
    let status = || -> Result<f64> {
        let (text, took) = project.offshoot(&["migrations", "status", "--all", "--json"])?;
        let pending = text.matches("\"pending\"").count();
        anyhow::ensure!(pending >= BRANCHES - 1, "{pending} are pending");
        Ok(ms(took))
    };
    // The first finds cold caches and does not count.
    status()?;
    let again = repeat(bench.args.runs(), |_| status())?;
    let saved = repeat(bench.args.runs(), |run| {
        fs::write(folder.join("01000_step.sql"), format!("{}select {run};\n", migration(1000)))?;
        status()
    })?;
    let restarted = repeat(bench.args.repetitions(), |_| {
        project.stop_engine()?;
        project.start_engine()?;
        for branch in 1..BRANCHES {
            project.wake(&format!("b{branch}"))?;
        }
        project.wake("main")?;
        status()
    })?;
    let mut server = project.language_server()?;
    let told = until_told(bench, &mut server, &project, &folder.join("02000_step.sql"))?;
    drop(server);
    project.remove()?;
    let figure = |what: &str, sample: Sample| {
        let title = format!(
            "`migrations status --all` of {FILES} migrations on {BRANCHES} branches that are awake, whole command, {what}"
        );
        Figure::new(title, Unit::Ms, Some(sample)).at_most(TARGET_MS)
    };
    Ok(vec![
        figure("nothing known yet", restarted),
        figure("nothing changed", again),
        figure("one file saved", saved),
        Figure::new(
            format!(
                "save of one of {FILES} migrations, {BRANCHES} branches awake, until the editor has been told what is wrong \
                 with it and has its new lenses"
            ),
            Unit::Ms,
            Some(told),
        )
        .at_most(SAVED_TARGET_MS),
    ])
}

/// Saves a file that is in the middle of a merge, and one that is not, in turn. What each save costs, in milliseconds: from before
/// the file is written until the editor has been told of the marks or of their end, and its lenses are there.
fn until_told(
    bench: &Bench<'_>,
    server: &mut LanguageServer,
    project: &Project<'_>,
    file: &Path,
) -> Result<Sample> {
    let document = json!({ "uri": uri(file) });
    // Somebody looks at the migrations, which is what wakes a branch and reads its history.
    server.until("a branch", |message| message["params"]["folders"][0]["state"]["kind"] == "ready")?;
    server.ask("offshoot/migrations/status", &json!({ "folder": uri(project.repository()) }))?;
    let text = fs::read_to_string(file)?;
    let mut open = document.clone();
    open["languageId"] = "sql".into();
    open["version"] = 1.into();
    open["text"] = text.as_str().into();
    server.notify("textDocument/didOpen", &json!({ "textDocument": open }))?;
    let is_marked = |message: &Value| {
        let params = &message["params"];
        let is_this =
            message["method"] == "textDocument/publishDiagnostics" && params["uri"] == document["uri"];
        let found = is_this.then(|| params["diagnostics"].as_array()).flatten()?;
        Some(found.iter().any(|found| found["code"] == "conflictMarkers"))
    };
    let mut save = |marked: bool| -> Result<f64> {
        let marks = "<<<<<<< HEAD\n=======\n>>>>>>> other\n";
        let text = if marked { format!("{text}{marks}") } else { text.clone() };
        let start = Instant::now();
        fs::write(file, text)?;
        server.notify("textDocument/didSave", &json!({ "textDocument": document }))?;
        server.until("what is wrong with the file", |message| is_marked(message) == Some(marked))?;
        let lenses = server.ask("textDocument/codeLens", &json!({ "textDocument": document }))?;
        let took = ms(start.elapsed());
        anyhow::ensure!(lenses.as_array().is_some_and(|lenses| !lenses.is_empty()), "no lenses: {lenses}");
        Ok(took)
    };
    // The first may find the reading that the opening began.
    save(true)?;
    save(false)?;
    repeat(bench.args.runs(), |run| save(run % 2 == 0))
}

fn migration(number: usize) -> String {
    format!(
        "-- migrate:up\nALTER TABLE t ADD COLUMN c{number} int;\n\n-- migrate:down\nALTER TABLE t DROP COLUMN c{number};\n"
    )
}

/// dbmate's table, with all files in it.
fn history() -> String {
    let mut text = "CREATE TABLE schema_migrations (version varchar PRIMARY KEY);\n".to_owned();
    let _ = writeln!(
        text,
        "INSERT INTO schema_migrations SELECT lpad(n::text, 5, '0') FROM generate_series(1, {FILES}) n;"
    );
    text
}
