//! Names in SQL.

/// The name of a table, perhaps with its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) schema: Option<String>,
    pub(super) name: String,
}

/// The parts of `a.b.c` as they stand there; one with a dot in it stands in double quotes. `None` for anything else.
pub(crate) fn parts(text: &str) -> Option<Vec<String>> {
    let (mut parts, mut rest) = (Vec::new(), text);
    loop {
        let (part, after) = if rest.starts_with('"') {
            identifier(rest)?
        } else {
            let (part, after) = rest.split_at(rest.find(['.', '"']).unwrap_or(rest.len()));
            (part.to_owned(), after)
        };
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        match after.strip_prefix('.') {
            Some(after) => rest = after,
            None => return after.is_empty().then_some(parts),
        }
    }
}

/// What follows a word, if the text begins with it.
pub(super) fn after_word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let text = text.trim_start();
    let (first, rest) = text.split_at_checked(word.len())?;
    let ends = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
    (ends && first.eq_ignore_ascii_case(word)).then_some(rest)
}

/// Reads `schema.table` or `table`, and returns what follows.
pub(super) fn qualified(text: &str) -> Option<(Name, &str)> {
    let text = after_word(text, "only").unwrap_or(text);
    let (first, rest) = identifier(text.trim_start())?;
    match rest.trim_start().strip_prefix('.') {
        None => Some((Name { schema: None, name: first }, rest)),
        Some(rest) => {
            let (name, rest) = identifier(rest.trim_start())?;
            Some((Name { schema: Some(first), name }, rest))
        }
    }
}

/// Reads `a, b)`, and returns what follows.
pub(super) fn list(text: &str) -> Option<(Vec<String>, &str)> {
    let (mut names, mut rest) = (Vec::new(), text);
    loop {
        let (name, after) = identifier(rest.trim_start())?;
        names.push(name);
        let after = after.trim_start();
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None => return after.strip_prefix(')').map(|after| (names, after)),
        }
    }
}

fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_ascii_lowercase(), &text[end..]));
    };
    let (mut name, mut rest) = (String::new(), quoted);
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return Some((name, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_names_are_read() {
        assert_eq!(parts("public.Users.email").unwrap(), ["public", "Users", "email"]);
        assert_eq!(parts("a.\"B.\"\"c\".d").unwrap(), ["a", "B.\"c", "d"]);
        for odd in ["", "a.", ".a", "a\"b\"", "\"a", "a..b"] {
            assert_eq!(parts(odd), None, "{odd}");
        }
    }
}
