//! From text to [`Config`], with line numbers.

use std::ops::Range;
use std::time::Duration;

use offshoot_protocol::migrations::MigrationsOnCheckout;
use offshoot_storage::DriverKind;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Config, OnCheckout, settings};

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

const KEYS: [&str; 8] =
    ["on_checkout", "idle_timeout", "switch_grace", "postgres", "schema", "migrations", "storage", "restore"];
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
            other => return Err(self.unknown(key.span(), "", other, &KEYS)),
        }
        Ok(())
    }

    fn postgres(&self, (key, value): Entry<'_, '_>, config: &mut Config) -> Result<(), ConfigError> {
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
            other => Err(self.unknown(key.span(), "postgres.", other, &["settings"])),
        }
    }

    fn schema(&self, (key, value): Entry<'_, '_>, config: &mut Config) -> Result<(), ConfigError> {
        match key.get_ref().as_ref() {
            "file" => {
                let shape = "a path from the top of the repository, such as \"db/schema.facts\"";
                config.schema_file = Some(self.path("schema.file", value, shape)?);
            }
            "renames" => {
                let shape = "a path from the top of the repository, such as \"db/migrations\"";
                config.schema_renames = Some(self.path("schema.renames", value, shape)?);
            }
            other => return Err(self.unknown(key.span(), "schema.", other, &["file", "renames"])),
        }
        Ok(())
    }

    fn migrations(&self, (key, value): Entry<'_, '_>, config: &mut Config) -> Result<(), ConfigError> {
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
                return Err(self.unknown(
                    key.span(),
                    "migrations.",
                    other,
                    &["on_checkout", "check_command"],
                ));
            }
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

    fn storage(&self, (key, value): Entry<'_, '_>, config: &mut Config) -> Result<(), ConfigError> {
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
                let known = ["max_bytes", "min_free_bytes", "driver"];
                return Err(self.unknown(key.span(), "storage.", other, &known));
            }
        }
        Ok(())
    }

    fn restore(&self, (key, value): Entry<'_, '_>, config: &mut Config) -> Result<(), ConfigError> {
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
            other => return Err(self.unknown(key.span(), "restore.", other, &["window", "max_bytes"])),
        }
        Ok(())
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

/// The word of `known` that `typed` was probably meant to be.
pub(super) fn closest<'k>(typed: &str, known: &[&'k str]) -> Option<&'k str> {
    let typed = typed.to_ascii_lowercase().replace('-', "_");
    known
        .iter()
        .map(|word| (distance(&typed, word), *word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min()
        .map(|(_, word)| word)
}

/// How many letters have to be inserted, removed, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, j) in (0..=a.len()).flat_map(|i| (0..=b.len()).map(move |j| (i, j))) {
        rows[i][j] = match (i, j) {
            (0, n) | (n, 0) => n,
            _ => {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            }
        };
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        let error = parse(text).unwrap_err();
        match &error.hint {
            Some(hint) => format!("{error} | {hint}"),
            None => error.to_string(),
        }
    }

    #[test]
    fn the_template_and_an_empty_file_say_nothing() {
        assert_eq!(parse(""), Ok(Config::default()));
        assert_eq!(parse(super::super::TEMPLATE), Ok(Config::default()));
    }

    #[test]
    fn the_template_uncommented_is_valid() {
        let lines: Vec<_> = super::super::TEMPLATE
            .lines()
            .map(|line| {
                line.strip_prefix("# ")
                    .filter(|rest| rest.contains(" = ") || rest.starts_with('['))
                    .unwrap_or("")
            })
            .collect();
        let config = parse(&lines.join("\n")).unwrap();
        assert_eq!(config.postgres, [("shared_buffers".to_owned(), "64MB".to_owned())]);
    }

    #[test]
    fn every_key_is_read() {
        let text = "on_checkout = 'ask'\nidle_timeout = \"1.5h\"\nswitch_grace = \"250 ms\"\n\n[postgres.settings]\n\
                    work_mem = \"8MB\"\nmax_connections = 50\njit = false\nrandom_page_cost = 1.1\nAuto_Explain.Log_Analyze = true";
        let config = parse(text).unwrap();
        assert_eq!(config.on_checkout, OnCheckout::Ask);
        assert_eq!((config.idle_timeout.as_secs(), config.switch_grace.as_millis()), (5400, 250));
        let settings: Vec<_> = config.postgres.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(
            settings,
            [
                "auto_explain.log_analyze=on",
                "jit=off",
                "max_connections=50",
                "random_page_cost=1.1",
                "work_mem=8MB"
            ]
        );
    }

    #[test]
    fn misspelt_keys_are_recognised() {
        assert_eq!(
            fault("\n\non_chekout = 'ask'"),
            "line 3: unknown key `on_chekout` | Did you mean `on_checkout`?"
        );
        assert_eq!(
            fault("idle-timeout = '5m'"),
            "line 1: unknown key `idle-timeout` | Did you mean `idle_timeout`?"
        );
        assert_eq!(
            fault("[postgres]\nsetings = {}"),
            "line 2: unknown key `postgres.setings` | Did you mean `postgres.settings`?"
        );
        assert!(fault("colour = 1").contains("Known are on_checkout"));
        assert!(fault("storage.driver = 'zfs'").contains("one of \"layers\" and \"clone\""));
        let storage = parse("[storage]\ndriver = 'clone'").unwrap();
        assert_eq!(storage.storage_driver, Some(DriverKind::Clone));
        assert!(fault("on_checkout = 'craete'").ends_with("| Did you mean \"create\"?"));
    }

    #[test]
    fn wrong_values_are_named_with_their_line() {
        assert_eq!(
            fault("idle_timeout = 5"),
            "line 1: `idle_timeout` is a number, not a time such as \"30s\", \"5m\" or \"1h\""
        );
        for bad in ["", "5", "5x", "-5s", "m", "1e9h", "99999d", "..s"] {
            assert!(fault(&format!("\nidle_timeout = '{bad}'")).starts_with("line 2: "), "{bad}");
        }
        assert!(fault("a = \n").starts_with("line 1: "));
        assert!(fault("x = 1\nx = 2").starts_with("line "));
        assert!(fault("postgres = 3").contains("not a table"));
        assert!(fault("[postgres]\nsettings = { work_mem = [1] }").contains("line 2: `work_mem` is a list"));
    }

    #[test]
    fn a_repository_cannot_choose_programs_or_break_safety() {
        assert!(fault("[postgres]\nbin_dir = '/tmp/evil'").contains("`offshoot init --bin-dir"));
        assert!(fault("[postgres]\nversion = 17").contains("--postgres"));
        for name in [
            "fsync",
            "FSYNC",
            "full_page_writes",
            "listen_addresses",
            "port",
            "unix_socket_directories",
            "archive_command",
            "archive_mode",
            "archive_library",
            "restore_command",
            "wal_recycle",
            "wal_init_zero",
            "data_directory",
            "hba_file",
            "ident_file",
            "config_file",
            "external_pid_file",
            "ssl_passphrase_command",
            "log_directory",
            "logging_collector",
            "dynamic_library_path",
            "recovery_end_command",
            "primary_conninfo",
            "synchronous_standby_names",
            "extension_destdir",
            "plperl.on_init",
            "pgsodium.getkey_script",
            "a b",
            "x=y",
            "-c",
        ] {
            let text = format!("[postgres]\nsettings = {{ \"{name}\" = \"x\" }}");
            assert!(fault(&text).starts_with("line 2: "), "{name}");
        }
        assert!(fault("[postgres]\nsettings = { io_method = 'io_uring' }").contains("io_uring"));
        assert!(parse("[postgres]\nsettings = { io_method = 'sync', shared_preload_libraries = 'pg_stat_statements' }").is_ok());
        assert!(
            fault("[postgres]\nsettings = { shared_preload_libraries = '/tmp/evil' }")
                .contains("cannot load")
        );
        assert!(fault("[postgres.settings]\nplperl.on_init = 'x'").starts_with("line 2: "));
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        let limits = |text: &str| parse(text).map(|config| (config.max_bytes, config.min_free_bytes));
        assert_eq!(limits("[storage]\nmax_bytes = 4096"), Ok((Some(4096), None)));
        let both = "[storage]\nmax_bytes = '20GB'\nmin_free_bytes = '1.5 GiB'";
        assert_eq!(limits(both), Ok((Some(20_000_000_000), Some(1_610_612_736))));
        for (value, shown) in
            [("'much'", "\"much\""), ("-1", "-1"), ("1.5", "a number"), ("true", "true or false")]
        {
            let text = fault(&format!("[storage]\nmax_bytes = {value}"));
            let expected = format!("line 2: `storage.max_bytes` is {shown}, not a number of bytes");
            assert!(text.starts_with(&expected), "{text}");
        }
        assert!(fault("storage.max_byte = 1").contains("Did you mean `storage.max_bytes`?"));
    }

    #[test]
    fn the_past_has_a_window_and_a_cap() {
        let restore = |text: &str| parse(text).unwrap().restore().map(|kept| (kept.window, kept.max_bytes));
        let week = Duration::from_hours(7 * 24);
        assert_eq!(restore(""), Some((week, 10_000_000_000)));
        assert_eq!(
            restore("[restore]\nwindow = '36h'\nmax_bytes = '1GB'"),
            Some((week * 3 / 14, 1_000_000_000))
        );
        assert_eq!(restore("[restore]\nwindow = 'off'"), None);
        let text = fault("[restore]\nwindow = 'never'");
        assert!(
            text.starts_with("line 2: `restore.window` is \"never\", not a time such as \"7d\""),
            "{text}"
        );
        assert!(fault("restore.windows = '7d'").contains("Did you mean `restore.window`?"));
    }

    #[test]
    fn what_migrations_ask_for_is_read() {
        let config = parse("[migrations]\non_checkout = 'apply'\ncheck_command = ' npm test '").unwrap();
        assert_eq!(config.migrations_on_checkout, MigrationsOnCheckout::Apply);
        assert_eq!(config.migrations_check.as_deref(), Some("npm test"));
        assert!(
            fault("[migrations]\non_checkout = 'create'").starts_with("line 2: `migrations.on_checkout` is")
        );
        assert!(fault("[migrations]\ncheck = 'x'").contains("unknown key `migrations.check`"));
    }

    #[test]
    fn the_schema_file_stays_within_the_repository() {
        let file = |text: &str| parse(text).map(|config| config.schema_file);
        assert_eq!(file("[schema]\nfile = './db/x.facts'").unwrap().as_deref(), Some("db/x.facts"));
        for path in ["/etc/x.sql", "../x.sql", "a/../../x", ""] {
            assert!(fault(&format!("schema.file = '{path}'")).contains("not a path from the top"), "{path}");
        }
        assert!(fault("schema.files = 'x'").contains("Did you mean `schema.file`?"));
        let renames = |text: &str| parse(text).map(|config| config.schema_renames);
        assert_eq!(renames("schema.renames = './db/'").unwrap().as_deref(), Some("db/"));
        assert_eq!(renames("").unwrap(), None);
        assert!(fault("schema.renames = '../db'").contains("`schema.renames` is \"../db\", not a path"));
        assert!(fault("schema.rename = 'x'").contains("Did you mean `schema.renames`?"));
    }
}
