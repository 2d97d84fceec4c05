//! Copies of the data directory of a stopped server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::super::ms;
use super::{Meter, Took, Way, answer};
use crate::plain::Cluster;
use crate::workshop::{clean, run};

/// Its name where blocks are shared.
pub(super) const ON_XFS: &str = "`cp -a --reflink=always` of a data directory on XFS";

/// `cp -a`, which keeps the owner, without whom Postgres does not start; with or without sharing blocks.
pub(super) struct Directory {
    cluster: Cluster,
    parent: PathBuf,
    shares_blocks: bool,
}

impl Directory {
    pub(super) fn new(cluster: &Cluster, parent: &Path, shares_blocks: bool) -> Self {
        Self { cluster: cluster.clone(), parent: parent.to_owned(), shares_blocks }
    }
}

impl Way for Directory {
    fn copy(&mut self, index: usize) -> Result<Took> {
        let copy = self.cluster.elsewhere(&self.parent, &format!("copy-{index}"))?;
        let folder = copy.data_dir().parent().context("a data directory has a folder")?.to_owned();
        let meter = Meter::begin(&self.parent, self.shares_blocks)?;
        let start = Instant::now();
        cp(self.cluster.data_dir(), copy.data_dir(), self.shares_blocks)?;
        let made = ms(start.elapsed());
        let server = copy.start()?;
        answer(&server.address())?;
        let answered = ms(start.elapsed());
        let bytes = meter.bytes(&folder)?;
        server.stop()?;
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
        Ok(Took { made, answered, bytes })
    }

    fn name(&self) -> String {
        if self.shares_blocks { ON_XFS.to_owned() } else { "`cp -a` of a data directory".to_owned() }
    }

    fn label(&self) -> &'static str {
        if self.shares_blocks { "cp --reflink=always, XFS" } else { "cp of a data directory" }
    }

    fn parent(&self) -> String {
        "must be stopped".to_owned()
    }
}

/// A copy of a stopped cluster on another file system.
pub(super) fn copied(cluster: &Cluster, parent: &Path, name: &str) -> Result<Cluster> {
    let copy = cluster.elsewhere(parent, name)?;
    cp(cluster.data_dir(), copy.data_dir(), false)?;
    Ok(copy)
}

fn cp(from: &Path, to: &Path, shares_blocks: bool) -> Result<()> {
    let mut command: Command = clean(Path::new("cp"));
    command.arg("-a").arg(if shares_blocks { "--reflink=always" } else { "--reflink=never" });
    run(command.arg(from).arg(to)).map(drop)
}
