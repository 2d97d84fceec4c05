//! `[subset]`: which rows of a server are taken.

use offshoot_postgres::subset::Condition;
use toml::Spanned;
use toml::de::DeValue;

use super::{ConfigError, Entry, Source, kind};
use crate::config::Config;

const SHAPE: &str = "a list of tables, such as [\"public.users\", \"public.order_*\"]";

impl Source<'_> {
    pub(super) fn subset(&self, (key, value): Entry<'_, '_>, config: &mut Config) -> Result<(), ConfigError> {
        match key.get_ref().as_ref() {
            "tables" => config.subset.tables = self.names("subset.tables", value)?,
            "exclude_table_data" => {
                config.subset.without_rows = self.names("subset.exclude_table_data", value)?;
            }
            "where" => {
                for (key, value) in self.table("subset.where", value)? {
                    let table = key.get_ref().to_string();
                    let shape = "a condition in the source's SQL, such as \"created_at > now() - interval '30 days'\"";
                    if value.get_ref().as_table().is_some() {
                        let hint =
                            "Put the whole name in quotes: \"schema.table\" = \"condition\".".to_owned();
                        let message = format!("`subset.where.{table}` is a table, not {shape}");
                        return Err(self.error(key.span(), message, Some(hint)));
                    }
                    let sql =
                        self.text(&format!("subset.where.\"{table}\""), value, shape)?.trim().to_owned();
                    if sql.is_empty() || sql.contains('\0') {
                        let message = format!("`subset.where.\"{table}\"` is not {shape}");
                        return Err(self.error(value.span(), message, None));
                    }
                    config.subset.conditions.push(Condition { table, sql });
                }
            }
            other => return Err(self.unknown(key.span(), "subset", other)),
        }
        Ok(())
    }

    fn names(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, ConfigError> {
        let DeValue::Array(names) = value.get_ref() else {
            let message = format!("`{name}` is {}, not {SHAPE}", kind(value.get_ref()));
            return Err(self.error(value.span(), message, None));
        };
        names.iter().map(|one| self.text(name, one, SHAPE).map(str::to_owned)).collect()
    }
}
