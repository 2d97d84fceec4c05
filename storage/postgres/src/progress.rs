//! How long work tells its caller how far it is, and learns that it is no longer wanted.

/// The caller's side of a long operation.
pub trait Progress: Send + Sync {
    /// Reports `done` of `total` units of `what`; `total` is `None` while it is unknown.
    fn step(&self, what: &str, done: u64, total: Option<u64>);

    /// Whether the work should stop at the next safe point.
    fn is_cancelled(&self) -> bool;
}

/// A [`Progress`] that shows nothing and never cancels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn step(&self, _what: &str, _done: u64, _total: Option<u64>) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}
