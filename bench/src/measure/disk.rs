//! Bytes of a fresh branch.

use anyhow::{Context, Result};

use super::{Bench, Parent, read_one_row};
use crate::disk::usage;
use crate::figure::{Figure, Unit};
use crate::sample::Sample;

/// Most megabytes before the branch wakes.
const TARGET_ASLEEP_MB: f64 = 0.2;
/// Most megabytes after its first query.
const TARGET_AWAKE_MB: f64 = 1.0;

/// Megabytes of a branch, as the engine counts and as the file system does.
#[derive(Default)]
struct Bytes {
    told: Vec<f64>,
    found: Vec<f64>,
}

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let project = bench.small("disk")?;
    let mut parent = Parent::wake(&project)?;
    let store = project.store()?;
    let (mut asleep, mut awake) = (Bytes::default(), Bytes::default());
    for index in 0..bench.args.pairs() {
        let name = format!("disk-{index}");
        parent.change()?;
        parent.client.batch_execute("CHECKPOINT").context("write a checkpoint")?;
        let layers = usage(&store.join("layers"))?;
        project.create(&name, "main")?;
        let id = project.branch(&name)?.id.to_string();
        let add = |bytes: &mut Bytes| -> Result<()> {
            bytes.told.push(project.branch(&name)?.own_bytes as f64 / 1e6);
            let grown = usage(&store.join("layers"))?.saturating_sub(layers);
            bytes.found.push((grown + usage(&store.join("branches").join(&id))?) as f64 / 1e6);
            Ok(())
        };
        add(&mut asleep)?;
        read_one_row(&project.url_of(&name)?)?;
        add(&mut awake)?;
    }
    drop(parent);
    project.remove()?;
    Ok(vec![
        asleep.figure("before it wakes", TARGET_ASLEEP_MB),
        awake.figure("after its first query", TARGET_AWAKE_MB),
    ])
}

impl Bytes {
    fn figure(self, when: &str, target: f64) -> Figure {
        let told = Sample::new(self.told).map(|sample| sample.median()).unwrap_or_default();
        Figure::new(format!("disk of a fresh branch {when}"), Unit::Mb, Sample::new(self.found))
            .at_most(target)
            .note(format!("`branch list` says {told:.2} MB"))
    }
}
