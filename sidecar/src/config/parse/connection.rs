//! `[connection]`.

use toml::Spanned;
use toml::de::DeValue;

use super::{ConfigError, Source, closest};
use crate::config::Config;
use crate::config::connection::{AddressOf, Connection, Preset, VARIABLE};

const FILE_SHAPE: &str = "a file from the top of the work tree, such as \".env\"";

impl Source<'_> {
    /// All of the table: its keys are about each other.
    pub(super) fn connection(
        &self,
        value: &Spanned<DeValue<'_>>,
        config: &mut Config,
    ) -> Result<(), ConfigError> {
        let (mut file, mut variable, mut preset, mut address) = (None, None, None, None);
        let mut is_whole = true;
        for (key, value) in self.table("connection", value)? {
            let read = match key.get_ref().as_ref() {
                "env_file" => self.env_file(value).map(|found| file = Some((found, value.span()))),
                "variable" => self.variable(value).map(|found| variable = Some((found, value.span()))),
                "preset" => self.preset(value).map(|found| preset = Some((found, value.span()))),
                "address" => self.address(value).map(|found| address = Some((found, value.span()))),
                other => Err(self.unknown(key.span(), "connection", other)),
            };
            if let Err(error) = read {
                is_whole = false;
                self.tell(error);
            }
        }
        if !is_whole {
            return Ok(());
        }
        let Some((env_file, span)) = file else {
            let lonely = [
                variable.as_ref().map(|(_, span)| ("variable", span)),
                preset.as_ref().map(|(_, span)| ("preset", span)),
                address.as_ref().map(|(_, span)| ("address", span)),
            ];
            let Some((key, span)) = lonely.into_iter().flatten().next() else { return Ok(()) };
            let hint = "Name the file that gets the address: env_file = \".env\".".to_owned();
            let message = format!("`connection.{key}` says nothing without `connection.env_file`");
            return Err(self.error(span.clone(), message, Some(hint)));
        };
        if let (Some((_, span)), Some((preset, _))) = (&variable, &preset)
            && preset.has_several()
        {
            let preset = preset.as_str();
            let message =
                format!("`connection.variable` and `preset = \"{preset}\"`, which has variables of its own");
            return Err(self.error(span.clone(), message, Some("Remove one of the two.".to_owned())));
        }
        config.connection = Some(Connection {
            env_file,
            variable: variable.map_or_else(|| VARIABLE.to_owned(), |(name, _)| name),
            preset: preset.map(|(preset, _)| preset),
            address: address.map(|(address, _)| address).unwrap_or_default(),
            line: self.line(span),
        });
        Ok(())
    }

    fn env_file(&self, value: &Spanned<DeValue<'_>>) -> Result<String, ConfigError> {
        let path = self.path("connection.env_file", value, FILE_SHAPE)?;
        let name = path.rsplit('/').next().unwrap_or_default();
        // The file comes with a repository, which must not say of any file that it is to be written.
        let is_env = matches!(name, ".env" | ".envrc")
            || name.starts_with(".env.")
            || name.strip_suffix(".env").is_some_and(|before| !before.is_empty());
        if !is_env {
            let hint = "Its name is .env, .envrc, .env.SOMETHING or SOMETHING.env: no other file is written.";
            let message = format!("`connection.env_file` is {path:?}, which is no env file by its name");
            return Err(self.error(value.span(), message, Some(hint.to_owned())));
        }
        Ok(path)
    }

    fn variable(&self, value: &Spanned<DeValue<'_>>) -> Result<String, ConfigError> {
        const SHAPE: &str = "the name of a variable, such as \"DATABASE_URL\"";
        let name = self.text("connection.variable", value, SHAPE)?;
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            let message = format!("`connection.variable` is {name:?}, not {SHAPE}");
            return Err(self.error(value.span(), message, None));
        }
        Ok(name.to_owned())
    }

    fn preset(&self, value: &Spanned<DeValue<'_>>) -> Result<Preset, ConfigError> {
        let names: Vec<&str> = Preset::ALL.iter().map(|preset| preset.as_str()).collect();
        let shape =
            format!("one of {}", names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "));
        let text = self.text("connection.preset", value, &shape)?;
        let found = Preset::ALL.iter().find(|preset| preset.as_str() == text);
        found.copied().ok_or_else(|| {
            let hint = match closest(text, &names) {
                Some(near) => format!("Did you mean {near:?}?"),
                None => "Without it, a variable gets a URL such as postgres://…, which most frameworks read."
                    .to_owned(),
            };
            self.error(value.span(), format!("`connection.preset` is {text:?}, not {shape}"), Some(hint))
        })
    }

    fn address(&self, value: &Spanned<DeValue<'_>>) -> Result<AddressOf, ConfigError> {
        const SHAPE: &str = "\"worktree\" or \"branch\"";
        match self.text("connection.address", value, SHAPE)? {
            "worktree" => Ok(AddressOf::Worktree),
            "branch" => Ok(AddressOf::Branch),
            other => {
                let hint =
                    closest(other, &["worktree", "branch"]).map(|word| format!("Did you mean {word:?}?"));
                Err(self.error(value.span(), format!("`connection.address` is {other:?}, not {SHAPE}"), hint))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{AddressOf, Preset, parse, parse_all};

    #[track_caller]
    fn fault(lines: &str) -> String {
        let (config, errors) = parse_all(&format!("[connection]\n{lines}"));
        assert_eq!((errors.len(), &config.connection), (1, &None), "{errors:#?}");
        format!("{} | {}", errors[0], errors[0].hint.as_deref().unwrap_or_default())
    }

    #[test]
    fn a_file_is_enough_and_the_rest_has_its_defaults() {
        let config = parse("[connection]\nenv_file = './apps/web/.env'").unwrap().connection.unwrap();
        assert_eq!((config.env_file.as_str(), config.variable.as_str()), ("apps/web/.env", "DATABASE_URL"));
        assert_eq!((config.preset, config.address, config.line), (None, AddressOf::Worktree, 2));
        let config = parse("connection = { env_file = '.env.local', preset = 'prisma', variable = 'DB', address = 'branch' }")
            .unwrap()
            .connection
            .unwrap();
        assert_eq!(
            (config.variable.as_str(), config.preset, config.address),
            ("DB", Some(Preset::Prisma), AddressOf::Branch)
        );
        assert_eq!(parse("[connection]").unwrap().connection, None);
    }

    #[test]
    fn mistakes_are_told_with_what_was_meant() {
        assert!(
            fault("envfile = '.env'").starts_with(
                "line 2: unknown key `connection.envfile` | Did you mean `connection.env_file`?"
            )
        );
        assert!(fault("env_file = 'src/main.js'").contains("is no env file by its name"));
        for outside in ["/home/x/.env", "../.env", "a/../../.env"] {
            assert!(
                fault(&format!("env_file = '{outside}'"))
                    .contains("not a file from the top of the work tree")
            );
        }
        assert!(
            fault("env_file = '.env'\nvariable = 'A B'")
                .starts_with("line 3: `connection.variable` is \"A B\"")
        );
        assert!(fault("env_file = '.env'\npreset = 'prism'").ends_with("| Did you mean \"prisma\"?"));
        assert!(fault("env_file = '.env'\naddress = 'brnach'").ends_with("| Did you mean \"branch\"?"));
        assert!(fault("variable = 'X'").contains("says nothing without `connection.env_file`"));
        assert!(
            fault("env_file = '.env'\npreset = 'laravel'\nvariable = 'X'")
                .starts_with("line 4: `connection.variable` and `preset = \"laravel\"`")
        );
    }
}
