//! The lines in which a person confirms renames: `-- offshoot:rename table public.a -> b`.

use serde::{Deserialize, Serialize};

use crate::fact::{FactId, Facts};
use crate::kind::Kind;
use crate::render::name;
use crate::sql;
use crate::tokens::{Token, first, tokens};

/// What begins the rest of a line that confirms a rename.
const MARK: &str = "offshoot:rename";

/// Renames that a person has confirmed, in the order in which they happen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Renames {
    pub(super) list: Vec<Rename>,
}

/// One rename that a person has confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    /// The word of the kind, such as `table`; `value` is one of an enum.
    pub(super) word: String,
    /// Schema, if it lies in one, object, and part, unquoted.
    pub(super) path: Vec<String>,
    /// The types of a routine's arguments, if they are given.
    pub(super) arguments: Option<String>,
    /// The new name, unquoted and without schema.
    pub(super) to: String,
}

/// Why a line confirms no rename.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct RenameError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// The kinds that can be renamed: the word, the kind, and how many names a path has.
const WORDS: &[(&str, Kind, usize)] = &[
    ("schema", Kind::Schema, 1),
    ("server", Kind::Server, 1),
    ("publication", Kind::Publication, 1),
    ("event trigger", Kind::EventTrigger, 1),
    ("table", Kind::Table, 2),
    ("foreign table", Kind::ForeignTable, 2),
    ("view", Kind::View, 2),
    ("materialized view", Kind::MaterializedView, 2),
    ("sequence", Kind::Sequence, 2),
    ("index", Kind::Index, 2),
    ("type", Kind::Type, 2),
    ("domain", Kind::Domain, 2),
    ("statistics", Kind::Statistics, 2),
    ("function", Kind::Function, 2),
    ("procedure", Kind::Procedure, 2),
    ("aggregate", Kind::Aggregate, 2),
    ("column", Kind::Column, 3),
    ("constraint", Kind::Constraint, 3),
    ("trigger", Kind::Trigger, 3),
    ("policy", Kind::Policy, 3),
    ("rule", Kind::Rule, 3),
    ("value", Kind::Type, 3),
];

impl Renames {
    /// Reads every line of SQL or of a diff that has `-- offshoot:rename KIND NAME -> NEW`; all else is passed over, and so are
    /// lines within literals, quoted names and block comments.
    ///
    /// # Errors
    /// [`RenameError`] with the first line that says `offshoot:rename` but cannot be understood.
    pub fn parse(text: &str) -> Result<Self, RenameError> {
        let mut list = Vec::new();
        for (line, rest) in Self::marked(text) {
            list.push(Rename::parse(rest).map_err(|what| RenameError { line, what })?);
        }
        Ok(Self { list })
    }

    /// Every line of SQL or of a diff that says `offshoot:rename`: its number, from 1, and what follows.
    ///
    /// A line within a string, a body or a block comment says nothing.
    pub fn marked(text: &str) -> impl Iterator<Item = (usize, &str)> {
        let covered = if text.contains(MARK) { covered(text) } else { Vec::new() };
        let is_covered = move |line: &str| {
            let start = line.as_ptr() as usize - text.as_ptr() as usize;
            covered.iter().any(|range| range.contains(&start))
        };
        text.lines().enumerate().filter(move |(_, line)| !is_covered(line)).filter_map(|(at, line)| {
            let rest = line.trim_start_matches(['#', '-', ' ', '\t']).strip_prefix(MARK)?;
            Some((at + 1, rest))
        })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds one that is given as `table public.a -> b`.
    ///
    /// # Errors
    /// [`RenameError`] with line 1.
    pub fn add(&mut self, text: &str) -> Result<(), RenameError> {
        let text = text.trim_start_matches(['#', '-', ' ', '\t']);
        let rest = text.strip_prefix(MARK).unwrap_or(text);
        let rename = Rename::parse(rest).map_err(|what| RenameError { line: 1, what })?;
        self.list.push(rename);
        Ok(())
    }

    /// Each as it is written, without the mark.
    pub fn lines(&self) -> Vec<String> {
        self.list.iter().map(ToString::to_string).collect()
    }

    /// The facts of `from` as they are after the renames, to be compared with those of `to`.
    ///
    /// # Errors
    /// What does not fit: the rename and the reason, one each.
    pub fn renamed(&self, from: &Facts, to: &Facts) -> Result<Facts, Vec<String>> {
        let (facts, _, refused) = self.apply(from, to);
        if refused.is_empty() { Ok(facts) } else { Err(refused) }
    }

    /// The renames that take these back, the last one first.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let back = |rename: &Rename| {
            let mut back = rename.clone();
            if let Some(name) = back.path.last_mut() {
                std::mem::swap(name, &mut back.to);
            }
            back
        };
        Self { list: self.list.iter().rev().map(back).collect() }
    }

    /// Adds those of `more`.
    pub fn extend(&mut self, more: Self) {
        self.list.extend(more.list);
    }
}

impl Rename {
    /// Reads `table public.a -> b`.
    fn parse(text: &str) -> Result<Self, String> {
        let form = "write it as `-- offshoot:rename table schema.old -> new`";
        let tokens = tokens(text);
        let solid: Vec<&Token<'_>> = tokens.iter().filter(|token| !token.is_space()).collect();
        let arrow = solid
            .windows(2)
            .position(|pair| pair[0].text == "-" && pair[1].text == ">")
            .ok_or_else(|| format!("`->` is missing; {form}"))?;
        let (left, right) = (&solid[..arrow], &solid[arrow + 2..]);
        let to = match right {
            [name] => name.name().ok_or_else(|| format!("not a name: {}; {form}", name.text))?,
            [] => return Err(format!("the new name is missing; {form}")),
            _ => return Err(format!("the new name has no schema and nothing behind it; {form}")),
        };
        let words: Vec<String> = left.iter().map_while(|token| token.name()).collect();
        let found = WORDS
            .iter()
            .filter(|(word, _, _)| {
                let count = word.split(' ').count();
                words.len() > count && words[..count].join(" ") == *word
            })
            .max_by_key(|(word, _, _)| word.len());
        let Some((word, kind, length)) = found else {
            let known: Vec<&str> = WORDS.iter().map(|(word, _, _)| *word).collect();
            return Err(format!("the kind of object is missing or not one of: {}", known.join(", ")));
        };
        let (path, arguments) = path(&left[word.split(' ').count()..], kind.is_routine())?;
        if path.len() != *length {
            let shape = ["name", "schema.name", "schema.table.name"][*length - 1];
            return Err(format!("a {word} is named by {shape}; {form}"));
        }
        Ok(Self { word: (*word).to_owned(), path, arguments, to })
    }

    pub(super) fn kind(&self) -> Kind {
        WORDS.iter().find(|(word, _, _)| *word == self.word).map_or(Kind::Table, |(_, kind, _)| *kind)
    }

    /// Whether it renames a value of an enum.
    pub(super) fn is_value(&self) -> bool {
        self.word == "value"
    }

    /// The fact in `facts` that is called so.
    pub(super) fn find(&self, facts: &Facts, name: &str) -> Option<FactId> {
        let kind = self.kind();
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match path.as_slice() {
            [_] => Some(FactId::top(kind, None, name)).filter(|id| facts.get(id).is_some()),
            [schema, _] if kind == Kind::Index => {
                let is = |id: &&std::sync::Arc<FactId>| {
                    id.kind == kind && id.name == name && id.root().schema.as_deref() == Some(*schema)
                };
                facts.facts.keys().find(is).map(|id| FactId::clone(id))
            }
            [schema, _] if kind.is_routine() => {
                let open = format!("{}(", sql::quote(name));
                let full = self.arguments.as_ref().map(|arguments| format!("{open}{arguments})"));
                let is = |id: &&std::sync::Arc<FactId>| {
                    id.kind == kind
                        && id.schema.as_deref() == Some(*schema)
                        && full.as_ref().map_or(id.name.starts_with(&open), |full| id.name == *full)
                };
                facts.facts.keys().find(is).map(|id| FactId::clone(id))
            }
            [schema, _] => Some(FactId::top(kind, Some(*schema), name)).filter(|id| facts.get(id).is_some()),
            [schema, object, _] if self.is_value() => {
                let id = FactId::top(Kind::Type, Some(*schema), object);
                let has = facts.get(&id)?.list("labels").iter().any(|label| label == name);
                has.then_some(id)
            }
            [schema, object, _] => {
                let owners = [
                    Kind::Table,
                    Kind::ForeignTable,
                    Kind::View,
                    Kind::MaterializedView,
                    Kind::Type,
                    Kind::Domain,
                ];
                let mut ids = owners.iter().map(|owner| {
                    let owner = FactId::top(*owner, Some(*schema), object);
                    FactId::part(std::sync::Arc::new(owner), kind, name)
                });
                ids.find(|id| facts.get(id).is_some())
            }
            _ => None,
        }
    }
}

/// As it is written, without the mark.
impl std::fmt::Display for Rename {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path: Vec<String> = self.path.iter().map(|name| sql::quote(name)).collect();
        write!(out, "{} {}", self.word, path.join("."))?;
        if let Some(arguments) = &self.arguments {
            write!(out, "({arguments})")?;
        }
        write!(out, " -> {}", sql::quote(&self.to))
    }
}

/// The line that confirms that `from` becomes `to`; `None` if it is of a kind that has no such line.
pub(super) fn line(from: &FactId, to: &FactId) -> Option<String> {
    let mut path: Vec<String> = from.root().schema.iter().cloned().collect();
    if from.of.is_some() && from.kind != Kind::Index {
        path.push(from.owner().name.clone());
    }
    let (word, _, length) = WORDS.iter().find(|(word, kind, _)| *kind == from.kind && *word != "value")?;
    let arguments = from.kind.is_routine().then(|| {
        let open = from.name.find('(').map_or(from.name.len(), |at| at + 1);
        from.name[open..].trim_end_matches(')').to_owned()
    });
    path.push(bare_name(from));
    let rename = Rename { word: (*word).to_owned(), path, arguments, to: bare_name(to) };
    (rename.path.len() == *length).then(|| format!("-- {MARK} {rename}"))
}

/// The line and the statement that rename a value of an enum.
pub(super) fn value_line(id: &FactId, old: &str, new: &str) -> (String, String) {
    let mut path: Vec<String> = id.schema.iter().cloned().collect();
    path.extend([id.name.clone(), old.to_owned()]);
    let rename = Rename { word: "value".to_owned(), path, arguments: None, to: new.to_owned() };
    let (old, new) = (sql::literal(old), sql::literal(new));
    (format!("-- {MARK} {rename}"), format!("{} RENAME VALUE {old} TO {new}", name::alter(id)))
}

/// The pieces of SQL of several lines that are no statements: literals, quoted names, block comments, but for their first bytes.
fn covered(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let end_of_line = rest.find('\n').unwrap_or(rest.len());
        let begins_line = text[..at].rsplit('\n').next().is_some_and(|before| before.trim().is_empty());
        let length = if rest.starts_with("--") || begins_line && rest.starts_with('#') {
            end_of_line
        } else if let Some(length) = block_comment(rest) {
            length
        } else {
            first(rest)
        };
        if rest[..length].contains('\n') {
            found.push(at + 1..at + length);
        }
        at += length.max(1);
    }
    found
}

/// The length of a comment in `/* */`, which can hold others.
fn block_comment(rest: &str) -> Option<usize> {
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let (step, change) = match rest.as_bytes().get(at..at + 2) {
            Some(b"/*") => (2, 1),
            Some(b"*/") => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += change;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The name without arguments, unquoted.
pub(super) fn bare_name(id: &FactId) -> String {
    match tokens(&id.name).first().filter(|_| id.kind.is_routine()) {
        Some(token) => token.name().unwrap_or_default(),
        None => id.name.clone(),
    }
}

/// Names with dots between them, and the types of arguments in parentheses where there may be some.
fn path(tokens: &[&Token<'_>], routine: bool) -> Result<(Vec<String>, Option<String>), String> {
    let mut path = Vec::new();
    let mut rest = tokens;
    loop {
        let [token, more @ ..] = rest else { return Err("a name is missing".to_owned()) };
        path.push(token.name().ok_or_else(|| format!("not a name: {}", token.text))?);
        match more {
            [] => return Ok((path, None)),
            [dot, after @ ..] if dot.text == "." => rest = after,
            [open, inner @ .., close] if routine && open.text == "(" && close.text == ")" => {
                let mut text = String::new();
                for token in inner {
                    let tight = text.is_empty() || matches!(token.text, "," | "." | "[" | "]" | "(" | ")");
                    let after = text.ends_with(['.', '[', '(']);
                    if !tight && !after {
                        text.push(' ');
                    }
                    text.push_str(token.text);
                }
                return Ok((path, Some(text)));
            }
            [other, ..] => return Err(format!("not understood: {}", other.text)),
        }
    }
}
