//! `[storage]` and `[restore]`: room, and the past.

use offshoot_storage::DriverKind;

use super::{ConfigError, Entry, Source, duration};
use crate::config::Config;

impl Source<'_> {
    pub(super) fn storage(
        &self,
        (key, value): Entry<'_, '_>,
        config: &mut Config,
    ) -> Result<(), ConfigError> {
        match key.get_ref().as_ref() {
            "max_bytes" => config.max_bytes = Some(self.size("storage.max_bytes", value)?),
            "min_free_bytes" => config.min_free_bytes = Some(self.size("storage.min_free_bytes", value)?),
            "driver" => {
                let shape = "one of \"layers\" and \"clone\"";
                let text = self.text("storage.driver", value, shape)?;
                let driver = DriverKind::parse(text).ok_or_else(|| {
                    let message = format!("`storage.driver` is {text:?}, not {shape}");
                    self.error(value.span(), message, None)
                })?;
                config.storage_driver = Some(driver);
            }
            other => {
                return Err(self.unknown(key.span(), "storage", other));
            }
        }
        Ok(())
    }

    pub(super) fn restore(
        &self,
        (key, value): Entry<'_, '_>,
        config: &mut Config,
    ) -> Result<(), ConfigError> {
        match key.get_ref().as_ref() {
            "max_bytes" => config.restore_max_bytes = self.size("restore.max_bytes", value)?,
            "window" => {
                let shape = "a time such as \"7d\", or \"off\"";
                let text = self.text("restore.window", value, shape)?;
                config.restore_window = match (text, duration(text)) {
                    ("off", _) => None,
                    (_, Some(window)) if !window.is_zero() => Some(window),
                    _ => {
                        let message = format!("`restore.window` is {text:?}, not {shape}");
                        return Err(self.error(value.span(), message, None));
                    }
                };
            }
            other => return Err(self.unknown(key.span(), "restore", other)),
        }
        Ok(())
    }
}
