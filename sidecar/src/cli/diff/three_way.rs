//! What a branch and its parent changed since the branch was made, and what of it collides.

use std::collections::BTreeMap;

use offshoot_schema::diff::Noise;
use offshoot_schema::{Change, ChangeKind, Facts, Object, changes, three_way};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::comparison::{Changed, explain_equal_texts, kind_word, name, one_line, sign, title};
use super::markdown::budget::listed;
use super::reading::{self, Read};
use super::side::Sides;
use super::{given, histories, json, markdown, parent, text};
use crate::cli::args::{Counted, DiffArgs};
use crate::cli::output::Output;
use crate::cli::{NEGATIVE, OK};
use crate::failure::{Failure, Result};
use crate::histories::LeftOut;

/// Bytes of each list in a comment; there are at most four.
const LIST_BYTES: usize = 15_000;

/// The three schemas and their differences.
struct Comparison {
    fork: Read,
    mine: Read,
    theirs: Read,
    conflicts: Vec<Collision>,
    groups: [(Group, Vec<Changed>); 3],
    left_out: Vec<LeftOut>,
}

/// An object that both sides touched, or one what the other needs.
struct Collision {
    object: Object,
    reasons: Vec<String>,
    /// What each side did to it since the fork point, if anything.
    mine: Option<Changed>,
    theirs: Option<Changed>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Mine,
    Theirs,
    Both,
}

/// Compares a branch with its parent and with what it was.
pub(super) fn run(args: &DiffArgs, output: Output) -> Result<u8> {
    let mut sides = Sides::new(output);
    let (fork, mine, theirs) = sides.three(args.from.as_deref())?;
    if args.count.iter().any(|what| !matches!(what, Counted::MigrationHistory | Counted::Given)) {
        return Err(Failure::user("with --three-way only migration-history and given can be counted")
            .hint("`offshoot diff --count …` compares two sides."));
    }
    let given = given::of(args, &mut sides, [&fork, &mine])?;
    let mut fork = reading::one(fork, output)?;
    let (mut theirs, mut mine) = reading::both(theirs, mine, output)?;
    given.leave_out(&mut fork, &mut mine, Some(&mut theirs));
    let left_out = histories::leave_out(args, &mut fork, &mut [&mut mine, &mut theirs]);
    let mut comparison = Comparison::new(fork, mine, theirs);
    comparison.left_out = left_out;
    if output.json {
        output.value(&comparison.value())?;
    } else if args.markdown {
        output.line(comparison.markdown());
    } else if args.stat {
        output.line(comparison.stat(output));
    } else {
        output.line(comparison.document(output));
    }
    Ok(if args.exit_code && comparison.is_different() { NEGATIVE } else { OK })
}

impl Comparison {
    fn new(fork: Read, mine: Read, theirs: Read) -> Self {
        let found = three_way(&fork.facts, &mine.facts, &theirs.facts);
        let mut reasons: BTreeMap<Object, Vec<String>> = BTreeMap::new();
        for conflict in found.conflicts {
            reasons.entry(conflict.object).or_default().push(conflict.reason);
        }
        let side = |facts: &Facts| -> BTreeMap<Object, Changed> {
            let all = if reasons.is_empty() { Vec::new() } else { changes(&fork.facts, facts) };
            let all: Vec<_> = all.into_iter().filter(|change| reasons.contains_key(&change.object)).collect();
            let with_texts = with_texts(&fork.facts, facts, all);
            with_texts.into_iter().map(|changed| (changed.change.object.clone(), changed)).collect()
        };
        let (mut ours, mut others) = (side(&mine.facts), side(&theirs.facts));
        let conflicts = reasons
            .into_iter()
            .map(|(object, reasons)| {
                let (mine, theirs) = (ours.remove(&object), others.remove(&object));
                Collision { object, reasons, mine, theirs }
            })
            .collect();
        let groups = [
            (Group::Mine, with_texts(&fork.facts, &mine.facts, found.mine)),
            (Group::Theirs, with_texts(&fork.facts, &theirs.facts, found.theirs)),
            (Group::Both, with_texts(&fork.facts, &mine.facts, found.both)),
        ];
        Self { fork, mine, theirs, conflicts, groups, left_out: Vec::new() }
    }

    fn is_different(&self) -> bool {
        !self.conflicts.is_empty() || self.groups.iter().any(|(_, changes)| !changes.is_empty())
    }

    /// The heading of a group, such as `From main`.
    fn heading(&self, group: Group) -> String {
        match group {
            Group::Mine => "Mine".to_owned(),
            Group::Theirs => format!("From {}", one_line(&self.theirs.name)),
            Group::Both => "Both, alike".to_owned(),
        }
    }

    /// Such as `1 conflict, 2 mine, 1 from main`.
    fn summary(&self) -> String {
        let mut parts = Vec::new();
        match self.conflicts.len() {
            0 => (),
            1 => parts.push("1 conflict".to_owned()),
            many => parts.push(format!("{many} conflicts")),
        }
        for (group, changes) in self.groups.iter().filter(|(_, changes)| !changes.is_empty()) {
            let count = changes.len();
            parts.push(match group {
                Group::Mine => format!("{count} mine"),
                Group::Theirs => format!("{count} from {}", one_line(&self.theirs.name)),
                Group::Both => format!("{count} on both, alike"),
            });
        }
        if parts.is_empty() { "no difference".to_owned() } else { parts.join(", ") }
    }

    fn document(&self, output: Output) -> String {
        let (mine, theirs) = (one_line(&self.mine.name), one_line(&self.theirs.name));
        let head = format!("# Database diff: {mine} and {theirs} since {}", one_line(&self.fork.name));
        let mut blocks = vec![format!("{}\n# {}", output.strong(&head), self.summary())];
        if !self.conflicts.is_empty() {
            blocks.push(output.strong("# Conflicts"));
        }
        for conflict in &self.conflicts {
            let kinds = [&conflict.mine, &conflict.theirs].map(|side| side.as_ref().map(|it| it.change.kind));
            let shown = kinds[0].or(kinds[1]).unwrap_or(ChangeKind::Changed);
            let mut lines = vec![output.bad(&format!("{} {}", sign(shown), title(&conflict.object)))];
            let reasons = conflict.reasons.iter();
            lines.extend(reasons.map(|why| output.bad(&format!("! conflict: {}", one_line(why)))));
            for (name, side) in [(&mine, &conflict.mine), (&theirs, &conflict.theirs)] {
                lines.push(output.faint(&format!("# {name}")));
                match side {
                    Some(changed) => lines.extend(text::body(changed, output)),
                    None => lines.push("      -- not changed".to_owned()),
                }
            }
            blocks.push(lines.join("\n"));
        }
        for (group, changes) in self.groups.iter().filter(|(_, changes)| !changes.is_empty()) {
            blocks.push(output.strong(&format!("# {}", self.heading(*group))));
            blocks.extend(changes.iter().map(|changed| text::object(changed, &[], None, output)));
        }
        blocks.extend(text::left_out(&self.left_out));
        blocks.join("\n\n")
    }

    /// A line an object: what is done to it, and whose it is.
    fn stat(&self, output: Output) -> String {
        let mut rows: Vec<(String, String)> = Vec::new();
        for conflict in &self.conflicts {
            rows.push((format!("! {}", title(&conflict.object)), "conflict".to_owned()));
        }
        for (group, changes) in &self.groups {
            let whose = match group {
                Group::Mine => "mine".to_owned(),
                Group::Theirs => format!("from {}", one_line(&self.theirs.name)),
                Group::Both => "both, alike".to_owned(),
            };
            rows.extend(changes.iter().map(|changed| {
                let change = &changed.change;
                (format!("{} {}", sign(change.kind), title(&change.object)), whose.clone())
            }));
        }
        let widest = rows.iter().map(|(head, _)| head.width()).max().unwrap_or(0);
        let lines = rows.into_iter().map(|(head, whose)| {
            let line = format!("{head}{} | {whose}\n", " ".repeat(widest - head.width()));
            if head.starts_with('!') { output.bad(line.trim_end()) + "\n" } else { line }
        });
        lines.collect::<String>() + &self.summary()
    }

    /// A comment for a pull request.
    fn markdown(&self) -> String {
        let [fork, mine, theirs] =
            [&self.fork, &self.mine, &self.theirs].map(|side| markdown::escape::code(&side.name));
        let verdict = match self.conflicts.len() {
            0 => "no conflict".to_owned(),
            1 => format!("1 conflict with {theirs}"),
            many => format!("{many} conflicts with {theirs}"),
        };
        let summary = markdown::escape::prose(&self.summary());
        let mut text = format!(
            "### Database diff: {mine} and {theirs} since {fork}\n\n**Verdict: {verdict}.** {summary}.\n"
        );
        if !self.conflicts.is_empty() {
            let items = self.conflicts.iter().map(|it| parent::conflict_item(&it.object, &it.reasons));
            text.push_str("\n#### Conflicts\n\n");
            text.push_str(&listed(&items.collect::<Vec<_>>(), LIST_BYTES));
        }
        for (group, changes) in self.groups.iter().filter(|(_, changes)| !changes.is_empty()) {
            let heading = match group {
                Group::Theirs => format!("From {theirs}"),
                other => self.heading(*other),
            };
            let items: Vec<_> = changes.iter().map(|changed| item(&changed.change)).collect();
            text.push_str(&format!("\n#### {heading} ({})\n\n{}", items.len(), listed(&items, LIST_BYTES)));
        }
        if let Some(line) = histories::line(&self.left_out, markdown::escape::code) {
            text.push_str(&format!("\n{line}\n"));
        }
        let digest = markdown::sha256(&self.value().to_string());
        let marker = format!("<!-- offshoot:three-way v{} sha256={digest} -->\n", json::VERSION);
        format!("{marker}{}", text.trim_end())
    }

    fn value(&self) -> Value {
        let texts = |object: &Object| {
            [&self.fork, &self.mine, &self.theirs].map(|side| side.facts.definition(object))
        };
        let kind = |changed: &Option<Changed>| changed.as_ref().map(|changed| changed.change.kind);
        let row = |group: &str, object: &Object, kinds: [Option<ChangeKind>; 2], reasons: &[String]| {
            let [fork, mine, theirs] = texts(object);
            json!({
                "group": group,
                "object": object,
                "title": title(object),
                "mineChange": kinds[0],
                "theirsChange": kinds[1],
                "reasons": reasons,
                "fork": fork,
                "mine": mine,
                "theirs": theirs,
            })
        };
        let conflicts = self.conflicts.iter().map(|conflict| {
            let kinds = [kind(&conflict.mine), kind(&conflict.theirs)];
            row("conflict", &conflict.object, kinds, &conflict.reasons)
        });
        let rest = self.groups.iter().flat_map(|(group, changes)| {
            changes.iter().map(move |changed| {
                let kind = Some(changed.change.kind);
                let (name, kinds) = match group {
                    Group::Mine => ("mine", [kind, None]),
                    Group::Theirs => ("theirs", [None, kind]),
                    Group::Both => ("both", [kind, kind]),
                };
                row(name, &changed.change.object, kinds, &[])
            })
        });
        let mut value = json!({
            "version": json::VERSION,
            "fork": json::side(&self.fork),
            "mine": json::side(&self.mine),
            "theirs": json::side(&self.theirs),
            "different": self.is_different(),
            "conflicting": !self.conflicts.is_empty(),
            "changes": conflicts.chain(rest).collect::<Vec<_>>(),
        });
        if !self.left_out.is_empty() {
            value["leftOut"] = histories::values(&self.left_out);
        }
        value
    }
}

/// A change as an item of a list.
fn item(change: &Change) -> String {
    let word = match change.kind {
        ChangeKind::Added => "added",
        ChangeKind::Removed => "removed",
        ChangeKind::Changed => "changed",
    };
    let object = &change.object;
    format!("- {word} {} {}", kind_word(object.kind), markdown::escape::code(&name(object)))
}

fn with_texts(fork: &Facts, side: &Facts, changes: Vec<Change>) -> Vec<Changed> {
    let mut all: Vec<Changed> = changes
        .into_iter()
        .map(|change| Changed {
            from: fork.definition(&change.object),
            to: side.definition(&change.object),
            change,
            beyond_sql: Vec::new(),
        })
        .collect();
    explain_equal_texts(fork, side, Noise::default(), &mut all);
    all
}
