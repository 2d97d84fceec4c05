//! The module's answers as this machine gives them, for `test/wasm.test.mjs`: reads `MINE THEIRS FORK` on each line of standard input,
//! paths or `-`, and writes a JSON list of answers for each.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::io::{BufRead, stdin};

use offshoot_schema_wasm::Comparison;

fn main() -> Result<(), String> {
    for line in stdin().lock().lines() {
        let line = line.map_err(|why| why.to_string())?;
        let [mine, theirs, fork] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("not three paths: {line}"));
        };
        let read = |path: &str| std::fs::read_to_string(path).map_err(|why| format!("{path}: {why}"));
        let fork = if fork == "-" { None } else { Some(read(fork)?) };
        let comparison =
            Comparison::read("mine".into(), &read(mine)?, "theirs".into(), &read(theirs)?, fork.as_deref())?;
        let filter = r#"{"text":"or","kinds":["table","view"],"groups":[]}"#;
        let answers = [
            comparison.changes(),
            comparison.plan(false),
            comparison.plan(true),
            comparison.sql(false),
            comparison.document_text("")?,
            comparison.picture_json("")?,
            comparison.document_text(filter)?,
            comparison.picture_json(filter)?,
        ];
        println!("{}", serde_json::to_string(&answers).map_err(|why| why.to_string())?);
    }
    Ok(())
}
