//! Other ways to copy a database, each in turn with ours, so that ratios hold on a busy machine.

mod directory;
mod load;
mod mitosis;
mod ours;
mod template;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Bench;
use crate::figure::{Chart, Figure, Unit};
use crate::plain::Cluster;
use crate::project::{DirectServer, Project, first};
use crate::report::{ANSWERED, MEGABYTES};
use crate::sample::Sample;
use crate::{data, interrupt, machine};

/// Bytes of a megabyte.
const MEGA: u64 = 1_000_000;
/// Room on the XFS for each byte of the database: a cluster, a template, ours, and what changes.
const XFS_FACTOR: u64 = 5;
/// And beside it: mitosis-db wants 2 GB to be free. What is not written takes no room.
const SPARE: u64 = 6_000_000_000;
/// Room for it on the file system below, with what lies beside it.
const ROOM_FACTOR: u64 = 9;

/// What one copy took.
#[derive(Clone, Copy, Debug)]
struct Took {
    /// Milliseconds until the copy is there.
    made: f64,
    /// Milliseconds until it has answered, making it included.
    answered: f64,
    /// Bytes on the disk by then.
    bytes: f64,
}

/// One way to copy a database.
trait Way {
    /// Makes a copy, asks it, and removes it. `index` is the number of the round.
    fn copy(&mut self, index: usize) -> Result<Took>;

    /// What it is called in the table.
    fn name(&self) -> String;

    /// What it is called in the charts, where there is less room.
    fn label(&self) -> &'static str;

    /// What the parent may do meanwhile.
    fn parent(&self) -> String;
}

/// A way, its results, and whether it lies on XFS.
struct Entry<'a> {
    way: Box<dyn Way + 'a>,
    on_xfs: bool,
    took: Vec<Took>,
}

/// Why a way has no figures.
struct Missing {
    name: &'static str,
    why: String,
}

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for megabytes in &bench.args.peer_mb {
        figures.extend(of_size(bench, *megabytes)?);
    }
    figures.extend(load::measure(bench)?);
    Ok(figures)
}

fn of_size(bench: &Bench<'_>, megabytes: u64) -> Result<Vec<Figure>> {
    let bytes = megabytes * MEGA;
    let free = machine::free_bytes(bench.workshop.path())?;
    anyhow::ensure!(
        free > bytes * ROOM_FACTOR,
        "the copies of {megabytes} MB need {} GB of free disk, and there are {}; --peer-mb N takes a smaller size",
        bytes * ROOM_FACTOR / 1_000_000_000 + 1,
        free / 1_000_000_000
    );
    eprintln!("  making databases of {megabytes} MB");
    let script = data::script(bytes);
    let here = bench.workshop.path().join(format!("peers-{megabytes}"));
    std::fs::create_dir(&here).with_context(|| format!("make {}", here.display()))?;
    let project = Project::make_on(bench.workshop, &here, "ours", Some(&script), &[])?;
    project.wake("main")?;
    let mut cluster = Cluster::like(&project.server("main")?, &here, "cluster")?;
    cluster.load("app", &script)?;
    let mut missing = Vec::new();
    let xfs = match bench.workshop.xfs(&format!("xfs-{megabytes}"), bytes * XFS_FACTOR + SPARE) {
        Ok(at) => Some(at),
        Err(error) => {
            interrupt::check()?;
            let why = format!("no XFS image here: {error:#}");
            eprintln!("  NOT MEASURED on XFS: {why}");
            for name in
                ["Offshoot on XFS", directory::ON_XFS, template::ON_XFS, mitosis::DURABLE, mitosis::FAST]
            {
                missing.push(Missing { name, why: why.clone() });
            }
            None
        }
    };
    let on_xfs = xfs.as_deref().map(|at| Project::make_on(bench.workshop, at, "ours", Some(&script), &[]));
    let on_xfs = on_xfs.transpose()?;
    let mut entries = vec![Entry::of(ours::Ours::new(&project, "")?, false)];
    entries.push(Entry::of(directory::Directory::new(&cluster, &here, false), false));
    // The copies within a server have one of their own: the other has to be stopped.
    let template = template::twin(&cluster, &here, "template")?;
    for strategy in [template::Strategy::WalLog, template::Strategy::FileCopy] {
        entries.push(Entry::of(template::Template::new(&template, strategy), false));
    }
    if let (Some(at), Some(project)) = (&xfs, &on_xfs) {
        entries.extend(xfs_entries(bench, at, project, &cluster, &script, &mut missing)?);
    }
    take_turns(bench, &mut entries)?;
    let figures = describe(&entries, megabytes);
    drop(entries);
    drop(template);
    for project in [Some(project), on_xfs].into_iter().flatten() {
        project.remove()?;
    }
    if let Some(at) = xfs {
        bench.workshop.remove_image(&at);
    }
    std::fs::remove_dir_all(&here).with_context(|| format!("remove {}", here.display()))?;
    let unmeasured = missing.into_iter().map(|Missing { name, why }| {
        Figure::new(format!("{name}, {megabytes} MB"), Unit::Ms, None).note(why)
    });
    Ok(figures.into_iter().chain(unmeasured).collect())
}

/// What only a file system can do that shares blocks, and ours beside it.
fn xfs_entries<'a>(
    bench: &Bench<'_>,
    at: &Path,
    project: &'a Project<'a>,
    cluster: &Cluster,
    script: &str,
    missing: &mut Vec<Missing>,
) -> Result<Vec<Entry<'a>>> {
    let mut entries = vec![Entry::of(ours::Ours::new(project, " on XFS")?, true)];
    let copy = directory::copied(cluster, at, "cluster")?;
    entries.push(Entry::of(directory::Directory::new(&copy, at, true), true));
    if bench.args.postgres >= 18 {
        let twin = template::twin(cluster, at, "template")?;
        entries.push(Entry::of(template::Template::new(&twin, template::Strategy::Clone), true));
    } else {
        let why = "file_copy_method came with Postgres 18".to_owned();
        missing.push(Missing { name: template::ON_XFS, why });
    }
    match mitosis::Mitosis::start(bench, at, cluster, script) {
        Ok(mitosis) => {
            let mitosis = std::rc::Rc::new(mitosis);
            for durable in [true, false] {
                entries.push(Entry::of(mitosis::Clone { mitosis: mitosis.clone(), durable }, true));
            }
        }
        Err(error) => {
            interrupt::check()?;
            eprintln!("  NOT MEASURED: mitosis-db: {error:#}");
            for name in [mitosis::DURABLE, mitosis::FAST] {
                missing.push(Missing { name, why: format!("{error:#}") });
            }
        }
    }
    Ok(entries)
}

impl<'a> Entry<'a> {
    fn of(way: impl Way + 'a, on_xfs: bool) -> Self {
        Self { way: Box::new(way), on_xfs, took: Vec::new() }
    }
}

/// Each way once a round. The first round does not count: it finds cold caches.
fn take_turns(bench: &Bench<'_>, entries: &mut [Entry<'_>]) -> Result<()> {
    for index in 0..=bench.args.pairs() {
        for entry in &mut *entries {
            interrupt::check()?;
            let took = entry.way.copy(index).with_context(|| entry.way.name())?;
            eprintln!(
                "  round {index}: {}: {:.0} ms, answered after {:.0} ms, {:.1} MB",
                entry.way.name(),
                took.made,
                took.answered,
                took.bytes / 1e6
            );
            if index > 0 {
                entry.took.push(took);
            }
        }
    }
    Ok(())
}

fn describe(entries: &[Entry<'_>], megabytes: u64) -> Vec<Figure> {
    let of = |entry: &Entry<'_>, value: fn(&Took) -> f64| Sample::new(entry.took.iter().map(value).collect());
    let mut figures = Vec::new();
    for entry in entries {
        let (Some(made), Some(answered), Some(bytes)) = (
            of(entry, |took| took.made),
            of(entry, |took| took.answered),
            of(entry, |took| took.bytes / 1e6),
        ) else {
            continue;
        };
        // The first entry on each file system is ours.
        let ours = entries.iter().find(|other| other.on_xfs == entry.on_xfs);
        let is_ours = ours.is_some_and(|ours| std::ptr::eq(ours, entry));
        let times = |value: fn(&Took) -> f64, sample: &Sample| {
            let ours = ours.and_then(|ours| of(ours, value))?;
            Some(sample.ratios_to(&ours)?.median())
        };
        let beside = match (times(|took| took.made, &made), times(|took| took.answered, &answered)) {
            (Some(made), Some(answered)) if !is_ours => {
                format!("{made:.1} × ours, {answered:.1} × until it has answered; ")
            }
            _ => String::new(),
        };
        let name = entry.way.name();
        let note = format!(
            "{beside}answered after {:.0} ms; {:.1} MB; the parent {}",
            answered.median(),
            bytes.median(),
            entry.way.parent()
        );
        figures.push(
            Figure::new(format!("{name}, {megabytes} MB"), Unit::Ms, Some(made))
                .note(note)
                .part(ANSWERED, &answered)
                .part(MEGABYTES, &bytes)
                .point(Chart::Creation, entry.way.label(), megabytes as f64),
        );
    }
    figures
}

/// Reads the one row on a server's own socket.
fn answer(server: &DirectServer) -> Result<()> {
    let found = first(&mut server.connect()?, data::ONE_ROW)?;
    anyhow::ensure!(found == data::ONE_ROW_CODE, "the copy answers `{found}`");
    Ok(())
}

/// What a copy took of the disk: what is below its folder, or, where blocks are shared, what was free and is not.
struct Meter {
    folder: PathBuf,
    free_before: Option<u64>,
}

impl Meter {
    fn begin(folder: &Path, shares_blocks: bool) -> Result<Self> {
        let free_before = shares_blocks.then(|| crate::image::free_after_sync(folder)).transpose()?;
        Ok(Self { folder: folder.to_owned(), free_before })
    }

    fn bytes(&self, copy: &Path) -> Result<f64> {
        Ok(match self.free_before {
            Some(before) => before as f64 - crate::image::free_after_sync(&self.folder)? as f64,
            None => crate::disk::usage(copy)? as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake(&'static str);

    impl Way for Fake {
        fn copy(&mut self, _: usize) -> Result<Took> {
            anyhow::bail!("not here")
        }

        fn name(&self) -> String {
            self.0.to_owned()
        }

        fn label(&self) -> &'static str {
            self.0
        }

        fn parent(&self) -> String {
            "must be stopped".to_owned()
        }
    }

    #[test]
    fn a_way_is_compared_with_ours_on_its_own_file_system() {
        let entry = |name, on_xfs, made: [f64; 2]| {
            let took = made.map(|made| Took { made, answered: made + 100.0, bytes: 1e6 }).to_vec();
            Entry { way: Box::new(Fake(name)), on_xfs, took }
        };
        let entries = [
            entry("ours", false, [10.0, 20.0]),
            entry("copy", false, [100.0, 200.0]),
            entry("ours on XFS", true, [50.0, 50.0]),
            entry("clone", true, [100.0, 100.0]),
        ];
        let lines: Vec<String> = describe(&entries, 150).iter().map(|figure| figure.line("A")).collect();
        assert_eq!(
            lines[1],
            "| copy, 150 MB | – | 150 ms (100–200, n=2) | for comparison; 10.0 × ours, 2.2 × until it has answered; \
             answered after 250 ms; 1.0 MB; the parent must be stopped | A |"
        );
        assert!(lines[3].contains("2.0 × ours"), "{}", lines[3]);
        assert!(!lines[0].contains('×') && !lines[2].contains('×'));
    }
}
