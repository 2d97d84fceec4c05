//! From text to [`Config`], with line numbers.

mod closest;
mod masking;
mod migrations;
mod postgres;
mod schema;
mod seed;
mod storage;

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) use closest::closest;

use super::{Config, OnCheckout};

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub(crate) struct ConfigError {
    /// From 1.
    pub(crate) line: usize,
    /// Where in the text, in bytes.
    pub(crate) span: Range<usize>,
    /// What is wrong there.
    pub(crate) message: String,
    /// How to put it right.
    pub(crate) hint: Option<String>,
}

type Entry<'a, 'i> = (&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>);

const KEYS: [&str; 11] = [
    "on_checkout",
    "idle_timeout",
    "switch_grace",
    "postgres",
    "schema",
    "migrations",
    "storage",
    "restore",
    "snapshots",
    "masking",
    "seed",
];
/// Longer than anybody waits for anything, and short enough for every clock.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// Reads a whole file.
pub(crate) fn parse(text: &str) -> Result<Config, ConfigError> {
    let source = Source { text };
    let table = DeTable::parse(text).map_err(|error| ConfigError {
        line: source.line(error.span().unwrap_or(0..0)),
        span: error.span().unwrap_or(0..0),
        message: error.message().to_owned(),
        hint: None,
    })?;
    let mut config = Config::default();
    for entry in table.get_ref() {
        source.top(entry, &mut config)?;
    }
    Ok(config)
}

struct Source<'t> {
    text: &'t str,
}

impl Source<'_> {
    fn line(&self, span: Range<usize>) -> usize {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        1 + before.split(|&b| b == b'\n').count().saturating_sub(1)
    }

    fn error(&self, span: Range<usize>, message: String, hint: Option<String>) -> ConfigError {
        ConfigError { line: self.line(span.clone()), span, message, hint }
    }

    fn top(&self, (key, value): Entry<'_, '_>, config: &mut Config) -> Result<(), ConfigError> {
        match key.get_ref().as_ref() {
            "on_checkout" => config.on_checkout = self.on_checkout(value)?,
            "idle_timeout" => config.idle_timeout = self.duration("idle_timeout", value)?,
            "switch_grace" => config.switch_grace = self.duration("switch_grace", value)?,
            "postgres" => {
                let table = self.table("postgres", value)?;
                for entry in table {
                    self.postgres(entry, config)?;
                }
            }
            "schema" => {
                for entry in self.table("schema", value)? {
                    self.schema(entry, config)?;
                }
            }
            "migrations" => {
                for entry in self.table("migrations", value)? {
                    self.migrations(entry, config)?;
                }
            }
            "storage" => {
                for entry in self.table("storage", value)? {
                    self.storage(entry, config)?;
                }
            }
            "restore" => {
                for entry in self.table("restore", value)? {
                    self.restore(entry, config)?;
                }
            }
            "snapshots" => {
                for (key, value) in self.table("snapshots", value)? {
                    match key.get_ref().as_ref() {
                        "on_commit" => {
                            config.snapshots_on_commit = self.flag("snapshots.on_commit", value)?;
                        }
                        other => return Err(self.unknown(key.span(), "snapshots.", other, &["on_commit"])),
                    }
                }
            }
            "masking" => {
                for entry in self.table("masking", value)? {
                    self.masking(entry, config)?;
                }
            }
            "seed" => {
                for entry in self.table("seed", value)? {
                    self.seed(entry, config)?;
                }
            }
            other => return Err(self.unknown(key.span(), "", other, &KEYS)),
        }
        Ok(())
    }

    /// A path that stays within the repository.
    fn path(&self, name: &str, value: &Spanned<DeValue<'_>>, shape: &str) -> Result<String, ConfigError> {
        let text = self.text(name, value, shape)?;
        let leads_away = text.starts_with('/') || text.split('/').any(|part| part == "..");
        if text.is_empty() || leads_away || text.contains(['\0', ':']) {
            return Err(self.error(value.span(), format!("`{name}` is {text:?}, not {shape}"), None));
        }
        Ok(text.trim_start_matches("./").to_owned())
    }

    /// A number of bytes.
    fn size(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<u64, ConfigError> {
        const SHAPE: &str = "a number of bytes, or a size such as \"20GB\"";
        let text = match value.get_ref() {
            DeValue::String(_) | DeValue::Integer(_) => setting_text(value.get_ref()),
            _ => None,
        };
        let shown = || match value.get_ref() {
            DeValue::String(text) => format!("{text:?}"),
            DeValue::Integer(number) => number.as_str().to_owned(),
            other => kind(other).to_owned(),
        };
        text.and_then(|text| crate::size::parse(&text))
            .ok_or_else(|| self.error(value.span(), format!("`{name}` is {}, not {SHAPE}", shown()), None))
    }

    fn on_checkout(&self, value: &Spanned<DeValue<'_>>) -> Result<OnCheckout, ConfigError> {
        let words = ["create", "switch", "ask"];
        let text = self.text("on_checkout", value, "one of \"create\", \"switch\" and \"ask\"")?;
        match text {
            "create" => Ok(OnCheckout::Create),
            "switch" => Ok(OnCheckout::Switch),
            "ask" => Ok(OnCheckout::Ask),
            other => {
                let message =
                    format!("`on_checkout` is {other:?}, not one of \"create\", \"switch\" and \"ask\"");
                let hint = closest(other, &words).map(|word| format!("Did you mean {word:?}?"));
                Err(self.error(value.span(), message, hint))
            }
        }
    }

    fn duration(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<Duration, ConfigError> {
        const SHAPE: &str = "a time such as \"30s\", \"5m\" or \"1h\"";
        let text = self.text(key, value, SHAPE)?;
        duration(text)
            .ok_or_else(|| self.error(value.span(), format!("`{key}` is {text:?}, not {SHAPE}"), None))
    }

    fn text<'v>(
        &self,
        key: &str,
        value: &'v Spanned<DeValue<'_>>,
        shape: &str,
    ) -> Result<&'v str, ConfigError> {
        value.get_ref().as_str().ok_or_else(|| {
            self.error(value.span(), format!("`{key}` is {}, not {shape}", kind(value.get_ref())), None)
        })
    }

    fn flag(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<bool, ConfigError> {
        value.get_ref().as_bool().ok_or_else(|| {
            let message = format!("`{key}` is {}, not true or false", kind(value.get_ref()));
            self.error(value.span(), message, None)
        })
    }

    fn table<'v, 'i>(
        &self,
        key: &str,
        value: &'v Spanned<DeValue<'i>>,
    ) -> Result<&'v DeTable<'i>, ConfigError> {
        value.get_ref().as_table().ok_or_else(|| {
            self.error(value.span(), format!("`{key}` is {}, not a table", kind(value.get_ref())), None)
        })
    }

    fn unknown(&self, span: Range<usize>, prefix: &str, key: &str, known: &[&str]) -> ConfigError {
        let hint = match closest(key, known) {
            Some(near) => format!("Did you mean `{prefix}{near}`?"),
            None => format!("Known are {}.", known.join(", ")),
        };
        self.error(span, format!("unknown key `{prefix}{key}`"), Some(hint))
    }
}

/// `90`, `30s`, `1.5h`: a number and a unit.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ms = match unit.trim() {
        "ms" => 1.0,
        "s" => 1000.0,
        "m" | "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let ms = number.parse::<f64>().ok()? * unit_ms;
    Duration::try_from_secs_f64(ms / 1000.0).ok().filter(|&time| time <= LONGEST)
}

fn setting_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(on) => Some(if *on { "on" } else { "off" }.to_owned()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests;
