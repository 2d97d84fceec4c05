//! The list of branches, for people.

use std::borrow::Cow;
use std::fmt::Write as _;

use offshoot_protocol::table::BranchLine;
use unicode_width::UnicodeWidthStr;

use super::super::output::{Output, bytes};
use super::super::plain::plain;
use super::super::status;
use super::until;
use crate::engine::room::quota;

/// What comes before the parent's name.
const FROM: &str = "from ";

/// One line a branch with its parent's name, children indented below their parent, a star before the one of this worktree. `now`
/// in seconds since 1970.
pub(super) fn show(lines: &[BranchLine], now: u64, output: Output) -> String {
    let mut shown: Vec<Shown<'_>> = Vec::with_capacity(lines.len());
    for line in lines {
        let next = Shown::new(line, &shown);
        shown.push(next);
    }
    let name_column = shown.iter().map(|one| one.indent + one.width).max().unwrap_or(0);
    let origin_column = shown.iter().map(|one| one.origin_width(&shown)).max().unwrap_or(0);
    let mut text = String::with_capacity(lines.len() * (name_column + origin_column + 48));
    for (index, one) in shown.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        one.write(&mut text, &shown, (name_column, origin_column), now, output);
    }
    text
}

/// A branch with what its line needs of others.
struct Shown<'l> {
    line: &'l BranchLine,
    name: Cow<'l, str>,
    /// Columns of the name.
    width: usize,
    /// Columns before it.
    indent: usize,
    /// Place of the parent, among those that are shown before.
    parent: Option<usize>,
}

impl<'l> Shown<'l> {
    fn new(line: &'l BranchLine, before: &[Self]) -> Self {
        let name = plain(&line.name);
        // The width of other letters takes long to find out.
        let width = if name.is_ascii() { name.len() } else { name.width() };
        let parent = line.parent.map(|place| place as usize).filter(|place| *place < before.len());
        let indent = parent.map_or(0, |place| before[place].indent + 2);
        Self { line, name, width, indent, parent }
    }

    fn origin_width(&self, all: &[Self]) -> usize {
        self.parent.map_or(0, |place| FROM.len() + all[place].width)
    }

    fn write(
        &self,
        text: &mut String,
        all: &[Self],
        (name_column, origin_column): (usize, usize),
        now: u64,
        output: Output,
    ) {
        let line = self.line;
        text.push_str(if line.here { "* " } else { "  " });
        pad(text, self.indent);
        if line.here {
            text.push_str(&output.good(&self.name));
        } else {
            text.push_str(&self.name);
        }
        pad(text, name_column - self.indent - self.width + 2);
        text.push_str(&status::state(line.state, output));
        pad(text, 9_usize.saturating_sub(line.state.as_str().len()));
        let size = bytes(line.own_bytes);
        pad(text, 7_usize.saturating_sub(size.len()));
        text.push_str(&size);
        pad(text, 2);
        if let Some(place) = self.parent {
            text.push_str(FROM);
            text.push_str(&all[place].name);
        }
        pad(text, origin_column - self.origin_width(all));
        if line.connections > 0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "  {} connected", line.connections);
        }
        if line.protected {
            text.push_str(&output.faint("  (protected)"));
        }
        if let Some((figures, is_over)) = quota(line.own_bytes, line.max_bytes) {
            let told = format!("  ({figures})");
            text.push_str(&if is_over { output.bad(&told) } else { output.warn(&told) });
        }
        if line.stale {
            text.push_str(&output.warn("  (data from before the last refresh)"));
        }
        if let Some(follows) = &line.follows {
            let told = format!("  (follows {}: {})", plain(&follows.source), follows.state.as_str());
            text.push_str(&if follows.state.is_well() { output.faint(&told) } else { output.bad(&told) });
        }
        if let Some(at) = line.expires_at {
            let told = match until(at, now) {
                _ if at <= now => "expired, stays while it is used".to_owned(),
                when => format!("expires {when}"),
            };
            text.push_str(&output.faint(&format!("  ({told})")));
        }
        if !line.in_git {
            text.push_str(&output.faint("  (not in git)"));
        }
        if let Some(failure) = &line.failure {
            text.push_str("  ");
            text.push_str(failure.lines().next().unwrap_or_default());
        }
        text.truncate(text.trim_end_matches(' ').len());
    }
}

fn pad(text: &mut String, mut columns: usize) {
    const SPACES: &str = "                                ";
    while columns > SPACES.len() {
        text.push_str(SPACES);
        columns -= SPACES.len();
    }
    text.push_str(&SPACES[..columns]);
}

#[cfg(test)]
mod tests {
    use offshoot_protocol::types::ComputeState;

    use super::*;

    fn line(name: &str, parent: Option<u32>) -> BranchLine {
        BranchLine { name: name.into(), parent, own_bytes: 4096, in_git: true, ..BranchLine::default() }
    }

    #[test]
    fn the_list_is_a_tree() {
        let mut lines =
            vec![line("main", None), line("größe", Some(0)), line("x", Some(1)), line("日本", Some(0))];
        lines[1].here = true;
        lines[1].state = ComputeState::Awake;
        lines[1].connections = 2;
        lines[3].in_git = false;
        lines[3].protected = true;
        lines[3].expires_at = Some(4600);
        lines[1].expires_at = Some(1000);
        insta::assert_snapshot!(show(&lines, 1000, Output::new(false)), @r"
          main     asleep    4.1 KB
        *   größe  awake     4.1 KB  from main   2 connected  (expired, stays while it is used)
              x    asleep    4.1 KB  from größe
            日本   asleep    4.1 KB  from main   (protected)  (expires in 1 h)  (not in git)
        ");
    }

    #[test]
    fn a_name_of_a_parent_that_could_deceive_is_escaped() {
        let mut lines = vec![line("a\u{202e}b", None), line("c", Some(0))];
        lines[1].state = ComputeState::Failed;
        lines[1].failure = Some("no room\nsecond line".into());
        insta::assert_snapshot!(show(&lines, 0, Output::new(false)), @r"
          a\u{202e}b  asleep    4.1 KB
            c         failed    4.1 KB  from a\u{202e}b  no room
        ");
    }

    #[test]
    fn a_place_that_is_not_there_is_no_parent() {
        insta::assert_snapshot!(show(&[line("a", Some(7))], 0, Output::new(false)), @"  a  asleep    4.1 KB");
    }
}
