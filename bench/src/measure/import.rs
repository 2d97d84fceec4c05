//! Bringing a running server's data in: its files, against `pg_basebackup`, and its rows, as `pg_dump` writes them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::{Bench, ms};
use crate::figure::{Figure, Unit};
use crate::plain::Cluster;
use crate::project::{DirectServer, Project};
use crate::sample::Sample;
use crate::workshop::{clean, run};
use crate::{data, disk, interrupt, machine};

/// How many times the time of `pg_basebackup`.
const TARGET_RATIO: f64 = 1.2;
/// Room for each byte of the database: the source, three copies of which one is there at a time, and what loading needs.
const ROOM_FACTOR: u64 = 4;
const WHAT: &str = "`offshoot init --physical`, against `pg_basebackup`";

/// Milliseconds until a copy is on the disk, and its bytes there.
#[derive(Clone, Copy, Debug)]
struct Took {
    made: f64,
    bytes: f64,
}

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let program = match basebackup(bench) {
        Ok(program) => program,
        Err(error) => {
            eprintln!("  NOT MEASURED: {error:#}");
            return Ok(vec![Figure::new(WHAT, Unit::Ratio, None).note(format!("{error:#}"))]);
        }
    };
    let bytes = bench.args.import_mb * 1_000_000;
    let free = machine::free_bytes(bench.workshop.path())?;
    anyhow::ensure!(
        free > bytes * ROOM_FACTOR,
        "copies of {} MB need {} GB of free disk, and there are {}; --import-mb N takes a smaller size",
        bench.args.import_mb,
        bytes * ROOM_FACTOR / 1_000_000_000 + 1,
        free / 1_000_000_000
    );
    let here = bench.workshop.folder("import")?;
    let model = Project::make_on(bench.workshop, &here, "model", None, &[])?;
    model.wake("main")?;
    let mut cluster = Cluster::like(&model.server("main")?, &here, "source")?;
    model.remove()?;
    eprintln!("  making a database of {} MB", bench.args.import_mb);
    cluster.load("app", &data::script(bytes))?;
    let server = cluster.start()?;
    let source = server.address();
    for statement in ["VACUUM FREEZE", "CHECKPOINT"] {
        source.connect()?.batch_execute(statement).with_context(|| format!("run {statement}"))?;
    }
    let (mut files, mut theirs, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=bench.args.repetitions() {
        interrupt::check()?;
        let turn = [
            ("pg_basebackup", backed_up(&program, &source, &here)?),
            ("init --physical", imported(bench, &source, &here, &["--physical"])?),
            ("init", imported(bench, &source, &here, &[])?),
        ];
        for (name, took) in turn {
            eprintln!("  round {round}: {name}: {:.0} ms, {:.1} MB", took.made, took.bytes);
        }
        // The first round finds cold caches.
        if round > 0 {
            theirs.push(turn[0].1);
            files.push(turn[1].1);
            rows.push(turn[2].1);
        }
    }
    server.stop()?;
    fs::remove_dir_all(&here).with_context(|| format!("remove {}", here.display()))?;
    describe(bench.args.import_mb, &files, &theirs, &rows)
}

fn describe(megabytes: u64, files: &[Took], theirs: &[Took], rows: &[Took]) -> Result<Vec<Figure>> {
    let of = |all: &[Took], value: fn(&Took) -> f64| {
        Sample::new(all.iter().map(value).collect()).context("no runs")
    };
    let made = |all| of(all, |took| took.made);
    let bytes = |all| of(all, |took| took.bytes);
    let (ours, backup, dump) = (made(files)?, made(theirs)?, made(rows)?);
    let (our_bytes, backup_bytes) = (bytes(files)?, bytes(theirs)?);
    Ok(vec![
        Figure::new(format!("{WHAT}, {megabytes} MB"), Unit::Ratio, ours.ratios_to(&backup))
            .note(format!(
                "{:.0} against {:.0} ms; the store has {:.1} MB, the backup {:.1} MB",
                ours.median(),
                backup.median(),
                our_bytes.median(),
                backup_bytes.median()
            ))
            .part("physical", &ours)
            .part("pg_basebackup", &backup)
            .at_most(TARGET_RATIO),
        Figure::new(
            format!("`offshoot init --physical`, against `offshoot init` by `pg_dump`, {megabytes} MB"),
            Unit::Ratio,
            ours.ratios_to(&dump),
        )
        .note(format!("{:.0} against {:.0} ms", ours.median(), dump.median()))
        .part("logical", &dump),
    ])
}

fn backed_up(program: &Path, source: &DirectServer, here: &Path) -> Result<Took> {
    let target = here.join("backup");
    let mut command = clean(program);
    command.arg("-D").arg(&target).args(["-U", "postgres", "-c", "fast", "-w", "-h"]).arg(&source.socket_dir);
    command.env("PGPASSWORD", &source.password);
    let start = Instant::now();
    run(&mut command)?;
    let made = ms(start.elapsed());
    let took = Took { made, bytes: disk::usage(&target)? as f64 / 1e6 };
    fs::remove_dir_all(&target).with_context(|| format!("remove {}", target.display()))?;
    Ok(took)
}

/// A repository with what the source has; the time is that of `offshoot init` from its start to its end.
fn imported(bench: &Bench<'_>, source: &DirectServer, here: &Path, how: &[&str]) -> Result<Took> {
    let (project, time) = Project::import(bench.workshop, here, "copy", &url(source), how)?;
    let took = Took { made: ms(time), bytes: disk::usage(&project.store()?)? as f64 / 1e6 };
    project.remove()?;
    Ok(took)
}

fn url(source: &DirectServer) -> String {
    let folder: String = source.socket_dir.to_string_lossy().replace('%', "%25").replace('/', "%2F");
    format!("postgres://postgres:{}@{folder}/{}", source.password, source.database)
}

/// `pg_basebackup` of the major that is measured.
fn basebackup(bench: &Bench<'_>) -> Result<PathBuf> {
    let major = bench.args.postgres;
    let named = bench.workshop.bin_dir.clone();
    let places = named.into_iter().chain([PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"))]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = places.chain(std::env::split_paths(&path));
    let programs = places.map(|folder| folder.join("pg_basebackup")).filter(|program| program.is_file());
    for program in programs {
        let version = run(Command::new(&program).arg("--version"))?;
        let number = version.split_whitespace().nth(2).and_then(|text| text.split('.').next());
        if number.and_then(|text| text.parse().ok()) == Some(major) {
            return Ok(program);
        }
    }
    anyhow::bail!(
        "there is no pg_basebackup of Postgres {major}; Debian's postgresql-{major} has it, and --postgres takes another major"
    )
}
