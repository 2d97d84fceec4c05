//! `[[branches]]` and `[limits]`: rules about branches.

use std::sync::Arc;
use std::time::Duration;

use offshoot_postgres::mask::Transformer;
use toml::Spanned;
use toml::de::DeValue;

use super::{ConfigError, Entry, Source, kind};
use crate::config::Config;
use crate::config::rules::{At, Initial, Masking, Pattern, Rule, contradictions};
use crate::names;

const TWO_BRACKETS: &str = "Rules are a list: put `[[branches]]`, with two brackets, before each.";

impl Source<'_> {
    /// All rules. Those with a mistake are told and left out.
    pub(super) fn branches(&self, value: &Spanned<DeValue<'_>>, config: &mut Config) {
        let DeValue::Array(list) = value.get_ref() else {
            let message = format!("`branches` is {}, not a list of rules", kind(value.get_ref()));
            self.tell(self.error(value.span(), message, Some(TWO_BRACKETS.to_owned())));
            return;
        };
        let rules: Vec<Rule> = list.iter().filter_map(|rule| self.rule(rule)).collect();
        for found in contradictions(&rules) {
            self.tell(self.error(found.span, found.message, Some(found.hint)));
        }
        Arc::make_mut(&mut config.rules).set(rules);
    }

    /// Tells what of the rules contradicts the rest of the file, once all of that was read.
    pub(super) fn branches_fit(&self, config: &mut Config) {
        if config.rules.find_any().is_none() {
            return;
        }
        let masked = config.masking.iter().filter(|rule| rule.with != Transformer::Keep);
        let masked = masked.map(|rule| rule.column.to_string()).collect();
        Arc::make_mut(&mut config.rules).masked = masked;
        if let Some(found) = config.rules.nothing_to_mask() {
            self.tell(self.error(found.span, found.message, Some(found.hint)));
        }
    }

    fn rule(&self, value: &Spanned<DeValue<'_>>) -> Option<Rule> {
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("`branches` has {}, not a rule", kind(value.get_ref()));
            self.tell(self.error(value.span(), message, Some(TWO_BRACKETS.to_owned())));
            return None;
        };
        let (mut pattern, mut parent, mut ttl, mut protected) = (None, None, None, None);
        let (mut on_checkout, mut max_bytes, mut initial) = (None, None, Initial::default());
        let (mut writers, mut masking, mut may_override) = (None, None, None);
        let mut is_whole = true;
        for (key, value) in table {
            let read = match key.get_ref().as_ref() {
                "pattern" => self.pattern(value).map(|found| pattern = Some(found)),
                "parent" => self.parent(value).map(|found| parent = Some(found)),
                "ttl" => self.ttl(value).map(|found| ttl = Some(found)),
                "protected" => self
                    .flag("branches.protected", value)
                    .map(|found| protected = Some(self.at(value, found))),
                "writers" => {
                    self.own_names("branches.writers", "deploy", value).map(|found| writers = Some(found))
                }
                "override" => self
                    .flag("branches.override", value)
                    .map(|found| may_override = Some(self.at(value, found))),
                "masking" => self
                    .word("branches.masking", value, [("required", Masking::Required), ("any", Masking::Any)])
                    .map(|found| masking = Some(self.at(value, found))),
                "on_checkout" => self
                    .on_checkout("branches.on_checkout", value)
                    .map(|found| on_checkout = Some(self.at(value, found))),
                "max_bytes" => self
                    .size("branches.max_bytes", value)
                    .map(|found| max_bytes = Some(self.at(value, found))),
                "extensions" => self
                    .own_names("branches.extensions", "pg_trgm", value)
                    .map(|found| initial.extensions = Some(found)),
                "roles" => {
                    self.own_names("branches.roles", "reader", value).map(|found| initial.roles = Some(found))
                }
                "grants" => self.grants(value).map(|found| initial.grants = Some(found)),
                other => Err(self.unknown(key.span(), "branches", other)),
            };
            if let Err(error) = read {
                is_whole = false;
                self.tell(error);
            }
        }
        if pattern.is_none() && !table.contains_key("pattern") {
            let hint = "Say which branches it is about, such as pattern = \"feature/**\".".to_owned();
            self.tell(self.error(value.span(), "this rule has no `pattern`".to_owned(), Some(hint)));
        }
        // A guard holds even where something else in the rule cannot be read.
        let is_kept =
            is_whole || writers.is_some() || protected.as_ref().is_some_and(|guard: &At<bool>| guard.value);
        pattern.filter(|_| is_kept).map(|pattern| Rule {
            pattern,
            parent,
            ttl,
            protected,
            masking,
            writers,
            may_override,
            on_checkout,
            max_bytes,
            initial,
        })
    }

    pub(super) fn at<T>(&self, value: &Spanned<DeValue<'_>>, found: T) -> At<T> {
        At { value: found, line: self.line(value.span()), span: value.span() }
    }

    fn pattern(&self, value: &Spanned<DeValue<'_>>) -> Result<At<Pattern>, ConfigError> {
        let shape = "a pattern of branch names, such as \"feature/**\"";
        let text = self.text("branches.pattern", value, shape)?;
        let pattern = Pattern::parse(text).map_err(|why| {
            let hint = "`*` stands for any part of a name between slashes, `**` for any number of parts, `{a,b}` for a or b.";
            self.error(value.span(), format!("the pattern `{text}` {why}"), Some(hint.to_owned()))
        })?;
        Ok(self.at(value, pattern))
    }

    fn parent(&self, value: &Spanned<DeValue<'_>>) -> Result<At<String>, ConfigError> {
        let text = self.text("branches.parent", value, "the name of a branch, such as \"main\"")?;
        names::check(text).map_err(|failure| {
            let hint = "The parent is one branch, named in full; patterns are for `pattern`.";
            self.error(value.span(), format!("`branches.parent`: {}", failure.0.message), Some(hint.into()))
        })?;
        Ok(self.at(value, text.to_owned()))
    }

    fn ttl(&self, value: &Spanned<DeValue<'_>>) -> Result<At<Duration>, ConfigError> {
        let ttl = self.duration("branches.ttl", value)?;
        if ttl.as_secs() == 0 {
            let hint = "Without the line, branches stay.".to_owned();
            let message = "`branches.ttl` is less than a second".to_owned();
            return Err(self.error(value.span(), message, Some(hint)));
        }
        Ok(self.at(value, ttl))
    }

    pub(super) fn limits(&self, (key, value): Entry<'_, '_>, config: &mut Config) -> Result<(), ConfigError> {
        match key.get_ref().as_ref() {
            "branches" => {
                let number = match value.get_ref() {
                    DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
                    _ => None,
                };
                let most = number.filter(|most| *most > 0).ok_or_else(|| {
                    let message = "`limits.branches` is not a number of at least 1".to_owned();
                    let hint = "It counts all database branches, the root among them.".to_owned();
                    self.error(value.span(), message, Some(hint))
                })?;
                Arc::make_mut(&mut config.rules).most_branches = Some(self.at(value, most));
            }
            other => return Err(self.unknown(key.span(), "limits", other)),
        }
        Ok(())
    }
}
