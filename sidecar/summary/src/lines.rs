//! The difference of two texts line by line, as the language `offshoot-diff` writes it.

use similar::{ChangeTag, TextDiff};

use crate::words::plain;

/// Equal lines that are shown around what differs.
const CONTEXT_LINES: usize = 3;
/// Fewer equal lines than this are not worth hiding.
const MIN_HIDDEN: usize = 3;

/// The lines of both texts with their signs. Equal lines that are far from any that differs become a remark.
pub(crate) fn compare(old: &str, new: &str) -> Vec<String> {
    let (old, new) = (plain(old), plain(new));
    let diff = TextDiff::from_lines(&old, &new);
    let lines: Vec<(ChangeTag, String)> = diff
        .iter_all_changes()
        .map(|change| {
            let sign = match change.tag() {
                ChangeTag::Equal => "      ",
                ChangeTag::Delete => "    - ",
                ChangeTag::Insert => "    + ",
            };
            (change.tag(), format!("{sign}{}", change.value().trim_end_matches('\n')).trim_end().to_owned())
        })
        .collect();
    shorten(lines)
}

fn shorten(lines: Vec<(ChangeTag, String)>) -> Vec<String> {
    let mut near = vec![false; lines.len()];
    for (at, (tag, _)) in lines.iter().enumerate() {
        if *tag != ChangeTag::Equal {
            let end = (at + CONTEXT_LINES + 1).min(lines.len());
            near[at.saturating_sub(CONTEXT_LINES)..end].fill(true);
        }
    }
    let mut short = Vec::with_capacity(lines.len());
    let mut run = Vec::new();
    for ((_, line), near) in lines.into_iter().zip(near) {
        if near {
            flush(&mut run, &mut short);
            short.push(line);
        } else {
            run.push(line);
        }
    }
    flush(&mut run, &mut short);
    short
}

fn flush(run: &mut Vec<String>, short: &mut Vec<String>) {
    if run.len() < MIN_HIDDEN {
        short.append(run);
    } else {
        short.push(format!("      -- {} lines alike", run.len()));
        run.clear();
    }
}
