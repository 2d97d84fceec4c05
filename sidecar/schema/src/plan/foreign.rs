//! Changing servers and foreign data wrappers in place.

use super::alter::foreign_options;
use crate::fact::Fact;
use crate::kind::Kind;

/// The clauses that can be changed, each with the word that begins it.
const OF_SERVER: &[&str] = &[" VERSION "];
const OF_WRAPPER: &[&str] = &[" HANDLER ", " VALIDATOR "];

fn clauses(kind: Kind) -> &'static [&'static str] {
    if kind == Kind::Server { OF_SERVER } else { OF_WRAPPER }
}

/// The definition without `clause`, and what the clause says.
fn split<'a>(definition: &'a str, clause: &str) -> (String, Option<&'a str>) {
    let Some(at) = definition.find(clause) else { return (definition.to_owned(), None) };
    let rest = &definition[at + clause.len()..];
    let end = [" FOREIGN DATA WRAPPER ", " VALIDATOR "].iter().filter_map(|next| rest.find(next)).min();
    let end = end.unwrap_or(rest.len());
    (format!("{}{}", &definition[..at], &rest[end..]), Some(&rest[..end]))
}

/// Whether nothing else differs: the type of a server stays what it is.
pub(super) fn is_alterable(kind: Kind, old: &Fact, new: &Fact) -> bool {
    let rest = |fact: &Fact| {
        let mut text = fact.text("definition").unwrap_or_default().to_owned();
        for clause in clauses(kind) {
            text = split(&text, clause).0;
        }
        text
    };
    // A version can be given or changed, but not taken away.
    let version = |fact: &Fact| split(fact.text("definition").unwrap_or_default(), " VERSION ").1.is_some();
    rest(old) == rest(new) && (version(new) || !version(old))
}

/// The statements.
pub(super) fn statements(alter: &str, kind: Kind, old: &Fact, new: &Fact) -> Vec<String> {
    let mut words = Vec::new();
    for clause in clauses(kind) {
        let of =
            |fact: &Fact| split(fact.text("definition").unwrap_or_default(), clause).1.map(str::to_owned);
        let (was, now) = (of(old), of(new));
        if was != now {
            words.push(match now {
                Some(value) => format!("{}{value}", clause.trim_start()),
                None => format!("NO {}", clause.trim()),
            });
        }
    }
    let options = foreign_options(old, new);
    if !options.is_empty() {
        words.push(format!("OPTIONS ({options})"));
    }
    if words.is_empty() { Vec::new() } else { vec![format!("{alter} {}", words.join(" "))] }
}
