//! Beside each migration file what it has done to branches: lenses, hovers, and what is wrong with it.
//!
//! The engine knows it. Kept here is what it said last of each worktree, and the texts of open files: those alone are linted.

mod actions;
mod book;
mod findings;
mod hover;
mod lens;
mod linting;
mod measured;
mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use offshoot_migrations::{DiskSource, Scan, Scanner};
use offshoot_protocol::method::MigrationsGetStatus;
use offshoot_protocol::migrations::{MigrationsFailure, MigrationsStatus, MigrationsStatusParams};
use tower_lsp_server::ls_types::{CodeActionOrCommand, CodeLens, Diagnostic, Hover, Position, Range, Uri};

use super::Shared;
use super::actor::Message;
use super::outbox::Outbox;
use crate::failure::Result;
use crate::session::{not_running, try_connect};
pub(super) use book::Observed;
use book::{Book, News};
use linting::Document;

/// How long the engine may take to read histories: servers may have to wake.
const STATUS_PATIENCE: Duration = Duration::from_mins(3);
/// How long the other branches wait for a further save before they are read, and how long at most while one follows another.
const CALM: Duration = Duration::from_millis(250);
const LONGEST_CALM: Duration = Duration::from_secs(2);

/// The migrations of one editor's worktrees.
pub(super) struct Migrations {
    outbox: Arc<Outbox>,
    state: Mutex<State>,
    /// Told when something is to be read.
    asked: Condvar,
}

#[derive(Default)]
struct State {
    /// By root of the worktree.
    books: BTreeMap<PathBuf, Book>,
    /// Files that are open in the editor, by path.
    open: BTreeMap<PathBuf, Document>,
    published: BTreeMap<PathBuf, (Uri, Vec<Diagnostic>)>,
    /// The folders as the editor names them, which may lead to worktrees by symbolic links.
    opened: Vec<PathBuf>,
}

impl State {
    /// The worktree of a file, and its path in it.
    fn place<'a>(&self, path: &'a Path) -> Option<(&PathBuf, &'a str)> {
        let within = |root: &PathBuf| path.strip_prefix(root).ok()?.to_str();
        // The innermost, as worktrees may lie in each other.
        self.books.keys().rev().find_map(|root| Some((root, within(root)?)))
    }

    /// A file as the editor names it.
    fn uri_of(&self, path: &Path) -> Option<Uri> {
        let named = self.opened.iter().find_map(|opened| {
            let within = path.strip_prefix(fs::canonicalize(opened).ok()?).ok()?;
            Some(opened.join(within))
        });
        Uri::from_file_path(named.as_deref().unwrap_or(path))
    }
}

/// The path that a URI names; worktrees are known by their canonical paths.
fn path_of(uri: &Uri) -> Option<PathBuf> {
    let path = uri.to_file_path().filter(|_| uri.scheme().as_str() == "file")?;
    let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    Some(folder.zip(path.file_name()).map_or_else(|| path.to_path_buf(), |(folder, name)| folder.join(name)))
}

impl Migrations {
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, state: Mutex::default(), asked: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Valid between any two statements, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of how a worktree stands, and asks for its migrations if they may be others now.
    pub(super) fn observe(&self, shared: &Arc<Shared>, root: &Path, seen: Observed) {
        let wakes = {
            let mut state = self.lock();
            let book = state.books.entry(root.to_owned()).or_default();
            book.observe(seen)
        };
        if let Some(wakes) = wakes {
            self.ask(shared, root, wakes);
        }
    }

    /// Forgets all other worktrees. `opened` are the folders as the editor names them.
    pub(super) fn retain(&self, roots: &BTreeSet<PathBuf>, opened: Vec<PathBuf>) {
        let mut state = self.lock();
        state.opened = opened;
        let gone: Vec<PathBuf> = state.books.keys().filter(|root| !roots.contains(*root)).cloned().collect();
        for root in gone {
            state.books.remove(&root);
            let paths: Vec<PathBuf> =
                state.published.keys().filter(|path| path.starts_with(&root)).cloned().collect();
            for path in paths {
                self.publish(&mut state, &path);
            }
        }
    }

    /// Grows whenever something else is known of a worktree; absent while nothing is.
    pub(super) fn revision(&self, root: &Path) -> Option<u64> {
        self.lock().books.get(root).map(|book| book.revision).filter(|revision| *revision > 0)
    }

    /// What is known of a worktree.
    fn known(&self, root: &Path) -> Option<Result<Arc<MigrationsStatus>>> {
        self.lock().books.get(root)?.status.clone()
    }

    /// Files or histories may be others now: asks for the migrations of these worktrees, or of all.
    pub(super) fn touch(&self, shared: &Arc<Shared>, roots: Option<&BTreeSet<PathBuf>>) {
        let all: Vec<PathBuf> = self.lock().books.keys().cloned().collect();
        for root in all.iter().filter(|root| roots.is_none_or(|roots| roots.contains(*root))) {
            self.ask(shared, root, false);
        }
    }

    /// Asks for the migrations of a worktree, on a thread; `wakes` its branch if need be.
    fn ask(&self, shared: &Arc<Shared>, root: &Path, wakes: bool) {
        {
            let mut state = self.lock();
            let Some(book) = state.books.get_mut(root) else { return };
            book.wanted = Some(book.wanted.unwrap_or(false) || wakes);
            self.asked.notify_all();
            if std::mem::replace(&mut book.reading, true) {
                return;
            }
        }
        let (shared, root) = (Arc::clone(shared), root.to_owned());
        tokio::task::spawn_blocking(move || shared.migrations.read_until_current(&shared, &root));
    }

    fn read_until_current(&self, shared: &Arc<Shared>, root: &Path) {
        let scanner = self.lock().books.get_mut(root).map(|book| std::mem::take(&mut book.scanner));
        let mut scanner = scanner.unwrap_or_default();
        // Since when only the worktree's branch has been read.
        let mut own_since = None;
        loop {
            let (store, wakes, is_known) = {
                let mut state = self.lock();
                let Some(book) = state.books.get_mut(root) else { return };
                let Some(wakes) = book.wanted.take().filter(|_| !shared.closing.load(Ordering::Relaxed))
                else {
                    book.reading = false;
                    book.scanner = scanner;
                    return;
                };
                (book.store(), wakes, book.ready().is_some())
            };
            // What a save changes is seen on the worktree's branch, which is read sooner than all.
            if is_known && !wakes {
                let (own, scan) = scanning(&mut scanner, root, || read_own(&store, root));
                if let Ok(own) = own {
                    self.take(shared, root, |book| News {
                        status: book.take_own(own, scan).unwrap_or(false),
                        sizes: false,
                    });
                }
                if self.is_asked_again(shared, root, *own_since.get_or_insert_with(Instant::now)) {
                    continue;
                }
            }
            own_since = None;
            let (status, scan) = scanning(&mut scanner, root, || read_all(&store, root, wakes));
            if let Err(failure) = &status {
                tracing::warn!(error = %failure, "read the state of migrations");
            }
            self.take(shared, root, |book| book.take(status, scan));
        }
    }

    /// Waits for the next save, for a moment, and not for ever `since` then. Returns whether something is to be read again.
    fn is_asked_again(&self, shared: &Arc<Shared>, root: &Path, since: Instant) -> bool {
        let left = LONGEST_CALM.saturating_sub(since.elapsed()).min(CALM);
        let is_calm = |state: &mut State| {
            let book = state.books.get(root);
            book.is_some_and(|book| book.wanted.is_none()) && !shared.closing.load(Ordering::Relaxed)
        };
        let waited = self.asked.wait_timeout_while(self.lock(), left, is_calm);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !left.is_zero() && !is_calm(&mut state)
    }

    /// Lets a book take what was read, and tells what is new.
    fn take(&self, shared: &Arc<Shared>, root: &Path, take: impl FnOnce(&mut Book) -> News) {
        let news = {
            let mut state = self.lock();
            let Some(book) = state.books.get_mut(root) else { return };
            let news = take(book);
            if news.status {
                self.publish_all(&mut state, root);
            }
            news
        };
        if news.status {
            // Fails when the server ends.
            let _ = shared.actor.blocking_send(Message::Migrations);
        }
        if news.status || news.sizes {
            self.lint_below(shared, root);
        }
    }

    /// Takes note of statements that failed; those of an earlier run no longer count.
    fn failed(&self, root: &Path, failures: Vec<MigrationsFailure>) {
        let mut state = self.lock();
        if let Some(book) = state.books.get_mut(root)
            && book.failures != failures
        {
            book.failures = failures;
            self.publish_all(&mut state, root);
        }
    }

    /// Sends what is new about all files of a worktree.
    fn publish_all(&self, state: &mut State, root: &Path) {
        let Some(book) = state.books.get(root) else { return };
        let mut paths: BTreeSet<PathBuf> = book.faulty().map(|path| root.join(path)).collect();
        paths.extend(
            state.published.keys().chain(state.open.keys()).filter(|path| path.starts_with(root)).cloned(),
        );
        for path in paths {
            self.publish(state, &path);
        }
    }

    /// Sends what is new about a file.
    fn publish(&self, state: &mut State, path: &Path) {
        let open = state.open.get(path);
        let mut found = Vec::new();
        if let Some((root, name)) = state.place(path) {
            found = state.books.get(root).map(|book| findings::of_book(book, name)).unwrap_or_default();
            found.extend(open.iter().flat_map(|document| document.diagnostics()));
        }
        let before = state.published.get(path);
        let Some(uri) = open
            .map(|document| document.uri.clone())
            .or_else(|| before.map(|(uri, _)| uri.clone()))
            .or_else(|| state.uri_of(path))
        else {
            return;
        };
        let known = before.map(|(_, found)| found.as_slice()).unwrap_or_default();
        if known != found {
            self.outbox.diagnostics(uri.clone(), found.clone(), None);
            if found.is_empty() {
                state.published.remove(path);
            } else {
                state.published.insert(path.to_owned(), (uri, found));
            }
        }
    }

    /// A file was opened or changed.
    pub(super) fn set(&self, shared: &Arc<Shared>, uri: &Uri, text: String) {
        let Some(path) = path_of(uri) else { return };
        {
            let mut state = self.lock();
            let document = state.open.entry(path.clone()).or_insert_with(|| Document::new(uri.clone()));
            let is_change = document.set(uri, text);
            let place = state.place(&path).map(|(root, name)| (root.clone(), name.to_owned()));
            // Where a statement failed is not known any more.
            if is_change && let Some((root, name)) = place {
                if let Some(book) = state.books.get_mut(&root) {
                    book.failures.retain(|failure| failure.path != name);
                }
                self.publish(&mut state, &path);
            }
        }
        self.lint(shared, path);
    }

    /// A file was closed.
    pub(super) fn close(&self, uri: &Uri) {
        let Some(path) = path_of(uri) else { return };
        let mut state = self.lock();
        state.open.remove(&path);
        self.publish(&mut state, &path);
    }

    /// Lines of action above the migrations of a file.
    pub(super) fn lenses(&self, uri: &Uri) -> Vec<CodeLens> {
        self.with_book(uri, lens::lenses).unwrap_or_default()
    }

    /// What is known of the migration at a position.
    pub(super) fn hover(&self, uri: &Uri, at: Position) -> Option<Hover> {
        self.with_book(uri, |book, _, name| hover::hover(book, name, at))?
    }

    /// What can be done about findings in a range.
    pub(super) fn actions(&self, uri: &Uri, range: Range) -> Vec<CodeActionOrCommand> {
        let Some(path) = path_of(uri) else { return Vec::new() };
        let state = self.lock();
        state.open.get(&path).map(|document| actions::actions(document, range)).unwrap_or_default()
    }

    fn with_book<T>(&self, uri: &Uri, work: impl FnOnce(&Book, &Path, &str) -> T) -> Option<T> {
        let path = path_of(uri)?;
        let state = self.lock();
        let (root, name) = state.place(&path)?;
        Some(work(state.books.get(root)?, root, name))
    }
}

/// Does `ask` while the files are looked through.
fn scanning<T>(scanner: &mut Scanner, root: &Path, ask: impl FnOnce() -> T) -> (T, Arc<Scan>) {
    thread::scope(|scope| {
        let scan = scope.spawn(|| scanner.scan(&DiskSource::new(root)).unwrap_or_default());
        let answer = ask();
        (answer, Arc::new(scan.join().unwrap_or_default()))
    })
}

/// What the engine says of the worktree's branch, as far as it is known.
fn read_own(store: &Path, root: &Path) -> Result<MigrationsStatus> {
    let folder = root.to_string_lossy().into_owned();
    let own = MigrationsStatusParams { folder, known_only: true, ..MigrationsStatusParams::default() };
    let mut client = try_connect(store)?.ok_or_else(not_running)?;
    Ok(client.call::<MigrationsGetStatus>(&own, STATUS_PATIENCE)?)
}

/// What the engine says of all branches. Only the worktree's may be woken.
fn read_all(store: &Path, root: &Path, wakes: bool) -> Result<MigrationsStatus> {
    let mut client = try_connect(store)?.ok_or_else(not_running)?;
    let folder = root.to_string_lossy().into_owned();
    if wakes {
        let own = MigrationsStatusParams { folder: folder.clone(), ..MigrationsStatusParams::default() };
        client.call::<MigrationsGetStatus>(&own, STATUS_PATIENCE)?;
    }
    let all = MigrationsStatusParams {
        folder,
        all: true,
        known_only: true,
        brief: true,
        sizes: true,
        ..Default::default()
    };
    Ok(client.call::<MigrationsGetStatus>(&all, STATUS_PATIENCE)?)
}
