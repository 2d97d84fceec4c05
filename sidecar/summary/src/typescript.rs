//! Writes `extension/src/protocol/summary.ts`: the types of this crate in TypeScript, for the editor and the wasm module.
//!
//! `OFFSHOOT_UPDATE=1 cargo test -p offshoot-summary typescript` writes the file; without it a stale file fails the test.

use std::path::Path;

use ts_rs::{Config, TS};

use crate::{
    Chip, Choices, Column, Filter, Group, Link, ObjectRef, Part, Picture, State, TableBox, TablePart,
};

fn types() -> String {
    let config = Config::new().with_large_int("number");
    let mut text =
        "// Generated from `sidecar/summary`: do not edit. `npm run generate` writes it anew.\n".to_owned();
    macro_rules! write {
        ($($ty:ty),* $(,)?) => { $(
            let docs = <$ty>::docs().unwrap_or_default();
            text.push('\n');
            for line in docs.lines() {
                text.push_str(line.trim_end());
                text.push('\n');
            }
            text.push_str(&format!("export {}\n", <$ty>::decl(&config)));
        )* };
    }
    write!(Choices, Chip, Column, Filter, Group, Link, ObjectRef, Part, Picture, State, TableBox, TablePart);
    text
}

#[test]
fn the_typescript_file_is_the_one_that_would_be_written_now() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../extension/src/protocol/summary.ts");
    let text = types();
    if std::env::var_os("OFFSHOOT_UPDATE").is_some() {
        std::fs::write(&path, &text).expect("the file can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "{} is stale: run `npm run generate`", path.display());
}
