//! `extensions`, `roles` and `grants` of a rule.

use toml::Spanned;
use toml::de::DeValue;

use super::{ConfigError, Source, kind};
use crate::config::rules::{At, Grant, READER};

/// As many letters as Postgres keeps of a name.
const MOST_LETTERS: usize = 63;

impl Source<'_> {
    /// Names between brackets, each once.
    pub(super) fn own_names(
        &self,
        key: &str,
        example: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<At<Vec<String>>, ConfigError> {
        let shape = format!("a list of names, such as [{example:?}]");
        let mut names: Vec<String> = Vec::new();
        for (name, place) in self.texts(key, &shape, value)? {
            let is_name = !name.is_empty()
                && name.len() <= MOST_LETTERS
                && name.chars().all(|c| c.is_alphanumeric() || "_-$".contains(c));
            let is_taken = name.starts_with("pg_") || name == "public" || name == READER;
            if !is_name || (key != "branches.extensions" && is_taken) {
                let what =
                    if key == "branches.writers" { "does not log in to write" } else { "cannot be made" };
                let message = format!("`{key}` has {name:?}, which {what}");
                return Err(self.error(place.span(), message, None));
            }
            if names.iter().any(|other| other == name) {
                let message = format!("`{key}` has {name:?} twice");
                return Err(self.error(place.span(), message, Some("Remove one.".to_owned())));
            }
            names.push(name.to_owned());
        }
        Ok(self.at(value, names))
    }

    pub(super) fn grants(&self, value: &Spanned<DeValue<'_>>) -> Result<At<Vec<Grant>>, ConfigError> {
        let shape = "a list of grants, such as [\"select on tables to reader\"]";
        let read = |(text, place): (&str, &Spanned<DeValue<'_>>)| {
            Grant::parse(text)
                .map_err(|(what, hint)| self.error(place.span(), format!("`branches.grants` {what}"), hint))
        };
        let list = self.texts("branches.grants", shape, value)?;
        Ok(self.at(value, list.into_iter().map(read).collect::<Result<_, _>>()?))
    }

    fn texts<'v, 'i>(
        &self,
        key: &str,
        shape: &str,
        value: &'v Spanned<DeValue<'i>>,
    ) -> Result<Vec<(&'v str, &'v Spanned<DeValue<'i>>)>, ConfigError> {
        let DeValue::Array(list) = value.get_ref() else {
            let message = format!("`{key}` is {}, not {shape}", kind(value.get_ref()));
            return Err(self.error(value.span(), message, None));
        };
        list.iter().map(|each| Ok((self.text(key, each, shape)?, each))).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{parse, parse_all};

    #[track_caller]
    fn fault(line: &str) -> String {
        let (_, errors) = parse_all(&format!("[[branches]]\npattern = 'x'\n{line}"));
        assert_eq!(errors.len(), 1, "{errors:#?}");
        format!("{} | {}", errors[0], errors[0].hint.as_deref().unwrap_or_default())
    }

    #[test]
    fn what_a_new_branch_is_given_is_read_with_its_lines() {
        let text = "[[branches]]\npattern = 'x'\nextensions = ['pg_trgm', 'uuid-ossp']\nroles = ['reader']\n\
                    grants = ['SELECT, insert on tables in app to reader', 'execute on functions to reader', 'usage on schema in app to reader']";
        let rules = parse(text).unwrap().rules;
        let initial = &rules.find("x").unwrap().initial;
        let extensions = initial.extensions.as_ref().unwrap();
        assert_eq!((extensions.value.join(" "), extensions.line), ("pg_trgm uuid-ossp".to_owned(), 3));
        assert_eq!(initial.roles.as_ref().unwrap().value, ["reader"]);
        let grants: Vec<String> =
            initial.grants.as_ref().unwrap().value.iter().map(ToString::to_string).collect();
        assert_eq!(
            grants,
            [
                "select, insert on tables in app to reader",
                "execute on functions in public to reader",
                "usage on schema in app to reader"
            ]
        );
    }

    #[test]
    fn mistakes_are_told_with_what_was_meant() {
        assert!(fault("extension = ['a']").ends_with("| Did you mean `branches.extensions`?"));
        assert!(
            fault("extensions = 'pg_trgm'").contains("is text, not a list of names, such as [\"pg_trgm\"]")
        );
        assert!(fault("extensions = ['a b']").contains("has \"a b\", which cannot be made"));
        assert!(fault("roles = ['a', 'a']").contains("has \"a\" twice"));
        assert!(fault("roles = ['pg_monitor']").contains("cannot be made"));
        assert!(fault("writer = []").ends_with("| Did you mean `branches.writers`?"));
        assert!(fault("writers = 'deploy'").contains("is text, not a list of names, such as [\"deploy\"]"));
        assert!(fault("writers = ['offshoot_reader']").contains("which does not log in to write"));
        assert!(fault("grants = ['select to reader']").contains("not a grant such as"));
        assert!(fault("grants = ['select on tables to a; drop']").contains("not a grant such as"));
        assert!(fault("grants = ['selct on tables to reader']").ends_with("| Did you mean \"select\"?"));
        assert!(fault("grants = ['select on table to reader']").ends_with("| Did you mean \"tables\"?"));
        assert!(
            fault("grants = ['execute on tables to reader']")
                .contains("the privilege \"execute\", which tables have not")
        );
    }
}
