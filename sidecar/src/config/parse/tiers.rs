//! `[[tiers]]`.

use std::sync::Arc;

use toml::Spanned;
use toml::de::DeValue;

use super::{ConfigError, Source, closest, kind};
use crate::config::Config;
use crate::config::rules::{At, Check, Tier};
use crate::names;

const TWO_BRACKETS: &str = "Tiers are a list: put `[[tiers]]`, with two brackets, before each.";

impl Source<'_> {
    /// All tiers. What cannot be read of one is told and left out.
    pub(super) fn tiers(&self, value: &Spanned<DeValue<'_>>, config: &mut Config) {
        let DeValue::Array(list) = value.get_ref() else {
            let message = format!("`tiers` is {}, not a list of tiers", kind(value.get_ref()));
            self.tell(self.error(value.span(), message, Some(TWO_BRACKETS.to_owned())));
            return;
        };
        let tiers = list.iter().filter_map(|tier| self.tier(tier)).collect();
        Arc::make_mut(&mut config.rules).tiers.list = tiers;
    }

    /// Tells what of the tiers contradicts the rest of the file, once all of that was read.
    pub(super) fn tiers_fit(&self, config: &mut Config) {
        if config.rules.tiers.list.is_empty() {
            return;
        }
        Arc::make_mut(&mut config.rules).tiers.command.clone_from(&config.migrations_check);
        for found in config.rules.tier_contradictions() {
            self.tell(self.error(found.span, found.message, Some(found.hint)));
        }
    }

    fn tier(&self, value: &Spanned<DeValue<'_>>) -> Option<Tier> {
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("`tiers` has {}, not a tier", kind(value.get_ref()));
            self.tell(self.error(value.span(), message, Some(TWO_BRACKETS.to_owned())));
            return None;
        };
        let (mut branch, mut checks, mut max_lock) = (None, None, None);
        let (mut max_rewrite, mut may_override) = (None, None);
        for (key, value) in table {
            let read = match key.get_ref().as_ref() {
                "branch" => self.tier_branch(value).map(|found| branch = Some(found)),
                "checks" => self.checks(value).map(|found| checks = Some(found)),
                "max_lock" => {
                    self.duration("tiers.max_lock", value).map(|found| max_lock = Some(self.at(value, found)))
                }
                "max_rewrite" => self
                    .size("tiers.max_rewrite", value)
                    .map(|found| max_rewrite = Some(self.at(value, found))),
                "override" => {
                    self.flag("tiers.override", value).map(|found| may_override = Some(self.at(value, found)))
                }
                other => Err(self.unknown(key.span(), "tiers", other)),
            };
            if let Err(error) = read {
                self.tell(error);
            }
        }
        if branch.is_none() && !table.contains_key("branch") {
            let hint = "Say which branch it is, such as branch = \"staging\".".to_owned();
            self.tell(self.error(value.span(), "this tier has no `branch`".to_owned(), Some(hint)));
        }
        branch.map(|branch| Tier { branch, checks, max_lock, max_rewrite, may_override })
    }

    fn tier_branch(&self, value: &Spanned<DeValue<'_>>) -> Result<At<String>, ConfigError> {
        let text = self.text("tiers.branch", value, "the name of a branch, such as \"staging\"")?;
        names::check(text).map_err(|failure| {
            let hint = "A tier is one branch, named in full; patterns are for `[[branches]]`.";
            self.error(value.span(), format!("`tiers.branch`: {}", failure.0.message), Some(hint.into()))
        })?;
        Ok(self.at(value, text.to_owned()))
    }

    /// The words that are known; the others are told.
    fn checks(&self, value: &Spanned<DeValue<'_>>) -> Result<At<Vec<Check>>, ConfigError> {
        const SHAPE: &str = "a list of checks, such as [\"reversible\", \"no-drift\"]";
        let DeValue::Array(list) = value.get_ref() else {
            let message = format!("`tiers.checks` is {}, not {SHAPE}", kind(value.get_ref()));
            return Err(self.error(value.span(), message, None));
        };
        let mut found = Vec::new();
        let words = list.iter().map(|item| self.check_word(item));
        for word in words {
            match word {
                Ok(check) if found.contains(&check) => {}
                Ok(check) => found.push(check),
                Err(error) => self.tell(error),
            }
        }
        Ok(self.at(value, found))
    }

    fn check_word(&self, value: &Spanned<DeValue<'_>>) -> Result<Check, ConfigError> {
        let word = self.text("tiers.checks", value, "a list of texts")?;
        if let Some((_, check)) = Check::WORDS.iter().find(|(known, _)| *known == word) {
            return Ok(*check);
        }
        let known = Check::WORDS.map(|(known, _)| known);
        let hint = match closest(word, &known) {
            Some(near) => format!("Did you mean {near:?}?"),
            None => format!("Known are {}.", known.join(", ")),
        };
        Err(self.error(value.span(), format!("`tiers.checks` has {word:?}, which is no check"), Some(hint)))
    }
}
