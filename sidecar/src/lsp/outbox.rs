//! What waits to be sent to the editor. Of everything only the newest: an editor that reads slowly costs no memory and makes
//! nobody wait.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use offshoot_protocol::editor::{EditorOutput, EditorStatus};
use offshoot_protocol::method::{EditorOutputNotification, EditorStatusNotification};
use tokio::sync::Notify;
use tower_lsp_server::Client;
use tower_lsp_server::ls_types::notification::{Notification, Progress};
use tower_lsp_server::ls_types::{
    Diagnostic, ProgressParams, ProgressParamsValue, ProgressToken, Uri, WorkDoneProgress,
    WorkDoneProgressBegin, WorkDoneProgressEnd, WorkDoneProgressReport,
};

/// Notification `offshoot/status`.
enum Status {}

impl Notification for Status {
    type Params = EditorStatus;
    const METHOD: &'static str = <EditorStatusNotification as offshoot_protocol::Notification>::NAME;
}

/// Notification `offshoot/output`.
enum Output {}

impl Notification for Output {
    type Params = EditorOutput;
    const METHOD: &'static str = <EditorOutputNotification as offshoot_protocol::Notification>::NAME;
}

/// What a program printed and an editor has not read yet, at most, in bytes for each request; the end is kept.
const MOST_OUTPUT: usize = 1 << 20;

/// The outbox of one editor.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    status: Option<EditorStatus>,
    diagnostics: BTreeMap<String, (Uri, Vec<Diagnostic>, Option<i32>)>,
    /// By token, in the order in which they began.
    progress: Vec<(String, Steps)>,
}

#[derive(Debug, Default)]
struct Steps {
    begin: Option<WorkDoneProgressBegin>,
    report: Option<WorkDoneProgressReport>,
    output: String,
    end: bool,
}

impl Outbox {
    /// Sends `status`.
    pub(super) fn status(&self, status: EditorStatus) {
        self.lock().status = Some(status);
        self.wake.notify_one();
    }

    /// Sends what is wrong with a document.
    pub(super) fn diagnostics(&self, uri: Uri, found: Vec<Diagnostic>, version: Option<i32>) {
        self.lock().diagnostics.insert(uri.as_str().to_owned(), (uri, found, version));
        self.wake.notify_one();
    }

    /// The work of `token` begins.
    pub(super) fn begin(&self, token: &str, title: &str) {
        let begin = WorkDoneProgressBegin {
            title: title.to_owned(),
            cancellable: Some(true),
            ..WorkDoneProgressBegin::default()
        };
        self.step(token, |steps| steps.begin = Some(begin));
    }

    /// How far it is.
    pub(super) fn report(&self, token: &str, what: &str, done: u64, total: Option<u64>) {
        let percentage = total
            .filter(|&total| total > 0)
            .map(|total| u32::try_from(done.saturating_mul(100) / total).unwrap_or(100).min(100));
        let report =
            WorkDoneProgressReport { message: Some(what.to_owned()), percentage, cancellable: Some(true) };
        self.step(token, |steps| steps.report = Some(report));
    }

    /// What a program printed for it.
    pub(super) fn output(&self, token: &str, text: &str) {
        self.step(token, |steps| {
            steps.output.push_str(text);
            if steps.output.len() > MOST_OUTPUT {
                let from = steps.output.ceil_char_boundary(steps.output.len() - MOST_OUTPUT);
                steps.output.drain(..from);
            }
        });
    }

    /// It is over.
    pub(super) fn end(&self, token: &str) {
        self.step(token, |steps| steps.end = true);
    }

    fn step(&self, token: &str, change: impl FnOnce(&mut Steps)) {
        let mut waiting = self.lock();
        if let Some((_, steps)) = waiting.progress.iter_mut().find(|(of, _)| of == token) {
            change(steps);
        } else {
            let mut steps = Steps::default();
            change(&mut steps);
            waiting.progress.push((token.to_owned(), steps));
        }
        drop(waiting);
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Valid between any two statements, so a panic elsewhere does not spoil it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends for as long as the editor takes. The client drops everything by itself once it has gone.
    pub(super) async fn send_all(&self, client: Client) {
        loop {
            self.wake.notified().await;
            let waiting = std::mem::take(&mut *self.lock());
            for (token, mut steps) in waiting.progress {
                let text = std::mem::take(&mut steps.output);
                if !text.is_empty() {
                    client.send_notification::<Output>(EditorOutput { token: token.clone(), text }).await;
                }
                for value in steps.into_values() {
                    let token = ProgressToken::String(token.clone());
                    let value = ProgressParamsValue::WorkDone(value);
                    client.send_notification::<Progress>(ProgressParams { token, value }).await;
                }
            }
            if let Some(status) = waiting.status {
                client.send_notification::<Status>(status).await;
            }
            for (uri, found, version) in waiting.diagnostics.into_values() {
                client.publish_diagnostics(uri, found, version).await;
            }
        }
    }
}

impl Steps {
    fn into_values(self) -> impl Iterator<Item = WorkDoneProgress> {
        let end = self.end.then_some(WorkDoneProgress::End(WorkDoneProgressEnd { message: None }));
        let begin = self.begin.map(WorkDoneProgress::Begin);
        begin.into_iter().chain(self.report.map(WorkDoneProgress::Report)).chain(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_reports_the_newest_is_kept_and_begin_and_end_always() {
        let outbox = Outbox::default();
        outbox.begin("t", "Making a database");
        for done in 0..1000 {
            outbox.report("t", "rows", done, Some(500));
        }
        outbox.end("t");
        let mut waiting = std::mem::take(&mut *outbox.lock());
        let (token, steps) = waiting.progress.remove(0);
        let values: Vec<_> = steps.into_values().collect();
        assert_eq!((token.as_str(), values.len(), waiting.progress.len()), ("t", 3, 0));
        let WorkDoneProgress::Report(report) = &values[1] else { panic!("{values:?}") };
        assert_eq!(report.percentage, Some(100));
    }
}
