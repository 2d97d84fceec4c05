//! `[schema]`.

use super::{ConfigError, Entry, Source};
use crate::config::Config;

impl Source<'_> {
    pub(super) fn schema(&self, (key, value): Entry<'_, '_>, config: &mut Config) -> Result<(), ConfigError> {
        match key.get_ref().as_ref() {
            "file" => {
                let shape = "a path from the top of the repository, such as \"db/schema.facts\"";
                config.schema_file = Some(self.path("schema.file", value, shape)?);
            }
            "renames" => {
                let shape = "a path from the top of the repository, such as \"db/migrations\"";
                config.schema_renames = Some(self.path("schema.renames", value, shape)?);
            }
            other => return Err(self.unknown(key.span(), "schema", other)),
        }
        Ok(())
    }
}
