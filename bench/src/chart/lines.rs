//! Lines over two axes in powers of ten. Each is named beside its end: no colour has to be looked up.

use std::fmt::Write as _;

use super::axis::Axis;
use super::{COLOURS, Spot, WIDTH, escaped, picture, shown};

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// From the least first value to the most.
    pub(crate) spots: Vec<Spot>,
    /// There to be compared with, not measured.
    pub(crate) reference: bool,
}

/// A chart.
#[derive(Clone, Debug)]
pub(crate) struct LineChart<'a> {
    pub(crate) title: &'a str,
    /// What is to be known of all of it.
    pub(crate) remark: &'a str,
    /// What the axes count, with their units.
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    pub(crate) lines: Vec<Line>,
}

const LEFT: f64 = 74.0;
const RIGHT: f64 = WIDTH - 330.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 430.0;
const HEIGHT: f64 = 484.0;
/// Between the names of two lines.
const NAME_GAP: f64 = 19.0;
/// Whose line is drawn bold.
const OURS: &str = "Offshoot";

impl LineChart<'_> {
    /// The picture.
    pub(crate) fn draw(&self) -> String {
        let spots = || self.lines.iter().flat_map(|line| &line.spots);
        let x = Axis::powers(spots().map(|spot| spot.x), LEFT, RIGHT);
        let y = Axis::powers(spots().flat_map(|spot| [spot.y, spot.least, spot.most]), BOTTOM, TOP);
        let mut body = self.frame(&x, &y);
        let mut ends: Vec<(usize, f64)> = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            body.push_str(&draw_line(line, index, &x, &y));
            ends.extend(line.spots.last().map(|spot| (index, y.place(spot.y))));
        }
        let places = apart(&ends.iter().map(|(_, at)| *at).collect::<Vec<_>>());
        for ((index, from), to) in ends.into_iter().zip(places) {
            let line = &self.lines[index];
            let Some(last) = line.spots.last() else { continue };
            let begin = x.place(last.x) + 7.0;
            let ours = if line.name.starts_with(OURS) { " ours" } else { "" };
            let value = if line.reference { String::new() } else { format!(": {}", shown(last.y)) };
            let _ = writeln!(
                body,
                "<g class=\"s{}\"><polyline class=\"lead\" fill=\"none\" points=\"{begin:.1},{from:.1} {RIGHT},{from:.1} {},{to:.1}\"/>\
                 <text class=\"label{ours}\" x=\"{}\" y=\"{:.1}\">{}{value}</text></g>",
                index % COLOURS.len(),
                RIGHT + 16.0,
                RIGHT + 20.0,
                to + 4.5,
                escaped(&line.name),
            );
        }
        picture(self.title, self.remark, HEIGHT, &body)
    }

    fn frame(&self, x: &Axis, y: &Axis) -> String {
        let mut body = String::new();
        for (at, label) in x.ticks() {
            let _ = writeln!(
                body,
                "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>\
                 <text class=\"soft\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                BOTTOM + 18.0
            );
        }
        for (at, label) in y.ticks() {
            let _ = writeln!(
                body,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 8.0,
                at + 4.5
            );
        }
        let middle = f64::midpoint(TOP, BOTTOM);
        let _ = writeln!(
            body,
            "<polyline class=\"axis\" fill=\"none\" points=\"{LEFT},{TOP} {LEFT},{BOTTOM} {RIGHT},{BOTTOM}\"/>\
             <text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
             <text class=\"soft\" x=\"20\" y=\"{middle}\" text-anchor=\"middle\" transform=\"rotate(-90 20 {middle})\">{}</text>",
            f64::midpoint(LEFT, RIGHT),
            BOTTOM + 40.0,
            escaped(self.x),
            escaped(self.y)
        );
        body
    }
}

fn draw_line(line: &Line, index: usize, x: &Axis, y: &Axis) -> String {
    let places: Vec<String> =
        line.spots.iter().map(|spot| format!("{:.1},{:.1}", x.place(spot.x), y.place(spot.y))).collect();
    let style = match (line.reference, line.name.starts_with(OURS)) {
        (true, _) => " reference",
        (false, true) => " bold",
        (false, false) => "",
    };
    let mut text = format!(
        "<g class=\"s{}\"><polyline class=\"line{style}\" points=\"{}\"/>",
        index % COLOURS.len(),
        places.join(" ")
    );
    for spot in line.spots.iter().filter(|_| !line.reference) {
        let (at, middle) = (x.place(spot.x), y.place(spot.y));
        let _ = write!(
            text,
            "<line class=\"spread\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>{}",
            y.place(spot.least),
            y.place(spot.most),
            mark(index, at, middle)
        );
    }
    text.push_str("</g>\n");
    text
}

/// A shape of its own for each line: colours alone do not tell them apart for everybody.
fn mark(index: usize, x: f64, y: f64) -> String {
    let shape = |points: &[(f64, f64)]| {
        let all: Vec<String> = points.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
        format!("<polygon class=\"mark\" points=\"{}\"/>", all.join(" "))
    };
    match index % 4 {
        0 => format!("<circle class=\"mark\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>"),
        1 => shape(&[(-4.0, -4.0), (4.0, -4.0), (4.0, 4.0), (-4.0, 4.0)]),
        2 => shape(&[(0.0, -5.5), (5.0, 4.0), (-5.0, 4.0)]),
        _ => shape(&[(0.0, -5.5), (5.5, 0.0), (0.0, 5.5), (-5.5, 0.0)]),
    }
}

/// Places for names at `wanted`, moved as little as it takes to keep them apart and in the frame.
fn apart(wanted: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut places = vec![0.0; wanted.len()];
    let mut next = TOP;
    for index in &order {
        places[*index] = wanted[*index].max(next);
        next = places[*index] + NAME_GAP;
    }
    let mut last = BOTTOM;
    for index in order.iter().rev() {
        places[*index] = f64::min(places[*index], last);
        last = places[*index] - NAME_GAP;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_apart_and_in_order() {
        let places = apart(&[429.0, 100.0, 101.0, 428.0]);
        assert!(places[2] - places[1] >= NAME_GAP && places[0] - places[3] >= NAME_GAP);
        assert!(places.iter().all(|place| (TOP..=BOTTOM).contains(place)), "{places:?}");
    }

    #[test]
    fn each_line_is_named_with_its_last_value() {
        let line = |name: &str, reference| Line {
            name: name.to_owned(),
            spots: vec![Spot::at(150.0, 10.0), Spot::at(1500.0, 12.5)],
            reference,
        };
        let lines = vec![line("Offshoot, ext4", false), line("the pages", true)];
        let drawn = LineChart { title: "t", remark: "", x: "size, MB", y: "time, ms", lines }.draw();
        for text in
            ["Offshoot, ext4: 12.5<", ">the pages<", "size, MB", "time, ms", "line bold", "line reference"]
        {
            assert!(drawn.contains(text), "{drawn}");
        }
    }
}
