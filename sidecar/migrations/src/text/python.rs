//! Literal values in Python files: what can be known of a module without running it.

use super::line_at;

/// A Python file with its comments blanked.
pub(crate) struct Python {
    text: String,
}

/// A value, as far as it is literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    None,
    Text(String),
    /// The texts in a list, tuple or set of whatever depth, one group for each innermost bracket.
    Groups(Vec<Vec<String>>),
    Computed,
}

impl Value {
    /// All texts in it.
    pub(crate) fn texts(&self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text.clone()],
            Self::Groups(groups) => groups.concat(),
            Self::None | Self::Computed => Vec::new(),
        }
    }
}

impl Python {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: without_comments(text) }
    }

    /// The value that a name is given, at the module's or a class's level or as a keyword argument, and its line.
    pub(crate) fn assigned(&self, name: &str) -> Option<(Value, u32)> {
        for (at, _) in self.text.match_indices(name) {
            let before = self.text[..at].chars().next_back();
            if before
                .is_some_and(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '"' | '\''))
            {
                continue;
            }
            let mut rest = self.text[at + name.len()..].trim_start_matches([' ', '\t']);
            if let Some(hint) = rest.strip_prefix(':') {
                let line_end = hint.find('\n').unwrap_or(hint.len());
                let Some(equals) = hint[..line_end].find('=') else { continue };
                rest = &hint[equals..];
            }
            let Some(value) = rest.strip_prefix('=').filter(|rest| !rest.starts_with('=')) else { continue };
            return Some((
                parse(value.trim_start_matches([' ', '\t', '\\', '\n', '\r'])),
                line_at(&self.text, at),
            ));
        }
        None
    }

    pub(crate) fn contains(&self, code: &str) -> bool {
        self.text.contains(code)
    }
}

fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        match letter {
            '#' => rest = &rest[rest.find('\n').unwrap_or(rest.len())..],
            '"' | '\'' => {
                let end = string_end(rest);
                let string = &rest[..end];
                // A text over several lines is a docstring: only its line breaks matter.
                if string.contains('\n') {
                    out.extend(string.chars().filter(|letter| *letter == '\n'));
                } else {
                    out.push_str(string);
                }
                rest = &rest[end..];
            }
            letter => {
                out.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    out
}

/// Where the string literal ends that `text` starts with.
fn string_end(text: &str) -> usize {
    let quote = &text[..1];
    let triple = quote.repeat(3);
    let (open, close) = if text.starts_with(&triple) { (3, triple.as_str()) } else { (1, quote) };
    let mut at = open;
    while at < text.len() {
        if text[at..].starts_with('\\') {
            at += 1;
            at += text[at..].chars().next().map_or(0, char::len_utf8);
        } else if text[at..].starts_with(close) {
            return at + close.len();
        } else if open == 1 && text[at..].starts_with('\n') {
            return at;
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn literal(text: &str) -> (String, &str) {
    let end = string_end(text);
    (text[..end].trim_matches(['"', '\'']).to_owned(), &text[end..])
}

fn parse(value: &str) -> Value {
    if let Some(rest) = value.strip_prefix("None")
        && !rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
    {
        return Value::None;
    }
    match value.chars().next() {
        Some('"' | '\'') => Value::Text(literal(value).0),
        Some('(' | '[' | '{') => groups(value),
        _ => Value::Computed,
    }
}

fn groups(value: &str) -> Value {
    let (mut depth, mut rest) = (0_usize, value);
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut current: Vec<String> = Vec::new();
    while let Some(letter) = rest.chars().next() {
        match letter {
            '(' | '[' | '{' => {
                depth += 1;
                groups.extend((!current.is_empty()).then(|| std::mem::take(&mut current)));
            }
            ')' | ']' | '}' => {
                groups.extend((!current.is_empty()).then(|| std::mem::take(&mut current)));
                depth -= 1;
                if depth == 0 {
                    return Value::Groups(groups);
                }
            }
            '"' | '\'' => {
                let (text, after) = literal(rest);
                current.push(text);
                rest = after;
                continue;
            }
            _ => {}
        }
        rest = &rest[letter.len_utf8()..];
    }
    // The bracket never closes: the file is half written.
    Value::Computed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_revision() {
        let file = Python::new(
            "\"\"\"add x\n\nRevises: nothing\n\"\"\"\nrevision: str = 'b1'  # the id\ndown_revision = ('a1', \"a2\")\nbranch_labels = None\ndepends_on = f()\n",
        );
        assert_eq!(file.assigned("revision"), Some((Value::Text("b1".into()), 5)));
        assert_eq!(file.assigned("down_revision").unwrap().0.texts(), ["a1", "a2"]);
        assert_eq!(file.assigned("branch_labels").unwrap().0, Value::None);
        assert_eq!(file.assigned("depends_on").unwrap().0, Value::Computed);
    }

    #[test]
    fn pairs_stay_together() {
        let file = Python::new(
            "class Migration:\n    dependencies = [\n        ('a', '0001_x'),\n        ('b', '0002_y'),\n    ]\n",
        );
        let Some((Value::Groups(groups), 2)) = file.assigned("dependencies") else { panic!() };
        assert_eq!(groups, [["a", "0001_x"], ["b", "0002_y"]]);
    }

    #[test]
    fn half_a_list_is_computed_and_nothing_panics() {
        assert_eq!(Python::new("dependencies = [('a',").assigned("dependencies").unwrap().0, Value::Computed);
        assert_eq!(Python::new("x = '\\").assigned("x").unwrap().0, Value::Text("\\".into()));
    }
}
