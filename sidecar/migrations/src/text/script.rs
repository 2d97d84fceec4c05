//! Literal settings in JavaScript and TypeScript files, which are not run.

use super::line_at;

/// Such a file with its comments blanked.
pub(crate) struct Script {
    text: String,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Its text, or its texts if it is an array.
    Literal(Vec<String>),
    /// It is computed when the file is run.
    Computed,
}

impl Setting {
    /// The only text.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Literal(texts) => texts.first().map(String::as_str),
            Self::Computed => None,
        }
    }
}

impl Script {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: without_comments(text) }
    }

    pub(crate) fn contains(&self, code: &str) -> bool {
        self.text.contains(code)
    }

    /// The first property of this name, and its line.
    pub(crate) fn property(&self, name: &str) -> Option<(Setting, u32)> {
        self.property_from(name, 0)
    }

    /// The first property of this name inside of the object of another one.
    pub(crate) fn property_in(&self, object: &str, name: &str) -> Option<(Setting, u32)> {
        let start = self.positions(object).find(|(_, value)| self.text[*value..].starts_with('{'))?.1;
        let end = start + self.text[start..].len() - after_brackets(&self.text[start..]).len();
        let (at, _) = self.positions(name).find(|(at, _)| (start..end).contains(at))?;
        self.property_from(name, at)
    }

    fn property_from(&self, name: &str, from: usize) -> Option<(Setting, u32)> {
        let (at, value) = self.positions(name).find(|(at, _)| *at >= from)?;
        Some((parse(&self.text[value..]), line_at(&self.text, at)))
    }

    /// Where a property's name starts, and where its value does.
    fn positions<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
        self.text.match_indices(name).filter_map(move |(at, _)| {
            let before = self.text[..at].chars().next_back();
            if before
                .is_some_and(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '$' | '.' | '-'))
            {
                return None;
            }
            let rest = self.text[at + name.len()..].trim_start_matches(['"', '\'']).trim_start();
            let value = rest.strip_prefix(':')?.trim_start();
            Some((at, self.text.len() - value.len()))
        })
    }
}

/// What follows the bracket that `text` starts with and its partner.
fn after_brackets(text: &str) -> &str {
    let (mut depth, mut rest) = (0_usize, text);
    while let Some(letter) = rest.chars().next() {
        match letter {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return &rest[1..];
                }
            }
            '"' | '\'' | '`' => {
                rest = &rest[string_end(rest)..];
                continue;
            }
            _ => {}
        }
        rest = &rest[letter.len_utf8()..];
    }
    ""
}

fn string_end(text: &str) -> usize {
    let quote = text.as_bytes()[0];
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            byte if byte == quote => return at + 1,
            b'\n' if quote != b'`' => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").map_or(rest.len(), |end| end + 2);
            out.extend(rest[..end].chars().filter(|letter| *letter == '\n'));
            rest = &rest[end..];
        } else if matches!(letter, '"' | '\'' | '`') {
            let end = string_end(rest);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        } else {
            out.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    out
}

/// Words that may stand around literal texts without making a path unknown.
const HARMLESS: &[&str] =
    &["__dirname", "path", "join", "resolve", "import", "meta", "dirname", "as", "const", "default"];

fn parse(value: &str) -> Setting {
    let array = value.starts_with('[');
    let end = if value.starts_with(['[', '{']) {
        value.len() - after_brackets(value).len()
    } else {
        expression_end(value)
    };
    let mut rest = &value[..end];
    let mut texts: Vec<String> = Vec::new();
    let mut word = String::new();
    let harmless = |word: &mut String| {
        let fine = word.is_empty() || HARMLESS.contains(&word.as_str());
        word.clear();
        fine
    };
    while let Some(letter) = rest.chars().next() {
        if matches!(letter, '"' | '\'' | '`') {
            let end = string_end(rest);
            let text = rest[1..end].trim_end_matches(letter);
            if !harmless(&mut word)
                || (letter == '`' && text.contains("${") && !text.starts_with("${__dirname}"))
            {
                return Setting::Computed;
            }
            texts.push(text.trim_start_matches("${__dirname}").to_owned());
            rest = &rest[end..];
            continue;
        }
        if letter.is_alphanumeric() || letter == '_' || letter == '$' {
            word.push(letter);
        } else if !harmless(&mut word) || !(letter.is_whitespace() || "().,+[]".contains(letter)) {
            return Setting::Computed;
        }
        rest = &rest[letter.len_utf8()..];
    }
    if !harmless(&mut word) || (texts.is_empty() && !array) {
        return Setting::Computed;
    }
    if array {
        return Setting::Literal(texts);
    }
    // Parts of a path that is put together from the file's own folder.
    let parts: Vec<&str> = texts.iter().map(|text| text.trim_matches('/')).collect();
    Setting::Literal(vec![if texts.len() == 1 { texts[0].clone() } else { parts.join("/") }])
}

/// Where an expression ends that starts with no bracket: at a comma or closing bracket of the outer level.
fn expression_end(text: &str) -> usize {
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        match letter {
            ',' | ';' | '}' | ']' | ')' => break,
            '(' | '[' | '{' => rest = after_brackets(rest),
            '"' | '\'' | '`' => rest = &rest[string_end(rest)..],
            letter => rest = &rest[letter.len_utf8()..],
        }
    }
    text.len() - rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Setting {
        Setting::Literal(vec![text.to_owned()])
    }

    #[test]
    fn literal_settings_are_found_and_comments_are_not() {
        let file = Script::new(
            "// tableName: 'no'\nmodule.exports = {\n  migrations: {\n    directory: './db',\n    \"tableName\": `t`,\n  },\n};\n",
        );
        assert_eq!(file.property("tableName"), Some((literal("t"), 5)));
        assert_eq!(file.property_in("migrations", "directory"), Some((literal("./db"), 4)));
        assert_eq!(file.property("schemaName"), None);
    }

    #[test]
    fn paths_beside_the_file_are_literal_and_calls_are_not() {
        let file = Script::new(
            "x = { a: path.join(__dirname, 'db', 'm'), b: process.env.T || 'x', c: `${y}`, d: ['p/*.ts', \"q\"], e: f }",
        );
        assert_eq!(file.property("a").unwrap().0, literal("db/m"));
        assert_eq!(file.property("b").unwrap().0, Setting::Computed);
        assert_eq!(file.property("c").unwrap().0, Setting::Computed);
        assert_eq!(file.property("d").unwrap().0, Setting::Literal(vec!["p/*.ts".into(), "q".into()]));
        assert_eq!(file.property("e").unwrap().0, Setting::Computed);
    }

    #[test]
    fn half_a_file_does_no_harm() {
        for text in ["a: '", "a: [", "a: {b:", "/* ", "a: `x", "a:", "a: 'x\\"] {
            let _ = Script::new(text).property("a");
            let _ = Script::new(text).property_in("a", "b");
        }
    }
}
