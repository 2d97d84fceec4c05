//! Loading SQL scripts, archives and other servers' databases into a server, without `psql`.

mod copy;
mod error;
mod gate;
mod input;
mod lexer;
mod lines;
mod name;
mod outside;
mod run;
mod sizes;
mod source;
mod target;
mod tunnel;
mod url;

use std::io::BufRead;

use postgres::{Client, NoTls};

pub use error::LoadError;
pub(crate) use error::causes;
pub use input::{is_archive, open_script, script_bytes};
pub(crate) use name::parts as name_parts;
pub(crate) use source::{NO_PASSWORD, connect_failure, dump_part};
pub use source::{dump_server, restore_archive, server_major};
pub use target::{Refusal, Rows, ServerError, Target};
pub(crate) use url::Source as Address;

use crate::mask::{MaskedColumn, Plan};
use crate::progress::Progress;
use crate::subset::SubsetReport;
use crate::watch;

/// What a load did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Statements run, those that load rows included.
    pub statements: u64,
    /// Rows loaded by `COPY`.
    pub rows_copied: u64,
    /// Files of a cluster that was copied as such.
    pub files: u64,
    /// Bytes of script read, decompressed, or of those files.
    pub bytes: u64,
    /// Roles that the script named and that were made, without login, in order.
    pub created_roles: Vec<String>,
    /// What was left out and why; at most 100.
    pub notes: Vec<String>,
    /// What was masked.
    pub masked: Vec<MaskedColumn>,
    /// How many columns look personal and have no rule, where somebody looked.
    pub unmasked: usize,
    /// What was taken of a database of which a part was wanted.
    pub subset: Option<SubsetReport>,
    /// The first statement of the database's own script that may read what is not in it: a file, a program, another server.
    pub outside: Option<String>,
}

/// How data are masked, in two passes over the same source.
#[derive(Debug)]
pub enum Masking<'a> {
    /// Makes the schema alone, for [`Plan::new`].
    Schema,
    /// Loads everything, and masks as planned.
    Rows(&'a mut Plan),
}

/// Runs a plain SQL script, as `pg_dump` writes it or a person does.
///
/// Statements run one at a time, each in its own transaction unless the script opens one. The script is streamed and
/// never held in memory. Roles that do not exist are made, settings that this server does not know are skipped; the
/// report tells. The script's settings stay in force on `client`, which should therefore serve nothing else.
///
/// `total_bytes` is what [`script_bytes`] says, for the progress.
///
/// # Errors
/// The first error ends the load: see [`LoadError`]. What ran before stays, unless the script opened a transaction.
/// Drop `client` then: the library loses step with the server when a `COPY` is refused before its first row.
pub fn load_script(
    reader: &mut dyn BufRead,
    client: &mut Client,
    total_bytes: Option<u64>,
    progress: &dyn Progress,
) -> Result<LoadReport, LoadError> {
    load(reader, client, Job { total_bytes, ..Job::default() }, progress)
}

/// As [`load_script`], for the database's own script: settings that it makes with `ALTER SYSTEM` are made.
///
/// # Errors
/// As [`load_script`].
pub fn load_seed(
    reader: &mut dyn BufRead,
    client: &mut Client,
    total_bytes: Option<u64>,
    progress: &dyn Progress,
) -> Result<LoadReport, LoadError> {
    load(reader, client, Job { total_bytes, is_own: true, ..Job::default() }, progress)
}

/// As [`load_script`], with the rows of masked columns replaced before the server sees them.
///
/// # Errors
/// As [`load_script`], and [`LoadError::Unmaskable`] for what could bring rows by another way.
pub fn load_masked(
    reader: &mut dyn BufRead,
    client: &mut Client,
    total_bytes: Option<u64>,
    masking: Masking<'_>,
    progress: &dyn Progress,
) -> Result<LoadReport, LoadError> {
    load(reader, client, Job { total_bytes, masking: Some(masking), ..Job::default() }, progress)
}

/// As [`load_script`], but for a server that something else than a [`Client`] speaks to. Cancelling is its affair: it
/// ends the running statement, and `progress` tells that this was the reason.
///
/// # Errors
/// As [`load_script`].
pub fn run_script(
    reader: &mut dyn BufRead,
    target: &mut dyn Target,
    total_bytes: Option<u64>,
    progress: &dyn Progress,
) -> Result<LoadReport, LoadError> {
    run::Loader::new(reader, target, total_bytes, progress).run(run::End::Lenient)
}

/// What is loaded, and how.
#[derive(Default)]
struct Job<'a> {
    total_bytes: Option<u64>,
    masking: Option<Masking<'a>>,
    end: run::End,
    /// It is no copy of another database.
    is_own: bool,
    /// The sizes of the tables, where they are known.
    sizes: Option<sizes::Sizes>,
}

fn load(
    reader: &mut dyn BufRead,
    client: &mut Client,
    job: Job<'_>,
    progress: &dyn Progress,
) -> Result<LoadReport, LoadError> {
    let token = client.cancel_token();
    let cancel = move || {
        // If the request fails, the load still ends after the running statement.
        let _ = token.cancel_query(NoTls);
    };
    watch::beside(progress, cancel, || {
        run::Loader::new(reader, client, job.total_bytes, progress)
            .of_copy(job.is_own)
            .sized(job.sizes)
            .masked(job.masking)
            .run(job.end)
    })
}
