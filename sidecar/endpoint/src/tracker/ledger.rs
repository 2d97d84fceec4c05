//! Keeps count of what the client has asked and the server has not answered yet.
//!
//! A client may send many requests before it reads the first answer, so "something was sent since the last
//! `ReadyForQuery`" is not enough. Each Query, `FunctionCall` and Sync is answered by one `ReadyForQuery`. The one exception
//! is a Sync that the server meets while it takes COPY data: it is ignored, and drivers rely on that. Where a client does what
//! no driver does, the count errs on the side of busy.

use std::collections::VecDeque;

/// The most runs of requests that are remembered; beyond it the count is given up.
const MAX_RUNS: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Query,
    Sync,
    /// `CopyDone` or `CopyFail`. Not answered by itself, but ends the stretch in which Sync is ignored.
    CopyEnd,
}

/// Requests without an answer, in order, and the transaction status.
#[derive(Default)]
pub(super) struct Ledger {
    /// Runs of equal requests, so that a long pipeline takes little room.
    runs: VecDeque<(Request, u64)>,
    /// Extended-query messages were sent, and no Sync yet.
    unsynced: bool,
    /// The server takes COPY data and the client has not ended it.
    copying_in: bool,
    /// From the last `ReadyForQuery`; none before the login is complete.
    status: Option<u8>,
    lost: bool,
}

impl Ledger {
    pub(super) fn is_idle(&self) -> bool {
        self.status == Some(b'I') && !self.unsynced && !self.copying_in && !self.lost && !self.is_owed()
    }

    /// Whether the server has been ready for a query before.
    pub(super) fn is_logged_in(&self) -> bool {
        self.status.is_some()
    }

    /// The client sent a Query or a `FunctionCall`.
    pub(super) fn query(&mut self) {
        self.unsynced = false;
        self.push(Request::Query);
    }

    /// The client sent a Sync.
    pub(super) fn sync(&mut self) {
        if !self.copying_in {
            self.unsynced = false;
            self.push(Request::Sync);
        }
    }

    /// The client sent a message that is only complete with a Sync.
    pub(super) fn unsynced(&mut self) {
        self.unsynced = true;
    }

    /// The client sent `CopyDone` or `CopyFail`.
    pub(super) fn copy_ended(&mut self) {
        if self.copying_in {
            self.copying_in = false;
        } else if self.is_owed() || self.unsynced {
            // Perhaps sent ahead of the server's word that it takes COPY data.
            self.push(Request::CopyEnd);
        }
    }

    /// The server began to take COPY data. Everything unanswered was sent behind the request that started this.
    pub(super) fn copy_began(&mut self) {
        let by_query = self.runs.front().is_some_and(|&(request, _)| request == Request::Query);
        if by_query {
            self.answer_first();
        }
        while self.runs.front().is_some_and(|&(request, _)| request == Request::Sync) {
            self.runs.pop_front();
        }
        let ended = self.runs.front().is_some_and(|&(request, _)| request == Request::CopyEnd);
        if ended {
            self.runs.pop_front();
        }
        self.copying_in = !ended;
        if by_query {
            self.runs.push_front((Request::Query, 1));
        } else if !self.is_owed() {
            // Its Sync was ignored; the one that counts is still to come.
            self.unsynced = true;
        }
    }

    /// The server sent an error, which ends a COPY.
    pub(super) fn failed(&mut self) {
        self.copying_in = false;
    }

    /// The server sent `ReadyForQuery` with this transaction status.
    pub(super) fn ready(&mut self, status: u8) {
        if self.status.is_some() {
            self.skip_copy_ends();
            self.answer_first();
            self.skip_copy_ends();
        }
        self.status = Some(status);
        self.copying_in = false;
    }

    fn is_owed(&self) -> bool {
        self.runs.iter().any(|&(request, _)| request != Request::CopyEnd)
    }

    fn push(&mut self, request: Request) {
        if let Some((_, count)) = self.runs.back_mut().filter(|(last, _)| *last == request) {
            // One end or many: only the first matters.
            *count += u64::from(request != Request::CopyEnd);
        } else if self.runs.len() < MAX_RUNS {
            self.runs.push_back((request, 1));
        } else {
            self.lost = true;
            self.runs = VecDeque::new();
        }
    }

    fn answer_first(&mut self) {
        if let Some((_, count)) = self.runs.front_mut() {
            *count -= 1;
            if *count == 0 {
                self.runs.pop_front();
            }
        }
    }

    fn skip_copy_ends(&mut self) {
        while self.runs.front().is_some_and(|&(request, _)| request == Request::CopyEnd) {
            self.runs.pop_front();
        }
    }
}
