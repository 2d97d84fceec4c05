//! Looking through a tree of files, reading again only what changed.

mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::checksum::git_blob;
use crate::diagnostic::{Code, Diagnostic};
use crate::left_out;
use crate::model::{Down, Migration, MigrationKind, Project};
use crate::source::{Source, SourceError, Stamp};
use crate::text::{self, Ini, Script};
use crate::tool::Tool;
use crate::tools;
use versions::Versions;

/// What a tree holds.
#[derive(Debug, Default)]
pub struct Scan {
    /// The tools, by folder and tool.
    pub projects: Vec<Project>,
    /// What is wrong with files that belong to no project.
    pub diagnostics: Vec<Diagnostic>,
    /// How many files were read for it; the others were known.
    pub reads: usize,
}

/// Scans trees and remembers what files said, by path and [`Stamp`].
#[derive(Debug, Default)]
pub struct Scanner {
    texts: Versions<String, Arc<str>>,
    facts: Versions<(Tool, String), Arc<Facts>>,
    /// Whether the trees are several that have most of their files in common.
    many: bool,
}

impl Scanner {
    /// One for several trees in turn, such as commits: a file that they have in common is read once, if its [`Stamp`] says
    /// what it holds.
    pub fn of_many_trees() -> Self {
        Self { texts: Versions::of_many(), facts: Versions::of_many(), many: true }
    }

    /// Finds all tools and their migrations.
    ///
    /// # Errors
    /// If the root of the tree cannot be listed. What is wrong with single files becomes a [`Diagnostic`].
    pub fn scan(&mut self, source: &dyn Source) -> Result<Scan, SourceError> {
        let mut files = BTreeMap::new();
        let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let listing = source.files()?;
        for file in listing.files {
            let (folder, name) = text::split_path(&file.path);
            folders.entry(folder.to_owned()).or_default().push(name.to_owned());
            files.insert(file.path, file.stamp);
        }
        for names in folders.values_mut() {
            names.sort_unstable();
        }
        if !self.many {
            self.texts.retain(|path| files.contains_key(path));
            self.facts.retain(|(_, path)| files.contains_key(path));
        }
        let mut context = Context {
            source,
            files,
            folders,
            scanner: self,
            diagnostics: Vec::new(),
            claimed: BTreeSet::new(),
            reads: 0,
        };
        let mut projects = Vec::new();
        for tool in Tool::ALL {
            for mut project in tools::adapter(*tool).detect(&mut context) {
                context.claimed.extend(project.folders.iter().cloned());
                tools::check(&mut project);
                projects.push(project);
            }
        }
        projects.sort_by(|a, b| (&a.root, a.tool).cmp(&(&b.root, b.tool)));
        context.diagnostics.extend(left_out::diagnostics(listing.left_out, &projects));
        Ok(Scan { projects, diagnostics: context.diagnostics, reads: context.reads })
    }
}

/// What one migration file says, as far as its tool cares.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) blob: String,
    pub(crate) checksums: Vec<String>,
    pub(crate) key: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) parents: Vec<String>,
    pub(crate) down: bool,
    /// The tool's own mark was found in the file.
    pub(crate) marked: bool,
    pub(crate) broken: bool,
    /// Further values, named by the tool's module.
    pub(crate) extra: Vec<(&'static str, String)>,
    /// Several migrations in one file: key, name, line.
    pub(crate) parts: Vec<(String, String, u32)>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Facts {
    pub(crate) fn extra(&self, name: &str) -> Option<&str> {
        self.extra.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }
}

/// A file as a tool's module gets it.
pub(crate) struct File<'a> {
    pub(crate) path: &'a str,
    pub(crate) bytes: &'a [u8],
    pub(crate) text: &'a str,
}

/// A scan under way.
pub(crate) struct Context<'a> {
    source: &'a dyn Source,
    files: BTreeMap<String, Stamp>,
    folders: BTreeMap<String, Vec<String>>,
    scanner: &'a mut Scanner,
    pub(crate) diagnostics: Vec<Diagnostic>,
    claimed: BTreeSet<String>,
    reads: usize,
}

impl Context<'_> {
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Whether a folder holds any file, at whatever depth.
    pub(crate) fn has_folder(&self, folder: &str) -> bool {
        self.folders.contains_key(folder)
            || self
                .folders
                .range(format!("{folder}/")..)
                .next()
                .is_some_and(|(path, _)| text::is_under(path, folder))
    }

    /// Whether another tool has this folder already.
    pub(crate) fn is_claimed(&self, folder: &str) -> bool {
        self.claimed.contains(folder)
    }

    /// The files directly in a folder, as paths in alphabetic order.
    pub(crate) fn children(&self, folder: &str) -> Vec<String> {
        let names = self.folders.get(folder).map(Vec::as_slice).unwrap_or_default();
        names.iter().map(|name| text::join(folder, name)).collect()
    }

    /// The files in a folder and below it, as paths in alphabetic order.
    pub(crate) fn below(&self, folder: &str) -> Vec<String> {
        let from = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let below = self.files.range(from..).map(|(path, _)| path);
        below.take_while(|path| text::is_under(path, folder)).cloned().collect()
    }

    /// The folders directly in a folder, as paths.
    pub(crate) fn subfolders(&self, folder: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let from = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        for (path, _) in self.folders.range(from.clone()..) {
            if !text::is_under(path, folder) {
                break;
            }
            let rest = &path[from.len()..];
            let child = &path[..from.len() + rest.find('/').unwrap_or(rest.len())];
            if !child.is_empty() && found.last().is_none_or(|last| last != child) {
                found.push(child.to_owned());
            }
        }
        found.dedup();
        found
    }

    /// All files with one of these names, as paths.
    pub(crate) fn named(&self, wanted: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for (folder, names) in &self.folders {
            for name in wanted {
                if names.binary_search_by(|other| other.as_str().cmp(name)).is_ok() {
                    found.push(text::join(folder, name));
                }
            }
        }
        found
    }

    /// All folders in which a file's name fits.
    pub(crate) fn folders_with(&self, fits: impl Fn(&str) -> bool) -> Vec<String> {
        let fitting = self.folders.iter().filter(|(_, names)| names.iter().any(|name| fits(name)));
        fitting.map(|(folder, _)| folder.clone()).collect()
    }

    /// The nearest file of this name in the folder or above it.
    pub(crate) fn nearest(&self, folder: &str, name: &str) -> Option<String> {
        let mut folder = folder;
        loop {
            let path = text::join(folder, name);
            if self.exists(&path) {
                return Some(path);
            }
            if folder.is_empty() {
                return None;
            }
            folder = text::split_path(folder).0;
        }
    }

    fn load(&mut self, path: &str) -> Option<Vec<u8>> {
        self.reads += 1;
        match self.source.read(path) {
            Ok(bytes) => Some(bytes),
            Err(cause) => {
                let message = format!("the file cannot be read: {cause}");
                let hint = if cause.kind() == std::io::ErrorKind::FileTooLarge {
                    "Divide it, or move it out of the folder if it is no migration."
                } else {
                    "Check its permissions; its migrations are not known until then."
                };
                self.diagnostics.push(Diagnostic::error(Code::Unreadable, path, 1, message, hint));
                None
            }
        }
    }

    /// A file's text, from memory if it did not change.
    pub(crate) fn text(&mut self, path: &str) -> Option<Arc<str>> {
        let stamp = *self.files.get(path)?;
        if let Some(text) = self.scanner.texts.get(path, stamp) {
            return Some(text);
        }
        // What could not be read is tried again at the next scan: permissions leave the stamp as it is.
        let text: Arc<str> = Arc::from(String::from_utf8_lossy(&self.load(path)?));
        self.scanner.texts.put(path.to_owned(), stamp, Arc::clone(&text));
        Some(text)
    }

    /// What a migration file says, from memory if it did not change.
    pub(crate) fn facts(
        &mut self,
        tool: Tool,
        path: &str,
        parse: fn(&File<'_>, &mut Facts),
    ) -> Option<Arc<Facts>> {
        let stamp = *self.files.get(path)?;
        let key = (tool, path.to_owned());
        if let Some(facts) = self.scanner.facts.get(&key, stamp) {
            return Some(facts);
        }
        let bytes = self.load(path)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut facts = Facts { blob: git_blob(&bytes), ..Facts::default() };
        let file = File { path, bytes: &bytes, text: &text };
        if let Some(line) = text::conflict_line(&text) {
            facts.broken = true;
            let hint = "Finish the merge: keep one side or both, and remove the markers.";
            let found =
                Diagnostic::error(Code::ConflictMarkers, path, line, "a merge is not finished here", hint);
            facts.diagnostics.push(found);
        } else if text.trim().is_empty() {
            facts.broken = true;
            let hint = "Write it, or delete the file.";
            facts.diagnostics.push(Diagnostic::warning(
                Code::EmptyFile,
                path,
                1,
                "the migration is empty",
                hint,
            ));
        }
        parse(&file, &mut facts);
        let facts = Arc::new(facts);
        self.scanner.facts.put(key, stamp, Arc::clone(&facts));
        Some(facts)
    }

    /// A migration of this file, and what the file says. Its diagnostics go to the project.
    pub(crate) fn migration(
        &mut self,
        project: &mut Project,
        path: &str,
        parse: fn(&File<'_>, &mut Facts),
    ) -> (Migration, Arc<Facts>) {
        let before = self.diagnostics.len();
        let facts = self.facts(project.tool, path, parse);
        project.diagnostics.extend(self.diagnostics.drain(before..));
        let (_, name) = text::split_path(path);
        let Some(facts) = facts else {
            // It is there and cannot be read: it must not look as if it were missing.
            let mut unread = Migration::new(text::stem(name), text::stem(name), path);
            unread.broken = true;
            return (unread, Arc::new(Facts { broken: true, ..Facts::default() }));
        };
        project.diagnostics.extend(facts.diagnostics.iter().cloned());
        let key = facts.key.clone().unwrap_or_else(|| text::stem(name).to_owned());
        let mut migration = Migration::new(&key, facts.name.as_deref().unwrap_or(text::stem(name)), path);
        migration.checksums.clone_from(&facts.checksums);
        migration.parents.clone_from(&facts.parents);
        migration.blob.clone_from(&facts.blob);
        migration.broken = facts.broken;
        if facts.down {
            migration.down = Down::SameFile;
        }
        (migration, facts)
    }

    /// A TOML file; a diagnostic if it is none.
    pub(crate) fn toml(&mut self, path: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<toml::Table> {
        let text = self.text(path)?;
        match text.parse::<toml::Table>() {
            Ok(table) => Some(table),
            Err(cause) => {
                let line = cause.span().map_or(1, |span| text::line_at(&text, span.start));
                diagnostics.push(malformed(path, line, cause.message()));
                None
            }
        }
    }

    /// A JSON file; a diagnostic if it is none.
    pub(crate) fn json(
        &mut self,
        path: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<serde_json::Value> {
        let text = self.text(path)?;
        match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
            Ok(value) => Some(value),
            Err(cause) => {
                diagnostics.push(malformed(path, cause.line() as u32, &cause.to_string()));
                None
            }
        }
    }

    /// A file of sections and `key = value` lines; diagnostics for lines that are neither.
    pub(crate) fn ini(&mut self, path: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Ini> {
        let text = self.text(path)?;
        let ini = Ini::parse(&text);
        diagnostics
            .extend(ini.bad_lines.iter().map(|line| malformed(path, *line, "this is no `key = value`")));
        Some(ini)
    }

    /// A JavaScript or TypeScript file to look for settings in.
    pub(crate) fn script(&mut self, path: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Script> {
        let text = self.text(path)?;
        if let Some(line) = text::conflict_line(&text) {
            diagnostics.push(malformed(path, line, "a merge is not finished here"));
        }
        Some(Script::new(&text))
    }

    /// Whether a manifest (`package.json`, `Cargo.toml`, …) in the folder or above it mentions a word in quotes or as
    /// a key. Malformed manifests are searched as well.
    pub(crate) fn depends(&mut self, folder: &str, manifest: &str, word: &str) -> bool {
        let Some(path) = self.nearest(folder, manifest) else { return false };
        self.text(&path).is_some_and(|text| text::has_word(&text, word))
    }
}

pub(crate) fn malformed(path: &str, line: u32, what: &str) -> Diagnostic {
    let hint = "Correct the file; until then defaults are assumed for what it would say.";
    Diagnostic::error(
        Code::MalformedConfig,
        path,
        line,
        format!("the configuration is malformed: {what}"),
        hint,
    )
}

impl Migration {
    pub(crate) fn new(key: &str, name: &str, path: &str) -> Self {
        Self {
            key: key.to_owned(),
            version: None,
            name: name.to_owned(),
            path: path.to_owned(),
            line: 1,
            kind: MigrationKind::Versioned,
            down: Down::None,
            checksums: Vec::new(),
            parents: Vec::new(),
            blob: String::new(),
            broken: false,
            when_ms: None,
        }
    }
}
