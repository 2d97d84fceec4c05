//! The prompt.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{DefaultEditor, Editor};
use std::io::{BufRead, IsTerminal};

use super::scan::{Within, within};
use super::session::{Answer, Feed, Session};
use super::{address, describe, execute, print, value};
use crate::cli::connect::Session as EngineSession;
use crate::cli::output::Output;
use crate::cli::plain::plain;
use crate::failure::{Failure, Result};
use crate::paths::Paths;
use crate::sys;

const HISTORY_LINES: usize = 2000;
const HELP: &str = "A statement ends with a semicolon. Ctrl-C cancels it. \\? shows the commands, \\q quits.";

/// Where lines come from.
enum Lines {
    Terminal(Box<Editor<(), FileHistory>>),
    /// Statements that are piped in: no prompt, and the first error ends the run.
    Pipe,
}

enum Line {
    Text(String),
    Interrupted,
    End,
}

/// Reads and runs statements until the end of the input.
pub(super) fn run(
    session: &mut Session,
    mut engine: EngineSession,
    branch: Option<&str>,
    output: Output,
) -> Result<u8> {
    let history = Paths::from_env()?.history();
    let mut lines = Lines::open(&history)?;
    let mut name = address(&mut engine, branch)?.branch;
    if matches!(lines, Lines::Terminal(_)) {
        output.aside(format!("Database branch {name}. {HELP}"));
    }
    let mut pending = String::new();
    loop {
        let prompt = prompt(&name, &pending, session.status);
        let text = match lines.read(&prompt)? {
            Line::Text(text) => text,
            Line::Interrupted => {
                pending.clear();
                continue;
            }
            Line::End => break,
        };
        match (pending.is_empty(), text.trim()) {
            (true, "\\q" | "exit" | "quit") => break,
            (true, "") => continue,
            (true, "\\?") => {
                output.line(describe::COMMANDS);
                continue;
            }
            (true, command) if command.starts_with('\\') => {
                lines.remember(command);
                let Some(queries) = describe::queries(command) else {
                    output.aside(format!("unknown command {command}; \\? shows those that there are"));
                    continue;
                };
                let mut reached = Ok(true);
                for query in queries {
                    reached = one(session, &query, &lines, output);
                    if !matches!(reached, Ok(true)) {
                        break;
                    }
                }
                match reached {
                    Ok(true) => (),
                    Ok(false) => return Ok(crate::cli::NEGATIVE),
                    Err(failure) if matches!(lines, Lines::Terminal(_)) => {
                        (engine, *session) = again(&failure, branch, output)?;
                    }
                    Err(failure) => return Err(failure),
                }
                continue;
            }
            _ => (),
        }
        pending.push_str(&text);
        pending.push('\n');
        if within(&pending) != Within::Nothing {
            continue;
        }
        let sql = std::mem::take(&mut pending);
        lines.remember(sql.trim());
        match one(session, &sql, &lines, output) {
            Ok(true) => (),
            Ok(false) => return Ok(crate::cli::NEGATIVE),
            Err(failure) if matches!(lines, Lines::Terminal(_)) => {
                (engine, *session) = again(&failure, branch, output)?;
            }
            Err(failure) => return Err(failure),
        }
        // Another branch may have been checked out.
        if session.status == b'I'
            && let Ok(now) = address(&mut engine, branch)
        {
            name = now.branch;
        }
    }
    lines.save(&history);
    if !pending.trim().is_empty() && matches!(lines, Lines::Pipe) {
        return Ok(if one(session, &pending, &lines, output)? {
            crate::cli::OK
        } else {
            crate::cli::NEGATIVE
        });
    }
    Ok(crate::cli::OK)
}

/// Connects again after the connection was lost.
fn again(failure: &Failure, branch: Option<&str>, output: Output) -> Result<(EngineSession, Session)> {
    output.aside(format!("{failure}; connecting again"));
    sys::clear_interrupt();
    let mut engine = EngineSession::open(output)?;
    let session = Session::open(&address(&mut engine, branch)?)?;
    Ok((engine, session))
}

/// Runs one input. Returns false if the run should end.
fn one(session: &mut Session, sql: &str, lines: &Lines, output: Output) -> Result<bool> {
    sys::clear_interrupt();
    let mut show = |answer: Answer| {
        if output.json {
            // Printing to nobody is no failure.
            let _ = output.value(&value(&answer));
        } else {
            print(&answer);
        }
    };
    match execute(session, sql, Feed::Nothing, &mut show)? {
        Ok(()) => Ok(true),
        Err(fault) => {
            fault.print(sql, output);
            Ok(matches!(lines, Lines::Terminal(_)))
        }
    }
}

/// `main=> `, with a star in a transaction, and what is open in place of the equals sign.
fn prompt(branch: &str, pending: &str, status: u8) -> String {
    let open = match within(pending) {
        _ if pending.is_empty() => '=',
        Within::Nothing | Within::Statement => '-',
        Within::Quote => '\'',
        Within::Comment => '*',
        Within::Parentheses => '(',
    };
    let transaction = match status {
        b'T' => "*",
        b'E' => "!",
        _ => "",
    };
    format!("{}{open}{transaction}> ", plain(branch))
}

impl Lines {
    fn open(history: &Path) -> Result<Self> {
        if !std::io::stdin().is_terminal() {
            return Ok(Self::Pipe);
        }
        let fault = |e: &ReadlineError| Failure::engine(format!("cannot open a prompt: {e}"));
        let mut editor = DefaultEditor::new().map_err(|e| fault(&e))?;
        editor.set_max_history_size(HISTORY_LINES).map_err(|e| fault(&e))?;
        editor.set_auto_add_history(false);
        // A first run has no history.
        let _ = editor.load_history(history);
        Ok(Self::Terminal(Box::new(editor)))
    }

    fn read(&mut self, prompt: &str) -> Result<Line> {
        match self {
            Self::Terminal(editor) => match editor.readline(prompt) {
                Ok(text) => Ok(Line::Text(text)),
                Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
                Err(ReadlineError::Eof) => Ok(Line::End),
                Err(e) => Err(Failure::engine(format!("cannot read from the terminal: {e}"))),
            },
            Self::Pipe => {
                let mut text = String::new();
                match std::io::stdin().lock().read_line(&mut text) {
                    Ok(0) => Ok(Line::End),
                    Ok(_) => Ok(Line::Text(text.trim_end_matches(['\n', '\r']).to_owned())),
                    Err(_) if sys::interrupted() => Err(Failure::cancelled()),
                    Err(e) => Err(Failure::io("read standard input", &e)),
                }
            }
        }
    }

    fn remember(&mut self, sql: &str) {
        // Statements with a password are not for a file.
        if let Self::Terminal(editor) = self
            && !sql.to_ascii_lowercase().contains("password")
        {
            let _ = editor.add_history_entry(sql);
        }
    }

    fn save(&mut self, history: &Path) {
        let Self::Terminal(editor) = self else { return };
        let folder = history.parent().unwrap_or(Path::new("/"));
        // A history that cannot be kept is no reason to complain.
        let _ = fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
        let _ = editor.save_history(history);
    }
}

#[cfg(test)]
mod tests {
    use super::prompt;

    #[test]
    fn the_prompt_tells_what_is_open() {
        assert_eq!(prompt("main", "", b'I'), "main=> ");
        assert_eq!(prompt("main", "select\n", b'T'), "main-*> ");
        assert_eq!(prompt("main", "select '\n", b'E'), "main'!> ");
        assert_eq!(prompt("main", "select (\n", b'I'), "main(> ");
    }
}
