//! Bars beside each other, one a row.

use std::fmt::Write as _;

use super::axis::Axis;
use super::{Spot, WIDTH, escaped, picture, shown};

/// One bar; its length is the spot's second value.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) spot: Spot,
}

const LEFT: f64 = 330.0;
const RIGHT: f64 = WIDTH - 90.0;
const TOP: f64 = 62.0;
const ROW: f64 = 44.0;

/// Draws `bars` along an axis named `x` that begins at zero, with a line at `target`.
pub(crate) fn bars(title: &str, remark: &str, x: &str, bars: &[Bar], target: Option<f64>) -> String {
    let bottom = TOP + ROW * bars.len() as f64;
    let axis = Axis::from_zero(bars.iter().map(|bar| bar.spot.most).chain(target), LEFT, RIGHT);
    let mut body = String::new();
    for (at, label) in axis.ticks() {
        let _ = writeln!(
            body,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text class=\"soft\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            bottom + 18.0
        );
    }
    for (index, bar) in bars.iter().enumerate() {
        let middle = TOP + ROW * (index as f64 + 0.5);
        let Spot { y, least, most, .. } = bar.spot;
        let _ = writeln!(
            body,
            "<g class=\"s0\"><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect class=\"mark\" fill-opacity=\".45\" x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"22\"/>\
             <line class=\"spread\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{} ms</text></g>",
            LEFT - 12.0,
            middle + 4.5,
            escaped(&bar.name),
            middle - 11.0,
            axis.place(y) - LEFT,
            axis.place(least),
            axis.place(most),
            axis.place(most.max(y)) + 8.0,
            middle + 4.5,
            shown(y),
        );
    }
    if let Some(target) = target {
        let at = axis.place(target);
        let _ = writeln!(
            body,
            "<line class=\"target\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{}\" y2=\"{bottom}\"/>\
             <text class=\"told\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">target {} ms</text>",
            TOP - 4.0,
            TOP - 9.0,
            shown(target)
        );
    }
    let _ = writeln!(
        body,
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{LEFT}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
         <text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}; bars are medians, thin lines from the least to the most</text>",
        f64::midpoint(LEFT, RIGHT),
        bottom + 40.0,
        escaped(x)
    );
    picture(title, remark, bottom + 74.0, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bar_has_its_name_and_its_value() {
        let spot = Spot { x: 0.0, y: 43.5, least: 36.9, most: 64.6 };
        let drawn = bars(
            "t",
            "on a busy machine",
            "time, ms",
            &[Bar { name: "10 bare checkpoints".to_owned(), spot }],
            Some(50.0),
        );
        for text in [
            "10 bare checkpoints",
            ">43.5 ms<",
            "target 50",
            "time, ms",
            "on a busy machine",
            "prefers-color-scheme:dark",
        ] {
            assert!(drawn.contains(text), "{drawn}");
        }
    }
}
