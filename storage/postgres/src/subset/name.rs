//! Names of tables with wildcards, and which name was probably meant.

use super::SubsetError;
use crate::load::name_parts;

/// A name in which `*` is any part and `?` any letter.
#[derive(Debug)]
pub(super) struct Pattern {
    /// Absent for all schemas.
    schema: Option<String>,
    table: String,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, SubsetError> {
        let odd = || {
            SubsetError::new(
                format!("{text:?} is no name of a table"),
                "Name it as `schema.table`, as it is spelt in the database; `*` is any part of a name. A part with a dot \
                 stands in double quotes.",
            )
        };
        let mut parts = name_parts(text).ok_or_else(odd)?;
        let table = parts.pop().ok_or_else(odd)?;
        let schema = parts.pop();
        if parts.is_empty() { Ok(Self { schema, table }) } else { Err(odd()) }
    }

    pub(super) fn matches(&self, schema: &str, table: &str) -> bool {
        self.schema.as_ref().is_none_or(|pattern| fits(pattern, schema)) && fits(&self.table, table)
    }
}

/// Whether a name is of a form.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // Where the last star was, and how much of the name it takes by now.
    let (mut at, mut done, mut star) = (0, 0, None);
    while done < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, done));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[done] => {
                at += 1;
                done += 1;
            }
            _ => match star {
                Some((behind, taken)) => {
                    star = Some((behind, taken + 1));
                    (at, done) = (behind + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

/// The name of `known` that `typed` was probably meant to be.
pub(super) fn nearest<'k>(typed: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    // A name without its schema is compared with such names.
    let bare =
        |name: &'k str| if typed.contains('.') { name } else { name.rsplit('.').next().unwrap_or(name) };
    let typed = typed.to_lowercase();
    known
        .map(|name| (distance(&typed, &bare(name).to_lowercase()), name))
        .filter(|(distance, _)| *distance <= 1 + typed.chars().count() / 4)
        .min()
        .map(|(_, name)| name)
}

/// How many letters have to be inserted, removed or replaced (Levenshtein), in one row of memory.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for j in 0..b.len() {
            let replaced = diagonal + usize::from(letter != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_what_they_say() {
        let takes = |pattern: &str, schema: &str, table: &str| {
            Pattern::parse(pattern).unwrap().matches(schema, table)
        };
        assert!(takes("orders", "any", "orders") && takes("public.*", "public", "x"));
        assert!(takes("public.order_*s", "public", "order_items") && takes("*.a?c*", "s", "abcd"));
        assert!(!takes("orders", "public", "orders_old") && !takes("public.*", "other", "x"));
        assert!(!takes("a*b", "s", "acbd") && takes("a*b*", "s", "acbd"));
        assert!(takes("\"a.b\".c", "a.b", "c"));
        assert!(Pattern::parse("a.b.c").is_err() && Pattern::parse("").is_err());
    }

    #[test]
    fn a_misspelt_name_finds_the_one_that_was_meant() {
        let known = || ["public.orders", "public.users", "shop.items"].into_iter();
        assert_eq!(nearest("public.ordres", known()), Some("public.orders"));
        assert_eq!(nearest("Users", known()), Some("public.users"));
        assert_eq!(nearest("public.payments", known()), None);
    }
}
