//! A script cut into statements as `psql` would send them.
//!
//! The cut follows Postgres's own lexical rules and never fails: what is left open runs to the end of the script.

use std::ops::Range;

/// What a piece of a script is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// SQL for the server.
    Sql,
    /// A command of `psql`, which starts with a backslash.
    Command,
    /// Rows behind `copy … from stdin`, up to and with `\.`.
    CopyData,
}

/// A statement in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it is.
    pub piece: Piece,
    /// Where it stands, in bytes: from its first word, without comments in front, up to the semicolon and without it.
    pub range: Range<usize>,
    /// The line of its first word, from 1.
    pub line: u32,
}

impl Statement {
    /// Its text.
    pub fn text<'a>(&self, script: &'a str) -> &'a str {
        &script[self.range.clone()]
    }
}

/// Cuts a script into statements.
pub fn split(script: &str) -> Vec<Statement> {
    let mut cutter = Cutter {
        text: script,
        at: 0,
        start: None,
        parens: 0,
        atomic: 0,
        words: Vec::new(),
        found: Vec::new(),
    };
    cutter.run();
    let mut line = 1;
    let mut counted = 0;
    for statement in &mut cutter.found {
        line +=
            script.as_bytes()[counted..statement.range.start].iter().filter(|byte| **byte == b'\n').count()
                as u32;
        counted = statement.range.start;
        statement.line = line;
    }
    cutter.found
}

struct Cutter<'a> {
    text: &'a str,
    at: usize,
    /// Where the current statement starts, once a word of it was seen.
    start: Option<usize>,
    parens: usize,
    /// How deep in `begin atomic … end` of a function's body.
    atomic: usize,
    words: Vec<String>,
    found: Vec<Statement>,
}

/// More words of a statement need not be remembered: only its head and the last one matter.
const WORDS_MAX: usize = 64;

impl Cutter<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn run(&mut self) {
        while let Some(letter) = self.rest().chars().next() {
            match letter {
                '-' if self.rest().starts_with("--") => self.skip_past("\n"),
                '/' if self.rest().starts_with("/*") => self.block_comment(),
                '\'' => self.string(),
                '"' => self.quoted('"', false),
                '$' => self.dollar(),
                '\\' if self.start.is_none() => self.command(),
                ';' if self.parens == 0 && self.atomic == 0 => self.finish(),
                letter if letter.is_whitespace() => self.at += letter.len_utf8(),
                letter if letter.is_alphabetic() || letter == '_' => self.word(),
                letter => {
                    self.begin();
                    match letter {
                        '(' => self.parens += 1,
                        ')' => self.parens = self.parens.saturating_sub(1),
                        _ => {}
                    }
                    self.at += letter.len_utf8();
                }
            }
        }
        self.finish();
    }

    fn begin(&mut self) {
        self.start.get_or_insert(self.at);
    }

    fn skip_past(&mut self, end: &str) {
        self.at += self.rest().find(end).map_or(self.rest().len(), |at| at + end.len());
    }

    /// Comments nest in Postgres.
    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.text.len() {
            if self.rest().starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if self.rest().starts_with("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return;
                }
            } else {
                self.at += self.rest().chars().next().map_or(1, char::len_utf8);
            }
        }
    }

    fn string(&mut self) {
        let escapes = self.text[..self.at].ends_with(['e', 'E'])
            && !self.text[..self.at - 1].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        self.quoted('\'', escapes);
    }

    fn quoted(&mut self, quote: char, escapes: bool) {
        self.begin();
        self.at += 1;
        while let Some(letter) = self.rest().chars().next() {
            self.at += letter.len_utf8();
            if letter == '\\' && escapes {
                self.at += self.rest().chars().next().map_or(0, char::len_utf8);
            } else if letter == quote {
                if !self.rest().starts_with(quote) {
                    return;
                }
                self.at += 1;
            }
        }
    }

    fn dollar(&mut self) {
        self.begin();
        let inner = &self.rest()[1..];
        let name =
            inner.find(|letter: char| !(letter.is_alphanumeric() || letter == '_')).unwrap_or(inner.len());
        let digit = inner.starts_with(|letter: char| letter.is_ascii_digit());
        if digit || !inner[name..].starts_with('$') {
            self.at += 1;
            return;
        }
        let tag = self.rest()[..name + 2].to_owned();
        self.at += tag.len();
        self.skip_past(&tag);
    }

    fn word(&mut self) {
        self.begin();
        let rest = self.rest();
        // A dollar sign inside of a word belongs to it.
        let end = rest
            .find(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | '$')))
            .unwrap_or(rest.len());
        let word = rest[..end].to_ascii_lowercase();
        self.at += end;
        let last = self.words.last().map(String::as_str);
        match word.as_str() {
            "atomic" if last == Some("begin") => self.atomic += 1,
            "case" if self.atomic > 0 => self.atomic += 1,
            "end" if self.atomic > 0 => self.atomic -= 1,
            _ => {}
        }
        if self.words.len() >= WORDS_MAX {
            self.words.pop();
        }
        self.words.push(word);
    }

    fn command(&mut self) {
        let start = self.at;
        let end = self.rest().find('\n').unwrap_or(self.rest().len());
        self.at += end;
        let range = start..start + self.text[start..self.at].trim_end().len();
        self.found.push(Statement { piece: Piece::Command, range, line: 0 });
    }

    fn finish(&mut self) {
        let copies = self.words.first().is_some_and(|word| word == "copy")
            && self.words.windows(2).any(|pair| pair[0] == "from" && pair[1] == "stdin");
        if let Some(start) = self.start.take() {
            let range = start..start + self.text[start..self.at].trim_end().len();
            self.found.push(Statement { piece: Piece::Sql, range, line: 0 });
        }
        self.words.clear();
        self.parens = 0;
        self.atomic = 0;
        if self.at < self.text.len() {
            self.at += 1;
            if copies {
                self.copy_data();
            }
        }
    }

    fn copy_data(&mut self) {
        self.skip_past("\n");
        let start = self.at;
        while self.at < self.text.len() {
            let line = self.rest().lines().next().unwrap_or_default();
            let ends = line == "\\.";
            self.skip_past("\n");
            if ends {
                break;
            }
        }
        if self.at > start {
            let range = start..start + self.text[start..self.at].trim_end().len();
            self.found.push(Statement { piece: Piece::CopyData, range, line: 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(script: &str) -> Vec<&str> {
        split(script).iter().map(|statement| statement.text(script)).collect()
    }

    #[test]
    fn semicolons_inside_of_quotes_comments_and_bodies_do_not_cut() {
        let script = "select ';' , E'\\';', \"a;b\"; -- c;\n/* d; /* e; */ f; */ do $x$ begin; end; $x$;\ncreate rule r as on insert to t do also (delete from a; delete from b);select 1";
        assert_eq!(
            pieces(script),
            [
                "select ';' , E'\\';', \"a;b\"",
                "do $x$ begin; end; $x$",
                "create rule r as on insert to t do also (delete from a; delete from b)",
                "select 1"
            ]
        );
    }

    #[test]
    fn sql_bodies_end_with_their_end() {
        let script = "create function f() returns int language sql begin atomic select case when true then 1 end; select 2; end; select 3;";
        assert_eq!(pieces(script).len(), 2);
    }

    #[test]
    fn copy_data_and_commands_of_psql_stand_for_themselves() {
        let script = "\\set x 1\ncopy t from stdin;\n1\t;\n2\t'\n\\.\nselect 1;\n";
        let found: Vec<_> =
            split(script).into_iter().map(|statement| (statement.piece, statement.line)).collect();
        assert_eq!(found, [(Piece::Command, 1), (Piece::Sql, 2), (Piece::CopyData, 3), (Piece::Sql, 6)]);
    }

    #[test]
    fn what_is_left_open_runs_to_the_end() {
        for script in [
            "select 'a;",
            "select $$ ;",
            "/* ;",
            "select \"a;",
            "select E'\\",
            "$",
            "create function f() begin atomic;",
        ] {
            assert!(split(script).len() <= 1, "{script}");
        }
    }
}
