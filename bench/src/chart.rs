//! Charts as SVG: readable on a light page and on a dark one, with everything in the file.

mod axis;
mod bars;
mod lines;

use std::fmt::Write as _;

pub(crate) use bars::{Bar, bars};
pub(crate) use lines::{Line, LineChart};

/// A measured value and how far it scattered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spot {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spot {
    /// One that does not scatter.
    pub(crate) fn at(x: f64, y: f64) -> Self {
        Self { x, y, least: y, most: y }
    }
}

const WIDTH: f64 = 860.0;
/// Colours of series on light and on dark, in the order in which they are taken.
const COLOURS: [(&str, &str); 9] = [
    ("#0a58ca", "#6cb0ff"),
    ("#b35900", "#f0a35e"),
    ("#1a7f37", "#57c96b"),
    ("#8250df", "#c297ff"),
    ("#bf3989", "#f78cc9"),
    ("#0b7285", "#56cfdc"),
    ("#9a6700", "#d9b13b"),
    ("#cf222e", "#ff8b82"),
    ("#57606a", "#a3adb8"),
];

/// The whole file around `body`. `remark` stands in small letters at the end.
fn picture(title: &str, remark: &str, height: f64, body: &str) -> String {
    let (title, remark) = (escaped(title), escaped(remark));
    let mut light = String::new();
    let mut dark = String::new();
    for (index, (on_light, on_dark)) in COLOURS.iter().enumerate() {
        let _ = write!(light, ".s{index}{{--c:{on_light}}}");
        let _ = write!(dark, ".s{index}{{--c:{on_dark}}}");
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n<style>\n\
         text{{font:13px system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}}\
         .title{{font-size:16px;font-weight:600}}.small{{font-size:11px}}.soft{{fill:#59636e}}.page{{fill:#ffffff;stroke:#d1d9e0}}\
         .grid{{stroke:#d1d9e0}}.axis{{stroke:#59636e}}.ours{{font-weight:600}}\
         .line{{fill:none;stroke:var(--c);stroke-width:2}}.bold{{stroke-width:3.5}}.mark{{fill:var(--c);stroke:var(--c)}}\
         .spread{{stroke:var(--c);stroke-width:1.5}}.label{{fill:var(--c)}}.lead{{stroke:var(--c);stroke-width:1;opacity:.6}}\
         .reference{{stroke-dasharray:6 5;stroke-width:1.5}}.target{{stroke:#cf222e;stroke-width:1.5;stroke-dasharray:6 4}}\
         .told{{fill:#cf222e}}{light}\n\
         @media (prefers-color-scheme:dark){{text{{fill:#e6edf3}}.soft{{fill:#9198a1}}.page{{fill:#0d1117;stroke:#3d444d}}\
         .grid{{stroke:#30363d}}.axis{{stroke:#9198a1}}.target{{stroke:#ff8b82}}.told{{fill:#ff8b82}}{dark}}}\n</style>\n\
         <rect class=\"page\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n\
         <text class=\"title\" x=\"24\" y=\"32\">{title}</text>\n{body}\
         <text class=\"soft small\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{remark}</text>\n</svg>\n",
        WIDTH - 1.0,
        height - 1.0,
        WIDTH - 20.0,
        height - 12.0,
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('`', "")
}

/// A number for people: three digits that count, and thousands apart.
fn shown(value: f64) -> String {
    let text = match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    };
    let whole = text.split('.').next().unwrap_or_default().len();
    let mut out = String::new();
    for (index, digit) in text.chars().enumerate() {
        if index > 0 && index < whole && (whole - index) % 3 == 0 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    if out.contains('.') { out.trim_end_matches('0').trim_end_matches('.').to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        let all: Vec<String> = [0.25, 1.0, 9.999, 48.24, 150.0, 12345.6].into_iter().map(shown).collect();
        assert_eq!(all, ["0.25", "1", "10", "48.2", "150", "12\u{202f}346"]);
    }

    #[test]
    fn what_a_name_holds_is_no_markup() {
        assert_eq!(escaped("`a` < \"b\" & c"), "a &lt; &quot;b&quot; &amp; c");
    }
}
