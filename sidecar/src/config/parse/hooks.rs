//! `[hooks]`.

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::{ConfigError, Source, closest, duration_text};
use crate::config::rules::At;
use crate::config::{Config, Hooks};

/// Longer than whoever makes a branch waits for it.
const LONGEST: Duration = Duration::from_mins(4);

impl Source<'_> {
    /// All of the table: its keys are about each other.
    pub(super) fn hooks(&self, value: &Spanned<DeValue<'_>>, config: &mut Config) -> Result<(), ConfigError> {
        let mut hooks = Hooks::default();
        let mut lonely = None;
        for (key, value) in self.table("hooks", value)? {
            let read = match key.get_ref().as_ref() {
                "after_create" => {
                    self.hook("hooks.after_create", value).map(|found| hooks.after_create = Some(found))
                }
                "before_delete" => {
                    self.hook("hooks.before_delete", value).map(|found| hooks.before_delete = Some(found))
                }
                "timeout" => self.timeout(value).map(|found| hooks.timeout = found),
                "on_failure" => self.on_failure(value).map(|undo| {
                    lonely = Some(value.span());
                    hooks.undo = undo;
                }),
                other => Err(self.unknown(key.span(), "hooks", other)),
            };
            if let Err(error) = read {
                self.tell(error);
            }
        }
        if let Some(span) = lonely
            && hooks.after_create.is_none()
        {
            let message = "`hooks.on_failure` says nothing without `hooks.after_create`".to_owned();
            let hint = "A failing `before_delete` stops the deletion in any case.".to_owned();
            self.tell(self.error(span, message, Some(hint)));
        }
        config.hooks = hooks;
        Ok(())
    }

    fn hook(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<At<String>, ConfigError> {
        const SHAPE: &str = "a command such as \"npm run db:seed\"";
        let text = self.text(name, value, SHAPE)?;
        if text.trim().is_empty() || text.contains('\0') {
            return Err(self.error(value.span(), format!("`{name}` is {text:?}, not {SHAPE}"), None));
        }
        Ok(self.at(value, text.to_owned()))
    }

    fn timeout(&self, value: &Spanned<DeValue<'_>>) -> Result<Duration, ConfigError> {
        let time = self.duration("hooks.timeout", value)?;
        if time.as_secs() == 0 || time > LONGEST {
            let longest = duration_text(LONGEST);
            let message = format!("`hooks.timeout` is not between \"1s\" and \"{longest}\"");
            let hint = "Whoever makes a branch waits for it. Longer work belongs into a program of its own."
                .to_owned();
            return Err(self.error(value.span(), message, Some(hint)));
        }
        Ok(time)
    }

    /// Whether what a failing hook leaves is undone.
    fn on_failure(&self, value: &Spanned<DeValue<'_>>) -> Result<bool, ConfigError> {
        const SHAPE: &str = "\"keep\" or \"undo\"";
        match self.text("hooks.on_failure", value, SHAPE)? {
            "keep" => Ok(false),
            "undo" => Ok(true),
            other => {
                let hint = closest(other, &["keep", "undo"]).map(|word| format!("Did you mean {word:?}?"));
                Err(self.error(value.span(), format!("`hooks.on_failure` is {other:?}, not {SHAPE}"), hint))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{parse, parse_all};

    #[track_caller]
    fn fault(lines: &str) -> String {
        let (_, errors) = parse_all(&format!("[hooks]\n{lines}"));
        assert_eq!(errors.len(), 1, "{errors:#?}");
        format!("{} | {}", errors[0], errors[0].hint.as_deref().unwrap_or_default())
    }

    #[test]
    fn hooks_are_read_with_their_lines() {
        let hooks =
            parse("[hooks]\nafter_create = 'a'\nbefore_delete = 'b'\ntimeout = '90s'\non_failure = 'undo'")
                .unwrap()
                .hooks;
        let (after, before) = (hooks.after_create.unwrap(), hooks.before_delete.unwrap());
        assert_eq!((after.value.as_str(), after.line, before.value.as_str(), before.line), ("a", 2, "b", 3));
        assert_eq!((hooks.timeout.as_secs(), hooks.undo), (90, true));
        let hooks = parse("").unwrap().hooks;
        assert_eq!((hooks.timeout.as_secs(), hooks.undo, hooks.after_create), (60, false, None));
    }

    #[test]
    fn mistakes_are_told_with_what_was_meant() {
        assert!(fault("after_creat = 'x'").ends_with("| Did you mean `hooks.after_create`?"));
        assert!(fault("before_delete = ' '").contains("not a command such as"));
        assert!(
            fault("after_create = 'x'\ntimeout = '1h'")
                .starts_with("line 3: `hooks.timeout` is not between \"1s\" and \"4m\"")
        );
        assert!(fault("after_create = 'x'\non_failure = 'ask'").contains("not \"keep\" or \"undo\""));
        assert!(
            fault("before_delete = 'x'\non_failure = 'undo'")
                .starts_with("line 3: `hooks.on_failure` says nothing without")
        );
    }
}
