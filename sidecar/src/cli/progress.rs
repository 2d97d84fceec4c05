//! Progress of long work: a bar in a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use offshoot_postgres::Progress;

use super::output::bytes;
use crate::sys;

/// How often plain lines repeat for the same step.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);
/// How often a bar without news moves, so that one sees that it lives.
const TICK: Duration = Duration::from_millis(120);
const BAR: &str = "{spinner:.cyan} {msg} [{bar:28.cyan/dim}] {percent}%";
const WAITING: &str = "{spinner:.cyan} {msg}";

/// What the person at the terminal sees. Ctrl-C, once caught, cancels.
pub(super) struct Shown {
    /// Absent where nothing is to be shown.
    state: Option<Mutex<State>>,
}

struct State {
    bar: Option<ProgressBar>,
    what: String,
    said: Option<Instant>,
}

impl Shown {
    pub(super) fn new(quiet: bool) -> Self {
        let state = || State { bar: bar(), what: String::new(), said: None };
        Self { state: (!quiet).then(|| Mutex::new(state())) }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(state) = self.lock()
            && let Some(bar) = &state.bar
        {
            bar.finish_and_clear();
        }
    }

    /// Prints what `print` prints, with the bar out of the way.
    pub(super) fn beside(&self, print: impl FnOnce()) {
        let bar = self.lock().and_then(|state| state.bar.clone());
        match bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, State>> {
        self.state.as_ref().map(|state| state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn bar() -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.enable_steady_tick(TICK);
    Some(bar)
}

/// How far work is of which nobody knows how much there is. What counts then counts bytes.
fn so_far(done: u64, total: Option<u64>) -> String {
    if total.is_none() && done > 0 { format!(" {}", bytes(done)) } else { String::new() }
}

impl Progress for Shown {
    fn step(&self, what: &str, done: u64, total: Option<u64>) {
        let Some(mut state) = self.lock() else { return };
        let fresh = state.what != what;
        if let Some(bar) = &state.bar {
            let template = if total.is_some() { BAR } else { WAITING };
            // The templates are constants that parse.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(format!("{what}{}", so_far(done, total)));
            bar.set_length(total.unwrap_or(0));
            bar.set_position(done);
        } else if fresh || state.said.is_none_or(|said| said.elapsed() >= PLAIN_INTERVAL) {
            let how_far = match total {
                Some(total) if total > 0 && done > 0 => format!(" {}%", done.saturating_mul(100) / total),
                _ => so_far(done, total),
            };
            // Nobody is left to tell.
            let _ = writeln!(std::io::stderr(), "{what}…{how_far}");
            state.said = Some(Instant::now());
        }
        if fresh {
            what.clone_into(&mut state.what);
        }
    }

    fn is_cancelled(&self) -> bool {
        sys::interrupted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_an_unknown_size_tells_its_bytes_with_their_unit() {
        assert_eq!(so_far(52_067_318, None), format!(" {}", bytes(52_067_318)));
        assert_eq!(so_far(0, None), "");
        assert_eq!(so_far(5, Some(10)), "");
    }
}
