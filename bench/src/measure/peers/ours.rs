//! `offshoot branch create` and the first query, as one of the ways.

use std::time::Instant;

use anyhow::{Context, Result};

use super::super::{Parent, ms, read_one_row};
use super::{Took, Way};
use crate::project::{self, Project};

/// Branches of a running `main` that changes a little before each.
pub(super) struct Ours<'p> {
    parent: Parent<'p>,
    engine: offshoot_protocol::Client,
    place: &'static str,
}

impl<'p> Ours<'p> {
    /// `place` is a part of the name.
    pub(super) fn new(project: &'p Project<'p>, place: &'static str) -> Result<Self> {
        Ok(Self { parent: Parent::wake(project)?, engine: project.engine()?, place })
    }
}

impl Way for Ours<'_> {
    fn copy(&mut self, index: usize) -> Result<Took> {
        let project = self.parent.project;
        let name = format!("peer-{index}");
        self.parent.change()?;
        self.parent.client.batch_execute("CHECKPOINT").context("write a checkpoint")?;
        self.parent.change()?;
        let start = Instant::now();
        project.create(&name, "main")?;
        let made = ms(start.elapsed());
        read_one_row(&project::url_of(&mut self.engine, &name)?)?;
        let answered = ms(start.elapsed());
        let bytes = project.branch(&name)?.own_bytes as f64;
        project.sleep(&name)?;
        project.delete(&name)?;
        Ok(Took { made, answered, bytes })
    }

    fn name(&self) -> String {
        format!("Offshoot{}", self.place)
    }

    fn label(&self) -> &'static str {
        if self.place.is_empty() { "Offshoot" } else { "Offshoot, XFS" }
    }

    fn parent(&self) -> String {
        "runs, with clients that write".to_owned()
    }
}
