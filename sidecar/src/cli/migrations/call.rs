//! Long calls, with what tools print.

use std::io::Write;
use std::time::Duration;

use offshoot_postgres::Progress;
use offshoot_protocol::Method;
use offshoot_protocol::client::Watch;
use offshoot_protocol::migrations::MigrationsVariable;

use crate::cli::connect::Session;
use crate::cli::plain::plain_coloured;
use crate::cli::progress::Shown;
use crate::failure::Result;
use crate::sys;

/// Longer than anybody waits: whoever has waited enough cancels.
const PATIENCE: Duration = Duration::from_hours(24);

/// Calls `M`. Ctrl-C has the engine end the tool and clear away.
pub(in crate::cli) fn long<M: Method>(
    session: &mut Session,
    params: &M::Params,
    quiet: bool,
) -> Result<M::Result> {
    sys::catch_interrupts();
    let shown = Shown::new(quiet);
    let watch = Watch {
        progress: &mut |progress| match &progress.output {
            Some(text) if !quiet => shown.beside(|| {
                // Standard output has the result; a tool may paint what it prints, and nothing else.
                let _ = write!(std::io::stderr(), "{}", printed(text));
            }),
            Some(_) => {}
            None => shown.step(&progress.message, progress.done, progress.total),
        },
        cancelled: &sys::interrupted,
    };
    let outcome = session.client.call_watched::<M>(params, PATIENCE, watch);
    shown.finish();
    Ok(outcome?)
}

fn printed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        out.push_str(&plain_coloured(line.trim_end_matches('\r')));
        out.push_str(end);
    }
    out
}

/// The environment that a tool gets: that of whoever asked.
pub(in crate::cli) fn environment() -> Vec<MigrationsVariable> {
    let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some(MigrationsVariable { name: name.into_string().ok()?, value: value.into_string().ok()? })
    };
    std::env::vars_os().filter_map(utf8).collect()
}
