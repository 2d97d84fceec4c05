//! Facts as a text file that `git` merges well: one line per attribute and reference, in a stable order.
//!
//! The first line names the format. Then come facts, separated by empty lines. A fact starts with its path in JSON, from
//! the object down to the part, each `[kind, schema, name]`; `=` lines are attributes, `>` lines references.

use std::sync::Arc;

use crate::fact::{Fact, FactId, Facts, Value};
use crate::kind::Kind;

/// The first line of a file of this version.
const HEAD: &str = "offshoot schema 1";

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TextError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl Facts {
    /// Writes the facts as text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\nserver {}\n", self.major);
        for (kind, count) in &self.unmodelled {
            text.push_str(&format!("unmodelled {kind} {count}\n"));
        }
        for (kind, why) in &self.unreadable {
            text.push_str(&format!("unreadable {}\n", json(&[kind, why])));
        }
        for (id, fact) in &self.facts {
            text.push_str(&format!("\n{}\n", path(id)));
            for (name, value) in &fact.attributes {
                match value {
                    Value::Text(value) => text.push_str(&format!("= {name} {}\n", json(value))),
                    Value::List(values) => {
                        text.push_str(&format!("= {name} []\n"));
                        for value in values {
                            text.push_str(&format!("  {}\n", json(value)));
                        }
                    }
                }
            }
            for reference in &fact.references {
                text.push_str(&format!("> {}\n", path(reference)));
            }
        }
        text
    }

    /// Reads what [`Facts::to_text`] wrote.
    ///
    /// # Errors
    /// [`TextError`] with the line, for instance where a merge left its marks.
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        let mut reader = Reader::default();
        for (at, line) in text.lines().enumerate() {
            reader.line(at, line).map_err(|what| TextError { line: at + 1, what })?;
        }
        if !reader.started {
            return Err(TextError { line: 1, what: format!("the first line must be `{HEAD}`") });
        }
        Ok(reader.facts)
    }
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn path(id: &FactId) -> String {
    let mut parts = Vec::new();
    let mut next = Some(id);
    while let Some(id) = next {
        parts.push((id.kind, id.schema.as_deref(), id.name.as_str()));
        next = id.of.as_deref();
    }
    parts.reverse();
    json(&parts)
}

fn id(text: &str) -> Result<Arc<FactId>, String> {
    let parts: Vec<(Kind, Option<String>, String)> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut id: Option<Arc<FactId>> = None;
    for (kind, schema, name) in parts {
        id = Some(Arc::new(FactId { of: id, kind, schema, name }));
    }
    id.ok_or_else(|| "an empty path".to_owned())
}

#[derive(Default)]
struct Reader {
    started: bool,
    facts: Facts,
    current: Option<Arc<FactId>>,
    list: Option<String>,
}

impl Reader {
    fn line(&mut self, at: usize, line: &str) -> Result<(), String> {
        if at == 0 {
            self.started = line == HEAD;
            return if self.started { Ok(()) } else { Err(format!("the first line must be `{HEAD}`")) };
        }
        let parse = |text: &str| serde_json::from_str::<String>(text).map_err(|error| error.to_string());
        if line.is_empty() {
            (self.current, self.list) = (None, None);
        } else if let Some(rest) = line.strip_prefix("= ") {
            let (name, value) = rest.split_once(' ').ok_or("an attribute without a value")?;
            let list = value == "[]";
            let value = if list { Value::List(Vec::new()) } else { Value::Text(parse(value)?) };
            self.list = list.then(|| name.to_owned());
            self.fact()?.attributes.insert(name.to_owned(), value);
        } else if let Some(item) = line.strip_prefix("  ") {
            let name = self.list.clone().ok_or("an item of no list")?;
            let item = parse(item)?;
            if let Some(Value::List(items)) = self.fact()?.attributes.get_mut(&name) {
                items.push(item);
            }
        } else if let Some(rest) = line.strip_prefix("> ") {
            let reference = id(rest)?;
            self.fact()?.references.insert(reference);
        } else if line.starts_with('[') {
            let id = id(line)?;
            if self.facts.facts.insert(Arc::clone(&id), Fact::default()).is_some() {
                return Err(format!("{id} is there twice"));
            }
            self.current = Some(id);
        } else {
            self.head(line)?;
        }
        Ok(())
    }

    fn fact(&mut self) -> Result<&mut Fact, String> {
        let id = self.current.as_ref().ok_or("a line that belongs to no fact")?;
        self.facts.facts.get_mut(id).ok_or_else(|| "a line that belongs to no fact".to_owned())
    }

    fn head(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.splitn(3, ' ');
        let number = |text: Option<&str>| {
            text.and_then(|text| text.parse::<u64>().ok()).ok_or_else(|| "a number is missing".to_owned())
        };
        match (words.next(), words.next()) {
            (Some("server"), major) => {
                self.facts.major = u32::try_from(number(major)?).unwrap_or_default();
            }
            (Some("unmodelled"), Some(kind)) => {
                let count: u64 = number(words.next())?;
                self.facts.unmodelled.insert(kind.to_owned(), count);
            }
            (Some("unreadable"), Some(_)) => {
                let rest = line.trim_start_matches("unreadable ");
                let [kind, why]: [String; 2] =
                    serde_json::from_str(rest).map_err(|error| error.to_string())?;
                self.facts.unreadable.insert(kind, why);
            }
            _ => return Err(format!("not understood: {line}")),
        }
        Ok(())
    }
}
