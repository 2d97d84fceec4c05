//! The engine's log as people read it.

use serde_json::{Map, Value};

/// A line of the log as people read it; lines that are no JSON stay as they are.
pub(crate) fn human(line: &str) -> String {
    let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(line) else { return line.to_owned() };
    let mut take = |name: &str| fields.remove(name).map(text).unwrap_or_default();
    let (time, level, message) = (take("time"), take("level"), take("message"));
    let (from, _project) = (take("from"), take("project"));
    let clock = time.get(..19).unwrap_or(&time).replace('T', " ");
    let part = from.split("::").next().unwrap_or_default().trim_start_matches("offshoot_");
    let rest: Vec<_> = fields.into_iter().map(|(name, value)| format!("  {name}={}", text(value))).collect();
    format!("{clock} {level:<5} {part:<8} {message}{}", rest.concat())
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn lines_are_made_readable_and_others_left_alone() {
        let line = r#"{"time":"2026-01-31T23:59:59.123Z","level":"info","project":"ab","from":"offshoot_storage::compute","message":"woke","branch":"main","took_ms":81}"#;
        assert_eq!(human(line), "2026-01-31 23:59:59 info  storage  woke  branch=main  took_ms=81");
        assert_eq!(human("thread 'main' panicked"), "thread 'main' panicked");
    }
}
