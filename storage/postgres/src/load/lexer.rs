//! Where statements end. Follows the lexical rules of the Postgres manual ("Lexical Structure"), and psql's rule that a
//! semicolon within parentheses or within the body of an SQL function does not end a statement.

/// What the lexer came upon in a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The line's end.
    LineEnd,
    /// The end of a statement, just behind its semicolon.
    Statement(usize),
    /// A backslash outside of quotes.
    Backslash(usize),
}

#[derive(Debug, PartialEq, Eq)]
enum Mode {
    Plain,
    Quote { escapes: bool },
    Identifier,
    Dollar(Vec<u8>),
    Comment { depth: u32 },
}

/// A statement as it stands in the script, from its first token to its semicolon.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// The line of the first token.
    pub(super) line: u64,
    pub(super) text: Vec<u8>,
    /// The first words outside of parentheses, in capitals; quoted identifiers are not among them.
    pub(super) words: Vec<String>,
    /// Whether it is a `COPY ... FROM STDIN`.
    pub(super) copies_in: bool,
}

/// As many as may stand before the `AS` of a `CREATE TABLE`.
const KEPT_WORDS: usize = 24;

/// Finds the ends of statements in lines that are fed one after another.
#[derive(Debug)]
pub(super) struct Lexer {
    mode: Mode,
    parentheses: u32,
    bodies: u32,
    text: Vec<u8>,
    line: u64,
    started: bool,
    words: Vec<String>,
    previous_word: Option<String>,
    copies_in: bool,
    /// Whether the string just closed, with only blanks behind it yet, had escapes; and whether a line ended since.
    closed_string: Option<(bool, bool)>,
    /// What `standard_conforming_strings` is set to.
    pub(super) standard_strings: bool,
}

impl Lexer {
    pub(super) fn new() -> Self {
        Self {
            mode: Mode::Plain,
            parentheses: 0,
            bodies: 0,
            text: Vec::new(),
            line: 0,
            started: false,
            words: Vec::new(),
            previous_word: None,
            copies_in: false,
            closed_string: None,
            standard_strings: true,
        }
    }

    /// Whether a statement has begun and not ended.
    pub(super) fn is_inside(&self) -> bool {
        self.started
    }

    /// What a script that ended here would end in, if not between statements, and the line where that begins.
    pub(super) fn open_end(&self) -> Option<&'static str> {
        match &self.mode {
            Mode::Quote { .. } => Some("a string"),
            Mode::Identifier => Some("a quoted identifier"),
            Mode::Dollar(_) => Some("a dollar-quoted string"),
            Mode::Comment { .. } => Some("a comment"),
            Mode::Plain if self.bodies > 0 => Some("the body of a function"),
            Mode::Plain if self.parentheses > 0 => Some("parentheses"),
            Mode::Plain => None,
        }
    }

    pub(super) fn start_line(&self) -> u64 {
        self.line
    }

    pub(super) fn length(&self) -> usize {
        self.text.len()
    }

    /// Takes the statement that has just ended.
    pub(super) fn take(&mut self) -> Statement {
        let fresh = Self { standard_strings: self.standard_strings, ..Self::new() };
        let done = std::mem::replace(self, fresh);
        Statement { line: done.line, text: done.text, words: done.words, copies_in: done.copies_in }
    }

    /// Reads `line`, number `number` of the script, from byte `from` on until something is found.
    pub(super) fn feed(&mut self, line: &[u8], from: usize, number: u64) -> Found {
        let mut at = from;
        let mut kept = from;
        let was_inside = self.started;
        let found = loop {
            if at >= line.len() {
                break Found::LineEnd;
            }
            if self.mode != Mode::Plain {
                at = self.skip_quoted(line, at);
                continue;
            }
            match line[at] {
                b'\\' => break Found::Backslash(at),
                b'-' if line.get(at + 1) == Some(&b'-') => {
                    at = line.len();
                    self.note_line_end();
                }
                b'/' if line.get(at + 1) == Some(&b'*') => {
                    // A comment before a statement is where an unfinished one would have begun.
                    if !self.started {
                        self.line = number;
                    }
                    self.mode = Mode::Comment { depth: 1 };
                    at += 2;
                }
                byte if byte.is_ascii_whitespace() || byte == 0x0b => {
                    if byte == b'\n' {
                        self.note_line_end();
                    }
                    at += 1;
                }
                b';' if !self.started => at += 1,
                byte => {
                    if !self.started {
                        self.started = true;
                        self.line = number;
                        kept = at;
                    }
                    at = self.token(line, at, byte);
                    if byte == b';' && self.parentheses == 0 && self.bodies == 0 {
                        break Found::Statement(at);
                    }
                }
            }
        };
        if was_inside || self.started {
            let end = if let Found::Backslash(end) = found { end } else { at };
            self.text.extend_from_slice(&line[kept..end.min(line.len())]);
        }
        found
    }

    fn note_line_end(&mut self) {
        if let Some((_, line_ended)) = &mut self.closed_string {
            *line_ended = true;
        }
    }

    /// Reads one token, or the beginning of a quoted one, and returns where it ends.
    fn token(&mut self, line: &[u8], at: usize, byte: u8) -> usize {
        let closed = self.closed_string.take();
        match byte {
            b'\'' => {
                // A string that goes on in the next line keeps the kind of its first part.
                let goes_on = matches!(closed, Some((true, true)));
                self.mode = Mode::Quote { escapes: goes_on || !self.standard_strings };
                at + 1
            }
            b'"' => {
                self.mode = Mode::Identifier;
                self.previous_word = None;
                at + 1
            }
            b'$' => self.dollar(line, at),
            b'(' => {
                self.parentheses += 1;
                at + 1
            }
            b')' => {
                self.parentheses = self.parentheses.saturating_sub(1);
                at + 1
            }
            byte if starts_word(byte) => self.word(line, at),
            byte if byte.is_ascii_digit() => end_of(line, at, u8::is_ascii_digit),
            _ => at + 1,
        }
    }

    fn dollar(&mut self, line: &[u8], at: usize) -> usize {
        let tag_end = end_of(line, at + 1, |byte| continues_word(*byte) && *byte != b'$');
        let is_quote = line.get(tag_end) == Some(&b'$') && !line[at + 1].is_ascii_digit();
        if is_quote {
            self.mode = Mode::Dollar(line[at..=tag_end].to_vec());
            return tag_end + 1;
        }
        // A parameter, `$1`, or an error that the server will name.
        at + 1
    }

    fn word(&mut self, line: &[u8], at: usize) -> usize {
        let end = end_of(line, at, |byte| continues_word(*byte));
        let word = &line[at..end];
        if line.get(end) == Some(&b'\'') && word.eq_ignore_ascii_case(b"e") {
            self.mode = Mode::Quote { escapes: true };
            return end + 1;
        }
        // `B'..'`, `N'..'`, `X'..'` and `U&'..'` hold what plain strings hold.
        self.note_word(&String::from_utf8_lossy(word).to_ascii_uppercase());
        end
    }

    fn note_word(&mut self, word: &str) {
        if self.parentheses > 0 {
            return;
        }
        if self.words.len() < KEPT_WORDS {
            self.words.push(word.to_owned());
        }
        if self.words[0] == "COPY" && word == "STDIN" && self.previous_word.as_deref() == Some("FROM") {
            self.copies_in = true;
        }
        if self.makes_routine() {
            match word {
                "BEGIN" => self.bodies += 1,
                "CASE" if self.bodies > 0 => self.bodies += 1,
                "END" => self.bodies = self.bodies.saturating_sub(1),
                _ => {}
            }
        }
        self.previous_word = Some(word.to_owned());
    }

    fn makes_routine(&self) -> bool {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        matches!(
            words.as_slice(),
            ["CREATE", "FUNCTION" | "PROCEDURE", ..]
                | ["CREATE", "OR", "REPLACE", "FUNCTION" | "PROCEDURE", ..]
        )
    }

    /// Moves on within a string, an identifier, or a comment, and returns where it stopped.
    fn skip_quoted(&mut self, line: &[u8], at: usize) -> usize {
        let rest = &line[at..];
        match &mut self.mode {
            Mode::Plain => at,
            Mode::Quote { escapes } => {
                let escapes = *escapes;
                match rest.iter().position(|byte| *byte == b'\'' || (escapes && *byte == b'\\')) {
                    None => line.len(),
                    Some(offset) if rest[offset] == b'\\' => at + offset + 2,
                    Some(offset) if rest.get(offset + 1) == Some(&b'\'') => at + offset + 2,
                    Some(offset) => {
                        self.mode = Mode::Plain;
                        self.closed_string = Some((escapes, false));
                        at + offset + 1
                    }
                }
            }
            // A doubled quote closes the identifier and opens it again, which comes to the same.
            Mode::Identifier => self.close_at(rest.iter().position(|byte| *byte == b'"'), 1, at, line.len()),
            Mode::Dollar(tag) => {
                let length = tag.len();
                let place = rest.windows(length).position(|window| window == tag.as_slice());
                self.close_at(place, length, at, line.len())
            }
            Mode::Comment { depth } => {
                let pair = rest.windows(2).position(|pair| pair == b"*/" || pair == b"/*");
                let Some(offset) = pair else { return line.len() };
                *depth = if rest[offset] == b'/' { *depth + 1 } else { *depth - 1 };
                if *depth == 0 {
                    self.mode = Mode::Plain;
                }
                at + offset + 2
            }
        }
    }

    fn close_at(&mut self, place: Option<usize>, length: usize, at: usize, line_end: usize) -> usize {
        let Some(offset) = place else { return line_end };
        self.mode = Mode::Plain;
        at + offset + length
    }
}

fn end_of(line: &[u8], from: usize, belongs: impl Fn(&u8) -> bool) -> usize {
    line[from..].iter().position(|byte| !belongs(byte)).map_or(line.len(), |offset| from + offset)
}

fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_word(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

#[cfg(test)]
mod tests;
