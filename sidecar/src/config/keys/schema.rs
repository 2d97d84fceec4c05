//! `docs/offshoot.schema.json`: the keys as a JSON schema, for editors that know no language server.

use serde_json::{Map, Value, json};

use super::{SETTINGS, Setting, Shape};

/// The schema of a whole file.
fn schema() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "offshoot.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": properties(""),
    })
}

fn properties(table: &str) -> Value {
    let of = |setting: &Setting| (setting.key.to_owned(), property(setting));
    Value::Object(SETTINGS.iter().filter(|setting| setting.table == table).map(of).collect::<Map<_, _>>())
}

fn property(setting: &Setting) -> Value {
    let table =
        || json!({ "type": "object", "additionalProperties": false, "properties": properties(setting.key) });
    let mut value = match setting.shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Word => {
            json!({ "enum": setting.values.iter().map(|(value, _)| *value).collect::<Vec<_>>() })
        }
        Shape::Time => json!({ "type": "string", "pattern": r"^(off|[0-9.]+ ?(ms|s|m|min|h|d))$" }),
        Shape::Size => json!({ "type": ["string", "integer"] }),
        Shape::Count => json!({ "type": "integer", "minimum": 1 }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Shape::Words => {
            let words: Vec<_> = setting.values.iter().map(|(value, _)| *value).collect();
            json!({ "type": "array", "items": { "enum": words } })
        }
        Shape::Map => json!({ "type": "object" }),
        Shape::Table => table(),
        Shape::Tables => {
            // Each has a key that says what it is about: its first.
            let mut item = table();
            item["required"] = json!(super::known(setting.key)[..1]);
            json!({ "type": "array", "items": item })
        }
    };
    value["description"] = json!(setting.about);
    value
}

/// `OFFSHOOT_UPDATE=1 cargo test -p offshoot schema_file` writes it.
#[test]
fn the_schema_file_is_the_one_that_would_be_written_now() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/offshoot.schema.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::var_os("OFFSHOOT_UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "stale: run `OFFSHOOT_UPDATE=1 cargo test -p offshoot schema_file`");
}
