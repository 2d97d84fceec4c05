//! What the real tools left behind, step by step, read without tools and servers.
//!
//! `tests/real_tools.rs` made the files below `tests/recorded` with the tools and versions that they name. They hold
//! the tools' own checksums, so that ours are tested against them.
#![allow(missing_docs, clippy::unwrap_used, clippy::similar_names)]

use std::collections::BTreeMap;
use std::path::Path;

use offshoot_migrations::{History, MemorySource, Observed, Rows, Scanner, State, Subject};

fn records() -> Vec<(String, serde_json::Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
        })
        .collect()
}

fn source(step: &serde_json::Value) -> MemorySource {
    let files = step["files"].as_object().unwrap();
    MemorySource::new(files.iter().map(|(path, text)| (path.clone(), text.as_str().unwrap())))
}

fn history(step: &serde_json::Value) -> History {
    match step["rows"].as_array() {
        Some(rows) => History::Rows(Rows::parse(rows.iter().map(|row| row.as_str().unwrap())).unwrap()),
        None => History::Missing,
    }
}

#[test]
fn every_step_reads_as_the_tool_said_then() {
    let mut steps = 0;
    for (name, record) in records() {
        let mut scanner = Scanner::default();
        for step in record["steps"].as_array().unwrap() {
            let scan = scanner.scan(&source(step)).unwrap();
            let project = scan.projects.iter().find(|project| project.tool.id() == record["tool"]).unwrap();
            let status = project.status(&history(step), &Observed::default());
            let called = |subject: &Subject| match subject {
                Subject::File(place) => project.migrations[*place].key.clone(),
                Subject::Row(name) => format!("row {name}"),
            };
            let ours: BTreeMap<String, String> = status
                .entries
                .iter()
                .map(|entry| (called(&entry.subject), entry.state.id().to_owned()))
                .collect();
            let expected: BTreeMap<String, String> = serde_json::from_value(step["ours"].clone()).unwrap();
            assert_eq!(ours, expected, "{name}, {}", step["step"]);
            assert_eq!(
                format!("{:?}", status.standing),
                step["standing"].as_str().unwrap(),
                "{name}, {}",
                step["step"]
            );
            steps += 1;
        }
    }
    assert!(steps > 50, "only {steps} steps are recorded");
}

#[test]
fn an_edit_after_apply_shows_for_tools_without_checksums_too() {
    for (name, record) in records() {
        let steps = record["steps"].as_array().unwrap();
        let Some(applied) = steps.iter().find(|step| step["step"] == "applied") else { continue };
        let mut tree = source(applied);
        let scan = Scanner::default().scan(&tree).unwrap();
        let project = scan.projects.iter().find(|project| project.tool.id() == record["tool"]).unwrap();
        let mut observed = Observed::default();
        for migration in &project.migrations {
            observed.note(&migration.key, &migration.blob);
        }
        let migration = &project.migrations[0];
        let text = applied["files"][&migration.path].as_str().unwrap();
        tree.write(&migration.path, format!("{text}\n"));
        let scan = Scanner::default().scan(&tree).unwrap();
        let project = scan.projects.iter().find(|project| project.tool.id() == record["tool"]).unwrap();
        let status = project.status(&history(applied), &observed);
        // Sqitch's script, Flyway's last line: a line more is a change for all but those that count lines.
        assert_eq!(status.entries[0].state, State::Changed, "{name}");
    }
}

#[test]
fn a_merge_left_unfinished_is_a_diagnostic_and_never_applied() {
    for (name, record) in records() {
        let steps = record["steps"].as_array().unwrap();
        let Some(applied) = steps.iter().find(|step| step["step"] == "applied") else { continue };
        let mut tree = source(applied);
        let scan = Scanner::default().scan(&tree).unwrap();
        let project = scan.projects.iter().find(|project| project.tool.id() == record["tool"]).unwrap();
        let migration = project.migrations[0].clone();
        let text = applied["files"][&migration.path].as_str().unwrap();
        tree.write(&migration.path, format!("{text}<<<<<<< HEAD\na\n=======\nb\n>>>>>>> other\n"));
        let scan = Scanner::default().scan(&tree).unwrap();
        let project = scan.projects.iter().find(|project| project.tool.id() == record["tool"]).unwrap();
        let line = text.lines().count() as u32 + 1;
        let found =
            project.diagnostics.iter().any(|found| found.path == migration.path && found.line == line);
        assert!(found, "{name}: {:?}", project.diagnostics);
        let status = project.status(&history(applied), &Observed::default());
        assert_ne!(status.entries[0].state, State::Applied, "{name}");
    }
}

#[test]
fn a_half_written_file_of_any_length_never_breaks_the_scan() {
    for (_, record) in records() {
        let step = &record["steps"].as_array().unwrap()[0];
        let mut scanner = Scanner::default();
        for (path, text) in step["files"].as_object().unwrap() {
            let text = text.as_str().unwrap();
            let every = (text.len() / 40).max(1);
            for end in (0..text.len()).step_by(every).filter(|end| text.is_char_boundary(*end)) {
                let mut tree = source(step);
                tree.write(path, &text[..end]);
                for project in scanner.scan(&tree).unwrap().projects {
                    let status = project.status(&history(step), &Observed::default());
                    assert_eq!(status.count(State::Applied), 0, "{path} cut at {end}");
                }
            }
        }
    }
}
