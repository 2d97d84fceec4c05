//! One line of the table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sample::Sample;

/// Beyond this share of the processors, others disturb what is measured.
pub(crate) const QUIET: f64 = 0.15;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    /// Milliseconds.
    Ms,
    /// Millions of bytes.
    Mb,
    /// Nothing: one thing divided by another.
    Ratio,
    /// Things that are counted.
    Count,
}

impl Unit {
    /// The number without its unit, and the unit.
    fn show(self, value: f64) -> (String, &'static str) {
        match self {
            Self::Ms if value >= 100.0 => (format!("{value:.0}"), " ms"),
            Self::Ms => (format!("{value:.1}"), " ms"),
            Self::Mb if value >= 10.0 => (format!("{value:.1}"), " MB"),
            Self::Mb => (format!("{value:.2}"), " MB"),
            Self::Ratio => (format!("{value:.3}"), ""),
            Self::Count => (format!("{value:.0}"), ""),
        }
    }
}

/// Where a figure stands in a chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Point {
    pub(crate) chart: Chart,
    /// The line or the bar that it belongs to.
    pub(crate) series: String,
    /// Its place along the first axis, in the chart's unit; of a bar it is the order.
    pub(crate) x: f64,
}

/// A picture in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Chart {
    /// Time to make a branch or a copy, against the size of the database.
    Creation,
    /// Disk of a change, against the pages that were changed.
    Changed,
    /// Time to wake.
    Wake,
    /// Stall of the parent's clients.
    Stall,
}

/// A figure, with what it should be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figure {
    /// The name of the measurement.
    pub(crate) measure: String,
    pub(crate) what: String,
    pub(crate) unit: Unit,
    /// The most that the median may be. Figures without one are there to be compared with.
    pub(crate) at_most: Option<f64>,
    /// Absent if it could not be measured; the note says why.
    pub(crate) sample: Option<Sample>,
    pub(crate) note: String,
    /// What the sample was worked out from, by name; only in the file of figures.
    #[serde(default)]
    pub(crate) parts: BTreeMap<String, Sample>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) point: Option<Point>,
    /// Which run it is of: an index into those of the report.
    #[serde(default)]
    pub(crate) run: usize,
    /// Share of the processors that others used before or after, from 0 to 1.
    pub(crate) busy: f64,
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, unit: Unit, sample: Option<Sample>) -> Self {
        Self {
            measure: String::new(),
            what: what.into(),
            unit,
            at_most: None,
            sample,
            note: String::new(),
            parts: BTreeMap::new(),
            point: None,
            run: 0,
            busy: 0.0,
        }
    }

    pub(crate) fn at_most(mut self, value: f64) -> Self {
        self.at_most = Some(value);
        self
    }

    pub(crate) fn note(mut self, text: impl Into<String>) -> Self {
        self.note = text.into();
        self
    }

    pub(crate) fn part(mut self, name: &str, sample: &Sample) -> Self {
        self.parts.insert(name.to_owned(), sample.clone());
        self
    }

    pub(crate) fn point(mut self, chart: Chart, series: impl Into<String>, x: f64) -> Self {
        self.point = Some(Point { chart, series: series.into(), x });
        self
    }

    /// The one number that is compared with the target.
    pub(crate) fn value(&self) -> Option<f64> {
        self.sample.as_ref().map(Sample::median)
    }

    /// Its line of the table. `run` names the run that it is of.
    pub(crate) fn line(&self, run: &str) -> String {
        let target = self.at_most.map_or_else(|| "–".to_owned(), |most| format!("≤ {}", self.bound(most)));
        let mut notes: Vec<&str> = Vec::new();
        if !self.note.is_empty() {
            notes.push(&self.note);
        }
        let noisy = format!("noisy: others used {:.0} % of the processors", self.busy * 100.0);
        if self.busy > QUIET {
            notes.push(&noisy);
        }
        let note = if notes.is_empty() { String::new() } else { format!("; {}", notes.join("; ")) };
        format!("| {} | {target} | {} | {}{note} | {run} |", self.what, self.measured(), self.verdict())
    }

    fn bound(&self, value: f64) -> String {
        match self.unit {
            Unit::Ms => format!("{value} ms"),
            Unit::Mb => format!("{value} MB"),
            Unit::Ratio | Unit::Count => format!("{value}"),
        }
    }

    fn measured(&self) -> String {
        let (Some(sample), Some(value)) = (&self.sample, self.value()) else { return "–".to_owned() };
        let (shown, unit) = self.unit.show(value);
        let bare = |value| self.unit.show(value).0;
        match sample.values().len() {
            1 => format!("{shown}{unit}"),
            n => format!("{shown}{unit} ({}–{}, n={n})", bare(sample.min()), bare(sample.max())),
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.value(), self.at_most) {
            (None, _) => "not measured",
            (Some(_), None) => "for comparison",
            (Some(value), Some(most)) if value <= most => "met",
            (Some(_), Some(_)) => "**missed**",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_target_the_spread_and_the_verdict() {
        let sample = Sample::new(vec![40.0, 160.0, 44.25]);
        let figure = Figure::new("a wake", Unit::Ms, sample.clone()).at_most(100.0);
        assert_eq!(figure.line("A"), "| a wake | ≤ 100 ms | 44.2 ms (40.0–160, n=3) | met | A |");
        let mut late = Figure::new("a wake", Unit::Ms, sample).at_most(40.0).note("of a clone");
        late.busy = 0.5;
        assert_eq!(
            late.line("A"),
            "| a wake | ≤ 40 ms | 44.2 ms (40.0–160, n=3) | **missed**; of a clone; noisy: others used 50 % of the processors | A |"
        );
        let none = Figure::new("a stall", Unit::Ms, None).at_most(50.0).note("no pgbench");
        assert_eq!(none.line("A"), "| a stall | ≤ 50 ms | – | not measured; no pgbench | A |");
    }
}
