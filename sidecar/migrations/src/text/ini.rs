//! `key = value` lines in sections: INI, Java properties and dotenv files.

/// Such a file.
#[derive(Debug, Default)]
pub(crate) struct Ini {
    entries: Vec<(String, String, String)>,
    pub(crate) bad_lines: Vec<u32>,
}

impl Ini {
    pub(crate) fn parse(text: &str) -> Self {
        let mut ini = Self::default();
        let mut section = String::new();
        for (at, whole) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = whole.trim();
            if line.is_empty() || line.starts_with(['#', ';', '!']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                name.0.trim().clone_into(&mut section);
                continue;
            }
            if whole.starts_with([' ', '\t'])
                && let Some(last) = ini.entries.last_mut()
                && !line.contains('=')
            {
                last.2.push('\n');
                last.2.push_str(line);
                continue;
            }
            let Some((key, value)) = line.split_once(['=', ':']) else {
                ini.bad_lines.push(at as u32 + 1);
                continue;
            };
            let key = key.trim().trim_start_matches("export ").trim();
            ini.entries.push((section.clone(), key.to_owned(), unquoted(value.trim()).to_owned()));
        }
        ini
    }

    /// A value; an empty section is the part before the first one.
    pub(crate) fn get(&self, section: &str, key: &str) -> Option<&str> {
        let found = self.entries.iter().rev().find(|entry| entry.0 == section && entry.1 == key)?;
        Some(found.2.as_str())
    }
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_continuations_and_bad_lines() {
        let ini = Ini::parse(
            "[alembic]\nscript_location = db\nversion_locations = a\n  b\nnonsense\n[x]\ny: 'z'\n",
        );
        assert_eq!(ini.get("alembic", "script_location"), Some("db"));
        assert_eq!(ini.get("alembic", "version_locations"), Some("a\nb"));
        assert_eq!(ini.get("x", "y"), Some("z"));
        assert_eq!(ini.bad_lines, [5]);
    }
}
