//! The difference for people at a terminal: the diff document of the grammar `offshoot-diff`, and a line an object.

use std::fmt::Write;

use offshoot_schema::{ChangeKind, Object};

use super::comparison::{Changed, Comparison, Danger, mode, one_line, sign, title};
use super::histories;
use super::lines::{self, Line};
use super::measure::{self, Costs};
use crate::cli::output::Output;
use crate::histories::LeftOut;

/// How wide the bar of `--stat` may become.
const BAR_WIDTH: usize = 30;

/// The diff document, coloured at a terminal.
pub(super) fn document(comparison: &Comparison, output: Output) -> String {
    let (from, to) = (one_line(&comparison.from.name), one_line(&comparison.to.name));
    let mut head = output.strong(&format!("# Database diff: {to} ← {from}"));
    if let Some(warning) = comparison.warning() {
        head.push_str(&format!("\n{}", output.bad(&format!("# {warning}"))));
    }
    let mut blocks = vec![format!("{head}\n# {}", comparison.summary())];
    let majors = (comparison.from.facts.major, comparison.to.facts.major);
    if majors.0 != majors.1 {
        blocks[0].push_str(&format!("\n# Postgres {} ← Postgres {}", majors.1, majors.0));
    }
    let hazards = comparison.hazards();
    let costs = Costs::of(comparison);
    let measured = |object: &Object| costs.as_ref().and_then(|costs| costs.line(object));
    let measured = |object: &Object| measured(object).map(|cost| format!("# measured: {}", one_line(&cost)));
    for changed in &comparison.changes {
        let dangers = hazards.get(&changed.change.object).map_or(&[][..], Vec::as_slice);
        blocks.push(object(changed, dangers, measured(&changed.change.object), output));
    }
    let touched: Vec<_> = comparison
        .also_touched()
        .into_iter()
        .map(|object| {
            let remark = format!("# the plan touches {} on the way", title(object));
            let dangers = hazards.get(object).map_or(&[][..], Vec::as_slice);
            let cost = measured(object).into_iter().collect();
            [vec![remark], hazard_lines(dangers, output), cost].concat().join("\n")
        })
        .collect();
    let locks: Vec<_> = comparison
        .locks()
        .iter()
        .map(|(level, brief, names)| {
            format!("# {} lock {}: {}", mode(*level), how_long(*brief), names.join(", "))
        })
        .collect();
    let mut renames: Vec<_> =
        comparison.renamed.iter().map(|line| format!("# renamed: {}", one_line(line))).collect();
    for (question, line) in comparison.rename_questions() {
        renames.push(format!("# {question}\n#   {line}"));
    }
    let unplanned: Vec<_> =
        comparison.plan.unplanned.iter().map(|why| format!("# not planned: {}", one_line(why))).collect();
    let blind: Vec<_> =
        comparison.blind_spots().iter().map(|what| output.warn(&format!("? not modelled: {what}"))).collect();
    let left_out = left_out(&comparison.left_out).into_iter().collect();
    let measured = measure::summary(comparison, output).into_iter().collect();
    let ends = [renames, touched, locks, unplanned, left_out, blind, measured];
    blocks.extend(ends.iter().filter(|lines| !lines.is_empty()).map(|lines| lines.join("\n")));
    blocks.join("\n\n")
}

/// What was left out, as a remark.
pub(super) fn left_out(left_out: &[LeftOut]) -> Option<String> {
    histories::line(left_out, str::to_owned).map(|line| format!("# {line}"))
}

/// An object with its dangers, what it cost, and its lines.
pub(super) fn object(changed: &Changed, dangers: &[Danger], cost: Option<String>, output: Output) -> String {
    let kind = changed.change.kind;
    let head = format!("{} {}", sign(kind), title(&changed.change.object));
    let mut text = vec![match kind {
        ChangeKind::Added => output.good(&head),
        ChangeKind::Removed => output.bad(&head),
        ChangeKind::Changed => output.warn(&head),
    }];
    text.extend(hazard_lines(dangers, output));
    text.extend(cost);
    text.extend(body(changed, output));
    text.join("\n")
}

/// The lines of an object that came, went and stayed.
pub(super) fn body(changed: &Changed, output: Output) -> Vec<String> {
    let lines = compare(changed);
    if lines::count(&lines) == (0, 0) {
        return changed.beyond_sql.iter().map(|what| format!("      -- {what}")).collect();
    }
    lines::shorten(lines).into_iter().map(|line| paint(&line, output)).collect()
}

fn hazard_lines(dangers: &[Danger], output: Output) -> Vec<String> {
    dangers.iter().map(|danger| output.bad(&format!("! hazard: {}", danger.line()))).collect()
}

/// What came and went between two texts, with a little of what stayed.
pub(in crate::cli) fn between(from: &str, to: &str, output: Output) -> Vec<String> {
    lines::shorten(lines::compare(from, to)).iter().map(|line| paint(line, output)).collect()
}

/// The lines of an object's two texts.
pub(super) fn compare(changed: &Changed) -> Vec<Line> {
    lines::compare(changed.from.as_deref().unwrap_or_default(), changed.to.as_deref().unwrap_or_default())
}

fn paint(line: &Line, output: Output) -> String {
    match line {
        Line::Both(text) => format!("      {text}").trim_end().to_owned(),
        Line::New(text) => output.good(format!("    + {text}").trim_end()),
        Line::Old(text) => output.bad(format!("    - {text}").trim_end()),
        Line::Hidden(count) => output.faint(&format!("      -- {count} lines alike")),
    }
}

/// A line an object, with how many lines of its text came and went.
pub(super) fn stat(comparison: &Comparison, output: Output) -> String {
    let rows: Vec<_> = comparison
        .changes
        .iter()
        .map(|changed| {
            let head = format!("{} {}", sign(changed.change.kind), title(&changed.change.object));
            (head, lines::count(&compare(changed)))
        })
        .collect();
    let width = |text: &str| unicode_width::UnicodeWidthStr::width(text);
    let widest = rows.iter().map(|(head, _)| width(head)).max().unwrap_or(0);
    let most = rows.iter().map(|(_, (new, old))| new + old).max().unwrap_or(0);
    let digits = most.to_string().len();
    let mut text = String::new();
    if let Some(warning) = comparison.warning() {
        let _ = writeln!(text, "{}", output.bad(&format!("# {warning}")));
    }
    for (head, (new, old)) in rows {
        let bar = |count: usize| if most > BAR_WIDTH { (count * BAR_WIDTH).div_ceil(most) } else { count };
        let (plus, minus) = ("+".repeat(bar(new)), "-".repeat(bar(old)));
        let gap = " ".repeat(widest - width(&head));
        let line = format!(
            "{head}{gap} | {:>digits$} {}{}",
            new + old,
            paint_bar(&plus, output, true),
            paint_bar(&minus, output, false)
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for line in &comparison.renamed {
        let _ = writeln!(text, "R {}", one_line(line));
    }
    text + &comparison.summary()
}

fn paint_bar(bar: &str, output: Output, is_new: bool) -> String {
    match (bar.is_empty(), is_new) {
        (true, _) => String::new(),
        (false, true) => output.good(bar),
        (false, false) => output.bad(bar),
    }
}

/// The plan as a script. What it leaves as it is stands in comments.
pub(super) fn script(comparison: &Comparison) -> String {
    let plan = comparison.plan.sql();
    let warning = comparison.warning().filter(|_| comparison.is_different());
    let mut text = warning.map(|warning| format!("-- {warning}\n")).unwrap_or_default() + &plan;
    for why in &comparison.plan.unplanned {
        let _ = writeln!(text, "-- not planned: {}", one_line(why));
    }
    for (level, brief, names) in comparison.locks() {
        let names: Vec<_> = names.iter().map(|name| one_line(name)).collect();
        let _ = writeln!(text, "-- {} lock {}: {}", mode(level), how_long(brief), names.join(", "));
    }
    text
}

/// How long a lock is held, for people.
pub(super) fn how_long(brief: bool) -> &'static str {
    if brief { "for a moment" } else { "while rows are gone through" }
}
