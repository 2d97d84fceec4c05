//! The document: what the figures were measured with, the tables, the charts, and how each is measured.

use std::fmt::Write as _;

use super::{Report, Run};
use crate::args::Measure;
use crate::chart::{Bar, Line, LineChart, Spot, bars};
use crate::figure::{Chart, Figure, QUIET};
use crate::how::HOW;

/// All of it.
pub(super) fn text(report: &Report) -> String {
    let beside = Measure::Peers.name();
    let (others, ours): (Vec<&Figure>, Vec<&Figure>) =
        report.figures.iter().partition(|figure| figure.measure == beside);
    let mut text =
        String::from("# Measurements\n\nWritten by `npm run bench`. Do not edit: run it again.\n\n");
    text.push_str(&runs(&report.runs));
    text.push_str(LEGEND);
    let _ = write!(text, "## What has to be reached\n\n{}\n", table(ours.into_iter()));
    if !others.is_empty() {
        let _ = write!(
            text,
            "## Beside other ways to copy a database\n\n{BESIDE}\n{}\n",
            table(others.into_iter())
        );
    }
    text.push_str(&pictures(&report.figures));
    text.push_str(HOW);
    text
}

const LEGEND: &str = "\
Times and bytes are medians, with the least and the most of n runs in brackets. A target is met when the median is within it.
A line is marked noisy when other programs used more than 15 % of the processors just before or just after: its times are too
long then, and its ratios scatter. A line without the mark may still have been disturbed in between. Lines that were not measured
in the newest run stay as they were; the last column names the run that a line is of.

";

const BESIDE: &str = "\
Each way has its turn in each round, on the same machine at the same time, so that ratios hold where times are noisy. A time is that of
making the copy; the notes have the time until the copy has answered a query, its bytes on the disk by then, and what the parent may do
meanwhile. *× ours* compares with `branch create` on the same file system in the same rounds.
";

/// Names of runs: A, B, …, Z, A1, …
fn name(run: usize) -> String {
    let letter = char::from(b'A' + (run % 26) as u8);
    if run < 26 { letter.to_string() } else { format!("{letter}{}", run / 26) }
}

fn runs(runs: &[Run]) -> String {
    let mut text =
        String::from("| run | UTC | machine | programs | command |\n| --- | --- | --- | --- | --- |\n");
    for (index, run) in runs.iter().enumerate() {
        let Run { date, machine, postgres, pgbench, command } = run;
        let _ = writeln!(
            text,
            "| {} | {date} | {}, {} cores, {:.0} GB; Linux {}; {}; {} | {postgres}, `fsync`, `full_page_writes` and checksums on; \
             {pgbench} | `{command}` |",
            name(index),
            machine.processor,
            machine.cores,
            machine.memory_gb,
            machine.kernel,
            machine.file_system,
            machine.user,
        );
    }
    text.push('\n');
    text
}

pub(super) fn table<'f>(figures: impl Iterator<Item = &'f Figure>) -> String {
    let lines: Vec<String> = figures.map(|figure| figure.line(&name(figure.run))).collect();
    format!(
        "| what | target | measured | verdict | run |\n| --- | --- | --- | --- | --- |\n{}\n",
        lines.join("\n")
    )
}

/// The charts for which there are figures, by file name.
pub(super) fn charts(figures: &[Figure]) -> Vec<(&'static str, String)> {
    let drawn = ALL.iter().map(|chart| (chart.file, draw(chart, figures)));
    drawn.filter_map(|(file, picture)| Some((file, picture?))).collect()
}

fn pictures(figures: &[Figure]) -> String {
    let mut text = String::new();
    for chart in ALL.iter().filter(|chart| draw(chart, figures).is_some()) {
        let _ = write!(text, "![{}](images/{})\n\n", chart.title, chart.file);
    }
    if text.is_empty() { text } else { format!("## Charts\n\n{text}") }
}

/// What is drawn where.
struct Drawing {
    chart: Chart,
    file: &'static str,
    title: &'static str,
    /// Draws this part of each figure, and its sample without one.
    part: Option<&'static str>,
}

/// The part of a figure that says when a copy has answered.
pub(crate) const ANSWERED: &str = "answered";
/// The part of a figure that says what a change took of the disk.
pub(crate) const MEGABYTES: &str = "megabytes";

const ALL: [Drawing; 5] = [
    Drawing {
        chart: Chart::Creation,
        file: "bench-creation.svg",
        title: "Time to make a branch or a copy, by the size of the database",
        part: None,
    },
    Drawing {
        chart: Chart::Creation,
        file: "bench-answer.svg",
        title: "Time until a branch or a copy has answered its first query",
        part: Some(ANSWERED),
    },
    Drawing {
        chart: Chart::Changed,
        file: "bench-changed.svg",
        title: "Disk that a branch takes, by the pages of a table that it changes",
        part: Some(MEGABYTES),
    },
    Drawing {
        chart: Chart::Wake,
        file: "bench-wake.svg",
        title: "Waking a branch: from connect to the first answer",
        part: None,
    },
    Drawing {
        chart: Chart::Stall,
        file: "bench-stall.svg",
        title: "Longest transaction of four clients of the parent, while it is branched",
        part: None,
    },
];

fn draw(drawing: &Drawing, figures: &[Figure]) -> Option<String> {
    let spots: Vec<(&str, Spot)> = figures.iter().filter_map(|figure| spot(drawing, figure)).collect();
    if spots.is_empty() {
        return None;
    }
    let target = figures
        .iter()
        .filter(|figure| figure.point.as_ref().is_some_and(|point| point.chart == drawing.chart))
        .find_map(|figure| figure.at_most);
    let title = drawing.title;
    let remark = remark(drawing, figures);
    let remark = remark.as_str();
    Some(match drawing.chart {
        Chart::Creation => {
            let lines = by_series(&spots);
            LineChart { title, remark, x: "size of the database, MB", y: "time, ms", lines }.draw()
        }
        Chart::Changed => {
            let mut lines = by_series(&spots);
            let ends = |factor: f64| {
                let xs = || spots.iter().map(|(_, spot)| spot.x);
                let (low, high) = (xs().fold(f64::INFINITY, f64::min), xs().fold(0.0, f64::max));
                vec![Spot::at(low, low * factor), Spot::at(high, high * factor)]
            };
            lines.push(Line { name: "2.5 × those pages".to_owned(), spots: ends(2.5), reference: true });
            lines.push(Line { name: "those pages".to_owned(), spots: ends(1.0), reference: true });
            LineChart { title, remark, x: "changed pages, MB", y: "disk without WAL, MB", lines }.draw()
        }
        Chart::Wake | Chart::Stall => {
            let mut all: Vec<(f64, Bar)> =
                spots.into_iter().map(|(name, spot)| (spot.x, Bar { name: name.to_owned(), spot })).collect();
            all.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            let all: Vec<Bar> = all.into_iter().map(|(_, bar)| bar).collect();
            bars(title, remark, "time, ms", &all, target)
        }
    })
}

/// How busy the machine was with other things, if it was.
fn remark(drawing: &Drawing, figures: &[Figure]) -> String {
    let of_chart = figures.iter().filter(|figure| spot(drawing, figure).is_some());
    let busy = of_chart.map(|figure| figure.busy).fold(0.0, f64::max);
    if busy > QUIET {
        format!("a busy machine: others used up to {:.0} % of the processors", busy * 100.0)
    } else {
        String::new()
    }
}

fn spot<'f>(drawing: &Drawing, figure: &'f Figure) -> Option<(&'f str, Spot)> {
    let point = figure.point.as_ref().filter(|point| point.chart == drawing.chart)?;
    let sample = match drawing.part {
        Some(part) => figure.parts.get(part)?,
        None => figure.sample.as_ref()?,
    };
    let spot = Spot { x: point.x, y: sample.median(), least: sample.min(), most: sample.max() };
    Some((point.series.as_str(), spot))
}

fn by_series(spots: &[(&str, Spot)]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (name, spot) in spots {
        match lines.iter_mut().find(|line| line.name == *name) {
            Some(line) => line.spots.push(*spot),
            None => lines.push(Line { name: (*name).to_owned(), spots: vec![*spot], reference: false }),
        }
    }
    for line in &mut lines {
        line.spots.sort_by(|a, b| a.x.total_cmp(&b.x));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Unit;
    use crate::sample::Sample;

    fn figure(chart: Chart, series: &str, x: f64, values: &[f64]) -> Figure {
        Figure::new(series, Unit::Ms, Sample::new(values.to_vec())).point(chart, series, x)
    }

    #[test]
    fn a_chart_is_drawn_for_each_kind_of_figure_that_is_there() {
        let figures = [
            figure(Chart::Creation, "ours", 1500.0, &[12.0]),
            figure(Chart::Creation, "ours", 150.0, &[11.0, 9.0, 10.0]),
            figure(Chart::Stall, "nothing else", 0.0, &[9.0]),
            Figure::new("no point", Unit::Ms, Sample::new(vec![1.0])),
        ];
        let names: Vec<_> = charts(&figures).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["bench-creation.svg", "bench-stall.svg"]);
        assert!(pictures(&figures).contains("](images/bench-stall.svg)"));
        assert_eq!(pictures(&figures[3..]), "");
    }

    #[test]
    fn a_series_is_one_line_from_the_least_to_the_most() {
        let figures = [
            figure(Chart::Creation, "a", 1500.0, &[12.0]),
            figure(Chart::Creation, "b", 150.0, &[1.0]),
            figure(Chart::Creation, "a", 150.0, &[11.0, 9.0, 10.0]),
        ];
        let spots: Vec<_> = figures.iter().filter_map(|figure| spot(&ALL[0], figure)).collect();
        let lines = by_series(&spots);
        assert_eq!(lines.len(), 2);
        let first: Vec<_> =
            lines[0].spots.iter().map(|spot| (spot.x, spot.y, spot.least, spot.most)).collect();
        assert_eq!(first, [(150.0, 10.0, 9.0, 11.0), (1500.0, 12.0, 12.0, 12.0)]);
    }

    #[test]
    fn runs_have_letters() {
        assert_eq!([name(0), name(25), name(26)], ["A", "Z", "A1"]);
    }
}
