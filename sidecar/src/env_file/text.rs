//! The text of such a file. Pure.
//!
//! Lines are `NAME=value`, perhaps with `export` before it and a comment behind it. A value is bare, or between `'`, `"` or backticks, and then
//! may go on over several lines. That is what the libraries called dotenv read, and shells.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What a file had in the place of a line that was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Before {
    /// Such a line, without its end.
    Line(String),
    /// None: the line was added at the end.
    Nothing {
        /// Whether an end was given to the line before it first.
        ended: bool,
    },
}

/// Why a line cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// Which of them counts differs between libraries.
    #[error("`{name}` is set twice, in lines {first} and {second}")]
    Twice {
        /// The variable.
        name: String,
        /// From 1.
        first: usize,
        /// From 1.
        second: usize,
    },
    /// It is not what it seems.
    #[error("it is no text file")]
    NoText,
    /// No quotes fit around it.
    #[error("the value of `{0}` has both kinds of quotes, or more than one line")]
    Unquotable(String),
}

/// A line that sets a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// From the indentation up to the line's end, without it.
    whole: Range<usize>,
    /// Between the quotes, if there are any.
    value: Range<usize>,
    quote: Option<u8>,
    /// From 1.
    number: usize,
}

/// The value that `name` is set to, as it stands there, with the number of its line.
pub(crate) fn find(bytes: &[u8], name: &str) -> Result<Option<(String, usize)>, Fault> {
    let line = only(bytes, name)?;
    let text = |range: Range<usize>| String::from_utf8(bytes[range].to_vec()).map_err(|_| Fault::NoText);
    line.map(|line| Ok((text(line.value)?, line.number))).transpose()
}

/// Sets `name`, in its line or in one more at the end.
pub(crate) fn set(bytes: &[u8], name: &str, value: &str) -> Result<(Vec<u8>, Before), Fault> {
    let Some(line) = only(bytes, name)? else {
        return added(bytes, name, value);
    };
    let before = String::from_utf8(bytes[line.whole.clone()].to_vec()).map_err(|_| Fault::NoText)?;
    let (range, text) = match line.quote {
        Some(quote) if is_plain(value) || is_literal(value, quote) => (line.value, value.to_owned()),
        Some(_) => (line.value.start - 1..line.value.end + 1, quoted(name, value)?),
        None => {
            // A comment that touches the value would become a part of it.
            let gap = if bytes.get(line.value.end) == Some(&b'#') { " " } else { "" };
            (line.value, quoted(name, value)? + gap)
        }
    };
    Ok((spliced(bytes, range, text.as_bytes()), Before::Line(before)))
}

/// Takes back what [`set`] did to `name`.
pub(crate) fn put_back(bytes: &[u8], name: &str, before: &Before) -> Result<Vec<u8>, Fault> {
    let Some(line) = only(bytes, name)? else { return Ok(bytes.to_vec()) };
    match before {
        Before::Line(text) => Ok(spliced(bytes, line.whole, text.as_bytes())),
        Before::Nothing { ended } => {
            let rest = &bytes[line.whole.end..];
            let end = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
            let is_last = end == rest.len();
            let mut from = line.whole.start;
            if *ended && is_last {
                // The end that the line before was given.
                from -= usize::from(bytes[..from].ends_with(b"\n"));
                from -= usize::from(bytes[..from].ends_with(b"\r"));
            }
            Ok(spliced(bytes, from..line.whole.end + end, b""))
        }
    }
}

fn added(bytes: &[u8], name: &str, value: &str) -> Result<(Vec<u8>, Before), Fault> {
    if bytes.contains(&0) {
        return Err(Fault::NoText);
    }
    let first_end = bytes.iter().position(|b| *b == b'\n');
    let end = match first_end {
        Some(at) if bytes[..at].ends_with(b"\r") => "\r\n",
        _ => "\n",
    };
    let ended = !bytes.is_empty() && bytes != BOM && !bytes.ends_with(b"\n");
    let line = format!("{name}={}", quoted(name, value)?);
    // A file without an end of its last line stays one.
    let line = if ended { format!("{end}{line}") } else { format!("{line}{end}") };
    Ok(([bytes, line.as_bytes()].concat(), Before::Nothing { ended }))
}

const BOM: &[u8] = b"\xef\xbb\xbf";

fn spliced(bytes: &[u8], range: Range<usize>, text: &[u8]) -> Vec<u8> {
    [&bytes[..range.start], text, &bytes[range.end..]].concat()
}

/// Whether every reader takes a value for what it is, with quotes and without.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%:/@?=+,".contains(&b))
}

/// Whether a value means itself between these quotes.
fn is_literal(value: &str, quote: u8) -> bool {
    let special: &[u8] = if quote == b'\'' { b"'" } else { b"\"`\\$" };
    value.bytes().all(|b| !special.contains(&b) && b >= b' ')
}

fn quoted(name: &str, value: &str) -> Result<String, Fault> {
    if is_plain(value) {
        Ok(value.to_owned())
    } else if is_literal(value, b'"') {
        Ok(format!("\"{value}\""))
    } else if is_literal(value, b'\'') {
        Ok(format!("'{value}'"))
    } else {
        Err(Fault::Unquotable(name.to_owned()))
    }
}

/// The line that sets `name`, if there is one.
fn only(bytes: &[u8], name: &str) -> Result<Option<Line>, Fault> {
    if bytes.contains(&0) {
        return Err(Fault::NoText);
    }
    let mut found: Option<Line> = None;
    let mut at = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
    while at < bytes.len() {
        let (next, line) = read(bytes, at, name);
        if let Some(line) = line {
            if let Some(first) = &found {
                let (first, second) = (first.number, line.number);
                return Err(Fault::Twice { name: name.to_owned(), first, second });
            }
            found = Some(line);
        }
        at = next;
    }
    Ok(found)
}

/// Reads what begins at `at`, the start of a line. Returns where the next begins, and the line if it sets `name`.
fn read(bytes: &[u8], at: usize, name: &str) -> (usize, Option<Line>) {
    let end_of =
        |from: usize| bytes[from..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| from + n);
    let past = |end: usize| (end + 1).min(bytes.len().max(end));
    let end = end_of(at);
    let skip_blanks = |mut from: usize| {
        while from < end && matches!(bytes[from], b' ' | b'\t') {
            from += 1;
        }
        from
    };
    let mut key = skip_blanks(at);
    if bytes[key..end].starts_with(b"export") && matches!(bytes.get(key + 6), Some(b' ' | b'\t')) {
        key = skip_blanks(key + 6);
    }
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || b"_.-".contains(b);
    let key_end = key + bytes[key..end].iter().take_while(|b| is_name(b)).count();
    let sign = skip_blanks(key_end);
    if key == key_end || bytes[sign..end].first() != Some(&b'=') {
        return (past(end), None);
    }
    let start = skip_blanks(sign + 1);
    let closing = bytes[start..end].first().filter(|b| b"'\"`".contains(b)).and_then(|quote| {
        let close = closing(bytes, start + 1, *quote)?;
        Some((*quote, close))
    });
    let (value, quote, end) = match closing {
        Some((quote, close)) => (start + 1..close, Some(quote), end_of(close)),
        None => (start..bare_end(bytes, start, end), None, end),
    };
    let whole_end = if bytes[..end].ends_with(b"\r") { end - 1 } else { end };
    let is_it = &bytes[key..key_end] == name.as_bytes();
    let number = || bytes[..at].split(|b| *b == b'\n').count();
    (past(end), is_it.then(|| Line { whole: at..whole_end, value, quote, number: number() }))
}

/// Where the quote that opened before `from` closes.
fn closing(bytes: &[u8], from: usize, quote: u8) -> Option<usize> {
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote != b'\'' => at += 1,
            b if b == quote => return Some(at),
            _ => (),
        }
        at += 1;
    }
    None
}

/// Where a bare value ends: before a comment, and the blanks before that.
fn bare_end(bytes: &[u8], start: usize, end: usize) -> usize {
    let is_comment =
        |at: &usize| bytes[*at] == b'#' && (*at == start || matches!(bytes[*at - 1], b' ' | b'\t'));
    let mut last = (start..end).find(is_comment).unwrap_or(end);
    while last > start && matches!(bytes[last - 1], b' ' | b'\t' | b'\r') {
        last -= 1;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "postgres://dev:pw@127.0.0.1:5433/shop";

    /// What a file becomes; and that taking it back leaves the file as it was.
    #[track_caller]
    fn becomes(text: &str) -> String {
        let (after, before) = set(text.as_bytes(), "DATABASE_URL", URL).unwrap();
        assert_eq!(find(&after, "DATABASE_URL").unwrap().unwrap().0, URL);
        let back = put_back(&after, "DATABASE_URL", &before).unwrap();
        assert_eq!(String::from_utf8(back).unwrap(), text);
        String::from_utf8(after).unwrap()
    }

    #[test]
    fn only_the_value_changes_whatever_stands_around_it() {
        for (text, after) in [
            ("DATABASE_URL=old\n", "DATABASE_URL=URL\n"),
            ("A=1\nDATABASE_URL=old\nB=2\n", "A=1\nDATABASE_URL=URL\nB=2\n"),
            ("A=1\r\nDATABASE_URL=old\r\nB=2\r\n", "A=1\r\nDATABASE_URL=URL\r\nB=2\r\n"),
            ("DATABASE_URL=old", "DATABASE_URL=URL"),
            ("DATABASE_URL=", "DATABASE_URL=URL"),
            ("DATABASE_URL=\r\n", "DATABASE_URL=URL\r\n"),
            ("  export  DATABASE_URL = old  # mine\n", "  export  DATABASE_URL = URL  # mine\n"),
            ("DATABASE_URL=# nothing yet\n", "DATABASE_URL=URL # nothing yet\n"),
            ("DATABASE_URL=a#b\n", "DATABASE_URL=URL\n"),
            ("DATABASE_URL='old' # x\n", "DATABASE_URL='URL' # x\n"),
            ("DATABASE_URL=\"o\\\"ld\"\n", "DATABASE_URL=\"URL\"\n"),
            ("DATABASE_URL=`old`\n", "DATABASE_URL=`URL`\n"),
            ("DATABASE_URL=\"o\nl\nd\"\nB=2\n", "DATABASE_URL=\"URL\"\nB=2\n"),
            ("DATABASE_URL=\"unfinished\nB=2\n", "DATABASE_URL=URL\nB=2\n"),
            ("\u{feff}DATABASE_URL=old\n", "\u{feff}DATABASE_URL=URL\n"),
        ] {
            let after =
                after.replace("DATABASE_URL", "NAME").replace("URL", URL).replace("NAME", "DATABASE_URL");
            assert_eq!(becomes(text), after, "{text:?}");
        }
    }

    #[test]
    fn a_variable_that_is_not_set_gets_a_line_at_the_end() {
        let line = format!("DATABASE_URL={URL}");
        for (text, after) in [
            ("", format!("{line}\n")),
            ("A=1\n", format!("A=1\n{line}\n")),
            ("A=1", format!("A=1\n{line}")),
            ("A=1\r\nB=2", format!("A=1\r\nB=2\r\n{line}")),
            ("# DATABASE_URL=x\n", format!("# DATABASE_URL=x\n{line}\n")),
            (
                "MY_DATABASE_URL=x\nDATABASE_URL_2=y\n",
                format!("MY_DATABASE_URL=x\nDATABASE_URL_2=y\n{line}\n"),
            ),
            ("database_url=x\n", format!("database_url=x\n{line}\n")),
            ("KEY=\"a\nDATABASE_URL=inside\n\"\n", format!("KEY=\"a\nDATABASE_URL=inside\n\"\n{line}\n")),
            ("caf\u{e9}\n", format!("caf\u{e9}\n{line}\n")),
        ] {
            assert_eq!(becomes(text), after);
        }
        let (after, _) = set(b"A=\xff\nDATABASE_URL=x\n", "DATABASE_URL", URL).unwrap();
        assert!(after.starts_with(b"A=\xff\n"), "what is no UTF-8 stays");
    }

    #[test]
    fn what_came_behind_an_added_line_stays_when_it_goes() {
        let (after, before) = set(b"A=1", "X", "v").unwrap();
        let after = [&after[..], b"\nB=2\n"].concat();
        assert_eq!(put_back(&after, "X", &before).unwrap(), b"A=1\nB=2\n");
        assert_eq!(put_back(b"A=1\n", "X", &before).unwrap(), b"A=1\n", "it is gone already");
    }

    #[test]
    fn values_get_quotes_only_where_they_need_them() {
        let line = |value: &str| set(b"", "X", value).map(|(after, _)| String::from_utf8(after).unwrap());
        assert_eq!(line("a?b=c").unwrap(), "X=a?b=c\n");
        assert_eq!(line("my db").unwrap(), "X=\"my db\"\n");
        assert_eq!(line("a$b").unwrap(), "X='a$b'\n");
        assert_eq!(line("").unwrap(), "X=\"\"\n");
        assert_eq!(line("a'$b"), Err(Fault::Unquotable("X".into())));
        let requoted = set(b"X='old'\n", "X", "it's").unwrap().0;
        assert_eq!(requoted, b"X=\"it's\"\n");
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let twice = set(b"X=1\n\nexport X=2\n", "X", "v").unwrap_err();
        assert_eq!(twice.to_string(), "`X` is set twice, in lines 1 and 3");
        assert_eq!(set(b"X\0=1\n", "X", "v"), Err(Fault::NoText));
        assert_eq!(set(b"X=\xff\n", "X", "v"), Err(Fault::NoText));
    }
}
