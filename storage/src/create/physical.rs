//! A store whose first data are the files of another cluster.
//!
//! The files arrive where the new cluster is recovered, and from there they are renamed into the base layer, as those of a cluster that
//! was made here: at no time is there a second copy of them.

use offshoot_postgres::Progress;
use offshoot_postgres::load::LoadReport;
use offshoot_postgres::mask::Transformer;
use offshoot_postgres::physical::{Adopt, CopyCluster, adopt, copy_cluster};

use super::fill::{Fill, serve};
use super::{USER, seed};
use crate::error::StorageError;
use crate::paths::BranchPaths;

/// Copies the cluster at a URL, whose `database` is wanted, with at most so many kilobytes a second.
pub(super) fn copy(
    fill: &Fill<'_>,
    branch: &BranchPaths,
    (url, database, max_rate_kb): (&str, &str, Option<u32>),
    progress: &dyn Progress,
) -> Result<LoadReport, StorageError> {
    if fill.masking.iter().any(|rule| rule.with != Transformer::Keep) {
        return Err(StorageError::Refused {
            what: "A physical copy with rules for masking".into(),
            why: "files arrive as they are, so that personal data would lie in the store before they could be masked; \
                  copy without --physical"
                .into(),
        });
    }
    let order = CopyCluster {
        url,
        data_dir: &branch.data(),
        account: fill.account,
        major: fill.installation.version.major,
        max_rate_kb,
        slot: None,
    };
    let copied = copy_cluster(&order, progress)?;
    let order = Adopt {
        installation: fill.installation,
        data_dir: &branch.data(),
        account: fill.account,
        superuser: USER,
        password: fill.password,
        source_database: database,
        database: fill.database,
        env: &[],
        durable: false,
    };
    let adopted = adopt(&order, progress)?;
    if !fill.seed.is_empty() {
        serve(fill, branch, progress, |spec| seed(fill, spec, progress).map(drop))?;
    }
    Ok(LoadReport {
        files: copied.files,
        bytes: copied.bytes,
        notes: [copied.notes, adopted.notes].concat(),
        ..LoadReport::default()
    })
}

/// Copies the cluster at a URL as it is, to be its standby, with a slot at the source that stays.
pub(super) fn copy_standby(
    fill: &Fill<'_>,
    branch: &BranchPaths,
    (url, slot, max_rate_kb): (&str, &str, Option<u32>),
    progress: &dyn Progress,
) -> Result<LoadReport, StorageError> {
    let order = CopyCluster {
        url,
        data_dir: &branch.data(),
        account: fill.account,
        major: fill.installation.version.major,
        max_rate_kb,
        slot: Some(slot),
    };
    let copied = copy_cluster(&order, progress)?;
    Ok(LoadReport { files: copied.files, bytes: copied.bytes, notes: copied.notes, ..LoadReport::default() })
}
