//! `[migrations]`.

use offshoot_protocol::migrations::MigrationsOnCheckout;

use super::{ConfigError, Entry, Source, closest};
use crate::config::Config;

impl Source<'_> {
    pub(super) fn migrations(
        &self,
        (key, value): Entry<'_, '_>,
        config: &mut Config,
    ) -> Result<(), ConfigError> {
        match key.get_ref().as_ref() {
            "on_checkout" => {
                let shape = "one of \"ask\", \"apply\" and \"nothing\"";
                config.migrations_on_checkout = match self.text("migrations.on_checkout", value, shape)? {
                    "ask" => MigrationsOnCheckout::Ask,
                    "apply" => MigrationsOnCheckout::Apply,
                    "nothing" => MigrationsOnCheckout::Nothing,
                    other => {
                        let message = format!("`migrations.on_checkout` is {other:?}, not {shape}");
                        let near = closest(other, &["ask", "apply", "nothing"]);
                        let hint = near.map(|word| format!("Did you mean {word:?}?"));
                        return Err(self.error(value.span(), message, hint));
                    }
                };
            }
            "check_command" => {
                let text = self.text("migrations.check_command", value, "a command such as \"npm test\"")?;
                if text.contains('\0') {
                    let message = "`migrations.check_command` holds a zero byte".to_owned();
                    return Err(self.error(value.span(), message, None));
                }
                config.migrations_check = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
            }
            other => {
                return Err(self.unknown(key.span(), "migrations", other));
            }
        }
        Ok(())
    }
}
