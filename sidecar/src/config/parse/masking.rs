//! `[masking]`: what becomes of personal data on their way into the store.

use offshoot_postgres::mask::{ColumnName, Rule, Transformer};
use toml::Spanned;
use toml::de::DeValue;

use super::{ConfigError, Entry, Source, closest, kind, setting_text};
use crate::config::Config;

const SHAPE: &str = "one of \"keep\", \"null\", \"hash\", \"fake-name\", \"fake-email\", \"fake-phone\", \"shuffle\", { fixed = \"…\" } and { sql = \"…\" }";
/// What others call an expression.
const EXPRESSION: [&str; 3] = ["sql", "custom", "expression"];

impl Source<'_> {
    pub(super) fn masking(
        &self,
        (key, value): Entry<'_, '_>,
        config: &mut Config,
    ) -> Result<(), ConfigError> {
        match key.get_ref().as_ref() {
            "columns" => {
                for (key, value) in self.table("masking.columns", value)? {
                    let column = self.column(key, value)?;
                    let with = self.transformer(key.get_ref(), value)?;
                    config.masking.push(Rule { column, with });
                }
            }
            other => return Err(self.unknown(key.span(), "masking", other)),
        }
        Ok(())
    }

    fn column(
        &self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<ColumnName, ConfigError> {
        let text = key.get_ref();
        ColumnName::parse(text).ok_or_else(|| {
            let is_nested = value
                .get_ref()
                .as_table()
                .is_some_and(|table| !table.contains_key("fixed") && !table.contains_key("sql"));
            let hint = if is_nested {
                "Put the whole name in quotes: \"schema.table.column\" = \"null\"."
            } else {
                "A column is named with its schema and table, as in \"public.users.email\"."
            };
            self.error(
                key.span(),
                format!("`masking.columns` names {text:?}, which is no column"),
                Some(hint.into()),
            )
        })
    }

    fn transformer(&self, column: &str, value: &Spanned<DeValue<'_>>) -> Result<Transformer, ConfigError> {
        let wrong = |shown: &str, hint: Option<String>| {
            self.error(value.span(), format!("`masking.columns.\"{column}\"` is {shown}, not {SHAPE}"), hint)
        };
        match value.get_ref() {
            DeValue::String(name) => Transformer::parse(name).ok_or_else(|| {
                let hint = if EXPRESSION.contains(&name.as_ref()) {
                    "An expression over the row's columns, which the source works out, is { sql = \"left(name, 1)\" }."
                        .to_owned()
                } else {
                    match closest(name, &Transformer::NAMES) {
                        Some(near) => format!("Did you mean {near:?}?"),
                        None => "A value of your own is { fixed = \"…\" }.".to_owned(),
                    }
                };
                wrong(&format!("{name:?}"), Some(hint))
            }),
            DeValue::Table(table) => {
                let mut with = None;
                for (key, value) in table {
                    let text = setting_text(value.get_ref()).filter(|text| !text.contains('\0'));
                    with = match key.get_ref().as_ref() {
                        _ if with.is_some() => return Err(wrong("a table with several keys", None)),
                        "fixed" => text.map(Transformer::Fixed),
                        "sql" => text.filter(|text| !text.trim().is_empty()).map(Transformer::Sql),
                        other => {
                            let prefix = format!("masking.columns.\"{column}\".");
                            return Err(self.unknown_of(key.span(), &prefix, other, &["fixed", "sql"]));
                        }
                    };
                }
                with.ok_or_else(|| wrong("a table without a text", None))
            }
            other => Err(wrong(kind(other), None)),
        }
    }
}
