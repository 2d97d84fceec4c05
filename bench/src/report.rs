//! The file of figures, and the document that is written from it.

mod document;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::args::Measure;
use crate::figure::Figure;
use crate::machine::Machine;
pub(crate) use document::{ANSWERED, MEGABYTES};

/// What figures were measured with, once for all that were measured together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    /// Day and time in UTC.
    pub(crate) date: String,
    pub(crate) machine: Machine,
    pub(crate) postgres: String,
    pub(crate) pgbench: String,
    /// How the figures were asked for.
    pub(crate) command: String,
}

/// Everything that is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) runs: Vec<Run>,
    pub(crate) figures: Vec<Figure>,
}

impl Report {
    /// What `path` holds.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let mut report = Self { runs: Vec::new(), figures: Vec::new() };
        report.merge(path)?;
        anyhow::ensure!(!report.figures.is_empty(), "{} holds no figures", path.display());
        Ok(report)
    }

    /// Takes over the figures of `path` that were not measured this time, with the runs that they are of. No file is no
    /// figures.
    pub(crate) fn merge(&mut self, path: &Path) -> Result<()> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let earlier: Self = serde_json::from_str(&text)
            .with_context(|| format!("read {}; move it away to begin anew", path.display()))?;
        self.keep(earlier);
        Ok(())
    }

    fn keep(&mut self, earlier: Self) {
        let now: Vec<String> = self.figures.iter().map(|figure| figure.measure.clone()).collect();
        for mut figure in earlier.figures {
            if now.contains(&figure.measure) {
                continue;
            }
            let Some(run) = earlier.runs.get(figure.run) else { continue };
            figure.run = self.runs.iter().position(|known| known == run).unwrap_or_else(|| {
                self.runs.push(run.clone());
                self.runs.len() - 1
            });
            self.figures.push(figure);
        }
        self.sort_runs();
        let order: Vec<String> = Measure::value_variants().iter().map(|measure| measure.name()).collect();
        self.figures.sort_by_key(|figure| order.iter().position(|name| *name == figure.measure));
    }

    /// Brings the newest run to the front.
    fn sort_runs(&mut self) {
        let mut order: Vec<usize> = (0..self.runs.len()).collect();
        order.sort_by(|a, b| self.runs[*b].date.cmp(&self.runs[*a].date));
        for figure in &mut self.figures {
            figure.run = order.iter().position(|run| *run == figure.run).unwrap_or_default();
        }
        self.runs = order.into_iter().map(|run| self.runs[run].clone()).collect();
    }

    /// Writes the figures. A reader sees the old file or the new one.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        let beside = path.with_extension("json.partial");
        fs::write(&beside, text).with_context(|| format!("write {}", beside.display()))?;
        fs::rename(&beside, path).with_context(|| format!("write {}", path.display()))
    }

    /// Writes the document and its charts.
    pub(crate) fn write_document(&self, path: &Path) -> Result<()> {
        let images = path.parent().unwrap_or(Path::new(".")).join("images");
        for (name, picture) in document::charts(&self.figures) {
            fs::create_dir_all(&images).with_context(|| format!("make {}", images.display()))?;
            let file = images.join(name);
            fs::write(&file, picture).with_context(|| format!("write {}", file.display()))?;
        }
        fs::write(path, document::text(self)).with_context(|| format!("write {}", path.display()))
    }

    /// The figures of the newest run, as a table.
    pub(crate) fn table(&self) -> String {
        document::table(self.figures.iter().filter(|figure| figure.run == 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Unit;
    use crate::sample::Sample;

    pub(super) fn report(command: &str, measures: &[Measure]) -> Report {
        let figure = |measure: &Measure| {
            let what = format!("{} by {command}", measure.name());
            let mut figure = Figure::new(what, Unit::Ms, Sample::new(vec![1.0]));
            figure.measure = measure.name();
            figure
        };
        let machine = Machine {
            processor: "P".to_owned(),
            cores: 1,
            memory_gb: 1.0,
            kernel: String::new(),
            file_system: String::new(),
            user: String::new(),
        };
        let run = Run {
            date: format!("2026-01-01 10:0{}", command.len()),
            machine,
            postgres: String::new(),
            pgbench: String::new(),
            command: command.to_owned(),
        };
        Report { runs: vec![run], figures: measures.iter().map(figure).collect() }
    }

    #[test]
    fn figures_of_other_runs_are_kept_in_their_place_with_their_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bench.json");
        for (command, measures) in [
            ("first", &[Measure::Wake, Measure::Disk, Measure::Cpu][..]),
            ("second", &[Measure::Cpu]),
            ("third", &[Measure::Disk, Measure::Create]),
        ] {
            let mut now = report(command, measures);
            now.merge(&path).unwrap();
            now.save(&path).unwrap();
        }
        let all: Report = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let told: Vec<String> = all
            .figures
            .iter()
            .map(|figure| format!("{}: {}", figure.what, all.runs[figure.run].command))
            .collect();
        assert_eq!(
            told,
            [
                "create by third: third",
                "wake by first: first",
                "disk by third: third",
                "cpu by second: second"
            ]
        );
        assert_eq!(all.runs.len(), 3);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let document = document::text(&all);
        let commands: Vec<_> = all.runs.iter().map(|run| run.command.as_str()).collect();
        assert_eq!(commands, ["second", "third", "first"]);
        for text in ["| C | 2026-01-01 10:05 |", "`second`", "| cpu by second |"] {
            assert!(document.contains(text), "{document}");
        }
    }

    #[test]
    fn a_run_whose_figures_are_all_measured_again_is_forgotten() {
        let mut now = report("second", &[Measure::Wake]);
        now.keep(report("first", &[Measure::Wake]));
        assert_eq!((now.runs.len(), now.figures.len()), (1, 1));
    }

    #[test]
    fn a_damaged_file_of_figures_is_named_and_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bench.json");
        fs::write(&path, "{").unwrap();
        let error = report("now", &[Measure::Wake]).merge(&path).unwrap_err();
        assert!(format!("{error:#}").contains("move it away"), "{error:#}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{");
    }
}
