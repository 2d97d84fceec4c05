//! SQL as Postgres writes it, cut into tokens, so that names can be replaced in it.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A name or key word, quoted or not.
    Name,
    /// A string, with its quotes.
    Text,
    /// White space and comments.
    Space,
    /// Everything else, a character each; `::` is one token.
    Other,
}

/// A piece of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) sort: Sort,
    pub(crate) text: &'a str,
}

impl Token<'_> {
    pub(crate) fn is_space(&self) -> bool {
        self.sort == Sort::Space
    }

    /// The unquoted name, if it is one.
    pub(crate) fn name(&self) -> Option<String> {
        if self.sort != Sort::Name {
            return None;
        }
        let inner = self.text.strip_prefix('"').map(|rest| rest.strip_suffix('"').unwrap_or(rest));
        Some(inner.map_or_else(|| self.text.to_owned(), |inner| inner.replace("\"\"", "\"")))
    }
}

/// Cuts `text`; the tokens together are the text.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (sort, length) = next(rest);
        tokens.push(Token { sort, text: &rest[..length] });
        at += length;
    }
    tokens
}

/// The length of the first token. A quote that is never closed is a token by itself.
pub(crate) fn first(rest: &str) -> usize {
    let (_, length) = next(rest);
    let open = rest.starts_with(['\'', '"', 'E', 'e']) && length == rest.len();
    let closed = length > 1 && rest.trim_end().ends_with(['\'', '"']);
    let alone = rest.chars().next().map_or(0, char::len_utf8);
    if open && rest.contains(['\'', '"']) && !closed { alone } else { length }
}

fn next(rest: &str) -> (Sort, usize) {
    let first = rest.chars().next().unwrap_or(' ');
    let is_name = |c: char| c == '_' || c.is_alphanumeric() || !c.is_ascii();
    let run = |wanted: &dyn Fn(char) -> bool| rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    match first {
        _ if first.is_whitespace() => (Sort::Space, run(&char::is_whitespace)),
        '"' => (Sort::Name, quoted(rest, '"')),
        '\'' => (Sort::Text, quoted(rest, '\'')),
        'E' | 'e' if rest[1..].starts_with('\'') => (Sort::Text, 1 + escaped(&rest[1..])),
        '$' => dollar(rest).map_or((Sort::Other, 1), |length| (Sort::Text, length)),
        _ if first.is_ascii_digit() => (Sort::Other, run(&|c: char| c.is_ascii_alphanumeric())),
        _ if is_name(first) => (Sort::Name, run(&|c| is_name(c) || c == '$')),
        ':' if rest.starts_with("::") => (Sort::Other, 2),
        _ => (Sort::Other, first.len_utf8()),
    }
}

/// The length of what stands in quotes; two quotes are one that is meant.
fn quoted(rest: &str, quote: char) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    rest.len()
}

/// The length of a string in which a backslash protects what follows.
fn escaped(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == '\'' && chars.next_if(|(_, next)| *next == '\'').is_none() {
            return at + 1;
        }
    }
    rest.len()
}

/// The length of a string in dollars.
fn dollar(rest: &str) -> Option<usize> {
    let end = rest[1..].find('$')? + 2;
    let tag = &rest[..end];
    let plain = tag[1..end - 1].chars().all(|c| c == '_' || c.is_alphanumeric());
    let close = rest[end..].find(tag).filter(|_| plain)?;
    Some(end + close + tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_strings_and_signs_are_told_apart() {
        let text = r#"a."B ""c""" = 'it''s' || E'\'x' || $f$ a $f$::"q""#;
        let parts: Vec<&str> =
            tokens(text).iter().filter(|token| !token.is_space()).map(|token| token.text).collect();
        assert_eq!(
            parts,
            [
                "a",
                ".",
                r#""B ""c""""#,
                "=",
                "'it''s'",
                "|",
                "|",
                r"E'\'x'",
                "|",
                "|",
                "$f$ a $f$",
                "::",
                "\"q\""
            ]
        );
        assert_eq!(tokens(r#""B ""c""""#)[0].name().as_deref(), Some(r#"B "c""#));
        assert_eq!(tokens("\"a b\"")[0].name().as_deref(), Some("a b"));
    }
}
