//! From text to [`Config`], with line numbers.

mod branches;
mod closest;
mod connection;
mod hooks;
mod initial;
mod masking;
mod migrations;
mod postgres;
mod schema;
mod seed;
mod storage;
mod subset;
mod tiers;

use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(crate) use closest::closest;

use super::{Config, OnCheckout, OnDelete, OnMerge, keys};

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

impl ConfigError {
    /// Where in its line of `text` it begins, in characters from 1.
    pub(crate) fn column(&self, text: &str) -> usize {
        let before = &text[..text.floor_char_boundary(self.span.start.min(text.len()))];
        1 + before.rsplit('\n').next().unwrap_or_default().chars().count()
    }
}

type Entry<'a, 'i> = (&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>);

/// Longer than anybody waits for anything, and short enough for every clock.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// Reads a whole file.
pub(crate) fn parse(text: &str) -> Result<Config, ConfigError> {
    let (config, errors) = parse_all(text);
    errors.into_iter().next().map_or(Ok(config), Err)
}

/// Reads what can be read of a file, and all that cannot, in the order of the file.
pub(crate) fn parse_all(text: &str) -> (Config, Vec<ConfigError>) {
    let source = Source { text, errors: RefCell::default() };
    let mut config = Config::default();
    match DeTable::parse(text) {
        Ok(table) => {
            for entry in table.get_ref() {
                if let Err(error) = source.top(entry, &mut config) {
                    source.tell(error);
                }
            }
            source.tiers_fit(&mut config);
            source.branches_fit(&mut config);
        }
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            source.tell(source.error(span, error.message().to_owned(), None));
        }
    }
    let mut errors = source.errors.into_inner();
    errors.sort_by_key(|error| error.span.start);
    (config, errors)
}

struct Source<'t> {
    text: &'t str,
    errors: RefCell<Vec<ConfigError>>,
}

impl Source<'_> {
    /// Notes a mistake, and goes on.
    fn tell(&self, error: ConfigError) {
        self.errors.borrow_mut().push(error);
    }

    /// Each entry of a table. Those with a mistake are told and left out.
    fn each<'v, 'i: 'v>(
        &self,
        name: &str,
        value: &'v Spanned<DeValue<'i>>,
        mut read: impl FnMut(Entry<'v, 'i>) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        for entry in self.table(name, value)? {
            if let Err(error) = read(entry) {
                self.tell(error);
            }
        }
        Ok(())
    }

    fn line(&self, span: Range<usize>) -> usize {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        1 + before.split(|&b| b == b'\n').count().saturating_sub(1)
    }

    fn error(&self, span: Range<usize>, message: String, hint: Option<String>) -> ConfigError {
        ConfigError { line: self.line(span.clone()), span, message, hint }
    }

    fn top(&self, (key, value): Entry<'_, '_>, config: &mut Config) -> Result<(), ConfigError> {
        match key.get_ref().as_ref() {
            "on_checkout" => {
                config.on_checkout = self.on_checkout("on_checkout", value)?;
                config.on_checkout_line = Some(self.line(value.span()));
            }
            "on_delete" => {
                let words = [("ask", OnDelete::Ask), ("trash", OnDelete::Trash), ("keep", OnDelete::Keep)];
                config.on_delete = self.word("on_delete", value, words)?;
            }
            "on_merge" => {
                let words = [("ask", OnMerge::Ask), ("apply", OnMerge::Apply), ("nothing", OnMerge::Nothing)];
                config.on_merge = self.word("on_merge", value, words)?;
            }
            "on_leave" => {
                config.tells_leaving = self.word("on_leave", value, [("tell", true), ("nothing", false)])?;
            }
            "idle_timeout" => config.idle_timeout = self.duration("idle_timeout", value)?,
            "switch_grace" => config.switch_grace = self.duration("switch_grace", value)?,
            "postgres" => return self.each("postgres", value, |entry| self.postgres(entry, config)),
            "schema" => return self.each("schema", value, |entry| self.schema(entry, config)),
            "migrations" => return self.each("migrations", value, |entry| self.migrations(entry, config)),
            "storage" => return self.each("storage", value, |entry| self.storage(entry, config)),
            "restore" => return self.each("restore", value, |entry| self.restore(entry, config)),
            "snapshots" => {
                return self.each("snapshots", value, |(key, value)| {
                    match key.get_ref().as_ref() {
                        "on_commit" => {
                            config.snapshots_on_commit = self.flag("snapshots.on_commit", value)?;
                        }
                        other => return Err(self.unknown(key.span(), "snapshots", other)),
                    }
                    Ok(())
                });
            }
            "masking" => return self.each("masking", value, |entry| self.masking(entry, config)),
            "seed" => return self.each("seed", value, |entry| self.seed(entry, config)),
            "subset" => return self.each("subset", value, |entry| self.subset(entry, config)),
            "connection" => return self.connection(value, config),
            "hooks" => return self.hooks(value, config),
            "branches" => self.branches(value, config),
            "tiers" => self.tiers(value, config),
            "limits" => return self.each("limits", value, |entry| self.limits(entry, config)),
            other => return Err(self.unknown(key.span(), "", other)),
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

    fn on_checkout(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<OnCheckout, ConfigError> {
        let words = ["create", "switch", "ask"];
        let text = self.text(name, value, "one of \"create\", \"switch\" and \"ask\"")?;
        match text {
            "create" => Ok(OnCheckout::Create),
            "switch" => Ok(OnCheckout::Switch),
            "ask" => Ok(OnCheckout::Ask),
            other => {
                let message = format!("`{name}` is {other:?}, not one of \"create\", \"switch\" and \"ask\"");
                let hint = closest(other, &words).map(|word| format!("Did you mean {word:?}?"));
                Err(self.error(value.span(), message, hint))
            }
        }
    }

    /// One of some words.
    fn word<T: Copy, const N: usize>(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        words: [(&str, T); N],
    ) -> Result<T, ConfigError> {
        let known = words.map(|(word, _)| word);
        let (last, others) = known.split_last().unwrap_or((&"", &[]));
        let others: Vec<String> = others.iter().map(|word| format!("{word:?}")).collect();
        let shape = format!("one of {} and {last:?}", others.join(", "));
        let text = self.text(key, value, &shape)?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*meaning);
        }
        let hint = closest(text, &known).map(|word| format!("Did you mean {word:?}?"));
        Err(self.error(value.span(), format!("`{key}` is {text:?}, not {shape}"), hint))
    }

    fn duration(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<Duration, ConfigError> {
        const SHAPE: &str = "a time such as \"30s\", \"5m\", \"1h\" or \"14d\"";
        let text = self.text(key, value, SHAPE)?;
        let longest = duration_text(LONGEST);
        match any_duration(text) {
            Some(time) if time <= LONGEST => Ok(time),
            Some(_) => {
                let message = format!("`{key}` is {text:?}, and the longest time is \"{longest}\"");
                Err(self.error(value.span(), message, None))
            }
            None => {
                let hint = format!("A number and a unit, `ms`, `s`, `m`, `h` or `d`: at most \"{longest}\".");
                Err(self.error(value.span(), format!("`{key}` is {text:?}, not {SHAPE}"), Some(hint)))
            }
        }
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

    /// A key that is not in the list of a table.
    fn unknown(&self, span: Range<usize>, table: &str, key: &str) -> ConfigError {
        let prefix = if table.is_empty() { String::new() } else { format!("{table}.") };
        self.unknown_of(span, &prefix, key, &keys::known(table))
    }

    fn unknown_of(&self, span: Range<usize>, prefix: &str, key: &str, known: &[&str]) -> ConfigError {
        let hint = match closest(key, known) {
            Some(near) => format!("Did you mean `{prefix}{near}`?"),
            None => format!("Known are {}.", known.join(", ")),
        };
        self.error(span, format!("unknown key `{prefix}{key}`"), Some(hint))
    }
}

/// `30s`, `1.5h`, `14d`: a number and a unit, as long as a time may be.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    any_duration(text).filter(|&time| time <= LONGEST)
}

/// The same, however long it is.
fn any_duration(text: &str) -> Option<Duration> {
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
    Duration::try_from_secs_f64(ms / 1000.0).ok()
}

/// A time as [`duration`] reads it, in the largest unit that leaves nothing over.
pub(crate) fn duration_text(time: Duration) -> String {
    let seconds = time.as_secs();
    if time.subsec_millis() > 0 {
        return format!("{}ms", time.as_millis());
    }
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let fits = units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    fits.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
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
