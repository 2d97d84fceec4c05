//! From `git checkout` to the other branch at the same address.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Bench, Parent, ms};
use crate::figure::{Figure, Unit};
use crate::project::{self, Project, first};
use crate::sample::Sample;

/// Most milliseconds.
const TARGET_MS: f64 = 300.0;
/// Branches of the repository with many of them: of git, and those that have a database.
const GIT_BRANCHES: usize = 2_000;
const DATABASES: usize = 200;
/// When to give up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The engine names each server after its branch.
const WHERE_AM_I: &str = "SHOW cluster_name";

/// The times of one kind of checkout.
#[derive(Default)]
struct Times {
    /// From the end of git.
    after_git: Vec<f64>,
    /// With git itself.
    with_git: Vec<f64>,
    /// Connections that failed or led to the branch before.
    wrong: usize,
}

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let project = bench.small("checkout")?;
    let url = project.url()?;
    let mut parent = Parent::wake(&project)?;
    let (mut new, mut asleep, mut awake) = (Times::default(), Times::default(), Times::default());
    for index in 0..bench.args.runs() {
        parent.change()?;
        let name = format!("checkout-{index}");
        switch(&project, &url, &["checkout", "--quiet", "-b", &name], &name, &mut new)?;
        switch(&project, &url, &["checkout", "--quiet", "main"], "main", &mut awake)?;
        project.sleep(&name)?;
        switch(&project, &url, &["checkout", "--quiet", &name], &name, &mut asleep)?;
        switch(&project, &url, &["checkout", "--quiet", "main"], "main", &mut awake)?;
        project.sleep(&name)?;
    }
    drop(parent);
    project.remove()?;
    let mut figures = vec![
        new.figure("`git checkout -b`: a branch is made and woken"),
        asleep.figure("`git checkout` of a branch that sleeps"),
        awake.figure("`git checkout` of a branch that is awake"),
    ];
    figures.extend(among_many(bench)?);
    Ok(figures)
}

/// The same among many branches.
fn among_many(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let project = bench.small("checkout-many")?;
    let url = project.url()?;
    for index in 0..GIT_BRANCHES {
        project.git(&["branch", &format!("many-{index}")])?;
    }
    let mut engine = project.engine()?;
    for index in 0..DATABASES - 1 {
        project::create(&mut engine, &format!("many-{index}"), "main")?;
    }
    let (mut new, mut awake) = (Times::default(), Times::default());
    for index in 0..bench.args.runs() {
        let name = format!("many-{}", DATABASES + index);
        switch(&project, &url, &["checkout", "--quiet", &name], &name, &mut new)?;
        switch(&project, &url, &["checkout", "--quiet", "main"], "main", &mut awake)?;
        project.delete(&name)?;
    }
    project.remove()?;
    let among = format!("among {GIT_BRANCHES} git branches and {DATABASES} database branches");
    Ok(vec![
        new.figure(&format!("{among}: a branch is made and woken")),
        awake.figure(&format!("{among}: of a branch that is awake")),
    ])
}

fn switch(project: &Project<'_>, url: &str, git: &[&str], to: &str, times: &mut Times) -> Result<()> {
    let git_took = project.git(git)?;
    let start = Instant::now();
    loop {
        let answer = project::connect(url).and_then(|mut client| first(&mut client, WHERE_AM_I));
        if answer.as_deref().is_ok_and(|branch| branch == to) {
            let took = start.elapsed();
            times.after_git.push(ms(took));
            times.with_git.push(ms(took + git_took));
            return Ok(());
        }
        times.wrong += 1;
        if start.elapsed() >= PATIENCE {
            bail!("the endpoint does not lead to {to}: {answer:?}");
        }
    }
}

impl Times {
    fn figure(self, how: &str) -> Figure {
        let with_git = Sample::new(self.with_git).map(|sample| sample.median()).unwrap_or_default();
        let wrong = match self.wrong {
            0 => "every first connection led to the right branch".to_owned(),
            count => format!("{count} connections failed or led to the branch before"),
        };
        let what = format!("checkout to endpoint switched, {how}");
        Figure::new(what, Unit::Ms, Sample::new(self.after_git))
            .at_most(TARGET_MS)
            .note(format!("{with_git:.0} ms with git itself; {wrong}"))
    }
}
