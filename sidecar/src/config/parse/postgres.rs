//! `[postgres]`.

use super::{ConfigError, Entry, Source, kind, setting_text};
use crate::config::{Config, settings};
use toml::de::DeValue;

impl Source<'_> {
    pub(super) fn postgres(
        &self,
        (key, value): Entry<'_, '_>,
        config: &mut Config,
    ) -> Result<(), ConfigError> {
        match key.get_ref().as_ref() {
            "settings" => {
                for entry in self.table("postgres.settings", value)? {
                    self.setting("", entry, config)?;
                }
                config.postgres.sort();
                Ok(())
            }
            // A program's place must not come from a file that came with a repository.
            name @ ("version" | "bin_dir") => {
                let flag = if name == "version" { "--postgres" } else { "--bin-dir" };
                let hint = format!("Which Postgres runs is chosen once: `offshoot init {flag} …`.");
                Err(self.error(
                    key.span(),
                    format!("`postgres.{name}` cannot be set in this file"),
                    Some(hint),
                ))
            }
            other => Err(self.unknown(key.span(), "postgres", other)),
        }
    }

    /// One setting. `auto_explain.log_analyze = true` is a table to TOML and a name with a dot to Postgres.
    fn setting(
        &self,
        prefix: &str,
        (key, value): Entry<'_, '_>,
        config: &mut Config,
    ) -> Result<(), ConfigError> {
        let name = format!("{prefix}{}", key.get_ref().to_ascii_lowercase());
        if let (DeValue::Table(inner), "") = (value.get_ref(), prefix)
            && settings::is_prefix(&name)
        {
            let prefix = format!("{name}.");
            return inner.iter().try_for_each(|entry| self.setting(&prefix, entry, config));
        }
        let refused = |span, refusal: settings::Refusal| self.error(span, refusal.message, refusal.hint);
        settings::check_name(&name).map_err(|refusal| refused(key.span(), refusal))?;
        let text = setting_text(value.get_ref()).filter(|text| !text.contains('\0')).ok_or_else(|| {
            let text = format!("`{name}` is {}, not text, a number or true or false", kind(value.get_ref()));
            self.error(value.span(), text, None)
        })?;
        settings::check_value(&name, &text).map_err(|refusal| refused(value.span(), refusal))?;
        config.postgres.push((name, text));
        Ok(())
    }
}
