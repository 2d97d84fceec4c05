//! Where a statement ends, for the prompt.

/// What the text so far is in the middle of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Within {
    /// Nothing: every statement is closed by its semicolon.
    Nothing,
    /// A statement.
    Statement,
    /// A quoted string, quoted name or dollar quote.
    Quote,
    /// A comment between `/*` and `*/`.
    Comment,
    /// Parentheses.
    Parentheses,
}

/// Tells whether `sql` is complete: nothing open, and a semicolon after the last statement.
pub(super) fn within(sql: &str) -> Within {
    let mut rest = sql;
    let (mut depth, mut pending) = (0_usize, false);
    while let Some(first) = rest.chars().next() {
        let token = token(rest);
        match token {
            Token::Open(within) => return within,
            Token::Space(length) => rest = &rest[length..],
            Token::Semicolon if depth == 0 => {
                pending = false;
                rest = &rest[1..];
            }
            Token::Skip(length) => {
                match first {
                    '(' => depth += 1,
                    ')' => depth = depth.saturating_sub(1),
                    _ => (),
                }
                pending = true;
                rest = &rest[length..];
            }
            Token::Semicolon => rest = &rest[1..],
        }
    }
    match (depth, pending) {
        (0, false) => Within::Nothing,
        (0, true) => Within::Statement,
        _ => Within::Parentheses,
    }
}

enum Token {
    /// This many bytes of something.
    Skip(usize),
    /// This many bytes of space or comment.
    Space(usize),
    Semicolon,
    /// Something that does not end.
    Open(Within),
}

fn token(rest: &str) -> Token {
    let first = rest.chars().next().unwrap_or(' ');
    match first {
        ';' => Token::Semicolon,
        '\'' => quoted(rest, 0, '\'', false),
        '"' => quoted(rest, 0, '"', false),
        '$' => dollar(rest),
        _ if rest.starts_with("--") => Token::Space(rest.find('\n').map_or(rest.len(), |end| end + 1)),
        _ if rest.starts_with("/*") => comment(rest),
        _ if first.is_whitespace() => Token::Space(first.len_utf8()),
        _ if first.is_alphanumeric() || first == '_' => word(rest),
        other => Token::Skip(other.len_utf8()),
    }
}

/// A word may contain dollars, and `E` before a quote makes backslashes count.
fn word(rest: &str) -> Token {
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
    if rest[..end].eq_ignore_ascii_case("e") && rest[end..].starts_with('\'') {
        return quoted(rest, end, '\'', true);
    }
    Token::Skip(end)
}

/// A quote that opens at `from`. A doubled quote is two quoted parts next to each other, which comes to the same.
fn quoted(rest: &str, from: usize, quote: char, backslashes: bool) -> Token {
    let mut escaped = false;
    for (at, c) in rest[from + 1..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if backslashes => escaped = true,
            c if c == quote => return Token::Skip(from + 1 + at + 1),
            _ => (),
        }
    }
    Token::Open(Within::Quote)
}

fn dollar(rest: &str) -> Token {
    let Some(end) = rest[1..].find('$') else { return Token::Skip(1) };
    let tag = &rest[1..=end];
    let is_tag = !tag.starts_with(|c: char| c.is_ascii_digit())
        && tag.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_tag {
        return Token::Skip(1);
    }
    let delimiter = &rest[..end + 2];
    match rest[delimiter.len()..].find(delimiter) {
        Some(at) => Token::Skip(at + 2 * delimiter.len()),
        None => Token::Open(Within::Quote),
    }
}

/// Comments nest.
fn comment(rest: &str) -> Token {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return Token::Space(at);
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    Token::Open(Within::Comment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_texts_are_complete() {
        for sql in [
            "",
            "  ",
            "-- only a comment",
            "select 1;",
            "select 1; -- done",
            "select ';';",
            "select \"a;b\";",
            "select 'it''s';",
            "select $$;$$;",
            "do $x$ begin; $y$ ; end $x$;",
            "select /* ; /* nested */ */ 1;",
            "select e'\\'';",
            "select ';\\';",
            "select a$b$c;",
            "select $1;",
            "select (1);\n",
            "insert into ä values ('ö');",
        ] {
            assert_eq!(within(sql), Within::Nothing, "{sql}");
        }
    }

    #[test]
    fn open_texts_tell_what_is_open() {
        for (sql, open) in [
            ("select 1", Within::Statement),
            ("select 1; select 2", Within::Statement),
            ("select 'a;", Within::Quote),
            ("select \"a;", Within::Quote),
            ("select e'\\';", Within::Quote),
            ("do $x$ ; $y$ ;", Within::Quote),
            ("select /* /* */ ;", Within::Comment),
            ("select (1;", Within::Parentheses),
            ("select 1 -- ;", Within::Statement),
        ] {
            assert_eq!(within(sql), open, "{sql}");
        }
    }
}
