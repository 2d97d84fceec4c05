//! `[seed]`: what belongs behind the data of a fresh root branch.

use toml::de::DeValue;

use super::{ConfigError, Entry, Source, kind};
use crate::config::Config;

const SHAPE: &str = "a list of SQL files from the top of the repository, such as [\"db/seed.sql\"]";
const INPUTS: &str = "a list of files and folders from the top of the repository, such as [\"db/fixtures\"]";

impl Source<'_> {
    pub(super) fn seed(&self, (key, value): Entry<'_, '_>, config: &mut Config) -> Result<(), ConfigError> {
        match key.get_ref().as_ref() {
            "files" => {
                let DeValue::Array(files) = value.get_ref() else {
                    let message = format!("`seed.files` is {}, not {SHAPE}", kind(value.get_ref()));
                    return Err(self.error(value.span(), message, None));
                };
                for file in files {
                    config.seed_files.push(self.path("seed.files", file, SHAPE)?);
                }
                Ok(())
            }
            "command" => {
                let text = self.text("seed.command", value, "a command such as \"npm run seed\"")?.trim();
                if text.contains('\0') {
                    let message = "`seed.command` holds a zero byte".to_owned();
                    return Err(self.error(value.span(), message, None));
                }
                config.seed_command = Some(text.to_owned()).filter(|text| !text.is_empty());
                Ok(())
            }
            "inputs" => {
                let DeValue::Array(inputs) = value.get_ref() else {
                    let message = format!("`seed.inputs` is {}, not {INPUTS}", kind(value.get_ref()));
                    return Err(self.error(value.span(), message, None));
                };
                let read = inputs.iter().map(|input| self.path("seed.inputs", input, INPUTS));
                config.seed_inputs = Some(read.collect::<Result<_, _>>()?);
                Ok(())
            }
            "cache" => {
                let is_off = value.get_ref().as_str() == Some("off");
                config.seed_cache = if is_off { None } else { Some(self.size("seed.cache", value)?) };
                Ok(())
            }
            other => Err(self.unknown(key.span(), "seed", other)),
        }
    }
}
