//! `offshoot.toml`: what is wrong with it, what a key means, which keys there are.
//!
//! Documents that are open in the editor count as they are there; others as they are on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range as Bytes;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tower_lsp_server::ls_types::{
    CompletionItem, CompletionItemKind, CompletionTextEdit, Diagnostic, DiagnosticSeverity, Documentation,
    Hover, HoverContents, MarkupContent, MarkupKind, Position, Range, TextEdit, Uri,
};

use super::Shared;
use super::outbox::Outbox;
use crate::config::keys::{self, SETTINGS};
use crate::config::{ConfigError, FILE_NAME, parse_all, read};

/// The documents of one editor.
#[derive(Debug)]
pub(super) struct Documents {
    outbox: Arc<Outbox>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Texts of the open ones.
    open: BTreeMap<PathBuf, String>,
    /// Worktrees whose file is looked at on the disk.
    roots: BTreeSet<PathBuf>,
    published: BTreeMap<PathBuf, (Uri, Vec<Diagnostic>)>,
}

/// The file that a URI names, if it is one of ours.
fn path_of(uri: &Uri) -> Option<PathBuf> {
    let path = uri.to_file_path()?;
    let is_ours = uri.scheme().as_str() == "file" && path.file_name().is_some_and(|name| name == FILE_NAME);
    // Worktrees are known by their canonical paths.
    is_ours.then(|| {
        let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
        folder.map_or_else(|| path.to_path_buf(), |folder| folder.join(FILE_NAME))
    })
}

impl Documents {
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Valid between any two statements, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A document was opened or changed.
    pub(super) fn set(&self, uri: Uri, version: i32, text: String) {
        let Some(path) = path_of(&uri) else { return };
        let found = check(&text);
        let mut state = self.lock();
        state.open.insert(path.clone(), text);
        self.publish(&mut state, path, uri, found, Some(version));
    }

    /// A document was closed; the file on the disk counts again.
    pub(super) fn close(&self, shared: &Arc<Shared>, uri: &Uri) {
        let Some(path) = path_of(uri) else { return };
        let mut state = self.lock();
        state.open.remove(&path);
        let is_followed = path.parent().is_some_and(|root| state.roots.contains(root));
        if is_followed {
            drop(state);
            self.read_again(shared);
        } else {
            self.publish(&mut state, path, uri.clone(), Vec::new(), None);
        }
    }

    /// From now on the files of exactly these worktrees are looked at.
    pub(super) fn follow(&self, shared: &Arc<Shared>, roots: BTreeSet<PathBuf>) {
        let mut state = self.lock();
        if state.roots == roots {
            return;
        }
        let gone: Vec<_> = state.roots.difference(&roots).map(|root| root.join(FILE_NAME)).collect();
        state.roots = roots;
        for path in gone {
            if !state.open.contains_key(&path)
                && let Some((uri, _)) = state.published.get(&path).cloned()
            {
                self.publish(&mut state, path, uri, Vec::new(), None);
            }
        }
        drop(state);
        self.read_again(shared);
    }

    /// Reads the files that are not open, on a thread.
    pub(super) fn read_again(&self, shared: &Arc<Shared>) {
        let roots = self.lock().roots.clone();
        let shared = Arc::clone(shared);
        tokio::task::spawn_blocking(move || {
            for root in &roots {
                shared.documents.read_from_disk(root);
            }
        });
    }

    fn read_from_disk(&self, root: &Path) {
        let path = root.join(FILE_NAME);
        let found = match read(&path) {
            Ok(text) => check(&text),
            Err(error) => vec![diagnostic("", &error)],
        };
        let mut state = self.lock();
        if let (false, true, Some(uri)) =
            (state.open.contains_key(&path), state.roots.contains(root), Uri::from_file_path(&path))
        {
            self.publish(&mut state, path, uri, found, None);
        }
    }

    /// Sends what is new. What is wrong with a document is taken back where it was told under another URI.
    fn publish(
        &self,
        state: &mut State,
        path: PathBuf,
        uri: Uri,
        found: Vec<Diagnostic>,
        version: Option<i32>,
    ) {
        let (uri_before, before) = match state.published.remove(&path) {
            Some((uri, found)) => (Some(uri), found),
            None => (None, Vec::new()),
        };
        if let Some(other) = uri_before.filter(|other| *other != uri && !before.is_empty()) {
            self.outbox.diagnostics(other, Vec::new(), None);
        }
        if before != found || !found.is_empty() && version.is_some() {
            self.outbox.diagnostics(uri.clone(), found.clone(), version);
        }
        if !found.is_empty() {
            state.published.insert(path, (uri, found));
        }
    }

    /// Explains the key at a position.
    pub(super) fn hover(&self, uri: &Uri, at: Position) -> Option<Hover> {
        let state = self.lock();
        let text = state.open.get(&path_of(uri)?)?;
        let line = text.lines().nth(at.line as usize)?;
        let key_ends = line.find('=').unwrap_or(line.len());
        let word = word_at(line, byte_of(line, at.character))?;
        if word.start >= key_ends || line.trim_start().starts_with('#') {
            return None;
        }
        let setting = keys::find(table_at(text, at.line as usize), &line[word.clone()])?;
        let contents = MarkupContent { kind: MarkupKind::Markdown, value: setting.help() };
        let place = |byte: usize| Position::new(at.line, characters(&line[..byte]));
        let range = Some(Range::new(place(word.start), place(word.end)));
        Some(Hover { contents: HoverContents::Markup(contents), range })
    }

    /// What can be written at a position.
    pub(super) fn complete(&self, uri: &Uri, at: Position) -> Vec<CompletionItem> {
        let state = self.lock();
        let Some(text) = path_of(uri).and_then(|path| state.open.get(&path)) else { return Vec::new() };
        let line = text.lines().nth(at.line as usize).unwrap_or_default();
        let before = &line[..byte_of(line, at.character)];
        if before.trim_start().starts_with('#') {
            return Vec::new();
        }
        if before.trim_start().starts_with('[') {
            return headers(at, before, line);
        }
        let table = table_at(text, at.line as usize);
        match before.split_once('=') {
            None => keys_of(table),
            Some((key, value)) => values(table, key.trim(), value),
        }
    }
}

/// Headers of tables, in the place of what stands in the line.
fn headers(at: Position, before: &str, line: &str) -> Vec<CompletionItem> {
    let begin = characters(&before[..before.len() - before.trim_start().len()]);
    let range = Range::new(Position::new(at.line, begin), Position::new(at.line, characters(line)));
    keys::headers()
        .map(|(setting, header)| CompletionItem {
            label: header.clone(),
            kind: Some(CompletionItemKind::MODULE),
            detail: Some(setting.about.to_owned()),
            filter_text: Some(header.clone()),
            text_edit: Some(CompletionTextEdit::Edit(TextEdit { range, new_text: header })),
            ..CompletionItem::default()
        })
        .collect()
}

fn keys_of(table: &str) -> Vec<CompletionItem> {
    let keys = SETTINGS.iter().filter(|setting| setting.table == table);
    keys.map(|setting| CompletionItem {
        label: setting.key.to_owned(),
        kind: Some(CompletionItemKind::PROPERTY),
        documentation: Some(Documentation::MarkupContent(MarkupContent {
            kind: MarkupKind::Markdown,
            value: setting.help(),
        })),
        insert_text: Some(format!("{}{}", setting.key, setting.rest)),
        ..CompletionItem::default()
    })
    .collect()
}

fn values(table: &str, key: &str, written: &str) -> Vec<CompletionItem> {
    let Some(setting) = SETTINGS.iter().find(|setting| setting.table == table && setting.key == key) else {
        return Vec::new();
    };
    // Within quotes that were begun, nothing but the word itself.
    let is_open = |quote: char| !written.matches(quote).count().is_multiple_of(2);
    let is_within = is_open('"') || is_open('\'');
    let (before, after) = if is_within {
        ("", "")
    } else if setting.is_list() && !written.contains('[') {
        ("[\"", "\"]")
    } else {
        ("\"", "\"")
    };
    if setting.is_flag() {
        return ["true", "false"].map(flag).to_vec();
    }
    let values = setting.values.iter();
    values
        .map(|(value, meaning)| CompletionItem {
            label: (*value).to_owned(),
            kind: Some(CompletionItemKind::ENUM_MEMBER),
            detail: Some((*meaning).to_owned()),
            insert_text: Some(format!("{before}{value}{after}")),
            filter_text: Some(format!("{before}{value}{after}")),
            ..CompletionItem::default()
        })
        .collect()
}

fn flag(value: &str) -> CompletionItem {
    CompletionItem {
        label: value.to_owned(),
        kind: Some(CompletionItemKind::VALUE),
        ..CompletionItem::default()
    }
}

fn check(text: &str) -> Vec<Diagnostic> {
    parse_all(text).1.iter().map(|error| diagnostic(text, error)).collect()
}

fn diagnostic(text: &str, error: &ConfigError) -> Diagnostic {
    let message = match &error.hint {
        Some(hint) => format!("{}\n{hint}", error.message),
        None => error.message.clone(),
    };
    Diagnostic {
        range: range(text, error.span.clone()),
        severity: Some(DiagnosticSeverity::ERROR),
        source: Some("Offshoot".to_owned()),
        message,
        ..Diagnostic::default()
    }
}

/// Bytes as lines and UTF-16 units. An empty span is widened to the rest of its line, so that there is something to underline.
fn range(text: &str, span: Bytes<usize>) -> Range {
    let place = |byte: usize| {
        let before = &text[..text.floor_char_boundary(byte.min(text.len()))];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count();
        Position::new(u32::try_from(line).unwrap_or(u32::MAX), characters(&before[line_start..]))
    };
    let end = if span.is_empty() {
        text.get(span.start..)
            .and_then(|rest| rest.find('\n'))
            .map_or(text.len(), |length| span.start + length)
    } else {
        span.end
    };
    Range::new(place(span.start), place(end))
}

/// UTF-16 units, as the protocol counts.
fn characters(text: &str) -> u32 {
    u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX)
}

/// The byte at which the `character`-th UTF-16 unit of a line begins.
fn byte_of(line: &str, character: u32) -> usize {
    let mut units = 0;
    for (byte, c) in line.char_indices() {
        if units >= character as usize {
            return byte;
        }
        units += c.len_utf16();
    }
    line.len()
}

fn word_at(line: &str, byte: usize) -> Option<Bytes<usize>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let start = line[..byte]
        .rfind(|c| !is_word(c))
        .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
    let end = line[byte..].find(|c| !is_word(c)).map_or(line.len(), |length| byte + length);
    (start < end).then_some(start..end)
}

/// The table that a line is in: the nearest header above; empty at the top.
fn table_at(text: &str, line: usize) -> &str {
    let above: Vec<_> = text.lines().take(line).collect();
    let header = above.into_iter().rev().find_map(|line| line.trim().strip_prefix('[')?.split(']').next());
    header.unwrap_or_default().trim_start_matches('[').trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> (Documents, Uri) {
        let documents = Documents::new(Arc::default());
        let uri: Uri = "file:///nowhere/offshoot.toml".parse().unwrap();
        documents.set(uri.clone(), 1, text.to_owned());
        (documents, uri)
    }

    #[test]
    fn the_range_of_an_error_is_in_units_of_the_protocol() {
        let found = check("# äöü 🌱\non_checkout = 'ä🌱'\n");
        assert_eq!(found[0].range, Range::new(Position::new(1, 14), Position::new(1, 19)));
        assert!(found[0].message.contains("not one of"), "{}", found[0].message);
        let found = check("\non_chekout = 'ask'");
        assert_eq!(found[0].range, Range::new(Position::new(1, 0), Position::new(1, 10)));
        assert!(found[0].message.ends_with("\nDid you mean `on_checkout`?"));
        assert_eq!(check("a = \"").len(), 1);
        assert_eq!(check("idle_timeout = '1m'"), []);
    }

    #[test]
    fn a_key_is_explained_and_a_value_is_not() {
        let (documents, uri) = open("# on_checkout\non_checkout = \"ask\"\n[postgres]\nsettings = {}");
        let hover = |line, character| documents.hover(&uri, Position::new(line, character));
        let HoverContents::Markup(text) = hover(1, 3).unwrap().contents else { panic!() };
        assert!(text.value.contains("`\"switch\"`: stay on the present"), "{}", text.value);
        assert!(hover(2, 2).is_some() && hover(3, 8).is_some());
        assert_eq!((hover(0, 5), hover(1, 17), hover(9, 0)), (None, None, None));
    }

    #[test]
    fn keys_and_values_are_offered_where_they_belong() {
        let (documents, uri) = open("on_checkout = \"\"\non_checkout =\nid\n[postgres]\n\n# on");
        let labels = |line, character| -> Vec<_> {
            let items = documents.complete(&uri, Position::new(line, character));
            items.into_iter().map(|item| item.insert_text.unwrap()).collect()
        };
        assert_eq!(labels(0, 15), ["create", "switch", "ask"]);
        assert_eq!(labels(1, 13)[0], "\"create\"");
        assert_eq!(labels(2, 2).len(), SETTINGS.iter().filter(|setting| setting.table.is_empty()).count());
        assert_eq!(labels(4, 0), ["settings = { shared_buffers = \"64MB\" }"]);
        assert_eq!(labels(5, 4), Vec::<String>::new());
        let (documents, uri) =
            open("[[tiers]]\nchecks = \nchecks = [\"applies\", \nchecks = [\"applies\", \"\n");
        let first = |line, character| {
            let items = documents.complete(&uri, Position::new(line, character));
            items.into_iter().next().and_then(|item| item.insert_text)
        };
        assert_eq!(first(1, 9).as_deref(), Some("[\"applies\"]"));
        assert_eq!(first(2, 21).as_deref(), Some("\"applies\""));
        assert_eq!(first(3, 22).as_deref(), Some("applies"));
    }

    #[test]
    fn rules_about_branches_are_completed_explained_and_all_their_mistakes_are_underlined() {
        let text = "[[branches]]\npattern = 'main'\nprotected = \n\n[[\n";
        let (documents, uri) = open(text);
        let items = |line, character| documents.complete(&uri, Position::new(line, character));
        let labels = |line, character| -> Vec<_> {
            items(line, character).into_iter().map(|item| item.label).collect()
        };
        let keys = [
            "pattern",
            "parent",
            "ttl",
            "protected",
            "masking",
            "writers",
            "override",
            "on_checkout",
            "max_bytes",
        ];
        assert!(labels(3, 0).starts_with(&keys.map(str::to_owned)));
        assert_eq!(labels(2, 12), ["true", "false"]);
        assert!(
            labels(4, 2).contains(&"[[branches]]".to_owned())
                && labels(4, 2).contains(&"[limits]".to_owned())
        );
        let Some(CompletionTextEdit::Edit(edit)) = items(4, 2).swap_remove(0).text_edit else { panic!() };
        assert_eq!((edit.range.start, edit.range.end), (Position::new(4, 0), Position::new(4, 2)));
        let HoverContents::Markup(shown) = documents.hover(&uri, Position::new(2, 3)).unwrap().contents
        else {
            panic!()
        };
        assert!(shown.value.contains("`branches.protected`") && shown.value.contains("--override"));
        let found =
            check("[[branches]]\npattern = '**'\nttl = 1\n[[branches]]\npattern = 'a'\nparents = 'x'\n");
        let lines: Vec<_> = found.iter().map(|one| one.range.start.line).collect();
        assert_eq!(lines, [2, 5]);
        let found = check("[[branches]]\npattern = '**'\n[[branches]]\npattern = 'a'\n");
        assert_eq!(found[0].range, Range::new(Position::new(3, 10), Position::new(3, 13)));
        assert!(found[0].message.contains("never decides"), "{}", found[0].message);
    }
}
