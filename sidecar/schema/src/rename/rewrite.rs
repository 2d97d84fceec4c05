//! What a rename does to the text of expressions and definitions, as Postgres would write them afterwards.
//!
//! Postgres keeps its expressions as trees and writes them with the names of the day. Here only the text is known, so names are
//! replaced where they can only mean what was renamed. Where that is wrong the text differs from the wanted one, and the plan makes
//! the object anew: more work than needed, the same result.

use std::collections::BTreeSet;

use crate::sql;
use crate::tokens::{Sort, Token, tokens};

/// What to replace in a text.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    /// A schema, before a dot.
    Schema { old: String, new: String },
    /// What lies in a schema, by its qualified name.
    Qualified { schema: String, old: String, new: String },
    /// The same where it stands for its columns: before a dot.
    Alias { old: String, new: String },
    /// A column by its qualified name, by its table's name or by a name that the text gives to the table.
    Dotted { schema: String, table: String, old: String, new: String },
    /// A column by its bare name; in a foreign key on one side of `REFERENCES` only.
    Bare { old: String, new: String, side: Side },
    /// A value of an enum, cast to it.
    Value { enum_type: String, old: String, new: String },
}

/// Which part of a constraint's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// All of it.
    Both,
    /// What stands before `REFERENCES`.
    Own,
    /// What stands behind it.
    Theirs,
}

/// The text after the rename.
pub(super) fn rewrite(text: &str, rule: &Rule) -> String {
    let all = tokens(text);
    let solid: Vec<usize> = (0..all.len()).filter(|at| !all[*at].is_space()).collect();
    let mut replaced: Vec<Option<String>> = vec![None; all.len()];
    let view = Solid { all: &all, solid: &solid };
    let aliases = match rule {
        Rule::Dotted { schema, table, .. } => view.aliases(schema, table),
        _ => BTreeSet::new(),
    };
    let references = (0..solid.len()).find(|at| view.text(*at) == "REFERENCES").unwrap_or(solid.len());
    for at in 0..solid.len() {
        replaced[solid[at]] = view.replacement(at, rule, &aliases, references);
    }
    all.iter()
        .zip(replaced)
        .map(|(token, new)| new.unwrap_or_else(|| token.text.to_owned()))
        .collect::<Vec<_>>()
        .concat()
}

/// Tokens without the white space between them.
struct Solid<'a> {
    all: &'a [Token<'a>],
    solid: &'a [usize],
}

impl Solid<'_> {
    fn token(&self, at: usize) -> Option<&Token<'_>> {
        self.solid.get(at).map(|place| &self.all[*place])
    }

    fn text(&self, at: usize) -> &str {
        self.token(at).map_or("", |token| token.text)
    }

    fn before(&self, at: usize, back: usize) -> &str {
        at.checked_sub(back).map_or("", |at| self.text(at))
    }

    fn is(&self, at: Option<usize>, name: &str) -> bool {
        at.and_then(|at| self.token(at)).and_then(Token::name).is_some_and(|own| own == name)
    }

    /// The names that the text gives to a table: `FROM public.t x`.
    fn aliases(&self, schema: &str, table: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::from([table.to_owned()]);
        for at in 0..self.solid.len() {
            let here = self.is(Some(at), schema) && self.text(at + 1) == "." && self.is(Some(at + 2), table);
            if !here || self.before(at, 1) == "." {
                continue;
            }
            let at = if self.text(at + 3) == "AS" { at + 4 } else { at + 3 };
            names.extend(self.token(at).and_then(Token::name));
        }
        names
    }

    fn replacement(
        &self,
        at: usize,
        rule: &Rule,
        aliases: &BTreeSet<String>,
        references: usize,
    ) -> Option<String> {
        let token = self.token(at)?;
        if token.sort == Sort::Text {
            return self.within_string(at, token, rule);
        }
        let own = token.name()?;
        let (back, next) = (self.before(at, 1), self.text(at + 1));
        let qualifier = (back == ".").then(|| at.checked_sub(2)).flatten();
        let new = match rule {
            Rule::Schema { old, new } | Rule::Alias { old, new } => {
                (own == *old && back != "." && next == ".").then_some(new)
            }
            Rule::Qualified { schema, old, new } => {
                (own == *old && self.is(qualifier, schema) && self.before(at, 3) != ".").then_some(new)
            }
            Rule::Dotted { table, old, new, .. } => {
                let dotted = qualifier.and_then(|at| self.token(at)).and_then(Token::name);
                let known = dotted.is_some_and(|name| aliases.contains(&name) || name == *table);
                (own == *old && known && next != "." && next != "(").then_some(new)
            }
            Rule::Bare { old, new, side } => {
                let right_side = match side {
                    Side::Both => true,
                    Side::Own => at < references,
                    Side::Theirs => at > references,
                };
                let alone = back != "." && back != "::" && next != ".";
                let call = next == "(" && self.text(at.wrapping_sub(1)) != "KEY";
                (own == *old && right_side && alone && !call).then_some(new)
            }
            Rule::Value { .. } => None,
        };
        new.map(|new| sql::quote(new))
    }

    /// A string that names an object, such as `'public.a'::regclass`, or is a value of an enum.
    fn within_string(&self, at: usize, token: &Token<'_>, rule: &Rule) -> Option<String> {
        let cast = self.text(at + 1) == "::";
        if let Rule::Value { enum_type, old, new } = rule {
            let mut name = String::new();
            for next in at + 2..at + 5 {
                name.push_str(self.text(next));
            }
            let is = cast && name == *enum_type && token.text == sql::literal(old);
            return is.then(|| sql::literal(new));
        }
        let plain = token.text.strip_prefix('\'')?.strip_suffix('\'')?;
        let names = cast && self.text(at + 2).starts_with("reg");
        names.then(|| format!("'{}'", rewrite(&plain.replace("''", "'"), rule).replace('\'', "''")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_mean_the_renamed_is_replaced() {
        let column =
            Rule::Dotted { schema: "public".into(), table: "t".into(), old: "a".into(), new: "b".into() };
        let text = "SELECT x.a, u.a FROM (public.t x JOIN public.u ON ((x.a = u.a))) WHERE a(x.a) <> 'x.a'";
        let new = "SELECT x.b, u.a FROM (public.t x JOIN public.u ON ((x.b = u.a))) WHERE a(x.b) <> 'x.a'";
        assert_eq!(rewrite(text, &column), new);
        let table = Rule::Qualified { schema: "public".into(), old: "a".into(), new: "B".into() };
        assert_eq!(
            rewrite("nextval('public.a'::regclass) || public.a || other.a", &table),
            "nextval('public.\"B\"'::regclass) || public.\"B\" || other.a"
        );
        let key = Rule::Bare { old: "a".into(), new: "b".into(), side: Side::Own };
        assert_eq!(
            rewrite("FOREIGN KEY (a) REFERENCES public.t(a)", &key),
            "FOREIGN KEY (b) REFERENCES public.t(a)"
        );
    }
}
